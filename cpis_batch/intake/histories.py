"""Persons with several rows in a file: whether these tell a plain history, of which no rule across rows can have anything to say.

Such a history has one date of birth, and of each type of plan one after the other, the last of them open or not. What is asked
here is asked in numpy and errs to one side only, as `plain` does; the rules themselves look at all rows of every other person.

`HELD_TO` names the rules that this was held to (tests/properties/test_plain_rows.py); under any others no history is plain.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.intake.alone import Alone
from cpis_batch.intake.rules import ACROSS_RULES, across, rule
from cpis_batch.intake.texts import Flags
from cpis_batch.vocabulary import PlanType

RULES = rule.digest(ACROSS_RULES, across.COMPARED)
HELD_TO = "787a03f19d5537127052908cc7506beea1846ecd458c8245a51183220cef612b"

_Numbers = npt.NDArray[np.int64]


def to_compare(rows: Alone, files: _Numbers, sound: Flags) -> pa.Table:
    """across.COLUMNS of the rows that the rules across rows must look at. `sound` are those that would load by themselves.

    `files`: of which file each row is, from 0. Persons are told apart by it: no file is held to another.
    """
    several = _of_persons_with_several(rows.nhs_values, files, sound)
    found = rows.those(several).append_column("file", pa.array(files[several]))
    persons = _persons(rows.nhs_values[several], files[several])
    return found.select(across.COLUMNS).filter(pa.array(~_plain(found, persons)))


def _persons(numbers: _Numbers, files: _Numbers) -> _Numbers:
    return files * 10**10 + numbers


def _of_persons_with_several(numbers: _Numbers, files: _Numbers, sound: Flags) -> Flags:
    """Few persons have several rows; sorting their numbers finds them in a tenth of the time that comparing all would take."""
    places = np.flatnonzero(sound)
    persons = _persons(numbers[places], files[places])
    ordered = np.sort(persons)
    several = ordered[1:][ordered[1:] == ordered[:-1]]
    found = np.zeros(len(sound), np.bool_)
    found[places[pc.is_in(pa.array(persons), pa.array(several)).to_numpy(zero_copy_only=False)]] = True
    return found


def _plain(rows: pa.Table, persons: _Numbers) -> Flags:
    """Of each row, whether the history of its person is plain."""
    if RULES != HELD_TO or not len(persons):
        return np.zeros(len(persons), np.bool_)
    types = pc.index_in(rows["plan_type"], pa.array(list(PlanType), pa.string())).to_numpy()
    born, start, end = (_days(rows[name]) for name in ("date_of_birth", "start_date", "end_date"))
    is_open = pc.is_null(rows["end_date"]).to_numpy()
    order = np.lexsort((start, types, persons))
    one, other = order[:-1], order[1:]  # a row, and the next of its person
    same = persons[one] == persons[other]
    overlaps = (types[one] == types[other]) & (is_open[one] | (end[one] > start[other]) | (start[one] == start[other]))
    odd = same & ((born[one] != born[other]) | overlaps)
    found: Flags = ~np.isin(persons, persons[one[odd]])
    return found


def _days(column: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    days: npt.NDArray[np.int32] = pc.fill_null(column.cast(pa.int32()), 0).to_numpy()
    return days
