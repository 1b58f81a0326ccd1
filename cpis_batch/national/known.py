"""Every authority's plans, side by side by person, with what the trace says must not be told of whom."""

from __future__ import annotations

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.national.schema import KNOWN, PLAN_COLUMNS
from cpis_batch.vocabulary import Inactive


def known(plans: pa.Table, persons: pa.Table) -> pa.Table:
    """KNOWN of `plans` (register PLANS, or PLAN_COLUMNS of it) of all authorities; `persons`: demographics PERSONS.

    What the trace says of a number under anybody's details holds for all rows of that person: to tell too little of one child is
    better than to tell where another one lives. A superseded number is that of its successor only while all answers name one.
    """
    return query(
        f"""
        WITH traced AS (
            SELECT nhs_number, bool_or(sensitive) AS sensitive, bool_or(date_of_death IS NOT NULL) AS dead,
                bool_or(coalesce(inactive = '{Inactive.NO_REPLACEMENT}', false)) AS frozen,
                CASE WHEN count(DISTINCT current_number) = 1 THEN min(current_number) END AS current_number
            FROM persons GROUP BY nhs_number),
        numbered AS (
            SELECT {", ".join(PLAN_COLUMNS)},
                CASE WHEN coalesce(traced.frozen, false) OR current_number IN (SELECT nhs_number FROM traced WHERE frozen)
                    THEN nhs_number ELSE coalesce(current_number, nhs_number) END AS person,
                coalesce(frozen, false) AS frozen, coalesce(dead, false) AS dead,
                coalesce(sensitive OR frozen, false) AS unnamed
            FROM plans LEFT JOIN traced USING (nhs_number)),
        marked AS (
            SELECT person, bool_or(frozen) AS frozen, bool_or(dead) AS dead, bool_or(unnamed) AS unnamed FROM (
                SELECT person, frozen, dead, unnamed FROM numbered WHERE frozen OR dead OR unnamed
                UNION ALL
                SELECT nhs_number, frozen, dead, sensitive OR frozen FROM traced WHERE frozen OR dead OR sensitive)
            GROUP BY person)
        SELECT {", ".join(PLAN_COLUMNS)}, person, coalesce(marked.frozen, false) AS frozen,
            coalesce(marked.dead, false) AS dead, coalesce(marked.unnamed, false) AS unnamed
        FROM numbered LEFT JOIN marked USING (person)
        """,
        {"plans": plans, "persons": persons},
    ).cast(KNOWN)
