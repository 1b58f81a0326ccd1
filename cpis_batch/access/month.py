"""What a month's accesses come to, for whoever manages the people who work with these children.

Made of the lines that were told one by one (REPORT, `access.report`), so that nothing can stand in a chart or a total that
must not be told: what is withheld (FAULTS F44) and what was looked at silently is in none of them. All authorities at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from cpis_batch.access.report import by_la, joined
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
    """One authority's month: `rows` (REPORT), `often` (OFTEN_SEEN), `first` (FIRST_SEEN). Any may be empty."""

    rows: pa.Table
    often: pa.Table
    first: pa.Table


def within(rows: pa.Table, month: Month) -> pa.Table:
    """The rows (REPORT) of a month."""
    sql = f"SELECT * FROM rows WHERE {_DAY} BETWEEN $first AND $last"
    return query(sql, {"rows": rows}, {"first": month.first, "last": month.last}).cast(REPORT)


def seen(rows: pa.Table, plans: pa.Table, month: Month) -> dict[str, Seen]:
    """The month of each authority that has something in it.

    `rows` are REPORT of the month and of as long before it as is kept; `plans` have la_code, nhs_number, child_id, plan_type and
    start_date of register PLANS.
    """
    bounds = {"first": month.first, "last": month.last}
    in_month = within(rows, month)
    in_month = joined(in_month, REPORT.empty_table())  # under an id of the month's own events
    often = query(
        f"""
        WITH days AS (
            SELECT la_code, nhs_number, child_id, organisation_code, {_DAY} AS day FROM rows
            WHERE {_DAY} BETWEEN $first - {OFTEN_DAYS - 1} AND $last),
        spans AS (
            SELECT ending.la_code, ending.nhs_number, ending.day AS last_day, min(look.day) AS first_day, count(*) AS times,
                count(DISTINCT look.organisation_code) AS organisations, max(look.child_id) AS child_id
            FROM (SELECT DISTINCT la_code, nhs_number, day FROM days WHERE day >= $first) AS ending
            JOIN days AS look ON look.la_code = ending.la_code AND look.nhs_number = ending.nhs_number
                AND look.day BETWEEN ending.day - {OFTEN_DAYS - 1} AND ending.day
            GROUP BY ending.la_code, ending.nhs_number, ending.day HAVING count(*) >= {OFTEN})
        SELECT la_code, child_id, nhs_number, times, first_day, last_day, organisations FROM spans
        QUALIFY row_number() OVER (PARTITION BY la_code, nhs_number ORDER BY times DESC, last_day DESC) = 1
        ORDER BY la_code, times DESC, child_id
        """,
        {"rows": rows},
        bounds,
    ).cast(OFTEN_SEEN)
    first = query(
        f"""
        SELECT la_code, plan.child_id, nhs_number, plan.plan_type, plan.start_date, accessed_at, care_setting,
            {_DAY} - plan.start_date AS days
        FROM rows JOIN plans AS plan USING (la_code, nhs_number)
        WHERE {_DAY} >= plan.start_date AND plan.plan_type IN (SELECT unnest(string_split(plan_types, ';')))
        QUALIFY row_number() OVER (
            PARTITION BY la_code, nhs_number, plan.plan_type, plan.start_date ORDER BY accessed_at, event_id) = 1
            AND {_DAY} BETWEEN $first AND $last
        ORDER BY la_code, accessed_at, plan.child_id, plan.plan_type
        """,
        {"rows": rows, "plans": plans.select(["la_code", "nhs_number", "child_id", "plan_type", "start_date"])},
        bounds,
    ).cast(FIRST_SEEN)
    parts = by_la(in_month), by_la(often), by_la(first)
    empty = REPORT.empty_table(), OFTEN_SEEN.empty_table(), FIRST_SEEN.empty_table()
    codes = sorted(set().union(*parts))
    return {code: Seen(*(part.get(code, none) for part, none in zip(parts, empty, strict=True))) for code in codes}


NOTHING = Seen(REPORT.empty_table(), OFTEN_SEEN.empty_table(), FIRST_SEEN.empty_table())
