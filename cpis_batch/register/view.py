"""What the register says: on a day, and as it was known at some time."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

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


def children(plans: pa.Table) -> int:
    """How many children these plans speak of, each once whatever its types and authorities.

    A UCPP stands on the mother's number for the child not yet born: it counts one, and a mother who is herself a child on a
    plan counts as another.
    """
    unborn = pc.equal(plans["plan_type"], PlanType.UCPP)
    of_each = (plans.filter(where)["nhs_number"] for where in (unborn, pc.invert(unborn)))
    return sum(pc.count_distinct(numbers).as_py() for numbers in of_each)


def by_type(plans: pa.Table) -> dict[PlanType, int]:
    """The number of these plans by type, every type named."""
    counts = {row["values"]: row["counts"] for row in pc.value_counts(plans["plan_type"]).to_pylist()}
    return {plan_type: counts.get(plan_type.value, 0) for plan_type in PlanType}
