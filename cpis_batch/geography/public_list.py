"""A public list of practices or places, as it is read: facts about organisations, and what of it could not be taken.

Nothing is repaired: a list with one line that does not read is refused whole, by line and column, since the rest may be shifted.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from cpis_batch.errors import InputRefused

CODE = re.compile(r"[A-Z0-9]{3,9}")


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list says. `leads_to` by code: what each is said to lead to (None: closed; it leads nowhere any more).

    `names` are what it calls them and what they lead to; `left_out` counts what was passed over, by reason.
    """

    leads_to: dict[str, str | None]
    names: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def rows(data: bytes, what: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV (UTF-8, BOM tolerated) with their line numbers; blank lines are none.

    InputRefused where it does not read.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InputRefused(f"{what} is not UTF-8 from byte {fault.start:,} on.", "Take the file as it is published.") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if any(cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error:
        raise InputRefused(f"{what}, line {reader.line_num}: no CSV.", "Take the file as it is published.") from None


def code(cells: list[str], column: int, *, what: str, line: int) -> str:
    """The code in a column (from 0) of a line. InputRefused where it is none."""
    if not CODE.fullmatch(cells[column]):
        raise InputRefused(
            f"{what}, line {line}: column {column + 1} holds no code.", "Take the file as it is published, and the list meant."
        )
    return cells[column]
