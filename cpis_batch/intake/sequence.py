"""Where a file stands in its sender's sequence: whether it is its turn, and what becomes of it if not. Pure.

Sequences decide the order, never names or clocks. One exception asks for a person: a number that goes back although the
data are newer (FAULTS F06, a new case system) is not the late arrival of an old file (F05), and is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cpis_batch.vocabulary import ExtractKind


class Placement(StrEnum):
    """What is to be done with a readable file of the right sender."""

    MERGE = "MERGE"
    MERGE_WITH_GAP = "MERGE_WITH_GAP"  # a FULL says everything, so what is missing before it is only told
    DUPLICATE = "DUPLICATE"
    STALE = "STALE"
    REFUSED = "REFUSED"  # the sequence of a file already used, with other bytes
    HELD_GAP = "HELD_GAP"  # a DELTA waits for those before it
    HELD_RESET = "HELD_RESET"


@dataclass(frozen=True, slots=True)
class Last:
    """The last file of the LA that was merged: its sequence, and when its data were taken (with zone)."""

    sequence: int
    extracted_at: datetime


def place(
    *, kind: ExtractKind, sequence: int, extracted_at: datetime, digest: str, last: Last | None, merged: Mapping[int, str]
) -> Placement:
    """The place of a file. `merged` has the digests (SHA-256) of the files used in this count of the LA, by sequence."""
    if last is None:
        return Placement.MERGE
    if sequence in merged:
        return Placement.DUPLICATE if merged[sequence] == digest else _again(sequence, extracted_at, last)
    if sequence < last.sequence:
        return Placement.HELD_RESET if extracted_at > last.extracted_at else Placement.STALE
    if sequence == last.sequence + 1:
        return Placement.MERGE
    return Placement.MERGE_WITH_GAP if kind is ExtractKind.FULL else Placement.HELD_GAP


def _again(sequence: int, extracted_at: datetime, last: Last) -> Placement:
    """A used number on other bytes: a new count where it is far back and the data are newer, else a contradiction."""
    starts_anew = sequence == 1 and last.sequence > 1 and extracted_at > last.extracted_at
    return Placement.HELD_RESET if starts_anew else Placement.REFUSED
