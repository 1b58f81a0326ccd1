"""Children whose plan returns: one of the same type begins within a year of the last one's end, with a break between.

The next day is no break. At another authority it is a return only after more than the 30 days that a handover may take. The
authority whose plan it was is told: of its own plan that follows (SAME_AUTHORITY), or that another one holds an active plan now
(ELSEWHERE), which it may then ring. The authority of the new plan is not told of the old one: an ended plan of another authority
is not to be shown (DESIGN, rule 2 speaks of active ones).
"""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.national.conflicts import HANDOVER_DAYS
from cpis_batch.national.schema import FOUND, TAIL_DAYS, Matter, Standing
from cpis_batch.register.predicates import active


def returns(known: pa.Table, *, on: date) -> pa.Table:
    """FOUND: with SAME_AUTHORITY the plan that is active on the day `on` again, with ELSEWHERE the one that had ended.

    CPP and LAC alone: a second UCPP is mostly of a second pregnancy. People reported dead and frozen numbers are in no row.
    """
    return query(
        f"""
        WITH child AS (SELECT * FROM known WHERE plan_type <> 'UCPP' AND NOT frozen AND NOT dead AND start_date <= $on),
        broken AS (
            SELECT plan.*, max(coalesce(earlier.end_date, DATE '9999-12-31')) AS left_off
            FROM child AS plan JOIN child AS earlier ON plan.person = earlier.person AND plan.plan_type = earlier.plan_type
                AND earlier.start_date < plan.start_date
            WHERE {active("plan", "$on")}
            GROUP BY ALL
            HAVING left_off < plan.start_date - 1 AND left_off >= plan.start_date - {TAIL_DAYS}),
        pairs AS (
            SELECT broken.la_code AS now_at, broken.la_code = earlier.la_code AS same, earlier, broken
            FROM broken JOIN child AS earlier ON broken.person = earlier.person AND broken.plan_type = earlier.plan_type
                AND earlier.end_date = broken.left_off AND earlier.start_date < broken.start_date
            WHERE broken.la_code = earlier.la_code OR broken.start_date - broken.left_off > {HANDOVER_DAYS}),
        told AS (
            SELECT broken.* EXCLUDE (left_off), '{Standing.SAME_AUTHORITY}' AS standing, NULL AS other_la_code
            FROM pairs WHERE same
            UNION ALL
            SELECT earlier.*, '{Standing.ELSEWHERE}', CASE WHEN NOT earlier.unnamed THEN now_at END FROM pairs WHERE NOT same)
        SELECT DISTINCT la_code, '{Matter.RETURN}' AS matter, standing, nhs_number, child_id, plan_type, start_date,
            end_date, other_la_code, NULL AS working_days
        FROM told ORDER BY ALL
        """,
        {"known": known},
        {"on": on},
    ).cast(FOUND)
