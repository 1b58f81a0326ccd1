"""What is active and what is spent, as SQL over one row: for questions that are part of a join or a report.

Each function takes the alias of the row (columns as in PLANS) and the SQL of a date. The same over whole columns is in `masks`.
"""

from __future__ import annotations


def adult_on(row: str) -> str:
    """The 18th birthday, a DATE. For 29 February it is 1 March: the 18th year after a leap year is never one.

    The same as `business_time.birthday(date_of_birth, 18)`.
    """
    born = f"{row}.date_of_birth"
    leap_day = f"month({born}) = 2 AND day({born}) = 29"
    return f"(CAST({born} + INTERVAL 18 YEAR AS DATE) + CASE WHEN {leap_day} THEN 1 ELSE 0 END)"


def active(row: str, on: str) -> str:
    """Whether the plan is to be shown on the day `on`. The day it starts, the day it ends and the 18th birthday count."""
    return (
        f"({row}.start_date <= {on} AND ({row}.end_date IS NULL OR {row}.end_date >= {on})"
        f" AND ({row}.plan_type = 'UCPP' OR {adult_on(row)} >= {on}))"
    )


def spent(end_date: str, on: str, days: str) -> str:
    """Whether a plan that ended on `end_date` is past retention on the day `on`; never one that is open or still to end."""
    return f"coalesce({end_date} < {on} AND {end_date} + {days} < {on}, false)"
