"""Plans that are active at two authorities: the ordinary case told apart from the doubtful one (FAULTS F43).

While a child moves two authorities hold it, and that is normal: Kent hands over thousands a year. It is ordinary as long as it is
short (HANDOVER, 30 days at the most) or where the plans are of different types (OTHER_PLAN): a looked-after child may be on a
child protection plan elsewhere, and a mother's UCPP speaks of her unborn child, her own plan of herself. The same type at two
authorities for longer is DOUBTFUL: one of them has probably forgotten to end it. Nothing is resolved here, ever.
"""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.national.schema import FOUND, Matter, Standing
from cpis_batch.register.predicates import active

HANDOVER_DAYS = 30


def conflicts(known: pa.Table, *, on: date) -> pa.Table:
    """FOUND: a row for each active plan and each other authority that holds an active plan of that person on the day `on`.

    Who is reported dead is in no row: their plans are to be ended, which the match report says.
    """
    return query(
        f"""
        WITH held AS (SELECT * FROM known AS plan WHERE NOT dead AND {active("plan", "$on")}),
        paired AS (
            SELECT mine.la_code, mine.child_id, mine.plan_type, mine.start_date, mine.end_date, mine.nhs_number,
                CASE WHEN NOT mine.unnamed THEN other.la_code END AS other_la_code,
                max(CASE WHEN mine.plan_type = other.plan_type
                    THEN $on - greatest(mine.start_date, other.start_date) END) AS days
            FROM held AS mine JOIN held AS other ON mine.person = other.person AND mine.la_code <> other.la_code
            GROUP BY ALL)
        SELECT la_code, '{Matter.CONFLICT}' AS matter,
            CASE WHEN days IS NULL THEN '{Standing.OTHER_PLAN}' WHEN days > {HANDOVER_DAYS} THEN '{Standing.DOUBTFUL}'
                ELSE '{Standing.HANDOVER}' END AS standing,
            nhs_number, child_id, plan_type, start_date, end_date, other_la_code, NULL AS working_days
        FROM paired ORDER BY ALL
        """,
        {"known": known},
        {"on": on},
    ).cast(FOUND)
