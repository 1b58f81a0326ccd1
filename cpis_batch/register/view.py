"""What the register says: on a day, and as it was known at some time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.errors import Bug
from cpis_batch.register import masks
from cpis_batch.register.schema import PLANS
from cpis_batch.vocabulary import PlanType


def active(plans: pa.Table, on: date) -> pa.Table:
    """The plans (PLANS) to be shown on the day `on`, in the order given.

    A plan counts from its start date to its end date, both included, and CPP and LAC no longer than the 18th birthday,
    whether `age_out` has run by then or not. One that starts later is not active yet; it waits in the register.
    """
    return plans.filter(masks.active(plans, on))


def missing(plans: pa.Table, on: date) -> pa.Table:
    """The plans (PLANS) that the newest full extract left out and that have not ended before the day `on`."""
    left_out = plans.filter(pc.is_valid(plans["missing_since"]))
    return left_out.filter(pc.fill_null(pc.greater_equal(left_out["end_date"], on), fill_value=True))


def known(plans: pa.Table, history: pa.Table, known_at: datetime) -> pa.Table:
    """The register (PLANS) as it stood at the instant `known_at`: what was committed by then and not yet replaced.

    What was erased is gone from every view. `last_confirmed_on` and `missing_since` are not versioned (see `history`).
    """
    then = pa.scalar(known_at, PLANS.field("known_from").type)
    stood = pc.and_(pc.less_equal(history["known_from"], then), pc.greater(history["known_to"], then))
    return pa.concat_tables(
        [plans.filter(pc.less_equal(plans["known_from"], then)), history.filter(stood).select(PLANS.names)]
    ).cast(PLANS)


def as_of(plans: pa.Table, history: pa.Table, valid_on: date, known_at: datetime) -> pa.Table:
    """The plans (PLANS) that were active on `valid_on`, by what the register knew at `known_at`."""
    return active(known(plans, history, known_at), valid_on)


def children(parts: Iterable[pa.Table]) -> int:
    """How many children the plans of several authorities speak of, each once: one part is held at a time, and 8 bytes a plan.

    A UCPP stands on the mother's number for the child not yet born: it counts one, and a mother who is herself a child on a
    plan counts as another. The columns needed: nhs_number, ten digits by the rules of intake, and plan_type.
    Bug where a number is none.
    """
    seen = [np.empty(0, np.int64)]
    for plans in parts:
        try:
            numbers = plans["nhs_number"].cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:  # its message quotes what it read
            raise Bug("A plan of the register has no number of ten digits.", "Run: cpis-batch register verify") from None
        unborn = pc.equal(plans["plan_type"], PlanType.UCPP).to_numpy()
        seen.append(np.where(unborn, -1 - numbers, numbers))
    each = np.concatenate(seen)
    each.sort()  # np.unique hashes, which takes ten times as long where most are unique (measured)
    return len(each) - int(np.count_nonzero(each[1:] == each[:-1]))


def by_type(plans: pa.Table) -> dict[PlanType, int]:
    """The number of these plans by type, every type named."""
    counts = {row["values"]: row["counts"] for row in pc.value_counts(plans["plan_type"]).to_pylist()}
    return {plan_type: counts.get(plan_type.value, 0) for plan_type in PlanType}
