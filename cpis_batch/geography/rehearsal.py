"""A vesting day rehearsed: where every child with an active plan lands on it, as counts, and who would be lost.

What is counted are persons, each once a line. No identifier and no small number is hidden: this is for those who run the
exchange, to mend the tables before the day, and goes to nobody.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.extracts.routing import Reference, route

# `new_la`: who answers for the plan on the day; null where that cannot be told. `chis_now`: the unit today, null where none.
# `chis_then` and `basis` are null where the plan leads nowhere; then `reason` (Unroutable) says why.
LANDINGS = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("new_la", pa.string()),
        pa.field("chis_now", pa.string()),
        pa.field("chis_then", pa.string()),
        pa.field("basis", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("persons", pa.int64(), nullable=False),
    ]
)

_PLAN = "la_code, nhs_number, plan_type, start_date"


def rehearse(
    active: pa.Table,
    persons: pa.Table,
    reference: Reference,
    tiers: pa.Table,
    *,
    today: date,
    on: date,
    policy: Literal["first", "all"] = "first",
) -> pa.Table:
    """LANDINGS of the plans (register.schema.PLANS) that are active on the day `on`, by what is known `today`.

    `persons`: routing.PERSONS; `tiers`: the table `lower_to_upper_tier`. An authority that stands on the day keeps its plans; of
    one that does not, the child belongs to the successor in whose area it lives, or to the only one there is.
    """
    now, then = (route(active, persons, reference, on=day, policy=policy) for day in (today, on))
    return query(
        f"""
        WITH RECURSIVE
          heirs(la_code, heir) AS (
            SELECT gss_code, gss_code FROM las
            UNION
            SELECT la_code, next_heir FROM (
                SELECT heirs.la_code, unnest(string_split(gone.successors, ' ')) AS next_heir
                FROM heirs JOIN las AS gone ON gone.gss_code = heirs.heir AND gone.valid_to < $on) AS steps),
          answers AS (
            SELECT la_code, heir, count(*) OVER (PARTITION BY la_code) AS heirs
            FROM heirs JOIN las ON gss_code = heir AND valid_from <= $on AND coalesce(valid_to, $on) >= $on),
          lives AS (
            SELECT nhs_number, upper_tier_gss_code AS area FROM persons
            JOIN tiers ON lower_tier_gss_code = residence_code AND valid_from <= $on AND coalesce(valid_to, $on) >= $on
            WHERE NOT sensitive),
          plans AS (
            SELECT then_.*, now_.chis_code AS chis_now
            FROM (SELECT {_PLAN}, chis_code, routing_basis, NULL AS reason FROM routed_then
                  UNION ALL SELECT {_PLAN}, NULL, NULL, reason FROM nowhere_then) AS then_
            LEFT JOIN (SELECT {_PLAN}, min(chis_code) AS chis_code FROM routed_now GROUP BY ALL) AS now_ USING ({_PLAN}))
        SELECT plans.la_code, coalesce(one.heir, lived.heir) AS new_la, chis_now, chis_code AS chis_then, routing_basis AS basis,
            reason, count(DISTINCT nhs_number) AS persons
        FROM plans
        LEFT JOIN answers AS one ON one.la_code = plans.la_code AND one.heirs = 1
        LEFT JOIN lives USING (nhs_number)
        LEFT JOIN answers AS lived ON lived.la_code = plans.la_code AND lived.heir = lives.area
        GROUP BY ALL ORDER BY ALL
        """,
        {
            "las": reference.local_authorities,
            "tiers": tiers,
            "persons": persons,
            "routed_now": now.rows,
            "routed_then": then.rows,
            "nowhere_then": then.unroutable,
        },
        {"on": on},
    ).cast(LANDINGS)
