"""A table of counts as disclosure control sees it: cells, and which of them add up to which.

The same cells are published and attacked: whatever sum somebody could draw up must be among the relations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

NATIONAL, REGION, ICB, LA = "national", "region", "icb", "local_authority"
ALL = "ALL"


class Cell(NamedTuple):
    """What one count is of: `item` is a plan type, a care setting, or ALL."""

    measure: str
    geography: str
    code: str
    item: str


@dataclass(frozen=True, slots=True)
class Relation:
    """The parts add up to the whole; or to at least the whole, where something may count in several parts (`overlapping`)."""

    whole: Cell
    parts: tuple[Cell, ...]
    overlapping: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """True counts, and the relations between them. Cells of organisations, not of people, are `harmless`: shown as they are."""

    values: Mapping[Cell, int]
    relations: tuple[Relation, ...]
    harmless: frozenset[Cell] = frozenset()


Shown = dict[Cell, int | None]  # None: not shown
