"""Persons of whom more than one LA holds an active plan: kept side by side, never resolved here (FAULTS F43).

While a child moves, two LAs hold it for a while, and that is normal (DESIGN, section 2). The plan types of both sides are told,
since a mother's UCPP at one LA and her own CPP at another speak of two children.
"""

from __future__ import annotations

import pyarrow as pa

from cpis_batch.engine import query

# A row for each pair of LAs and of their plan types, `la_code` before `other_la_code`; `persons` counts NHS numbers.
COUNTS = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("other_la_code", pa.string(), nullable=False),
        pa.field("other_plan_type", pa.string(), nullable=False),
        pa.field("persons", pa.int64(), nullable=False),
    ]
)

_HELD = "SELECT DISTINCT la_code, plan_type, nhs_number FROM active"


def counts(active: pa.Table) -> pa.Table:
    """COUNTS over active plans (PLANS, or its columns la_code, plan_type and nhs_number) of all LAs."""
    return query(
        f"""
        SELECT one.la_code, one.plan_type, other.la_code AS other_la_code, other.plan_type AS other_plan_type,
            count(*) AS persons
        FROM ({_HELD}) AS one JOIN ({_HELD}) AS other USING (nhs_number)
        WHERE one.la_code < other.la_code
        GROUP BY ALL ORDER BY ALL
        """,
        {"active": active},
    ).cast(COUNTS)


def persons(active: pa.Table) -> int:
    """How many NHS numbers have an active plan at more than one LA; the rows of `counts` may tell of one several times."""
    sql = "SELECT count(*) AS n FROM (SELECT nhs_number FROM active GROUP BY nhs_number HAVING count(DISTINCT la_code) > 1)"
    found: int = query(sql, {"active": active})["n"][0].as_py()
    return found
