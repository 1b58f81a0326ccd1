"""Which row of an extract speaks of which plan of the register.

By its key (NHS number, plan type, start date) first. Then, since an LA has one open plan of a type for a person, an open
row with an unknown key speaks of the open plan that no row of this file speaks of by key: its start date is amended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.business_time import birthday
from cpis_batch.vocabulary import PlanType

PERSON_AND_TYPE = ("nhs_number", "plan_type")
PLAN = (*PERSON_AND_TYPE, "start_date")  # the register's key within one LA


def keys(table: pa.Table, columns: Sequence[str]) -> pa.Array:
    """One string a row that stands for the values of `columns`, to be looked up; null where one of them is."""
    texts = [table[name].cast(pa.string()) for name in columns]
    joined = pc.binary_join_element_wise(*texts, "\t")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def pair(plans: pa.Table, accepted: pa.Table, business_date: date) -> pa.Table:
    """Positions, `plan` in `plans` (PLANS) and `row` in `accepted` (ACCEPTED): every plan and every row stands in one pair.

    `plan` is null where the row speaks of no plan held, `row` where no row speaks of the plan. Sorted by the key that the
    plan has afterwards.
    """
    plan_keys, row_keys = keys(plans, PLAN), keys(accepted, PLAN)
    spoken_of = pc.index_in(row_keys, value_set=plan_keys)
    unspoken = pc.indices_nonzero(pc.invert(pc.is_in(plan_keys, value_set=row_keys)))
    unknown = pc.indices_nonzero(pc.is_null(spoken_of))
    moves = _moves(plans, accepted, unspoken, unknown, business_date)
    if moves:
        spoken_of = pa.array([moves.get(row, plan) for row, plan in enumerate(spoken_of.to_pylist())], pa.int32())
        unspoken = unspoken.filter(pc.invert(pc.is_in(unspoken, value_set=pa.array(moves.values(), unspoken.type))))
    pairs = pa.table(
        {
            "plan": pa.concat_arrays([spoken_of, unspoken.cast(pa.int32())]),
            "row": pa.concat_arrays([pa.array(range(accepted.num_rows), pa.int32()), pa.nulls(len(unspoken), pa.int32())]),
        }
    )
    said, held = accepted.take(pairs["row"]), plans.take(pairs["plan"])
    afterwards = pa.table({name: pc.coalesce(said[name], held[name]) for name in PLAN})
    return pairs.take(pc.sort_indices(afterwards, sort_keys=[(name, "ascending") for name in PLAN]))


def _moves(plans: pa.Table, accepted: pa.Table, unspoken: pa.Array, unknown: pa.Array, today: date) -> dict[int, int]:
    """For each row that amends the start of an open plan, the plan. The plan that started last, should there be two."""
    if not len(unspoken) or not len(unknown):
        return {}
    standing = plans.take(unspoken).append_column("plan", unspoken)
    standing = standing.filter(pc.is_null(standing["end_date"])).sort_by([("start_date", "descending")])
    coming = accepted.take(unknown).append_column("row", unknown)
    coming = coming.filter(pc.and_(pc.is_null(coming["end_date"]), pc.is_null(coming["delete_date"])))
    coming = coming.filter(pc.is_in(keys(coming, PERSON_AND_TYPE), value_set=keys(standing, PERSON_AND_TYPE)))
    columns = [*PERSON_AND_TYPE, "date_of_birth"]
    plan_of: dict[tuple[str, str], int] = {}
    if coming.num_rows:
        for one in standing.select([*columns, "plan"]).to_pylist():
            if _open(one["plan_type"], one["date_of_birth"], today):
                plan_of.setdefault((one["nhs_number"], one["plan_type"]), one["plan"])
    found: dict[int, int] = {}
    for one in coming.sort_by("line").select([*columns, "row"]).to_pylist():
        if _open(one["plan_type"], one["date_of_birth"], today):
            plan = plan_of.pop((one["nhs_number"], one["plan_type"]), None)
            if plan is not None:
                found[one["row"]] = plan
    return found


def _open(plan_type: str, date_of_birth: date, today: date) -> bool:
    """Whether a plan without an end date is open: at 18, CPP and LAC have ended by themselves."""
    return plan_type == PlanType.UCPP or birthday(date_of_birth, 18) > today
