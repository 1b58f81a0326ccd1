"""Run a program on what a partner sent, with a wall around it: memory, processor time, time by the clock, output.

Whatever crosses the wall costs that child its life, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

_READ_BYTES = 256 * 1024
_STATUS_BYTES = 256 * 1024  # a sound message takes about 1.5 kB of status lines
_STDERR_BYTES = 16 * 1024
_FILE_BYTES = 64 * 1024  # gpg writes no file while it decrypts


@dataclass(frozen=True, slots=True)
class Walls:
    """What a child may take. Seconds are of the clock and of the processor alike."""

    memory_bytes: int
    seconds: float
    stdout_bytes: int


@dataclass(frozen=True, slots=True)
class Finished:
    """How it ended: `crossed` names the wall that it ran into, or is empty. Negative return codes are signals."""

    returncode: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    status: bytes = field(repr=False)
    crossed: str


def run(command: Callable[[int], Sequence[str]], *, stdin: IO[bytes], env: Mapping[str, str], walls: Walls) -> Finished:
    """Run the command that `command` gives for the number of the status pipe; read its three outputs at once.

    Status lines have a pipe of their own, because what stands in stdout and stderr is the partner's text. FileNotFoundError
    where there is no such program.
    """
    deadline = time.monotonic() + walls.seconds
    # A core file would hold plaintext, ours as the child's. Lowered here and inherited, since gpg lowers its own limit too: where
    # somebody else lowers it between gpg's looking and its setting, gpg gives up (1 message in 3,500, measured).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    status_in, status_out = os.pipe()
    try:
        child = subprocess.Popen(
            command(status_out),
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(status_out,), env=dict(env), bufsize=0,
        )  # fmt: skip
    except BaseException:
        os.close(status_in)
        raise
    finally:
        os.close(status_out)
    with child, os.fdopen(status_in, "rb", buffering=0) as status:
        try:
            _confine(child.pid, walls)
            assert child.stdout
            assert child.stderr
            outputs = (
                _Output(child.stdout, walls.stdout_bytes),
                _Output(child.stderr, _STDERR_BYTES, drop=True),
                _Output(status, _STATUS_BYTES),
            )
            crossed = _read(outputs, deadline)
            if not crossed:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.0, deadline - time.monotonic()))
                crossed = "time" if child.poll() is None else ""
        finally:
            if child.poll() is None:
                child.kill()
        returncode = child.wait()
    plaintext, stderr, lines = (b"" if crossed else b"".join(output.parts) for output in outputs)
    return Finished(returncode, plaintext, stderr, lines, crossed)


def _confine(pid: int, walls: Walls) -> None:
    """Lower the child's limits. It has not read its input yet; or it has ended already, which is as good."""
    seconds = max(1, round(walls.seconds))
    for limit, soft, hard in (
        (resource.RLIMIT_AS, walls.memory_bytes, walls.memory_bytes),
        (resource.RLIMIT_CPU, seconds, seconds + 1),  # the soft limit ends it with a signal that is not SIGKILL
        (resource.RLIMIT_FSIZE, _FILE_BYTES, _FILE_BYTES),
    ):
        with contextlib.suppress(ProcessLookupError):
            _, ceiling = resource.prlimit(pid, limit)
            if ceiling != resource.RLIM_INFINITY:
                soft, hard = min(soft, ceiling), min(hard, ceiling)  # noqa: PLW2901
            resource.prlimit(pid, limit, (soft, hard))


@dataclass(slots=True)
class _Output:
    stream: IO[bytes]
    cap: int
    drop: bool = False  # what is over the cap is dropped; else the cap is a wall
    size: int = 0
    parts: list[bytes] = field(default_factory=list)

    def take(self, piece: bytes) -> bool:
        """Keep a piece; whether it stayed within the wall."""
        self.size += len(piece)
        if self.size <= self.cap:
            self.parts.append(piece)
        return self.drop or self.size <= self.cap


def _read(outputs: Sequence[_Output], deadline: float) -> str:
    """Read all to their ends; the name of the wall that was crossed, or nothing."""
    with selectors.DefaultSelector() as selector:
        for output in outputs:
            selector.register(output.stream, selectors.EVENT_READ, output)
        while selector.get_map():
            if (left := deadline - time.monotonic()) <= 0:
                return "time"
            for key, _ in selector.select(left):
                piece = os.read(key.fd, _READ_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                elif not key.data.take(piece):
                    return "output"
    return ""
