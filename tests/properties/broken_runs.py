"""Runs, decisions and erasures that are broken off: in a process of their own, at the n-th thing that they ask of the system.

An audit hook of the interpreter sees every file that is opened for writing, renamed, removed or made, and every program that is
started. There the process is killed, or the disk is full from then on. (SQLite's own writes it does not see: the tests under
strace do, and cost several times as much.)
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable

_EFFECTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "subprocess.Popen")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
KILLED = -signal.SIGKILL


def broken_off(run: Callable[[], object], *, at: int, full: bool) -> int:
    """A run that is killed at its `at`-th effect, or finds the disk `full` from there on; how its process ended.

    It is forked from a server that has the program loaded and no threads, as the program forks its own workers.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.hub", "tests.properties.broken_runs"])
    process = context.Process(target=_run, args=(run, at, full))
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def _run(run: Callable[[], object], at: int, full: bool) -> None:
    from cpis_batch.errors import DiskFault

    left = at

    def hook(event: str, arguments: tuple) -> None:
        nonlocal left
        if event not in _EFFECTS and not (event == "open" and arguments[2] & _WRITES):
            return
        left -= 1
        if left < 0 and full and event in ("open", "os.mkdir", "os.rename"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if left < 0 and not full:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        run()
    except DiskFault as fault:
        os._exit(int(fault.exit_code))
    os._exit(0)
