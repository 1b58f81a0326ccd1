"""Witnesses: the heads of the log that partners hold, printed in every answer. A log that was rewritten does not hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from cpis_batch.audit.chain import Fault
from cpis_batch.audit.entry import Entry, Head

# What an answer prints beside the head.
WITNESS = (
    "Where our audit log stood when we answered. Keep this file: with it you can prove that our log was not rewritten later."
)


def head_in(answer: bytes) -> Head:
    """The head that an answer prints; `answer` is its JSON form. ValueError where it prints none."""
    document: Any = msgspec.json.decode(answer)
    try:
        found = document["audit"]
        return Head.parse(f"{found['number']}:{found['hash']}")
    except (KeyError, TypeError):
        raise ValueError("no head of the log") from None


def faults_of(entries: Iterable[Entry], witnesses: Iterable[Head]) -> Iterator[Fault]:
    """The witnesses that the log does not hold."""
    seen = tuple(witnesses)
    wanted = {head.number for head in seen}
    held: dict[int, str] = {}
    last = 0
    for entry in entries:
        last = max(last, entry.number)
        if entry.number in wanted:
            held[entry.number] = entry.hash
    for head in seen:
        if head.number not in held:
            yield Fault(None, f"a witness has seen entry {head.number}; the log ends with entry {last}")
        elif held[head.number] != head.hash:
            yield Fault(head.number, f"entry {head.number} is not the one that a witness has seen")
