"""Who keeps the gate of `kernel`: each mutating call of a night in words, and what is to become of it."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.sweep.kernel import Asked, answer, asked, shut_the_gate

_AT_CWD = -100
_PAGE = 4096
# Which of a call's arguments say where: a path, a path in a folder that is open, an open file.
_BY_PATH = {"open": (0,), "creat": (0,), "truncate": (0,), "rename": (0, 1), "mkdir": (0,), "rmdir": (0,), "link": (0, 1),
            "unlink": (0,), "symlink": (1,), "chmod": (0,)}  # fmt: skip
_BY_FOLDER = {"openat": ((0, 1),), "renameat": ((0, 1), (2, 3)), "renameat2": ((0, 1), (2, 3)), "mkdirat": ((0, 1),),
              "linkat": ((0, 1), (2, 3)), "unlinkat": ((0, 1),), "symlinkat": ((1, 2),), "fchmodat": ((0, 1),),
              "fchmodat2": ((0, 1),), "utimensat": ((0, 1),)}  # fmt: skip
_TO_SECOND = frozenset({"copy_file_range"})
KILL = -1  # an answer to a call: its process is killed, and the call is never made


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is about to be made: by which program, and on which files; a pipe or socket has a name of its own kind."""

    process: int
    program: str  # "night" for the process that was started behind the gate, "worker" for other Pythons, else as /proc calls it
    name: str
    paths: tuple[str, ...]
    asked: Asked

    def bytes_given(self) -> bytes:
        """What a write is to write."""
        _, where, count, *_ = self.asked.arguments
        return _memory(self.asked.thread, where, count)

    def position(self) -> int:
        """Where in its file a write is to begin."""
        if self.name.startswith("pwrite"):
            return self.asked.arguments[3]
        facts = self._facts()
        return os.stat(self.paths[0]).st_size if int(facts["flags:"], 8) & os.O_APPEND else int(facts["pos:"])  # noqa: PTH116

    def _facts(self) -> dict[str, str]:
        words = Path(f"/proc/{self.asked.thread}/fdinfo/{self.asked.arguments[0]}").read_text().split()
        return dict(pairwise(words))


Keeper = Callable[[Call], int]  # 0: let it be made; an error number; or KILL


class Gated:
    """A process forked from this one that does `work` behind the gate. It ends with what `work` gives, 70 where that raises."""

    def __init__(self, work: Callable[[], int]) -> None:
        ours, theirs = socket.socketpair()
        self.process = os.fork()
        if self.process == 0:
            code = 70
            try:
                ours.close()
                shut_the_gate(theirs)
                code = work()
            finally:
                os._exit(code)
        theirs.close()
        _, (self._listener,), *_ = socket.recv_fds(ours, 16, 1)
        ours.close()
        self.code: int | None = None

    def serve(self, keeper: Keeper, process: int | None = None, seconds: float = 60.0) -> int:
        """Answer all calls until the gated process, or another one of ours, has ended; how it ended, -9 where it was killed.

        What it started may live on, as gpg's agent does when its master is killed: serve on, while anything else is waited for.
        """
        awaited = process or self.process
        ending = os.pidfd_open(awaited)
        waiting = select.poll()
        waiting.register(ending, select.POLLIN)
        if self._listener >= 0:
            waiting.register(self._listener, select.POLLIN)
        deadline = time.monotonic() + seconds
        try:
            while True:
                ready = dict(waiting.poll(1000 * max(0.0, deadline - time.monotonic())))
                if not ready:
                    with suppress(ProcessLookupError):
                        os.kill(awaited, signal.SIGKILL)
                    raise TimeoutError(f"a night does not end within {seconds:g} s")
                if ready.get(self._listener, 0) & select.POLLIN:
                    self._one(keeper)
                elif self._listener in ready:  # nobody is behind it any more
                    waiting.unregister(self._listener)
                    self.close()
                elif ending in ready:
                    return os.waitstatus_to_exitcode(os.waitpid(awaited, 0)[1])
        finally:
            os.close(ending)

    def _one(self, keeper: Keeper) -> None:
        call = asked(self._listener)
        if call is None:
            return
        try:
            told = _told(call, self.process)
        except OSError:  # its process has died
            answer(self._listener, call.token)
            return
        verdict = keeper(told)
        if verdict == KILL:
            with suppress(ProcessLookupError):
                os.kill(told.process, signal.SIGKILL)
        else:
            answer(self._listener, call.token, verdict)

    def close(self) -> None:
        """Give the gate up: what still waits at it is refused."""
        if self._listener >= 0:
            os.close(self._listener)
            self._listener = -1


def _told(call: Asked, night: int) -> Call:
    given, thread = call.arguments, call.thread
    if places := _BY_PATH.get(call.name):
        paths = [_path(thread, _AT_CWD, given[place]) for place in places]
    elif pairs := _BY_FOLDER.get(call.name):
        paths = [_path(thread, given[folder], given[place]) for folder, place in pairs]
    else:
        paths = [_open_at(thread, given[2 if call.name in _TO_SECOND else 0])]
    process, program = _process(thread)
    if process == night:
        program = "night"
    elif program.startswith("python"):
        program = "worker"
    return Call(process, program, call.name, tuple(paths), call)


def _process(thread: int) -> tuple[int, str]:
    lines = Path(f"/proc/{thread}/status").read_text().split("\n", 4)
    return int(lines[3].split()[1]), lines[0].split("\t", 1)[1]


def _path(thread: int, folder: int, where: int) -> str:
    folder = folder & 0xFFFFFFFF
    folder = folder - (1 << 32) if folder >= 1 << 31 else folder
    text = os.fsdecode(_text(thread, where)) if where else ""
    if text.startswith("/"):
        return os.path.normpath(text)
    base = str(Path(f"/proc/{thread}/cwd").readlink()) if folder == _AT_CWD else _open_at(thread, folder)
    return os.path.normpath(f"{base}/{text}")


def _open_at(thread: int, number: int) -> str:
    return str(Path(f"/proc/{thread}/fd/{number}").readlink())


def _text(thread: int, where: int) -> bytes:
    """A text of the process that ends with a zero byte. It may stand at the end of what can be read."""
    found = b""
    while b"\0" not in found:
        found += _memory(thread, where + len(found), _PAGE - (where + len(found)) % _PAGE)
    return found.partition(b"\0")[0]


def _memory(thread: int, where: int, count: int) -> bytes:
    handle = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        return os.pread(handle, count, where)
    finally:
        os.close(handle)
