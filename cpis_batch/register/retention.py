"""Retention: what is past its time, what of that must wait, and what is too much at once. Nothing is erased here (`erasure`).

A plan goes `days` after its end date, with all its versions. A version whose plan no longer stands under its key goes

- with the days counted from the commit that deleted the plan, where it was deleted: it was never true;
- else, its start date having been amended, with the plan that it became: once no plan of that child and type is kept and the
  days have passed.

A plan that is open, or ends later, cannot be among them: its end date has to lie before the business date (F58).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.business_time import business_date as date_in_england
from cpis_batch.engine import query
from cpis_batch.register import masks, predicates
from cpis_batch.register.brake import Brake
from cpis_batch.register.pairing import PERSON_AND_TYPE, PLAN, keys
from cpis_batch.register.schema import HISTORY, PLANS
from cpis_batch.register.view import by_type
from cpis_batch.vocabulary import PlanType


@dataclass(frozen=True, slots=True)
class Due:
    """What erasure would take: of the plans (PLANS) and of their history (HISTORY)."""

    plans: pa.Table
    history: pa.Table

    @property
    def anything(self) -> bool:
        """Whether there is a plan or a version in it."""
        return bool(self.plans.num_rows or self.history.num_rows)


_PLANS_DUE = f"SELECT p.* FROM plans p WHERE {predicates.spent('p.end_date', '$today', '$days')}"

# Files of one evening replace at one instant: of two such versions the later is the one that began there.
_VERSIONS_DUE = """
WITH kept AS (
    SELECT * FROM plans ANTI JOIN due USING (nhs_number, plan_type, start_date)
), versions AS (
    SELECT *, max(replaced_on) OVER plan AS gone_on, arg_max(change, (known_to, known_from)) OVER plan AS gone_by
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


def _in_england(instants: pa.ChunkedArray) -> pa.Array:
    """The dates in England of instants: those of commits, of which there are few."""
    told = instants.combine_chunks().dictionary_encode()
    return pa.array([date_in_england(one) for one in told.dictionary.to_pylist()], pa.date32()).take(told.indices)


def due(plans: pa.Table, history: pa.Table, business_date: date, days: int) -> Due:
    """What of one authority's plans (PLANS) and history (HISTORY) is past retention on `business_date`.

    `days` is how long a plan is kept after its end date ([retention] of the configuration): it goes on the day after.
    """
    if not _may_be(plans, history, business_date, days):
        return Due(PLANS.empty_table(), HISTORY.empty_table())
    params = {"today": business_date, "days": days}
    ended = query(_PLANS_DUE, {"plans": plans}, params).cast(PLANS)
    dated = history.append_column("replaced_on", _in_england(history["known_to"]))
    versions = query(_VERSIONS_DUE, {"plans": plans, "due": ended, "history": dated}, params)
    return Due(ended, versions.cast(HISTORY))


def _may_be(plans: pa.Table, history: pa.Table, business_date: date, days: int) -> bool:
    """Whether anything can be due at all: for most authorities on most days nothing is, and DuckDB need not be asked."""
    old = pc.less(_in_england(history["known_to"]), business_date - timedelta(days=days))
    return bool(pc.any(masks.spent(plans["end_date"], business_date, days)).as_py() or pc.any(old).as_py())


def told(due: Due, plans: pa.Table, shown: pa.Table) -> tuple[Due, Due]:
    """What of `due` may go, and what waits: no CHIS unit may be left with a flag of which the register knows nothing more.

    `plans` is PLANS of the authority, `shown` its rows (nhs_number, plan_type, start_date) that the newest release shows as
    active. What is shown under a key that no other plan of the register has is the plan that is due, whatever its start date
    was amended to since: it waits for the release that tells the unit that it CEASED.
    """
    kept = plans.filter(pc.invert(_among(plans, due.plans, PLAN)))
    unexplained = shown.filter(pc.invert(_among(shown, kept, PLAN)))
    waits = [_among(one, unexplained, PERSON_AND_TYPE) for one in (due.plans, due.history)]
    goes = Due(due.plans.filter(pc.invert(waits[0])), due.history.filter(pc.invert(waits[1])))
    return goes, Due(due.plans.filter(waits[0]), due.history.filter(waits[1]))


def excess(plans: pa.Table, due: Due, brake: Brake) -> tuple[str, ...]:
    """Why so much of an authority's plans (PLANS) is not to go unseen (F58): the mass brake, in counts; empty below it."""
    held, going = by_type(plans), by_type(due.plans)
    limits = {kind: max(brake.minimum, int(round(brake.share * held[kind], 6))) for kind in PlanType}
    return tuple(
        f"{going[kind]} of {held[kind]} {kind} plans would be erased. Over {limits[kind]}, a person looks first."
        for kind in PlanType
        if going[kind] > limits[kind]
    )


def _among(rows: pa.Table, some: pa.Table, columns: tuple[str, ...]) -> pa.Array:
    """Whether each row has, in `columns`, the values of one of `some`."""
    return pc.is_in(keys(rows, columns), value_set=keys(some, columns))
