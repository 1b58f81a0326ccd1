"""Hostile servers by name: what each does, and what a run makes of it. `sandbox serve --hostile NAME` shows each of them.

`tests/failure/test_hostile_nights.py` runs a whole night against every one: what is promised here is tried there.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from paramiko.sftp import CMD_DATA, CMD_NAME

from cpis_batch.errors import Exit
from cpis_batch.sandbox.faulty_server import Faults

_REGULAR, _FOLDER, _LINK, _PIPE, _DEVICE = 0o100600, 0o040700, 0o120777, 0o010600, 0o060600


class Place(StrEnum):
    """Where it happens: to every connection, or in one folder of a partner, by its name there."""

    SERVER = ""
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Comes(StrEnum):
    """What comes of the partner's file and of the answer to it."""

    NOTHING = "the file is not taken; the next run tries again"
    ANSWERED = "the file is taken and answered"
    UNDELIVERED = "the file is taken; its answer stands as not delivered"
    LEFT = "the file is taken and answered; it lies where it lay, and is known"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One behaviour. `says` is a piece of what the run says about that partner or server; nothing where it takes no notice.

    `code` is what a run ends with that reaches other servers too.
    """

    name: str
    shows: str  # its number in FAULTS
    story: str
    place: Place
    comes: Comes
    says: str
    faults: Faults
    code: Exit = Exit.PERSON_NEEDED

    def at(self, partner: str) -> Faults:
        """Its faults in the folder of one partner; those of a connection concern everybody. Without a folder, in all of them."""
        return replace(self.faults, folder=f"{partner or '*'}/{self.place}" if self.place else "")


def _rewritten(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(bytes(size))
    os.utime(path, (0, path.stat().st_mtime + 60))


def _grown(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def _cut_down(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _gone(path: Path) -> None:
    path.unlink()


def _linked(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")


_NAMES = tuple(
    (name, _REGULAR)
    for name in (
        b"../../../etc/passwd",
        b"..\\..\\CPIS_LA_x.csv.pgp",
        b"/etc/passwd",
        b"",
        b"n" * 300,
        b"\xff\xfe.csv.pgp",
        b"\x1b[2Jroot: all is well\n.csv.pgp",
        b"\0.csv.pgp",
        "CPIS_\u202epgp.vsc".encode(),
        "CPIS_\u2066x\u2069.csv.pgp".encode(),
        "\u200b.csv.pgp".encode(),
    )
)
_KINDS = tuple(
    (b"CPIS_" + name, mode)
    for name, mode in ((b"folder", _FOLDER), (b"link", _LINK), (b"pipe", _PIPE), (b"device", _DEVICE), (b"no mode", None))
)
_NONSENSE = struct.pack(">II", 1, 0xFFFF_FFFF)
_IN, _OUT, _ALL = Place.INBOUND, Place.OUTBOUND, Place.SERVER
_CHANGED = "changed while it was read"


def _listing(name: str, story: str, says: str, faults: Faults) -> Hostile:
    return Hostile(name, "F12", story, _IN, Comes.NOTHING, says, faults)


def _changing(name: str, shows: str, story: str, faults: Faults) -> Hostile:
    return Hostile(name, shows, story, _IN, Comes.NOTHING, _CHANGED, faults, Exit.DONE)


def _stall(name: str, story: str, faults: Faults, place: Place = _IN, comes: Comes = Comes.NOTHING) -> Hostile:
    return Hostile(name, "F63", story, place, comes, "silent", faults)


def _server(name: str, shows: str, story: str, says: str, faults: Faults, code: Exit = Exit.PERSON_NEEDED) -> Hostile:
    return Hostile(name, shows, story, _ALL, Comes.NOTHING, says, faults, code)


def _delivery(name: str, story: str, says: str, faults: Faults) -> Hostile:
    return Hostile(name, "F19", story, _OUT, Comes.UNDELIVERED, says, faults)


CATALOGUE = (
    # the connection
    _server("changed-host-key", "F13", "Another host key than the pinned one.", "shows the host key",
            Faults(another_host_key=True), Exit.HOST_KEY),
    _server("silent-greeting", "F63", "Takes the connection and says nothing.", "SSH handshake", Faults(silent_in="greeting")),
    _server("silent-login", "F63", "Never says whether we are let in.", "the login", Faults(silent_in="login")),
    _server("silent-session", "F63", "Lets us in and begins no session.", "opening an SFTP session",
            Faults(silent_in="session")),
    # listings
    Hostile("hostile-names", "F10", "Names with separators, dots, control and bidirectional characters, of 300 bytes, no text.",
            _IN, Comes.ANSWERED, '"name":11', Faults(entries=_NAMES), Exit.DONE),
    Hostile("no-files", "F11", "A symlink, a folder, a pipe, a device, an entry without a mode.",
            _IN, Comes.ANSWERED, '"no mode":1', Faults(entries=_KINDS), Exit.DONE),
    _listing("million-names", "A listing of a million names.", "entries", Faults(names=1_000_000)),
    _listing("endless-listing", "Page after page of a listing, and nothing on any.", "was not done within",
             Faults(empty_pages=True)),
    _listing("dripping-listing", "One name at a time, and a pause before each.", "was not done within",
             Faults(names=1_000_000, names_a_page=1, page_seconds=0.3)),
    _listing("garbled-listing", "A listing that breaks off inside a name.", "breaks the protocol",
             Faults(garble={"readdir": (CMD_NAME, _NONSENSE)})),
    _listing("misnumbered-answers", "Answers to requests that nobody made.", "does not keep to the SFTP protocol",
             Faults(misnumbered=frozenset({"readdir"}))),
    _listing("refused-listing", "The folder may not be listed.", "permission denied", Faults(refuse=frozenset({"opendir"}))),
    _listing("strange-status", "A status that the protocol does not know.", "status 99", Faults(codes={"opendir": 99})),
    _listing("done-for-a-listing", "Says done where it was asked for names.", "status 0", Faults(codes={"readdir": 0})),
    _stall("silent-listing", "Gives no answer to a listing.", Faults(silent_on=frozenset({"readdir"}))),
    # files
    _changing("endless-file", "F12", "A file that goes on behind its end.", Faults(endless=True)),
    _changing("size-too-small", "F12", "Says that the file is smaller than it is.", Faults(lying_size=3)),
    _changing("size-too-large", "F12", "Says that the file is larger than it is.", Faults(lying_size=200_000)),
    Hostile("size-beyond-all", "F12", "Says that the file has a million gigabytes.", _IN, Comes.NOTHING, "has more than",
            Faults(lying_size=10**15)),
    _changing("changed-before", "F02", "The file is written anew between listing and reading.", Faults(at_open=_rewritten)),
    Hostile("link-before", "F11", "The file becomes a symlink between listing and reading.", _IN, Comes.NOTHING,
            "refused access", Faults(at_open=_linked)),
    _changing("rewritten", "F02", "The file is written anew while it is read.", Faults(at_first_read=_rewritten)),
    _changing("grown", "F02", "The file grows while it is read.", Faults(at_first_read=_grown)),
    _changing("cut-down", "F02", "The file is cut down while it is read.", Faults(at_first_read=_cut_down)),
    _changing("gone", "F02", "The file is taken away while it is read.", Faults(at_first_read=_gone)),
    _changing("end-at-once", "F12", "Says that the file has ended before its first byte.", Faults(codes={"read": 1})),
    Hostile("short-reads", "F12", "A read brings a few bytes of what was asked for.", _IN, Comes.ANSWERED, "",
            Faults(short_reads=100), Exit.DONE),
    _listing("empty-reads", "A read brings no bytes, and no end.", "does not keep to the SFTP protocol",
             Faults(garble={"read": (CMD_DATA, bytes(4))})),
    _listing("dripping-file", "One byte at a time, and a pause before each.", "was not done within", Faults(drip_seconds=0.2)),
    _listing("failing-file", "Says failure in the middle of a file.", "status 4", Faults(codes={"read": 4})),
    _listing("end-for-an-open", "Says that the file has ended where it was to be opened.", "status 1", Faults(codes={"open": 1})),
    _stall("silent-opening", "Gives no answer to the opening of a file.", Faults(silent_on=frozenset({"open"}))),
    _stall("silent-file", "Falls silent in the middle of a file.", Faults(silent_from={"read": 2})),
    # moves
    Hostile("silent-move", "F16", "Gives no answer where a file is to be moved.", _IN, Comes.LEFT, "",
            Faults(silent_on=frozenset({"rename"})), Exit.DONE),
    Hostile("refused-move", "F16", "Refuses to move a file.", _IN, Comes.LEFT, "",
            Faults(refuse=frozenset({"rename"})), Exit.DONE),
    Hostile("move-granted", "F16", "Says that a file was moved, and leaves it.", _IN, Comes.LEFT, "",
            Faults(renames="granted but not done"), Exit.DONE),
    Hostile("move-denied", "F16", "Moves a file and says that it did not.", _IN, Comes.ANSWERED, "",
            Faults(renames="denied but done"), Exit.DONE),
    # deliveries
    _delivery("refused-delivery", "Takes no file.", "permission denied", Faults(refuse=frozenset({"open"}))),
    _delivery("stores-otherwise", "Takes a file and keeps other bytes.", "other bytes", Faults(stores_otherwise=True)),
    _delivery("name-granted", "Says that a file has its name, and it has not.", "is gone when it is read back",
              Faults(renames="granted but not done")),
    Hostile("name-denied", "F19", "Gives a file its name and says that it did not.", _OUT, Comes.ANSWERED, "",
            Faults(renames="denied but done"), Exit.DONE),
    _stall("silent-delivery", "Gives no answer to what is written.", Faults(silent_on=frozenset({"write"})), _OUT,
           Comes.UNDELIVERED),
    _delivery("silent-naming", "Gives no answer where a file is to have its name.", "had its name",
              Faults(silent_on=frozenset({"extended"}))),
    _delivery("silent-read-back", "Gives no answer where a delivery is read back.", "while a delivery",
              Faults(silent_on=frozenset({"read"}))),
)  # fmt: skip


def named(name: str) -> Hostile | None:
    """The behaviour of that name, if there is one."""
    return next((one for one in CATALOGUE if one.name == name), None)
