"""What becomes of each pair of a plan held and a row sent: the rules of the merge, in the order in which they apply.

The tables go side by side, a line a pair: `before` (PLANS) is the plan as held, all null where the register holds none;
`said` (ACCEPTED) the row, all null where the file has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.register import masks
from cpis_batch.vocabulary import Change

DELETE_UNKNOWN = "DELETE_UNKNOWN"  # a delete date for a plan that the register does not hold
PAST_RETENTION = "PAST_RETENTION"  # unknown, and ended longer ago than plans are kept

# What a row says of a plan beside its end.
FACTS = ("nhs_number", "plan_type", "start_date", "child_id", "family_name", "given_name", "date_of_birth")


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict a pair. `change` is null where a plan stands untouched or a row is passed over, then for the reason told."""

    change: pa.ChunkedArray
    passed_over: pa.ChunkedArray
    dates_differ: pa.ChunkedArray

    def has(self, change: Change) -> pa.ChunkedArray:
        """Where the verdict is this change."""
        return pc.fill_null(pc.equal(self.change, change), fill_value=False)


def afterwards(before: pa.Table, said: pa.Table, today: date) -> pa.Table:
    """Each plan as the file has it, and as it stood where no row speaks of it, with the 18th birthday applied.

    Columns: FACTS, end_date, end_basis.
    """
    spoken = pc.is_valid(said["line"])
    facts = {name: pc.if_else(spoken, said[name], before[name]) for name in FACTS}
    end = pc.if_else(spoken, said["end_date"], before["end_date"])
    basis = pc.if_else(spoken, pc.if_else(pc.is_valid(said["end_date"]), "LA", None), before["end_basis"])
    adult = masks.adult_on(facts["date_of_birth"])
    grown = _all(masks.outlives_childhood(facts["plan_type"], end, adult), pc.less_equal(adult, today))
    return pa.table({**facts, "end_date": pc.if_else(grown, adult, end), "end_basis": pc.if_else(grown, "AGE", basis)})


def judge(
    before: pa.Table,
    said: pa.Table,
    after: pa.Table,
    *,
    full: bool,
    rejected: pa.Array,
    was_deleted: pa.Array,
    today: date,
    retention_days: int,
) -> Judged:
    """The verdict on every pair; `after` is of `afterwards`.

    `full`: the file lists every plan, so that one it does not speak of is missing. `rejected`: a row that was kept out spoke
    of that child and type. `was_deleted`: the key that the row names was deleted at some time.
    """
    held, sent = pc.is_valid(before["la_code"]), pc.is_valid(said["line"])
    unknown, unspoken, deleting = pc.invert(held), pc.invert(sent), pc.is_valid(said["delete_date"])
    was_open, is_open = pc.is_null(before["end_date"]), pc.is_null(after["end_date"])
    to_last = pc.or_kleene(is_open, pc.greater_equal(after["end_date"], today))
    by_age = pc.fill_null(pc.equal(after["end_basis"], "AGE"), fill_value=False)
    sooner = pc.or_kleene(was_open, pc.greater(before["end_date"], after["end_date"]))
    dates_differ = _any(*(_differ(before[name], after[name]) for name in ("start_date", "end_date", "date_of_birth")))
    others_differ = _any(*(_differ(before[name], after[name]) for name in ("end_basis", "child_id")))
    names_differ = _any(*(_names_differ(before[name], after[name]) for name in ("family_name", "given_name")))

    passed_over = _first(
        (_all(unknown, deleting), DELETE_UNKNOWN),
        (_all(unknown, masks.spent(after["end_date"], today, retention_days)), PAST_RETENTION),
    )
    change = _first(
        (pc.is_valid(passed_over), None),
        (_all(unknown, was_deleted), Change.REOPENED),
        (unknown, Change.NEW),
        (deleting, Change.DELETED),
        (_all(by_age, sooner), Change.AGED_OUT),
        (_all(unspoken, pa.scalar(full), pc.invert(rejected), pc.invert(by_age), to_last), Change.MISSING),
        (unspoken, None),
        (_all(was_open, pc.invert(is_open)), Change.ENDED),
        (_all(pc.invert(was_open), is_open), Change.RESUMED),
        (_any(dates_differ, others_differ, names_differ), Change.AMENDED),
        (sent, Change.CONFIRMED),
    )
    return Judged(change, passed_over, dates_differ)


def _names_differ(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.Array:
    """Whether two names differ, composed characters (NFC) or not: of these it is asked only where the bytes differ."""
    differ = _differ(one, other).combine_chunks()
    composed = (pc.utf8_normalize(names.filter(differ), form="NFC").combine_chunks() for names in (one, other))
    return pc.replace_with_mask(differ, differ, _differ(*composed))


def _differ(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether two values differ, a null being a value like any other."""
    return pc.coalesce(pc.not_equal(one, other), pc.not_equal(pc.is_null(one), pc.is_null(other)))


def _all(*conditions: pa.Array) -> pa.Array:
    return reduce(pc.and_, conditions)


def _any(*conditions: pa.Array) -> pa.Array:
    return reduce(pc.or_, conditions)


def _first(*cases: tuple[pa.Array, str | None]) -> pa.Array:
    """The value of the first case that holds, else null."""
    conditions = pc.make_struct(*(condition for condition, _ in cases))
    return pc.case_when(conditions, *(pa.scalar(value, pa.string()) for _, value in cases))
