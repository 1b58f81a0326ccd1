"""Retention: what is past its time and would be erased. Nothing is erased here.

A plan goes `days` after its end date, with all its versions. A version whose plan no longer stands under its key goes

- with the days counted from the commit that deleted the plan, where it was deleted: it was never true;
- else, its start date having been amended, with the plan that it became: once no plan of that child and type is kept and the
  days have passed.

A plan that is open, or ends later, cannot be among them: its end date has to lie before the business date (F58).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.register import predicates
from cpis_batch.register.schema import HISTORY, PLANS


@dataclass(frozen=True, slots=True)
class Due:
    """What erasure would take: of the plans (PLANS) and of their history (HISTORY)."""

    plans: pa.Table
    history: pa.Table


_PLANS_DUE = f"SELECT p.* FROM plans p WHERE {predicates.spent('p.end_date', '$today', '$days')}"

_VERSIONS_DUE = """
WITH kept AS (
    SELECT * FROM plans ANTI JOIN due USING (nhs_number, plan_type, start_date)
), versions AS (
    SELECT *, max(replaced_on) OVER plan AS gone_on, arg_max(change, known_to) OVER plan AS gone_by
    FROM history WINDOW plan AS (PARTITION BY nhs_number, plan_type, start_date)
)
SELECT v.* EXCLUDE (replaced_on, gone_on, gone_by)
FROM versions v ANTI JOIN kept k USING (nhs_number, plan_type, start_date)
WHERE EXISTS (FROM due d WHERE (d.nhs_number, d.plan_type, d.start_date) = (v.nhs_number, v.plan_type, v.start_date))
    OR (gone_on + $days < $today
        AND (gone_by = 'DELETED'
            OR NOT EXISTS (FROM kept k WHERE (k.nhs_number, k.plan_type) = (v.nhs_number, v.plan_type))))
ORDER BY nhs_number, plan_type, start_date, known_from, known_to
"""


def due(plans: pa.Table, history: pa.Table, business_date: date, days: int) -> Due:
    """What of one authority's plans (PLANS) and history (HISTORY) is past retention on `business_date`.

    `days` is how long a plan is kept after its end date ([retention] of the configuration): it goes on the day after.
    """
    params = {"today": business_date, "days": days}
    ended = query(_PLANS_DUE, {"plans": plans}, params).cast(PLANS)
    dated = history.append_column("replaced_on", history["known_to"].cast(pa.date32()))
    versions = query(_VERSIONS_DUE, {"plans": plans, "due": ended, "history": dated}, params)
    return Due(ended, versions.cast(HISTORY))
