"""Runs of the real program under strace: what it asks of the kernel in which order, and what becomes of it if the kernel says no.

Only the program's own process and its threads are followed: where one starts another program (gpg), strace lets that go. strace
counts each thread's calls for itself, so a point is "the n-th call of this kind in the first thread that makes as many".
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cpis_batch import config
from tests.hub import Hub

# Every call by which a program can change a disk. openat is here for the files that it creates.
MUTATING = (
    "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,"
    "fchmod,fchmodat,chmod"
)
_LINE = re.compile(r"(?P<thread>\d+) +(?P<call>[a-z0-9]+)\((?P<given>.*)\) += (?P<answer>-?\d+)")
_PATH = re.compile(r'"(/[^"]*)"|<(/[^>]*)>')
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")


@dataclass(frozen=True)
class Call:
    """One call that succeeded: its place among the calls of its kind in its thread, and strace's words for its arguments."""

    thread: int
    name: str
    place: int
    given: str

    @property
    def paths(self) -> list[str]:
        """The paths that the call names, by words or by the number of an open file."""
        return ["".join(found) for found in _PATH.findall(self.given)]


NIGHT = ("run", "nightly")


def command(hub: Hub, *before: str, words: Sequence[str] = NIGHT) -> subprocess.CompletedProcess[str]:
    """The program's run at the hub's time, behind the words of `before`; its temporary folder is the test's own."""
    temporary = hub.home.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = os.environ | {
        "CPIS_HOME": str(hub.home), "CPIS_NOW": hub.now.isoformat(), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"
    }  # fmt: skip
    program = Path(sys.executable).with_name("cpis-batch")
    return subprocess.run(
        [*before, program, *words, "--json"], capture_output=True, text=True, env=environment, check=False, timeout=120
    )


def recorded(hub: Hub, *, words: Sequence[str] = NIGHT) -> list[Call]:
    """The mutating calls of one run, in their order."""
    log = hub.home.parent / "strace.log"
    done = command(hub, *_strace(log, f"trace={MUTATING}"), "-y", "-s", "0", words=words)
    assert done.returncode in (0, 3), done.stderr
    return list(_calls(log.read_text(errors="replace").splitlines()))


def injected(hub: Hub, what: str, *, only: Path | None = None, words: Sequence[str] = NIGHT) -> subprocess.CompletedProcess[str]:
    """A run in which strace injects `what` (`fsync:signal=KILL:when=3`), if given only into calls whose first path is `only`."""
    calls = what.partition(":")[0]
    return command(
        hub, *_strace(Path(os.devnull), f"trace={calls}", f"inject={what}"), *(("-P", str(only)) if only else ()), words=words
    )


def _strace(log: Path, *expressions: str) -> list[str]:
    strace = shutil.which("strace")
    assert strace, "install strace: sudo apt-get install strace"
    words = [strace, "-f", "--detach-on=execve", "-qq", "-o", str(log)]
    return [*words, *(word for expression in expressions for word in ("-e", expression))]


def _calls(lines: list[str]) -> Iterator[Call]:
    begun: dict[str, str] = {}
    places: dict[tuple[str, str], int] = {}
    for line in lines:
        thread = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[thread] = line.removesuffix("<unfinished ...>")
            continue
        if " resumed>" in line:
            line = begun.pop(thread, "") + line.partition(" resumed>")[2]  # noqa: PLW2901 - the two halves of one call
        if not (found := _LINE.match(line)):
            continue
        key = thread, found["call"]
        places[key] = places.get(key, 0) + 1
        if int(found["answer"]) < 0 or (found["call"] == "openat" and not _WRITES.search(found["given"])):
            continue
        yield Call(int(thread), found["call"], places[key], found["given"])


def copy_of(hub: Hub, folder: Path) -> Hub:
    """The same hub at another place, files with their times."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(hub.home, folder / "home")
    shutil.copytree(hub.root, folder / "served")
    path = folder / "home" / config.FILE_NAME
    path.write_text(path.read_text().replace(str(hub.root), str(folder / "served")))
    return Hub(folder / "home", folder / "served", hub.now, dict(hub.sequences))
