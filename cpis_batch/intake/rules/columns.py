"""The columns that the rules of a row can speak of: each as text, and typed, NULL where it cannot be read.

DuckDB's casts are lenient (`2024-1-5` and `infinity` are dates to it), so the shape of a value is held to before its type:
a date must be ten characters long and print as it was written.

`odd_...` columns are true where a value cannot be read, or looks unusual enough to be looked into: see `Rule.given`.
"""

from datetime import date

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.intake.rules import names

DATES = ("date_of_birth", "start_date", "end_date", "delete_date")
_MAY_BE_EMPTY = ("end_date", "delete_date")

_WEIGHTED_SUM = " + ".join(f"(nhs_value // {10**place} % 10) * {place + 1}" for place in range(10))


def _date(field: str) -> str:
    text = f"{field}_text"
    return (
        f"CASE WHEN length({text}) = 10 AND CAST(TRY_CAST({text} AS DATE) AS VARCHAR) = {text} THEN CAST({text} AS DATE) END"
        f" AS {field}"
    )


def _odd(field: str) -> str:
    wanting = f"{field}_text <> ''" if field in _MAY_BE_EMPTY else f"{field}_text IS NOT NULL"
    return f"{field} IS NULL AND {wanting} AS odd_{field}"


def _ymd(day: str) -> str:
    """A date as a number, 20260228: the difference of two, without its last four digits, is an age in whole years.

    Somebody born on 29 February then has the birthday on 1 March in common years, as business_time.birthday has it.
    """
    return f"(year({day}) * 10000 + month({day}) * 100 + day({day}))"


# From the rows as they were read (intake.records) to `rows`. Spaces around a value are no part of it, save in names.
TYPED = f"""
WITH texts AS (
    SELECT line, damage, child_id, family_name, given_name, trim(nhs_number) AS nhs_number_text,
        replace(replace(nhs_number, ' ', ''), '-', '') AS nhs_digits, trim(plan_type) AS plan_type_text,
        {", ".join(f"trim({field}) AS {field}_text" for field in DATES)}
    FROM read_rows
), counted AS (
    SELECT *, CASE WHEN regexp_full_match(nhs_digits, '[0-9]{{10}}') THEN CAST(nhs_digits AS BIGINT) END AS nhs_value,
        {", ".join(_date(field) for field in DATES)}
    FROM texts
), typed AS (
    SELECT *, CASE WHEN nhs_value % 1111111111 <> 0 AND ({_WEIGHTED_SUM}) % 11 = 0 THEN nhs_digits END AS nhs_number,
        CASE WHEN plan_type_text IN ('CPP', 'LAC', 'UCPP') THEN plan_type_text END AS plan_type,
        {_ymd("date_of_birth")} AS born
    FROM counted
)
SELECT * EXCLUDE (born), ({_ymd("start_date")} - born) // 10000 AS age_at_start, ($today_ymd - born) // 10000 AS age_now,
    damage IS NOT NULL AS odd_shape,
    {", ".join(_odd(field) for field in ("nhs_number", "plan_type", *DATES))},
    {", ".join(f"{names.odd(field)} AS odd_{field}" for field in names.FIELDS)}
FROM typed
"""


def typed(read_rows: pa.Table, business_date: date) -> pa.Table:
    """The rows as they were read, with all the columns that rules speak of."""
    today = business_date.year * 10000 + business_date.month * 100 + business_date.day
    return query(TYPED, {"read_rows": read_rows}, {"today_ymd": today})
