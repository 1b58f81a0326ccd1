"""The columns that the rules of a row can speak of: each as text, and typed, NULL where it cannot be read.

DuckDB's casts are lenient (`2024-1-5` and `infinity` are dates to it), so the shape of a value is held to before its type:
a date must be ten characters long and print as it was written.
"""

DATES = ("date_of_birth", "start_date", "end_date", "delete_date")

_WEIGHTED_SUM = " + ".join(f"(nhs_value // {10**place} % 10) * {place + 1}" for place in range(10))


def _date(field: str) -> str:
    return (
        f"CASE WHEN length({field}_text) = 10 AND CAST(TRY_CAST({field}_text AS DATE) AS VARCHAR) = {field}_text"
        f" THEN CAST({field}_text AS DATE) END AS {field}"
    )


# From the rows as they were read (intake.records) to `rows`. Spaces around a value are no part of it, save in names.
TYPED = f"""
SELECT line, damage, child_id, family_name, given_name,
    trim(nhs_number) AS nhs_number_text,
    replace(replace(nhs_number, ' ', ''), '-', '') AS nhs_digits,
    CASE WHEN regexp_full_match(nhs_digits, '[0-9]{{10}}') THEN CAST(nhs_digits AS BIGINT) END AS nhs_value,
    CASE WHEN nhs_value % 1111111111 <> 0 AND ({_WEIGHTED_SUM}) % 11 = 0 THEN nhs_digits END AS nhs_number,
    trim(plan_type) AS plan_type_text,
    CASE WHEN plan_type_text IN ('CPP', 'LAC', 'UCPP') THEN plan_type_text END AS plan_type,
    {", ".join(f"trim({field}) AS {field}_text, {_date(field)}" for field in DATES)}
FROM read_rows
"""


def age(on: str) -> str:
    """SQL for somebody's age in whole years on a date; one born on 29 February has the birthday on 1 March in common years."""
    return f"(({_ymd(on)} - {_ymd('date_of_birth')}) // 10000)"


def _ymd(day: str) -> str:
    return f"(year({day}) * 10000 + month({day}) * 100 + day({day}))"
