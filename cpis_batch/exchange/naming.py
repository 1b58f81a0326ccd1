"""Which entries of a partner's folder are files that we take, and why the others are passed over (FAULTS F10, F11).

A reason is one of ours and says nothing of the entry: a name given by a partner is never repeated in it.
"""

from __future__ import annotations

import re
import secrets
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from cpis_batch.errors import Bug, PartnerRefused
from cpis_batch.exchange.mailbox import Entry, Listing

UPLOAD_PREFIX, UPLOAD_SUFFIX = ".cpis-", ".tmp"
_UPLOAD_BYTES = 8
_UPLOAD = re.compile(rf"{re.escape(UPLOAD_PREFIX)}[0-9a-f]{{{2 * _UPLOAD_BYTES}}}{re.escape(UPLOAD_SUFFIX)}")
_HIDDEN = "hidden"
LONGEST_NAME = 200
MOST_OF_A_NAME = 1000

# A file name is read by people in logs and pages: no control, invisible, direction-changing or unassigned character.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_KINDS = {stat.S_IFLNK: "symlink", stat.S_IFDIR: "folder"}


def is_plain(name: str) -> bool:
    """Whether `name` is one component of a path, at most 200 characters long, all of them visible."""
    return (
        0 < len(name) <= LONGEST_NAME
        and name != "."
        and ".." not in name
        and not set(name) & {"/", "\\"}
        and not any(unicodedata.category(character) in _UNSEEN for character in name)
    )


def path_of(folder: str, name: str) -> str:
    """Where the file `name` of `folder` is. Bug where it is not a plain name: no listing of ours gave it."""
    if not is_plain(name):
        raise Bug("A file name that no listing would give was asked for.")
    return f"{folder}/{name}"


def numbered(name: str) -> Iterator[str]:
    """`name`, then `name.1` and so on: where a moved file finds a place. The base is cut so that all are plain names."""
    yield name
    for number in range(1, MOST_OF_A_NAME):
        yield f"{name[: LONGEST_NAME - 4]}.{number}"


def instant(seconds: float) -> datetime:
    """The time of a file, which servers count in seconds since 1970 in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def entry_of(raw: bytes, mode: int | None, size: int | None, modified: float | None) -> Entry | str:
    """The entry with that name, mode, size in bytes and time, or the reason for passing it over."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "name"
    if not is_plain(name):
        return "name"
    if mode is None:
        return "no mode"
    if not stat.S_ISREG(mode):
        return _KINDS.get(stat.S_IFMT(mode), "not a file")
    if name.startswith("."):
        return _HIDDEN  # uploads under way have such names, ours among them
    if size is None or modified is None:
        return "no size or time"
    try:
        return Entry(name, size, instant(modified))
    except (ValueError, OverflowError, OSError):  # a year beyond 9999: some file systems keep 64 bits of seconds
        return "no size or time"


def new_upload() -> str:
    """A name for an upload while it goes on."""
    return f"{UPLOAD_PREFIX}{secrets.token_hex(_UPLOAD_BYTES)}{UPLOAD_SUFFIX}"


def is_upload(name: str) -> bool:
    """Whether an upload of ours has such a name."""
    return _UPLOAD.fullmatch(name) is not None


def upload_path(folder: str, name: str) -> str:
    """Where an upload to `folder` is while it goes on. Bug for a name that no upload of ours has."""
    if not is_upload(name):
        raise Bug("What is no upload of ours was to be taken for one.")
    return f"{folder}/{name}"


def sorted_out(found: Iterable[tuple[bytes, Entry | str]], *, most: int, where: str) -> Listing:
    """The listing that names and their entries, or reasons, come to. PartnerRefused as soon as there are more than `most`."""
    entries: list[Entry] = []
    skipped: Counter[str] = Counter()
    abandoned: list[str] = []
    for count, (raw, each) in enumerate(found, 1):
        if count > most:
            raise PartnerRefused(
                f"{where} lists more than {most:,} entries.",
                "Ask the partner to clear the folder, or raise listing_entries under [limits].",
            )
        if each == _HIDDEN and is_upload(raw.decode()):
            abandoned.append(raw.decode())
        elif isinstance(each, str):
            skipped[each] += 1
        else:
            entries.append(each)
    return Listing(tuple(entries), dict(skipped), tuple(abandoned))
