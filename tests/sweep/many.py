"""Many trials, each in a process of its own, forked from this one, which has everything loaded; a few at once."""

from __future__ import annotations

import os
import select
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 180.0
_TOLD_BYTES = 16_000  # fewer than a pipe holds, so that who tells never waits


@dataclass(frozen=True)
class Trial:
    """`run` is given an empty folder of its own, and raises what is the matter."""

    name: str
    run: Callable[[Path], None]


@dataclass(frozen=True)
class Tried:
    """What a trial came to: `fault` is empty where all is as it must be."""

    name: str
    fault: str


def tried(trials: Iterable[Trial], folder: Path, jobs: int) -> Iterator[Tried]:
    """Try all, `jobs` at once; each result as it comes. A trial that does not end within three minutes is killed, and a fault."""
    waiting = iter(trials)
    running: dict[int, _Running] = {}
    poll = select.poll()
    number = 0
    try:
        while True:
            while len(running) < jobs and (trial := next(waiting, None)) is not None:
                number += 1
                one = _started(trial, folder / f"{number:06}")
                running[one.ending] = one
                poll.register(one.ending, select.POLLIN)
            if not running:
                return
            for ending, _ in poll.poll(1000):
                poll.unregister(ending)
                yield running.pop(ending).ended()
            for one in running.values():
                one.hurry()
    finally:  # interrupted, if there are any
        for one in running.values():
            one.kill()


@dataclass
class _Running:
    trial: Trial
    folder: Path
    process: int
    ending: int
    told: int
    started: float

    def hurry(self) -> None:
        if time.monotonic() - self.started > _SECONDS:
            self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)

    def ended(self) -> Tried:
        code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        fault = os.read(self.told, _TOLD_BYTES).decode()
        os.close(self.told)
        os.close(self.ending)
        shutil.rmtree(self.folder, ignore_errors=True)
        return Tried(self.trial.name, fault or (f"its process ended with {code}" if code else ""))


def _started(trial: Trial, folder: Path) -> _Running:
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.setpgid(0, 0)
        os.close(reading)
        told = ""
        try:
            folder.mkdir()
            trial.run(folder)
        except BaseException as fault:  # noqa: BLE001 - told by the process that counts
            told = f"{type(fault).__name__}: {fault}"
        os.write(writing, told.encode(errors="replace")[:_TOLD_BYTES])
        os._exit(0)
    os.close(writing)
    return _Running(trial, folder, process, os.pidfd_open(process), reading, time.monotonic())
