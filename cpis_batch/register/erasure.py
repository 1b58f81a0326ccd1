"""Erasure: what is past retention taken out of one authority's plans and history. A pure function, held to what it may do.

Nothing active can go (F58): `retention` names only plans whose end date has passed, and what is active is compared here, row for
row, before and after.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.errors import Bug
from cpis_batch.register import view
from cpis_batch.register.pairing import PLAN, keys
from cpis_batch.register.retention import Due
from cpis_batch.register.schema import CHANGES
from cpis_batch.vocabulary import Change


@dataclass(frozen=True, slots=True)
class Erased:
    """An authority's PLANS and HISTORY without what was due, and CHANGES: an ERASED for each plan."""

    plans: pa.Table
    history: pa.Table
    changes: pa.Table


def erase(plans: pa.Table, history: pa.Table, due: Due, business_date: date) -> Erased:
    """Take `due` out. Versions are due by their plan's key, all or none. Bug where a plan that is active would be touched."""
    left = plans.filter(pc.invert(pc.is_in(keys(plans, PLAN), value_set=keys(due.plans, PLAN))))
    versions = history.filter(pc.invert(pc.is_in(keys(history, PLAN), value_set=keys(due.history, PLAN))))
    if not view.active(left, business_date).equals(view.active(plans, business_date)):
        raise Bug("An erasure would touch an active plan.", "Nothing was erased. Report it with the run's log.")
    return Erased(left.combine_chunks(), versions.combine_chunks(), _changes(due.plans))


def _changes(gone: pa.Table) -> pa.Table:
    false = pa.repeat(pa.scalar(value=False), gone.num_rows)
    columns = {name: gone[name] for name in ("nhs_number", "plan_type", "start_date", "child_id")} | {
        "change": pa.repeat(str(Change.ERASED), gone.num_rows),
        "line": pa.nulls(gone.num_rows, pa.int32()),
        "was_active": false,
        "is_active": false,
        "missing_since": pa.nulls(gone.num_rows, pa.date32()),
        "start_moved": false,
        "redated": false,
    }
    return pa.table([columns[name] for name in CHANGES.names], names=CHANGES.names).cast(CHANGES)
