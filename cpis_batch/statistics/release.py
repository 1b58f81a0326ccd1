"""One release: a month's counts as they are shown, with the names of their areas, and the guard against earlier releases.

The guard holds a release against what was published of the same month before: two versions of one count, or one that was hidden
and is shown now, would tell by their difference what neither tells alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from cpis_batch.access.month import Month
from cpis_batch.errors import StateFault
from cpis_batch.spec import table_schema
from cpis_batch.statistics.cells import Cell, Shown
from cpis_batch.statistics.profiles import Profile

VERSION = "1.0"
HIDDEN = "*"


@dataclass(frozen=True, slots=True)
class Release:
    """`as_at` is the day that plans are counted on; `commit` what the register stood at; `names` of areas by code."""

    month: Month
    profile: Profile
    as_at: date
    commit: int
    made_at: datetime
    shown: Shown
    names: Mapping[str, str]


def columns() -> tuple[str, ...]:
    """Of the tidy CSV (specs/statistics/1.0)."""
    return table_schema("statistics", VERSION, "statistics").names


def to_csv(release: Release) -> bytes:
    """A row a count, sorted; what is not shown has an empty value and the marker."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns())
    for cell, value in sorted(release.shown.items()):
        name = release.names.get(cell.code, cell.code)
        marker = HIDDEN if value is None else ""
        writer.writerow(
            (release.month, cell.geography, cell.code, name, cell.measure, cell.item, "" if value is None else value, marker)
        )
    return text.getvalue().encode()


def read_csv(data: bytes) -> Shown:
    """What a release has shown. StateFault where it is none of ours."""
    found: Shown = {}
    try:
        for row in csv.DictReader(io.StringIO(data.decode(), newline="")):
            cell = Cell(row["measure"], row["geography_type"], row["geography_code"], row["item"])
            found[cell] = None if row["marker"] == HIDDEN else int(row["value"])
    except (UnicodeDecodeError, KeyError, ValueError, csv.Error):
        raise StateFault(
            "An earlier release of statistics does not read, and nothing can be held against it.",
            "Put its statistics.csv back as it was published.",
        ) from None
    return found


def against(earlier: Shown, now: Shown) -> list[str]:
    """What a second release of a month would tell besides: empty where it says what the first one said."""
    told = []
    for cell in sorted(earlier.keys() | now.keys()):
        where = f"{cell.measure} {cell.item}, {cell.geography} {cell.code}"
        if cell not in now:
            told.append(f"{where}: was published and is not counted now")
        elif cell not in earlier:
            told.append(f"{where}: was not counted before")
        elif earlier[cell] is None and now[cell] is not None:
            told.append(f"{where}: was hidden and would be shown")
        elif earlier[cell] != now[cell]:
            told.append(f"{where}: was published otherwise")
    return told
