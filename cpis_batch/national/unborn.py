"""Plans for unborn children that are over, or must be, and that no child has followed.

A UCPP stands on its mother's number, and **nothing that the register holds says whose child is whose**: no household, no address,
no mother of a child. So it cannot be said of any one newborn that it is, or is not, the child of a UCPP. What can be said:

- an authority that has no plan at all for any child born since the UCPP began, within a pregnancy's time, has none for that
  child: ENDED, told to it;
- where it has plans for such newborns, one may be for this child or none: CANNOT_TELL, counted and told to nobody, since a list
  of every mother of a large authority would be read by nobody;
- a child may have its plan at another authority, to which the family moved. Somewhere in England there is always a newborn with
  a plan, so that says nothing, and the authority is told to think of it;
- a UCPP that is still open 45 weeks after it began has outlasted any pregnancy, whatever else there is: RAN_PAST.

A pregnancy may have ended otherwise, and a plan may have been closed because it was not needed any more. The authority knows.
"""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.national.gaps import CLOCK_WORKING_DAYS
from cpis_batch.national.schema import FOUND, TAIL_DAYS, Matter, Standing
from cpis_batch.register.predicates import active
from cpis_batch.working_days import WorkingDays

PREGNANCY_DAYS = 45 * 7  # from the start of the plan, at conception at the earliest, to the latest plausible birth


def unborn(known: pa.Table, working_days: WorkingDays, *, on: date) -> pa.Table:
    """FOUND: each UCPP that ran past a plausible birth, and each that was its mother's last and ended.

    An ended one has the 15 working days of the transfer gap for the child's plan to begin. A mother reported dead is not left
    out: it is her child that is looked for. Frozen numbers are. ConfigFault where the calendar lacks a year.
    """
    first = on - timedelta(days=TAIL_DAYS)
    return query(
        f"""
        WITH mother AS (SELECT * FROM known WHERE plan_type = 'UCPP' AND NOT frozen),
        last AS (
            SELECT person, max(coalesce(end_date, DATE '9999-12-31')) AS day FROM mother WHERE start_date <= $on GROUP BY person),
        over AS (
            SELECT mother.* FROM mother JOIN last ON mother.person = last.person AND mother.end_date = last.day
            JOIN numbered AS since ON since.day = mother.end_date
            CROSS JOIN (SELECT number FROM numbered WHERE day = $on - 1) AS before
            WHERE before.number - since.number >= {CLOCK_WORKING_DAYS}),
        newborn AS (
            SELECT DISTINCT la_code, date_of_birth FROM known
            WHERE plan_type <> 'UCPP' AND date_of_birth >= $first - {PREGNANCY_DAYS}),
        followed AS (
            SELECT over.*, EXISTS (
                SELECT 1 FROM newborn WHERE newborn.la_code = over.la_code AND newborn.date_of_birth >= over.start_date
                    AND newborn.date_of_birth <= over.start_date + {PREGNANCY_DAYS}) AS perhaps
            FROM over)
        SELECT la_code, '{Matter.UNBORN}' AS matter,
            CASE WHEN perhaps THEN '{Standing.CANNOT_TELL}' ELSE '{Standing.ENDED}' END AS standing,
            nhs_number, child_id, plan_type, start_date, end_date, NULL AS other_la_code, NULL AS working_days
        FROM followed
        UNION ALL
        SELECT la_code, '{Matter.UNBORN}', '{Standing.RAN_PAST}', nhs_number, child_id, plan_type, start_date, end_date,
            NULL, NULL
        FROM mother AS plan WHERE {active("plan", "$on")} AND start_date + {PREGNANCY_DAYS} < $on
        ORDER BY ALL
        """,
        {"known": known, "numbered": working_days.numbered(first, on)},
        {"on": on, "first": first},
    ).cast(FOUND)
