"""What a part of the register must hold whatever the night brought: its columns, its order, its keys, one LA's rows alone.

The bytes of a part are proven by its name (`store`), what it counts by the catalogue (`runs.verify`).
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.register.schema import HISTORY, KEY, PLANS
from cpis_batch.vocabulary import CLOSES


def faults_of_plans(plans: pa.Table, la_code: str) -> list[str]:
    """What is wrong with the plans (PLANS) of an LA, in words without a value; empty where all is well."""
    if not plans.schema.equals(PLANS):
        return ["its columns are not those of plans"]
    found = _faults(plans, la_code, KEY)
    if plans.group_by(list(KEY)).aggregate([]).num_rows < plans.num_rows:
        found.append("two plans have one key")
    if pc.any(pc.xor(pc.is_valid(plans["end_date"]), pc.is_valid(plans["end_basis"]))).as_py():
        found.append("a plan has an end date without a basis, or a basis without an end date")
    return found


def faults_of_history(history: pa.Table, la_code: str) -> list[str]:
    """What is wrong with the history (HISTORY) of an LA, in words without a value; empty where all is well."""
    if not history.schema.equals(HISTORY):
        return ["its columns are not those of the history"]
    found = _faults(history, la_code, (*KEY, "known_from", "known_to"))
    if pc.any(pc.greater(history["known_from"], history["known_to"])).as_py():
        found.append("a version was replaced before it was known")
    if not pc.all(pc.is_in(history["change"], pa.array([str(change) for change in CLOSES])), min_count=0).as_py():
        found.append("a version was replaced by no known change")
    return found


def _faults(table: pa.Table, la_code: str, order: Sequence[str]) -> list[str]:
    found = []
    if lacking := [field.name for field in table.schema if not field.nullable and table[field.name].null_count]:
        found.append(f"values are lacking in {', '.join(lacking)}")
    if not pc.all(pc.equal(table["la_code"], la_code), min_count=0).as_py():  # an authority may hold no plan
        found.append("it holds rows of another authority")
    placed = table.select(list(order))
    if not placed.equals(placed.sort_by([(name, "ascending") for name in order])):
        found.append("it is not sorted")
    return found
