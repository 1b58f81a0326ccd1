"""Fetch what partners have put down: list, pass over what is not ours to take, copy into the archive under its digest.

The archive holds the partners' own ciphertext, named by its SHA-256: a name given by a partner never becomes a path.
One partner's trouble is a value here (`Trouble`), so that the others' files are taken all the same. What one partner has put
down is fetched one after the other and for so long only: however many files drip, they keep one session busy (FAULTS F12).
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cpis_batch import files
from cpis_batch.config import Limits
from cpis_batch.errors import ChangedWhileRead, CpisError, DiskFault, PartnerUnreachable
from cpis_batch.exchange.mailbox import Entry, Mailbox
from cpis_batch.exchange.patience import Deadline
from cpis_batch.partners import Partner

SUFFIX = ".pgp"


@dataclass(frozen=True, slots=True)
class Collected:
    """One file, whole and durable in the archive."""

    partner: str
    mailbox: str
    folder: str
    name: str
    digest: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """A partner whose folder could not be read, and why."""

    partner: str
    mailbox: str
    fault: CpisError


@dataclass(slots=True)
class Collection:
    """What one round over a mailbox brought."""

    files: list[Collected] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    skipped: dict[str, dict[str, int]] = field(default_factory=dict)  # partner -> reason -> how many
    unmoved: set[tuple[str, str]] = field(default_factory=set)  # (folder, name) taken before, and still lying there


# (folder, name) -> size and time of a file that was taken before and could not be moved away yet (FAULTS F16)
Taken = Mapping[tuple[str, str], tuple[int, datetime]]


def inbound(partner: Partner) -> str:
    """Where the partner puts files for us."""
    return f"{partner.folder}/inbound"


def collect(
    mailbox: Mailbox,
    mailbox_name: str,
    partners: Iterable[Partner],
    *,
    wanted: Callable[[Partner, str], bool],
    taken: Taken,
    archive: Path,
    limits: Limits,
    threads: Executor,
    progress: Callable[[], None] = lambda: None,
) -> Collection:
    """List every partner's folder and fetch what is `wanted` by name and not `taken` already; partners side by side.

    `progress` is told of each partner that is done. DiskFault where the archive cannot be written: that is no partner's trouble.
    """
    archive.mkdir(mode=0o700, exist_ok=True)

    def of_one(partner: Partner) -> Collection:
        found = Collection()
        try:
            listing = mailbox.list(inbound(partner))
        except CpisError as fault:
            found.troubles.append(Trouble(partner.code, mailbox_name, fault))
            return found
        skipped = Counter(listing.skipped)
        entries = sorted((entry for entry in listing.entries if wanted(partner, entry.name)), key=lambda entry: entry.name)
        skipped["not a name of the format"] += len(listing.entries) - len(entries)
        skipped["left for the next run: too many at once"] += max(0, len(entries) - limits.files_per_partner)
        deadline = Deadline(limits.partner_seconds, partner.code)
        for number, entry in enumerate(entries[: limits.files_per_partner]):
            place = (inbound(partner), entry.name)
            if taken.get(place) == (entry.size, entry.modified_at.replace(microsecond=0)):
                found.unmoved.add(place)
                continue
            if deadline.passed():
                skipped["left for the next run: those before took too long"] += len(entries[: limits.files_per_partner]) - number
                break
            try:
                found.files.append(fetched(partner, entry))
            except ChangedWhileRead:
                skipped["changed while it was read: left for the next run"] += 1
            except DiskFault:
                raise
            except CpisError as fault:
                found.troubles.append(Trouble(partner.code, mailbox_name, fault))
                if isinstance(fault, PartnerUnreachable):
                    break  # the next file would wait as long
        if skipped := +skipped:
            found.skipped[partner.code] = dict(skipped)
        return found

    def fetched(partner: Partner, entry: Entry) -> Collected:
        temporary = archive / f"{files.TEMPORARY}{secrets.token_hex(8)}"
        try:
            got = mailbox.fetch(inbound(partner), entry, temporary)
            with files.disk_faults(archive):
                temporary.replace(archive / f"{got.digest}{SUFFIX}")
        finally:
            temporary.unlink(missing_ok=True)
        return Collected(
            partner.code,
            mailbox_name,
            inbound(partner),
            entry.name,
            got.digest,
            got.size,
            entry.modified_at.replace(microsecond=0),
        )

    result = Collection()
    for collecting in [threads.submit(of_one, partner) for partner in partners]:
        found = collecting.result()
        result.files += found.files
        result.troubles += found.troubles
        result.skipped |= found.skipped
        result.unmoved |= found.unmoved
        progress()
    with files.disk_faults(archive):
        files.sync_folder(archive)
    result.files.sort(key=lambda file: (file.folder, file.name))
    return result
