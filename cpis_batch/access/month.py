"""What a month's accesses come to, for whoever manages the people who work with these children.

Made of the lines that are told (LINES, `access.lines`), so that nothing can stand in a chart or a total that must not be told:
what is withheld (FAULTS F44) and what was looked at silently is in none of them. Of any authorities at once. What is counted of
persons is counted of some of them after others: what is held meanwhile is bounded, however many accesses there were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access.held import numbers
from cpis_batch.access.lines import LINES
from cpis_batch.access.report import by_la
from cpis_batch.access.schema import REPORT
from cpis_batch.engine import query

OFTEN, OFTEN_DAYS = 3, 30  # a child is listed who was looked at so many times within so many days
BATCH = 400_000  # accesses whose persons are looked at together
_DAY = "CAST(timezone('Europe/London', accessed_at) AS DATE)"

# A child looked at OFTEN within OFTEN_DAYS, the last time in the month: how many times at most, in the days from first to last.
OFTEN_SEEN = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("times", pa.int64(), nullable=False),
        pa.field("first_day", pa.date32(), nullable=False),
        pa.field("last_day", pa.date32(), nullable=False),
        pa.field("organisations", pa.int64(), nullable=False),
    ]
)
# The first access since a plan began, where that is in the month. `days` from the plan's start.
FIRST_SEEN = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("start_date", pa.date32(), nullable=False),
        pa.field("accessed_at", REPORT.field("accessed_at").type, nullable=False),
        pa.field("care_setting", pa.string(), nullable=False),
        pa.field("days", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in England."""

    year: int
    number: int

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        return self.next.first - timedelta(days=1)

    @property
    def next(self) -> Month:
        """The month after."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def before(self) -> Month:
        """The month before."""
        day = self.first - timedelta(days=1)
        return Month(day.year, day.month)

    def __str__(self) -> str:
        """`2026-11`."""
        return f"{self.year:04}-{self.number:02}"

    @classmethod
    def of(cls, day: date) -> Month:
        """The month that a day lies in."""
        return cls(day.year, day.month)

    @classmethod
    def named(cls, text: str) -> Month:
        """The month that `str` has named."""
        year, _, number = text.partition("-")
        return cls(int(year), int(number))


# Accesses by `kind` of what they were at (SETTING, ORGANISATION, DAY, HOUR, AREA; ALL of them): its code, and its name where that
# came with the accesses. HOUR is weekday (1 is Monday) and hour; `place` is that of the first of them among the month's lines.
TALLIES = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("code", pa.string()),
        pa.field("name", pa.string()),
        pa.field("accesses", pa.int64(), nullable=False),
        pa.field("people", pa.int64(), nullable=False),
        pa.field("place", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """One authority's month. `lines` are LINES, `tallies` TALLIES, `often` OFTEN_SEEN, `first` FIRST_SEEN; any may be empty."""

    lines: pa.Table
    tallies: pa.Table
    often: pa.Table
    first: pa.Table


def within(rows: pa.Table, month: Month) -> pa.Table:
    """The rows (REPORT) of a month."""
    sql = f"SELECT * FROM rows WHERE {_DAY} BETWEEN $first AND $last"
    return query(sql, {"rows": rows}, {"first": month.first, "last": month.last}).cast(REPORT)


def seen(lines: pa.Table, plans: pa.Table, month: Month, settings: pa.Table) -> dict[str, Seen]:
    """The month of each authority that has something in it.

    `lines` are LINES of the month and of as long before it as is kept, in their order; `plans` have the columns la_code,
    nhs_number, child_id, plan_type and start_date of register PLANS; `settings` are the care settings of the reference.
    """
    lines = _where(lines, pc.less_equal(lines["that_day"], month.last))
    in_month = _where(lines, pc.greater_equal(lines["that_day"], month.first))
    placed = lines.select(_COUNTED).append_column("place", pa.array(np.arange(lines.num_rows)))
    placed = placed.append_column("hour", _hour_of_week(lines["accessed_at"]))
    found = [_of_some(*some, month) for some in _batches(placed, plans.select(_PLANS))]
    tallies = query(_ADDED_UP, {"counted": pa.concat_tables(tally for tally, _, _ in found)}).cast(TALLIES)
    often = query(
        "SELECT * FROM found ORDER BY la_code, times DESC, child_id, nhs_number",
        {"found": pa.concat_tables(often for _, often, _ in found)},
    )
    first = query(
        """
        SELECT found.* REPLACE (settings.name AS care_setting) FROM found JOIN settings ON settings.code = care_setting
        ORDER BY la_code, accessed_at, child_id, plan_type, start_date
        """,
        {"found": pa.concat_tables(first for _, _, first in found), "settings": settings},
    )
    parts = by_la(in_month), by_la(tallies), by_la(often.cast(OFTEN_SEEN)), by_la(first.cast(FIRST_SEEN))
    empty = NOTHING.lines, NOTHING.tallies, NOTHING.often, NOTHING.first
    codes = sorted(set().union(*parts))
    return {code: Seen(*(part.get(code, none) for part, none in zip(parts, empty, strict=True))) for code in codes}


NOTHING = Seen(LINES.empty_table(), TALLIES.empty_table(), OFTEN_SEEN.empty_table(), FIRST_SEEN.empty_table())

_COUNTED = [
    "la_code",
    "event_id",
    "accessed_at",
    "that_day",
    "nhs_number",
    "child_id",
    "plan_types",
    "organisation_code",
    "organisation_name",
    "care_setting",
    "out_of_area",
]
_EPOCH = date(1970, 1, 1).toordinal()
_ROOM = 256  # days of a person: those of a month, of OFTEN_DAYS before it, and as many that are nobody's
_PLANS = ["la_code", "nhs_number", "child_id", "plan_type", "start_date"]


def _tally(kind: str, code: str, *, name: str = "CAST(NULL AS VARCHAR)", people: bool = False) -> str:
    counted = "count(DISTINCT nhs_number)" if people else "0"
    return (
        f"SELECT la_code, '{kind}' AS kind, CAST({code} AS VARCHAR) AS code, arg_min({name}, place) AS name,"
        f" min(place) FILTER ({name} IS NOT NULL) AS named, count(*) AS accesses, {counted} AS people, min(place) AS place"
        f" FROM looks GROUP BY la_code, {code}"
    )


_TALLIES = "WITH looks AS (SELECT * FROM lines WHERE that_day >= $first)\n" + "\nUNION ALL ".join(
    (
        _tally("ALL", "''", people=True),
        _tally("SETTING", "care_setting", people=True),
        _tally("ORGANISATION", "organisation_code", name="organisation_name", people=True),
        _tally("DAY", "that_day"),
        _tally("HOUR", "hour"),
        _tally("AREA", "out_of_area"),
    )
)
# Of some persons after others: no person is in two batches, so people add up as accesses do.
_ADDED_UP = """
SELECT la_code, kind, code, arg_min(name, named) AS name, CAST(sum(accesses) AS BIGINT) AS accesses,
    CAST(sum(people) AS BIGINT) AS people, min(place) AS place
FROM counted GROUP BY la_code, kind, code ORDER BY la_code, kind, place
"""
_OFTEN = f"""
SELECT la_code, max(child_id) AS child_id, nhs_number, count(*) AS times, min(that_day) AS first_day, max(that_day) AS last_day,
    count(DISTINCT organisation_code) AS organisations
FROM looks GROUP BY la_code, nhs_number HAVING times >= {OFTEN}
"""
_FIRST = """
WITH looks AS (
    SELECT lines.*, plan.child_id AS own_id, plan_type, start_date FROM lines JOIN plans AS plan USING (la_code, nhs_number)
    WHERE that_day >= start_date
        AND (plan_types = plan_type OR contains(plan_types, ';') AND list_contains(string_split(plan_types, ';'), plan_type))
), begun AS (
    SELECT la_code, nhs_number, plan_type, start_date, min(place) AS place, any_value(own_id) AS child_id
    FROM looks GROUP BY la_code, nhs_number, plan_type, start_date
)
SELECT la_code, begun.child_id, nhs_number, plan_type, start_date, accessed_at, care_setting, that_day - start_date AS days
FROM begun JOIN lines USING (la_code, nhs_number, place) WHERE that_day >= $first
"""


def _of_some(lines: pa.Table, plans: pa.Table, month: Month) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Of some persons, in no order: TALLIES, with the place of the name; OFTEN_SEEN; FIRST_SEEN, with the setting's code."""
    given, bound = {"lines": lines}, {"first": month.first}
    return (
        query(_TALLIES, given, bound),
        query(_OFTEN, {"looks": _busiest_days(lines, month)}).cast(OFTEN_SEEN),
        query(_FIRST, given | {"plans": plans}, bound).cast(FIRST_SEEN),
    )


def _busiest_days(lines: pa.Table, month: Month) -> pa.Table:
    """Those of the OFTEN_DAYS up to a day of the month on which a person was looked at most often, the last such; of each person.

    Sorted by person and day, the days before a day lie side by side: a join of each day with them was five times as slow.
    """
    lines = _where(lines, pc.greater_equal(lines["that_day"], month.first - timedelta(days=OFTEN_DAYS - 1)))
    if not lines.num_rows:
        return lines
    place = pc.dictionary_encode(lines["la_code"].cast(pa.string()).combine_chunks()).indices.to_numpy().astype(np.int64)
    person = place * 10**10 + numbers(lines["nhs_number"])
    day = lines["that_day"].cast(pa.int32()).to_numpy() - (month.first.toordinal() - _EPOCH) + 2 * OFTEN_DAYS
    at = person * _ROOM + day  # a person's days, and room before them that no other person's reach into
    order = np.argsort(at)
    at, day = at[order], day[order]
    before, after = np.searchsorted(at, at - (OFTEN_DAYS - 1)), np.searchsorted(at, at, side="right")
    begins = np.flatnonzero(np.diff(at // _ROOM, prepend=-1))
    score = np.where(day >= 2 * OFTEN_DAYS, (after - before) * _ROOM + day, 0)
    most = np.repeat(np.maximum.reduceat(score, begins), np.diff(begins, append=len(at)))
    last = most % _ROOM
    kept = (most > 0) & (day <= last) & (day > last - OFTEN_DAYS)
    return lines.take(pa.array(order[kept]))


def _hour_of_week(instants: pa.ChunkedArray) -> pa.ChunkedArray:
    """Weekday (1 is Monday) and hour in England: 123 is Monday, from 23:00 on."""
    there = pc.local_timestamp(instants.cast(pa.timestamp("us", tz="Europe/London")))
    return pc.add(pc.multiply(pc.day_of_week(there, count_from_zero=False), 100), pc.hour(there))


def _where(table: pa.Table, wanted: pa.ChunkedArray) -> pa.Table:
    """Its rows that are `wanted`; itself, not copied, where all are."""
    return table if pc.all(wanted).as_py() else table.filter(wanted)


def _batches(lines: pa.Table, plans: pa.Table) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Both, some persons at a time: all that there is of a person is in one batch."""
    count = -(-lines.num_rows // BATCH)
    if count <= 1:
        yield lines, plans
        return
    apart = [_parted(table, count) for table in (lines, plans)]
    yield from zip(*apart, strict=True)


def _parted(table: pa.Table, count: int) -> Iterator[pa.Table]:
    batch = numbers(table["nhs_number"]) // 10 % count  # without the check digit
    order = np.argsort(batch, kind="stable")
    ends = np.searchsorted(batch[order], np.arange(count + 1))
    for first, end in pairwise(ends.tolist()):
        yield table.take(pa.array(order[first:end]))
