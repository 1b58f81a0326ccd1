"""F61, power loss: what a disk may hold when the power goes at any moment of a night, by the log of what the night wrote.

Until a file is synced, what was written to it since may be there, be lost, or be there in part; until a folder is synced, so may
the names that were made, changed and taken away in it. Nothing else is promised: that data reach the disk before a name that
leads to them, or the other way round, is the program's own business, and SQLite's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from cpis_batch import config
from tests.hub import Hub
from tests.sweep.gate import Call
from tests.sweep.points import OF_THE_SWEEP

_SECTOR = 512  # of a write that is torn, whole sectors are there or are not
_SHARED_MEMORY = "-shm"  # SQLite's, which lies in memory: after a power loss it is made anew
# What becomes of that which was not synced: (its names, its data). That all of it is kept is what a kill leaves.
LOSSES = {
    "lost": ("none", "none"),
    "names": ("all", "none"),
    "zeros": ("all", "zeros"),
    "data": ("none", "all"),
    "torn": ("some", "some"),
}


# These are many and much alike: they are tried at one moment in so many, the others at every one.
_SPARSE = {"zeros": 3, "torn": 3}


@dataclass(frozen=True, slots=True)
class Event:
    """One change as the night asked for it; paths are relative to the hub's folder. `size` is where a truncated file ends."""

    what: str  # create, write, truncate, sync, rename, unlink, mkdir
    path: str
    new_path: str = ""
    offset: int = 0
    data: bytes = b""
    size: int = 0


@dataclass
class Log:
    """What a night changes on its disk, in its order: a keeper of the gate that lets everything pass and writes it down."""

    folder: Path
    events: list[Event] = field(default_factory=list)

    def __call__(self, call: Call) -> int:
        """Write a call down, if it is about the hub's folder. AssertionError for one of which this model knows nothing."""
        paths = [path.removeprefix(f"{self.folder}/") for path in call.paths]
        if not call.paths[-1].startswith(f"{self.folder}/") or paths[0] in OF_THE_SWEEP or paths[0].endswith(_SHARED_MEMORY):
            return 0
        given = call.asked.arguments
        match call.name:
            case "openat" | "open":
                flags = given[2 if call.name == "openat" else 1]
                if flags & os.O_CREAT:
                    self.events.append(Event("create", paths[0]))
                if flags & os.O_TRUNC:
                    self.events.append(Event("truncate", paths[0]))
            case "write" | "pwrite64":
                self.events.append(Event("write", paths[0], offset=call.position(), data=call.bytes_given()))
            case "ftruncate":
                self.events.append(Event("truncate", paths[0], size=given[1]))
            case "fsync" | "fdatasync":
                self.events.append(Event("sync", paths[0]))
            case "rename" | "renameat" | "renameat2":
                self.events.append(Event("rename", paths[0], paths[1]))
            case "unlink" | "unlinkat" | "rmdir":
                self.events.append(Event("unlink", paths[0]))
            case "mkdir" | "mkdirat":
                self.events.append(Event("mkdir", paths[0]))
            case "chmod" | "fchmod" | "fchmodat" | "fchmodat2":
                pass
            case _:
                raise AssertionError(f"the model of a disk knows nothing of {call.name}")
        return 0


@dataclass(slots=True)
class _File:
    """A file by its bytes: those that are safe, and what was done to it since it was last synced."""

    safe: bytes = b""
    modified: float | None = None  # of those that stood there before the night
    since: list[Event] = field(default_factory=list)

    def now(self) -> bytes:
        return _after(self.safe, self.since)

    def after_loss(self, data: str, chance: Random) -> bytes:
        match data:
            case "none":
                return self.safe
            case "all":
                return self.now()
            case "zeros":  # the length has reached the disk, the bytes have not
                whole = len(self.now())
                return self.safe[:whole].ljust(whole, b"\0")
        kept = [event for event in self.since if chance.random() < 0.7]
        if kept and kept[-1].what == "write":
            sectors = len(kept[-1].data) // _SECTOR
            kept[-1] = Event("write", "", offset=kept[-1].offset, data=kept[-1].data[: _SECTOR * chance.randint(0, sectors)])
        return _after(self.safe, kept)


def _after(data: bytes, events: list[Event]) -> bytes:
    held = bytearray(data)
    for event in events:
        if event.what == "truncate":
            held = held[: event.size].ljust(event.size, b"\0")
        else:
            held.extend(b"\0" * (event.offset - len(held)))
            held[event.offset : event.offset + len(event.data)] = event.data
    return bytes(held)


class Disk:
    """The files and folders under a hub's folder, as they stand and as they are safe, while a night's events go by."""

    def __init__(self, start: Path) -> None:
        self._files: list[_File] = []
        self._names: dict[str, int | None] = {}  # a file's number, None for a folder
        self._safe_names: dict[str, int | None] = {}
        self._since: list[Event] = []  # what was done to names and is not synced; where a file was made, `size` is its number
        for path in sorted(start.rglob("*")):
            name = str(path.relative_to(start))
            if path.is_dir():
                self._names[name] = None
            else:
                self._names[name] = len(self._files)
                self._files.append(_File(path.read_bytes(), path.stat().st_mtime))
        self._safe_names = dict(self._names)

    def happen(self, event: Event) -> None:
        """Let one event of the log happen."""
        standing = self._names.get(event.path, -1)
        match event.what:
            case "create" if event.path not in self._names:
                self._files.append(_File())
                self._name(Event("create", event.path, size=len(self._files) - 1))
            case "mkdir" if event.path not in self._names:
                self._name(event)
            case "rename" | "unlink" if event.path in self._names:
                self._name(event)
            case "write" | "truncate" if standing is not None and standing >= 0:
                self._files[standing].since.append(event)
            case "sync" if standing is None:
                self._sync_names(event.path)
            case "sync" if standing >= 0:
                file = self._files[standing]
                file.safe, file.since = file.now(), []

    def _name(self, event: Event) -> None:
        _rename(self._names, event)
        self._since.append(event)

    def _sync_names(self, folder: str) -> None:
        """Make safe what was done in a folder. A renaming from one folder to another is one deed, and safe if either is."""
        kept = []
        for event in self._since:
            if folder in {_folder(event.path), _folder(event.new_path or event.path)}:
                _rename(self._safe_names, event)
            else:
                kept.append(event)
        self._since = kept

    def seen(self) -> dict[str, bytes]:
        """The files as everybody sees them until the power goes."""
        return {name: self._files[number].now() for name, number in self._names.items() if number is not None}

    def after_loss(self, loss: str, seed: str) -> Tree:
        """What stands there when the power is back. `seed` decides where LOSSES leaves it to chance."""
        names, data = LOSSES[loss]
        chance = Random(seed)
        standing = dict(self._safe_names)
        lost: set[str] = set()  # what comes after a lost deed on the same name is lost with it
        for event in self._since:
            about = {event.path, event.new_path or event.path}
            if names == "none" or about & lost or (names == "some" and chance.random() < 0.3):
                lost |= about
            else:
                _rename(standing, event)
        contents = {number: self._files[number].after_loss(data, chance) for number in standing.values() if number is not None}
        return Tree(
            {name for name, number in standing.items() if number is None},
            {name: (contents[number], self._files[number].modified) for name, number in standing.items() if number is not None},
        )


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _rename(names: dict[str, int | None], event: Event) -> None:
    match event.what:
        case "create":
            names[event.path] = event.size
        case "mkdir":
            names[event.path] = None
        case "rename":
            names[event.new_path] = names.pop(event.path)
        case _:
            names.pop(event.path, None)


@dataclass(frozen=True)
class Tree:
    """Folders, and files with their bytes and, if they are older than the night, their times."""

    folders: set[str]
    files: dict[str, tuple[bytes, float | None]]

    def digest(self) -> bytes:
        """Equal for equal trees."""
        whole = hashlib.sha256("\0".join(sorted(self.folders)).encode())
        for name, (data, _) in sorted(self.files.items()):
            whole.update(f"\0{name}\0{len(data)}\0".encode() + data)
        return whole.digest()

    def written(self, hub: Hub, folder: Path) -> Hub:
        """The tree as a hub in `folder`; `hub` is the one that it was recorded from."""
        for name in sorted(self.folders):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, (data, modified) in self.files.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_bytes(data)
            if modified is not None:
                os.utime(path, (modified, modified))
        settings = folder / "home" / config.FILE_NAME
        settings.write_text(settings.read_text().replace(str(hub.root), str(folder / "served")))
        return Hub(folder / "home", folder / "served", hub.now, dict(hub.sequences))


@dataclass(frozen=True)
class Moment:
    """The power goes before event `number` of the log (1 for the first); what was not synced is lost as LOSSES says."""

    number: int
    loss: str

    def __str__(self) -> str:
        return f"{self.number} {self.loss}"


def hold_to_what_stands(start: Path, log: Log) -> None:
    """AssertionError unless the log, played back, comes to the very bytes that the night left: it then misses nothing."""
    disk = Disk(start)
    for event in log.events:
        disk.happen(event)
    names = {str(path.relative_to(log.folder)): path for path in log.folder.rglob("*") if path.is_file()}
    stands = {name: path.read_bytes() for name, path in names.items() if name not in OF_THE_SWEEP}
    played = disk.seen() | {"home/config.toml": stands["home/config.toml"]}  # which names the folder that it lies in
    assert played == stands, (
        f"the log of the night differs in {sorted(name for name in stands if played.get(name) != stands[name])}"
    )


def moments(start: Path, events: list[Event]) -> Iterator[tuple[Moment, Tree, dict[str, bytes]]]:
    """The moments with what stands on the disk afterwards, where that differs from every moment before; and what was seen."""
    disk, met = Disk(start), set()
    for number in range(1, len(events) + 2):
        for loss in LOSSES:
            if number % _SPARSE.get(loss, 1):
                continue
            moment = Moment(number, loss)
            tree = disk.after_loss(loss, str(moment))
            if (digest := tree.digest()) not in met:
                met.add(digest)
                yield moment, tree, disk.seen()
        if number <= len(events):
            disk.happen(events[number - 1])
