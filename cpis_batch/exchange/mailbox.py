"""What the rest of the program asks of a place where files are exchanged.

A mailbox is one server (or one folder tree) with a folder per partner; in it `inbound` (theirs to us), `outbound`
(ours to them), `processed` and `refused` (what we have taken). Every call is bounded in time and size by the
adapter's limits, and may be made from several threads at once.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cpis_batch.errors import CpisError


@dataclass(frozen=True, slots=True)
class Entry:
    """One regular file of a listing. `name` is the partner's text: never a local path, never logged unescaped."""

    name: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """The regular files of a folder, and how many entries were passed over, by reason (`symlink`, `no mode`, ...).

    `abandoned`: names of uploads of ours, under way or broken off.
    """

    entries: tuple[Entry, ...]
    skipped: dict[str, int]
    abandoned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole file, as it was from the first byte read to the last: its SHA-256 and size."""

    digest: str
    size: int


class Mailbox(Protocol):
    """Raises PartnerUnreachable, PartnerRefused, HostKeyFault, ChangedWhileRead, DeliveryUnknown; nothing of a library."""

    @property
    def down(self) -> CpisError | None:
        """Why the whole place is of no use, to whatever partner; None while it is."""

    def list(self, folder: str) -> Listing:
        """The files in `folder`. A folder that is not there is PartnerRefused."""

    def fetch(self, folder: str, entry: Entry, into: Path) -> Fetched:
        """Copy the file to the new local file `into`, hashing on the way. ChangedWhileRead if it is not still `entry`."""

    def put(self, folder: str, name: str, data: bytes) -> str:
        """Write `data` under a temporary name, rename it, read it back; its SHA-256. Same bytes already there: done.

        DeliveryUnknown if it may have arrived; after any other fault it has not.
        """

    def digest(self, folder: str, name: str) -> str | None:
        """The SHA-256 of the file as it stands, or None if there is none."""

    def move(self, folder: str, name: str, to_folder: str) -> None:
        """Move a file away; where the name is taken there, a number is put behind it. Not there any more: done."""

    def clear(self, folder: str, upload: str) -> None:
        """Remove an upload of ours that was broken off (`Listing.abandoned`). Not there any more: done. Bug for another name."""


class Opener(Protocol):
    """Connects to a mailbox for the time of a `with` block."""

    def __call__(self) -> AbstractContextManager[Mailbox]:
        """Open it; closed when the block ends."""
