"""One disturbed night: something goes wrong at a point of it; then a normal run, whose end is held to an undisturbed night's."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cpis_batch import cli, engine
from cpis_batch.errors import Exit
from tests.hub import Hub
from tests.sweep import outcome
from tests.sweep.evening import copy_of
from tests.sweep.gate import KILL, Call, Gated
from tests.sweep.points import Naming, Point

FAULTS = {"KILL": KILL, "ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
_NIGHTS = 3  # in which a point about a pipe is looked for: how often a worker writes to one depends on what falls to it
# What a full disk refuses: whatever may need room.
_ROOM = frozenset({"open", "openat", "write", "pwrite64", "writev", "ftruncate", "fallocate", "fsync", "fdatasync", "mkdir",
                   "mkdirat", "rename", "link"})  # fmt: skip


@dataclass
class Fault:
    """What goes wrong: once, where a process is killed or a disk fails; from there on, where it is full."""

    what: str  # of FAULTS
    point: Point
    naming: Naming
    happened: bool = field(default=False, init=False)

    def __call__(self, call: Call) -> int:
        """The gate's keeper."""
        here = self.naming.point(call)
        if here is None:
            return 0
        if not self.happened and here == self.point:
            self.happened = True
            return FAULTS[self.what]
        full = self.happened and self.what == "ENOSPC" and call.name in _ROOM
        return errno.ENOSPC if full and _disk(here) == _disk(self.point) else 0


def _disk(point: Point) -> str:
    return point.place.partition("/")[0]


def command(hub: Hub) -> int:
    """The command that an operator gives, in this process: what it says goes to files beside the home; its exit code."""
    folder = hub.home.parent
    for number, name in ((1, "stdout"), (2, "stderr")):
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115 - for the process's life
    os.environ |= {"CPIS_HOME": str(hub.home), "CPIS_NOW": hub.now.isoformat(), "TMPDIR": str(folder / "tmp")}
    tempfile.tempdir = None
    sys.argv = ["cpis-batch", "run", "nightly", "--json"]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        atexit._run_exitfuncs()  # what is to be done at the end of the program, and would not be at that of a fork
        with suppress(OSError):  # what could not be printed was met by the program already, and told by its exit code
            sys.stdout.flush()
    return 0


def recorded(evening: Hub, folder: Path, keeper: Callable[[Call], int] = lambda _: 0) -> tuple[list[Point], dict[str, Any]]:
    """The points of a night that nothing disturbs, and what it comes to. `keeper` is told of every call too."""
    hub = copy_of(evening, folder)
    naming, points = Naming(folder), []

    def note(call: Call) -> int:
        if (point := naming.point(call)) is not None:
            points.append(point)
        return keeper(call)

    night = Gated(lambda: command(hub))
    code = night.serve(note)
    night.close()
    assert code == Exit.PERSON_NEEDED, f"the undisturbed night ends with {code}: {said(folder)}"
    return points, judged(hub)


def said(folder: Path) -> str:
    """What the last command said to its operator."""
    return (folder / "stderr").read_text()


def judged(hub: Hub) -> dict[str, Any]:
    """What a night came to, once everything else about it has been found to be in order."""
    outcome.hold_to_no_leftover(hub)
    outcome.hold_to_nothing_in_plain(hub.home.parent)
    return outcome.end_of(hub)


def disturbed(evening: Hub, whole: dict[str, Any], what: str, point: Point, folder: Path) -> None:
    """AssertionError, which says why, unless a night with this fault, and a normal run after it, come to the same."""
    for left in reversed(range(_NIGHTS)):
        hub = copy_of(evening, folder)
        fault = Fault(what, point, Naming(folder))
        night = Gated(lambda hub=hub: command(hub))
        code = night.serve(fault)
        if fault.happened or not (left and point.by_stream):
            break
        night.close()
        shutil.rmtree(folder)
    told = f"ended with {code}: {said(folder)}"
    assert fault.happened, f"never came there, {told}"
    _hold_to_a_clean_end(what, point, code, told)
    left, lying = outcome.left_by_gpg(), outcome.delivered(hub)
    outcome.hold_to_nothing_in_plain(folder)
    outcome.hold_to_the_parts_named(hub)

    again = os.fork()
    if again == 0:
        os._exit(command(hub))
    code = night.serve(lambda _: 0, again)
    night.close()

    assert code == Exit.PERSON_NEEDED, f"{told} Then, run again, with {code}: {said(folder)}"
    outcome.hold_to_what_was_delivered(lying, hub)
    outcome.hold_to_no_keys(left)
    end = judged(hub)
    if point.program.startswith("gpg"):  # a step of the night failed, and the run after it made up for it
        hold_to_the_same_end(outcome.essence(end), outcome.essence(whole), told)
    else:
        hold_to_the_same_end(end, whole, told)


def hold_to_the_same_end(end: dict[str, Any], whole: dict[str, Any], told: str = "") -> None:
    """AssertionError, with what differs, unless a night came to the same as the undisturbed one."""
    for name, value in end.items():
        if value != whole[name] and isinstance(value, list):
            more, less = [one for one in value if one not in whole[name]], [one for one in whole[name] if one not in value]
            raise AssertionError(f"{told} Run again, it came to other {name}: {more[:3]} instead of {less[:3]}")
        assert value == whole[name], f"{told} Run again, it came to other {name}: {value} instead of {whole[name]}"


def _hold_to_a_clean_end(what: str, point: Point, code: int, told: str) -> None:
    """A killed night is dead; one whose disk refuses has said so, and is no fault of the program."""
    assert "Traceback" not in told, told
    if what == "KILL":
        assert code == -9 or point.program != "night", f"not killed, {told}"
    else:
        assert code in (Exit.DISK, Exit.PERSON_NEEDED), told


def warmed(evening: Hub, folder: Path) -> None:
    """Run a night in this process, so that those forked from it have everything loaded; and leave no connection to be forked."""
    hub = copy_of(evening, folder)
    hub.run("nightly")
    outcome.end_of(hub)
    engine.close()
    gc.collect()
    gc.freeze()  # else the collector of each forked process writes into, and so copies, all that it shares with this one
