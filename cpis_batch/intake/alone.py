"""Rows held to the rules that a row can break by itself: what they say, typed, and every fault of each.

Of the plain ones the look over them tells both (`plain`): what they say, and that there is no fault. The others go through SQL.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import engine
from cpis_batch.intake import faults, plain
from cpis_batch.intake.faults import CheckContext
from cpis_batch.intake.plain import Plain
from cpis_batch.intake.rules import ROW_RULES, columns
from cpis_batch.intake.rules.columns import DATES
from cpis_batch.register.schema import ACCEPTED

_SLICE, _THREADS = 500_000, 2  # planning the queries anew for a slice costs as much as 40,000 rows

# What is made of each row that was read: null where a value cannot be read. `nhs_value`: its NHS number as a number.
TYPED = pa.schema([*(field.with_nullable(True) for field in ACCEPTED), pa.field("nhs_value", pa.int64())])


def each_alone(rows: pa.Table, context: CheckContext) -> tuple[pa.Table, pa.Table]:
    """TYPED of the rows as they were read (intake.records), in their order, and their FAULTS, in none."""
    found = plain.looked_over(rows, context)
    if found.plain.all():
        return _typed(rows, found), faults.FAULTS.empty_table()
    others = rows.filter(pa.array(~found.plain))
    careful, told = _with_care(others, context)
    if others.num_rows == rows.num_rows:
        return careful, told
    return _put_in(_typed(rows, found), found, others, careful), told


def _typed(rows: pa.Table, found: Plain) -> pa.Table:
    """TYPED of plain rows: their texts as they stand, since nothing of them is to be trimmed."""
    dates = {field: pa.array(found.days[field], mask=~found.known[field]).cast(pa.date32()) for field in DATES}
    made = {name: dates.get(name, rows[name] if name in rows.column_names else None) for name in ACCEPTED.names}
    return pa.table({**made, "nhs_value": pa.array(found.nhs_value)}, schema=TYPED)


def _put_in(typed: pa.Table, found: Plain, others: pa.Table, careful: pa.Table) -> pa.Table:
    """The plain rows typed, with what care has made of the others in their places."""
    mask = pa.array(~found.plain)
    for name in TYPED.names:
        if pa.types.is_string(TYPED.field(name).type) and careful[name].equals(others[name]):
            continue  # as most of them are, and text is dear to write anew
        replaced = pc.replace_with_mask(typed[name], mask, careful[name].combine_chunks())
        typed = typed.set_column(typed.column_names.index(name), TYPED.field(name), replaced)
    return typed


def _with_care(rows: pa.Table, context: CheckContext) -> tuple[pa.Table, pa.Table]:
    """TYPED and FAULTS of rows of which anything may be true; of many rows in slices, two at a time."""

    def judged(begin: int) -> tuple[pa.Table, pa.Table]:
        typed = columns.typed(rows.slice(begin, _SLICE), context.business_date)
        return typed.select(TYPED.names).cast(TYPED), faults.of_rows(ROW_RULES, typed, context)

    if rows.num_rows <= _SLICE:
        return judged(0)

    def apart(begin: int) -> tuple[pa.Table, pa.Table]:
        try:
            return judged(begin)
        finally:
            engine.close()  # this thread's

    with ThreadPoolExecutor(_THREADS) as threads:
        typed, found = zip(*threads.map(apart, range(0, rows.num_rows, _SLICE)), strict=True)
    return pa.concat_tables(typed), pa.concat_tables(found)
