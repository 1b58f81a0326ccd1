"""What more than one part of the register asks of a plan, as SQL over one row: who is adult, what is active, what is spent.

Each function takes the alias of the row (columns as in PLANS) and, where it needs one, the SQL of a date. Where the 18th
birthday stands in a column already, naming it as `adult` spares DuckDB the planning of it (1 ms each time, measured).
"""

from __future__ import annotations


def adult_on(row: str) -> str:
    """The 18th birthday, a DATE. For 29 February it is 1 March: the 18th year after a leap year is never one.

    The same as `business_time.birthday(date_of_birth, 18)`.
    """
    born = f"{row}.date_of_birth"
    leap_day = f"month({born}) = 2 AND day({born}) = 29"
    return f"(CAST({born} + INTERVAL 18 YEAR AS DATE) + CASE WHEN {leap_day} THEN 1 ELSE 0 END)"


def outlives_childhood(row: str, adult: str = "") -> str:
    """Whether the plan, as it stands, runs past the 18th birthday. A UCPP is an adult's row and never does (F52)."""
    adult = adult or adult_on(row)
    return f"({row}.plan_type <> 'UCPP' AND ({row}.end_date IS NULL OR {row}.end_date > {adult}))"


def ends_by_age(row: str, on: str, adult: str = "") -> str:
    """Whether the plan has ended by itself by the day `on`: CPP and LAC end on the 18th birthday (DESIGN, section 3)."""
    return f"({outlives_childhood(row, adult)} AND {adult or adult_on(row)} <= {on})"


def active(row: str, on: str, adult: str = "") -> str:
    """Whether the plan is to be shown on the day `on`. The day it starts, the day it ends and the 18th birthday count."""
    return (
        f"({row}.start_date <= {on} AND ({row}.end_date IS NULL OR {row}.end_date >= {on})"
        f" AND ({row}.plan_type = 'UCPP' OR {adult or adult_on(row)} >= {on}))"
    )


def spent(end_date: str, on: str, days: str) -> str:
    """Whether a plan that ended on `end_date` is past retention on the day `on`; never one that is open or still to end."""
    return f"coalesce({end_date} < {on} AND {end_date} + {days} < {on}, false)"
