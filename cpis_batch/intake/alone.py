"""Rows held to the rules that a row can break by itself: what they say, typed, and every fault of each.

Of the plain ones the look over them tells both (`plain`): what they say, and that there is no fault. The others go through SQL.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import engine
from cpis_batch.intake import faults, plain
from cpis_batch.intake.faults import CheckContext
from cpis_batch.intake.rules import ROW_RULES, columns
from cpis_batch.intake.rules.columns import DATES
from cpis_batch.intake.texts import Flags
from cpis_batch.register.schema import ACCEPTED

_SLICE, _THREADS = 500_000, 2  # planning the queries anew for a slice costs as much as 40,000 rows

# What a row says, null where it cannot be read.
TYPED = pa.schema([field.with_nullable(True) for field in ACCEPTED])
_TRIMMED = ("nhs_number", "plan_type")  # texts that TYPED has otherwise than they were read


@dataclass(frozen=True, slots=True, repr=False)
class Alone:
    """Rows that were held to the rules each by itself. `faults` (FAULTS) are those found, in no order.

    `nhs_values`: of each row the NHS number as a number; 0 where there is none.
    """

    faults: pa.Table
    nhs_values: npt.NDArray[np.int64]
    _read: pa.Table  # TYPED, save the texts of the `_others`, which stand as they were read
    _others: Flags  # which rows were looked at with care
    _careful: pa.Table  # TYPED of those

    def those(self, wanted: Flags) -> pa.Table:
        """TYPED of the wanted rows, in their order."""
        found = self._read if wanted.all() else self._read.filter(pa.array(wanted))
        others = pa.array(self._others[wanted])
        careful = self._careful.filter(pa.array(wanted[self._others]))
        for name in _TRIMMED if careful.num_rows else ():
            if not careful[name].equals(found[name].filter(others)):  # seldom, and text is dear to write anew
                replaced = pc.replace_with_mask(found[name], others, careful[name].combine_chunks())
                found = found.set_column(found.column_names.index(name), TYPED.field(name), replaced)
        return found


def each_alone(rows: pa.Table, context: CheckContext) -> Alone:
    """The rows as they were read (intake.records), held to all rules of a row."""
    found = plain.looked_over(rows, context)
    others = ~found.plain
    careful, numbers, told = _with_care(rows.filter(pa.array(others)), context)
    found.nhs_values[others] = numbers
    dates = {}
    for name in DATES:
        known = pc.is_valid(careful[name]).to_numpy()
        found.known[name][others] = known
        found.days[name][others] = pc.fill_null(careful[name].cast(pa.int32()), 0).to_numpy()
        dates[name] = pa.array(found.days[name], mask=~found.known[name]).cast(pa.date32())
    read = pa.table({name: dates[name] if name in dates else rows[name] for name in TYPED.names}, schema=TYPED)
    return Alone(told, found.nhs_values, read, others, careful)


def _with_care(rows: pa.Table, context: CheckContext) -> tuple[pa.Table, npt.NDArray[np.int64], pa.Table]:
    """TYPED, the NHS numbers as numbers, and FAULTS of rows of which anything may be true; of many in slices, two at a time."""
    if not rows.num_rows:
        return TYPED.empty_table(), np.empty(0, np.int64), faults.FAULTS.empty_table()

    def judged(begin: int) -> tuple[pa.Table, pa.Table]:
        typed = columns.typed(rows.slice(begin, _SLICE), context.business_date)
        return typed.select([*TYPED.names, "nhs_value"]), faults.of_rows(ROW_RULES, typed, context)

    def apart(begin: int) -> tuple[pa.Table, pa.Table]:
        try:
            return judged(begin)
        finally:
            engine.close()  # this thread's

    if rows.num_rows <= _SLICE:
        typed, found = judged(0)
    else:
        with ThreadPoolExecutor(_THREADS) as threads:
            typed, found = map(pa.concat_tables, zip(*threads.map(apart, range(0, rows.num_rows, _SLICE)), strict=True))
    return typed.select(TYPED.names).cast(TYPED), pc.fill_null(typed["nhs_value"], 0).to_numpy(), found
