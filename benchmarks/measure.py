"""What a command costs, with every process that it starts: seconds by the clock, processor seconds, memory.

The command is run by a small launcher (this module as a program) that makes itself the reaper of all orphans below it.
So a worker, a forkserver or an agent that outlives the command is still counted: the launcher waits for each, and the
kernel then tells it the processor time of them all. The time by the clock ends with the command itself.

Memory is the greatest sum, over samples, of the proportional set size (PSS) of all processes below the launcher: pages
that several share are counted once between them. Where the kernel does not show the PSS of a process (an agent that
hides its memory from all but root), its resident set is taken, which is never less.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread

EVERY_SECONDS = 0.1  # between two samples; one of ten processes takes about 2 ms of the launcher, which is not counted
_SET_CHILD_SUBREAPER = 36  # prctl(2)
_PAGE_KB = resource.getpagesize() // 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run of a command. `megabytes` are 10^6 bytes."""

    seconds: float
    processor_seconds: float
    megabytes: float
    status: int


def measured(command: Sequence[str], *, env: Mapping[str, str] | None = None, stdout: Path, most_seconds: float = 600) -> Cost:
    """Run a command, its standard output into a file; CalledProcessError where the launcher itself fails."""
    with tempfile.NamedTemporaryFile() as told, stdout.open("wb") as stream:
        launcher = [sys.executable, "-m", "benchmarks.measure", told.name, *command]
        environment = os.environ | dict(env or {}) | {"PYTHONPATH": str(Path(__file__).parent.parent)}
        subprocess.run(launcher, stdout=stream, env=environment, check=True, timeout=most_seconds)
        return Cost(**json.loads(Path(told.name).read_bytes()))


class _Sampler(Thread):
    """The greatest memory of all that runs below this process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most_kb = 0
        self.over = Event()

    def run(self) -> None:
        while not self.over.wait(EVERY_SECONDS):
            self.most_kb = max(self.most_kb, sum(map(_kilobytes, _below(os.getpid()))))


def _below(pid: int) -> Iterator[int]:
    """All descendants of a process."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return  # it has ended
    for child in children:
        yield child
        yield from _below(child)


def _kilobytes(pid: int) -> int:
    """The PSS of a process, or its resident set where that is hidden."""
    try:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
        except PermissionError:
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KB
    except (FileNotFoundError, ProcessLookupError):
        return 0


def launch(command: Sequence[str]) -> Cost:
    """Run a command and wait for all that comes of it. To be called in a process that has no other children."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this process cannot be made the reaper of orphans")
    sampler = _Sampler()
    sampler.start()
    began = time.monotonic()
    status = subprocess.call(command)
    seconds = time.monotonic() - began
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    sampler.over.set()
    sampler.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(seconds, used.ru_utime + used.ru_stime, sampler.most_kb * 1024 / 1e6, status)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(asdict(launch(sys.argv[2:]))))
