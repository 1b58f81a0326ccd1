"""One entry of the audit log, and the bytes that its hash is taken of (specs/audit/1.0).

The canonical form is JSON with sorted names and no blanks, in UTF-8, as RFC 8785 has it. An entry's hash covers its number,
time, kind, facts, the hash of the entry before, and whether it is signed; a signature covers a hash, and so all entries
up to it. The last entry of each transaction is signed: to sign every one would cost a reader of a year's log 150 us for each of
62,000 signatures (measured) and prove no more. A log that ends in the middle of a transaction ends in an unsigned entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import msgspec

from cpis_batch.audit.signing import Signer

FORMAT = "CPIS-AUDIT 1.0"
NOTHING = "0" * 64  # stands for the hash of the entry before the first


def canonical(facts: Mapping[str, Any]) -> str:
    """Facts as the log writes them: JSON with sorted names and no blanks."""
    return msgspec.json.encode(facts, order="sorted").decode()


class Kind(StrEnum):
    """What an entry tells of. AUDIT_KEY: a key that signs the log from here on; KEYS: any other key or certificate."""

    AUDIT_KEY = "AUDIT_KEY"
    COMMAND = "COMMAND"
    COMMIT = "COMMIT"
    ACKNOWLEDGEMENT = "ACKNOWLEDGEMENT"
    RELEASE = "RELEASE"
    ERASURE = "ERASURE"
    KEYS = "KEYS"


@dataclass(frozen=True, slots=True)
class Deed:
    """What is to be told: ids, digests, counts, days, operators and their reasons. Never a value of a record."""

    kind: Kind
    what: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The facts in canonical form."""
        return canonical(self.what)


@dataclass(frozen=True, slots=True)
class Head:
    """A place in a log: what an answer prints, and a witness holds. Written NUMBER:HASH."""

    number: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The head that `text` writes. ValueError where it writes none."""
        number, _, digest = text.strip().partition(":")
        if (
            not (number.isascii() and number.isdigit())
            or len(digest) != len(NOTHING)
            or not set(digest) <= set("0123456789abcdef")
        ):
            raise ValueError("not NUMBER:HASH")
        return cls(int(number), digest)

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log as it is stored: all text as written, so that whatever became of it can still be looked at."""

    number: int
    at: str
    kind: str
    what: str
    before: str
    hash: str
    signature: str | None

    @property
    def head(self) -> Head:
        """The log's head while this entry is the last."""
        return Head(self.number, self.hash)

    @property
    def facts(self) -> dict[str, Any]:
        """What it tells. ValueError where that is no JSON object."""
        found = msgspec.json.decode(self.what.encode())
        if not isinstance(found, dict):
            raise ValueError("no object")  # noqa: TRY004 - one error for all that is not what an entry holds
        return found

    @property
    def document(self) -> dict[str, Any]:
        """The entry as it is published; its facts as an object, as text where they are none any more."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        try:
            return shown | {"what": self.facts}
        except ValueError:
            return shown

    @property
    def words(self) -> str:
        """Its facts, for people."""
        try:
            return ", ".join(f"{name} {value}" for name, value in self.facts.items())
        except ValueError:
            return self.what


def hash_of(entry: Entry) -> str:
    """SHA-256 of the entry's canonical form, in lower-case hexadecimal."""
    signed = {
        "at": entry.at,
        "before": entry.before,
        "format": FORMAT,
        "kind": entry.kind,
        "number": entry.number,
        "signed": entry.signature is not None,
        "what": msgspec.Raw(entry.what.encode()),
    }
    return hashlib.sha256(msgspec.json.encode(signed, order="sorted")).hexdigest()


def linked(before: Head, deed: Deed, at: str, signer: Signer | None) -> Entry:
    """The entry that tells of `deed` after the one whose head is `before`; signed where a signer is given.

    `at` is an instant in UTC, to the second.
    """
    entry = Entry(
        number=before.number + 1,
        at=at,
        kind=deed.kind,
        what=deed.text,
        before=before.hash,
        hash="",
        signature="" if signer else None,
    )
    entry = msgspec.structs.replace(entry, hash=hash_of(entry))
    return msgspec.structs.replace(entry, signature=signer.sign(entry.hash)) if signer else entry
