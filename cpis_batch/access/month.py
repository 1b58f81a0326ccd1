"""What a month's accesses come to, for whoever manages the people who work with these children.

Made of the lines that are told (LINES, `access.lines`), so that nothing can stand in a chart or a total that must not be told:
what is withheld (FAULTS F44) and what was looked at silently is in none of them. Of any authorities at once. Counted in numbers
(`access.counting`): as SQL over text the same took three times as long for 100 million accesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access import counting
from cpis_batch.access.lines import LINES
from cpis_batch.access.report import by_la
from cpis_batch.access.schema import REPORT
from cpis_batch.engine import query

OFTEN, OFTEN_DAYS = 3, 30  # a child is listed who was looked at so many times within so many days
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


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """One authority's month: LINES, TALLIES (access.counting), OFTEN_SEEN, FIRST_SEEN. Any may be empty."""

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
    lately = _where(lines, pc.greater_equal(lines["that_day"], month.first - timedelta(days=OFTEN_DAYS - 1)))
    ordered = counting.ByPerson(lines)
    ordered_month, ordered_lately = (ordered if some is lines else counting.ByPerson(some) for some in (in_month, lately))
    often = query(
        f"""
        SELECT {", ".join(OFTEN_SEEN.names)} FROM busiest ORDER BY la_code, times DESC, child_id, nhs_number
        """,
        {"busiest": counting.busiest(lately, ordered_lately, month.first, OFTEN_DAYS, OFTEN)},
    ).cast(OFTEN_SEEN)
    first = query(
        """
        SELECT la_code, child_id, nhs_number, plan_type, start_date, accessed_at, settings.name AS care_setting,
            that_day - start_date AS days
        FROM begun JOIN settings ON settings.code = care_setting WHERE that_day >= $first
        ORDER BY la_code, accessed_at, child_id, plan_type, start_date
        """,
        {"begun": counting.begun(lines, ordered, plans), "settings": settings},
        {"first": month.first},
    ).cast(FIRST_SEEN)
    parts = by_la(in_month), by_la(counting.tallies(in_month, ordered_month)), by_la(often), by_la(first)
    empty = NOTHING.lines, NOTHING.tallies, NOTHING.often, NOTHING.first
    codes = sorted(set().union(*parts))
    return {code: Seen(*(part.get(code, none) for part, none in zip(parts, empty, strict=True))) for code in codes}


NOTHING = Seen(LINES.empty_table(), counting.TALLIES.empty_table(), OFTEN_SEEN.empty_table(), FIRST_SEEN.empty_table())


def _where(table: pa.Table, wanted: pa.ChunkedArray) -> pa.Table:
    """Its rows that are `wanted`; itself, not copied, where all are."""
    return table if pc.all(wanted).as_py() else table.filter(wanted)
