"""Children whom nobody holds any more though they have been seen since: the transfer gap (FAULTS F51).

A child leaves authority A, whose plan ends, and authority B has not started one. The register sees it where the child turns up
after that end: in unscheduled care (an access event that authorities may be told of), in another authority's extract with a
plan that is still to begin, or at another GP practice, which the trace asks about once, two weeks after the end
(`demographics.request`). Most of those who turn up need no plan any more; the authority that ended it knows, so it is asked to
look, and told neither where nor when the child was seen: since that end these are not its events (F46), nor its rows.
"""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.national.schema import FOUND, TAIL_DAYS, Matter, Standing
from cpis_batch.register.predicates import adult_on
from cpis_batch.working_days import WorkingDays

CLOCK_WORKING_DAYS = 15


def gaps(known: pa.Table, accesses: pa.Table, moves: pa.Table, working_days: WorkingDays, *, on: date) -> pa.Table:
    """FOUND: each CPP and LAC plan that was its person's last, at any authority, and after whose end the person was seen.

    OVERDUE once the 15th working day after the end is over and nobody holds a plan, RUNNING until then. `accesses` need the
    columns nhs_number and accessed_at of access EVENTS, notifying ones alone (`access.withheld`): a visit to a withheld service
    and a silent read put nobody on a list. `moves` need nhs_number and practice_since of demographics PERSONS: the day on which
    the trace first told of a practice other than before. Adults, people reported dead and frozen numbers are in no row: a child
    who was adopted goes on under a number that nobody may connect. ConfigFault where the calendar lacks one of the years it
    takes.
    """
    first = on - timedelta(days=TAIL_DAYS)
    return query(
        f"""
        WITH child AS (SELECT * FROM known WHERE plan_type <> 'UCPP' AND NOT frozen AND NOT dead),
        last AS (
            SELECT person, max(coalesce(end_date, DATE '9999-12-31')) AS day FROM child WHERE start_date <= $on GROUP BY person
            HAVING day >= $first AND day < $on),
        ended AS (
            SELECT plan.* FROM child AS plan JOIN last ON plan.person = last.person AND plan.end_date = last.day
            WHERE plan.end_basis IS DISTINCT FROM 'AGE' AND {adult_on("plan")} > $on),
        numbers AS (SELECT nhs_number, person FROM ended UNION SELECT person, person FROM ended),
        seen AS (
            SELECT person, max(CAST(timezone('Europe/London', accessed_at) AS DATE)) AS day, NULL AS la_code
            FROM accesses JOIN numbers USING (nhs_number) GROUP BY person
            UNION ALL
            SELECT person, max(practice_since), NULL FROM moves JOIN numbers USING (nhs_number)
            WHERE practice_since <= $on GROUP BY person
            UNION ALL
            SELECT person, DATE '9999-12-31', la_code FROM child WHERE start_date > $on)
        SELECT DISTINCT ended.la_code, '{Matter.GAP}' AS matter,
            CASE WHEN before.number - since.number >= {CLOCK_WORKING_DAYS} THEN '{Standing.OVERDUE}'
                ELSE '{Standing.RUNNING}' END AS standing,
            nhs_number, child_id, plan_type, start_date, end_date, NULL AS other_la_code,
            today.number - since.number AS working_days
        FROM ended
        JOIN seen ON seen.person = ended.person AND seen.day > ended.end_date AND seen.la_code IS DISTINCT FROM ended.la_code
        JOIN numbered AS since ON since.day = ended.end_date
        CROSS JOIN (SELECT number FROM numbered WHERE day = $on - 1) AS before
        CROSS JOIN (SELECT number FROM numbered WHERE day = $on) AS today
        ORDER BY ALL
        """,
        {
            "known": known,
            "accesses": accesses,
            "moves": moves.select(["nhs_number", "practice_since"]),
            "numbered": working_days.numbered(first, on),
        },
        {"on": on, "first": first},
    ).cast(FOUND)
