"""Whether a log is whole: each entry as it was written, after the one before it, and signed by the key in force.

The log begins with an AUDIT_KEY entry that names the first key and is signed by it. A key is replaced by two entries: one,
signed by the old key, announces the new; the next, signed by the new, begins it. So the newest entry is always signed by the
key that the home holds, and its hash covers all others: without that key nobody can make a log, or a part of one, that ends so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cpis_batch.audit.entry import NOTHING, Entry, Kind, hash_of
from cpis_batch.audit.signing import is_signed

ANNOUNCES, BEGINS = "announces", "begins"  # what an AUDIT_KEY entry says of the public key that it names


@dataclass(frozen=True, slots=True)
class Fault:
    """What does not fit, and at which entry; None where no entry is there that could be named."""

    entry: int | None
    what: str


class _Keys:
    """The keys of a log while it is gone through."""

    def __init__(self) -> None:
        self.in_force: str | None = None
        self.announced: str | None = None

    def fault(self, entry: Entry) -> str | None:
        """Take an entry; why it cannot stand where it stands."""
        named = self._named(entry)
        if self.announced is not None and named != (BEGINS, self.announced):
            return "does not begin the key that the entry before announces"
        if named is None:
            return None if self.in_force else "does not begin a key, as the first entry must"
        says, key = named
        if says == BEGINS and self.in_force and self.announced is None:
            return "begins a key that nobody announced"
        if entry.signature is None:
            return "names a key and is not signed"
        self.announced = key if says == ANNOUNCES else None
        if says == BEGINS:
            self.in_force = key
        return None if self.in_force else "announces a key before there is any"

    @staticmethod
    def _named(entry: Entry) -> tuple[str, str] | None:
        if entry.kind != Kind.AUDIT_KEY:
            return None
        try:
            ((says, key),) = entry.facts.items()
        except ValueError:
            return "nothing", ""
        return says, str(key)


def fault_of(entries: Iterable[Entry], key: str | None) -> Fault | None:
    """The first fault of a log, oldest entry first, in a home that holds the audit key `key` (its public half); None if whole.

    That entries are missing at its end shows here only where the end is cut within a transaction: see `agreement` and `witness`.
    """
    before, number, signed, keys = NOTHING, 0, 0, _Keys()
    for entry in entries:
        number += 1
        if entry.number != number:
            return Fault(number, f"entry {number} is missing: entry {entry.number} stands in its place")
        if entry.before != before:
            return Fault(number, f"entry {number} does not follow on the one before it")
        if hash_of(entry) != entry.hash:
            return Fault(number, f"entry {number} is not as it was written: it does not come to its hash")
        if wrong := keys.fault(entry):
            return Fault(number, f"entry {number} {wrong}")
        if entry.signature is not None:
            assert keys.in_force is not None
            if not is_signed(entry.hash, entry.signature, keys.in_force):
                return Fault(number, f"entry {number} is not signed by the audit key in force, {keys.in_force[:16]}")
            signed = number
        before = entry.hash
    if number == 0:
        return Fault(None, "the log is empty")
    if signed != number or keys.announced:
        return Fault(number, f"the log breaks off after entry {number}: what was written with it is missing")
    if keys.in_force != key:
        holds = key[:16] if key else "none"
        return Fault(number, f"the log ends under the audit key {str(keys.in_force)[:16]}; this home holds {holds}")
    return None
