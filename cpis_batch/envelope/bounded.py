"""Run a program on what a partner sent, with a wall around it: memory, processor time, time by the clock, output.

Whatever crosses the wall costs that child its life, and nothing else. The child is given its first byte only once the walls
stand: however late its parent comes to build them, it has nothing to work on before.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

_READ_BYTES = 256 * 1024
_PIPE_BYTES = 1024 * 1024  # most messages and their plaintexts fit whole
_QUIET_SECONDS = 0.02  # a message of 80 kB takes some 5 ms
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

    `stdin` is read and handed on through a pipe, from where it stands to its end.
    """
    deadline = time.monotonic() + walls.seconds
    # A core file would hold plaintext, ours as the child's. Lowered here and inherited, since gpg lowers its own limit too: where
    # somebody else lowers it between gpg's looking and its setting, gpg gives up (1 message in 3,500, measured).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    status_in, status_out = os.pipe()
    try:
        child = subprocess.Popen(
            command(status_out),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=(status_out,), env=dict(env), bufsize=0,
        )  # fmt: skip
    except BaseException:
        os.close(status_in)
        raise
    finally:
        os.close(status_out)
    with child, os.fdopen(status_in, "rb", buffering=0) as status:
        try:
            assert child.stdin
            assert child.stdout
            assert child.stderr
            for stream in (child.stdin, child.stdout):
                with contextlib.suppress(OSError):  # over what a user may have in pipes: it goes more slowly
                    fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            _confine(child.pid, walls)
            given = _Input(child.stdin, stdin)
            outputs = (
                _Output(child.stdout, walls.stdout_bytes),
                _Output(child.stderr, _STDERR_BYTES, drop=True),
                _Output(status, _STATUS_BYTES),
            )
            if given.hand_on():
                _await_quietly(outputs, min(_QUIET_SECONDS, walls.seconds))
            crossed = _read(given, outputs, deadline)
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
    """Lower the child's limits. It has no input yet; or it has ended already without, which is as good."""
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
class _Input:
    """What goes to the child through its pipe, as fast as it takes it."""

    pipe: IO[bytes]
    source: IO[bytes]
    waiting: bytes = b""  # read, and not taken yet

    def __post_init__(self) -> None:
        os.set_blocking(self.pipe.fileno(), False)

    def hand_on(self) -> bool:
        """Give what the pipe takes now; whether that was the last, or the child takes no more. The pipe is closed then."""
        try:
            while piece := self.waiting or self.source.read(_PIPE_BYTES):
                self.waiting = piece
                self.waiting = piece[os.write(self.pipe.fileno(), piece) :]
        except BlockingIOError:
            return False
        except BrokenPipeError:
            pass
        self.pipe.close()
        return True


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


def _await_quietly(outputs: Sequence[_Output], seconds: float) -> None:
    """Until the child closes an output, which it does as it ends; at most so long.

    gpg writes a status line at a time. To be woken for each of them took a third of the time of a message; a child that fills a
    pipe meanwhile waits until it is read.
    """
    closed = select.poll()
    for output in outputs:
        closed.register(output.stream, 0)  # nothing asked for: it tells of the other end's closing alone
    closed.poll(seconds * 1000)


def _read(given: _Input, outputs: Sequence[_Output], deadline: float) -> str:
    """Read all to their ends, and give what is still to be given; the name of the wall that was crossed, or nothing."""
    with selectors.DefaultSelector() as selector:
        for output in outputs:
            selector.register(output.stream, selectors.EVENT_READ, output)
        if not given.pipe.closed:
            selector.register(given.pipe, selectors.EVENT_WRITE, given)
        while selector.get_map():
            if (left := deadline - time.monotonic()) <= 0:
                return "time"
            for key, _ in selector.select(left):
                if key.data is given:
                    selector.unregister(given.pipe)
                    if not given.hand_on():
                        selector.register(given.pipe, selectors.EVENT_WRITE, given)
                    continue
                piece = os.read(key.fd, _READ_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                elif not key.data.take(piece):
                    return "output"
    return ""
