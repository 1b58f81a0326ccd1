"""Whether a log and the catalogue tell of the same: each deed that leaves rows has its one entry, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cpis_batch.audit.chain import Fault
from cpis_batch.audit.entry import Deed, Entry, Kind, canonical

Row = tuple[str, int]  # what the catalogue keeps of a deed, in words, and its number
# The fact by which an entry names what the catalogue keeps of it. Others leave nothing there: a key made, a file sent again.
_NAMED_BY: dict[Kind, tuple[tuple[str, str], ...]] = {
    Kind.COMMIT: (("commit", "commit"),),
    Kind.ACKNOWLEDGEMENT: (("arrival", "acknowledgement of arrival"),),
    Kind.RELEASE: (("sequence", "release"),),
    Kind.ERASURE: (("commit", "erasure of commit"),),
    Kind.COMMAND: (("hold", "decision on hold"), ("run", "look of run"), ("commit", "command of commit")),
}


def row_of(kind: str, facts: Mapping[str, Any]) -> Row | None:
    """What of the catalogue a deed speaks of, if anything. ValueError, TypeError, KeyError where that cannot be told."""
    named = _NAMED_BY.get(Kind(kind), ())
    if kind == Kind.COMMAND:
        named = tuple((fact, words) for fact, words in named if fact in facts)
    return next(((words, int(facts[fact])) for fact, words in named), None)


def faults_of(entries: Iterable[Entry], kept: Iterable[Deed]) -> Iterator[Fault]:
    """What log and catalogue do not agree in. `kept`: the deeds as the catalogue's rows now tell them.

    A deed of which the rows hold less than its entry is held to what they have.
    """
    expected = {row_of(deed.kind, deed.what): deed for deed in kept}
    told: set[Row] = set()
    for entry in entries:
        try:
            facts = entry.facts
            row = row_of(entry.kind, facts)
        except (ValueError, TypeError, KeyError):
            yield Fault(entry.number, f"entry {entry.number} tells of nothing that there is")
            continue
        if row is None:
            continue
        name = " ".join(map(str, row))
        if row in told:
            yield Fault(entry.number, f"entry {entry.number} tells of {name} a second time")
        elif row not in expected:
            yield Fault(entry.number, f"entry {entry.number} tells of {name}, which the catalogue has not")
        elif entry.what != expected[row].text and (other := _differing(facts, expected[row].what)):
            yield Fault(entry.number, f"entry {entry.number} has another {other} of {name} than the catalogue")
        told.add(row)
    for row in expected:
        if row and row not in told:
            yield Fault(None, f"the catalogue has {row[0]} {row[1]}, of which no entry tells")


def _differing(written: Mapping[str, Any], kept: Mapping[str, Any]) -> str | None:
    """The first fact that is not what the catalogue keeps."""
    return next((name for name in sorted(kept) if canonical({name: kept[name]}) != canonical({name: written.get(name)})), None)
