"""The mass-change brake: a file that would change too much at once is held whole, until a person has looked.

DESIGN, section 4, rule 8. It is asked after `merge` and before anything is written, so that what would happen is known exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import ceil, floor

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.register.brake import Brake
from cpis_batch.register.pairing import PLAN, keys
from cpis_batch.register.view import active, by_type
from cpis_batch.vocabulary import Change, ExtractKind, PlanType


class Effect(StrEnum):
    """What a held file would do too much of."""

    END = "END"
    DELETE = "DELETE"
    ADD = "ADD"
    REDATE = "REDATE"
    LEAVE_MISSING = "LEAVE_MISSING"
    FEW_ROWS = "FEW_ROWS"
    EMPTY = "EMPTY"


_FILE_WORDS = {
    Effect.FEW_ROWS: "It has {count} rows; the full extract before had {base}. Under {limit}, a person looks first.",
    Effect.EMPTY: "It is empty, where there were {base} rows before.",
}
_TYPE_WORDS = {
    Effect.END: "It would end {count} {plan_type} plans",
    Effect.DELETE: "It would delete {count} {plan_type} plans",
    Effect.ADD: "It would add {count} {plan_type} plans",
    Effect.REDATE: "It would change dates of {count} {plan_type} plans",
    Effect.LEAVE_MISSING: "It leaves out {count} {plan_type} plans that have not ended",
}
_OF_TYPE = "{what}; {base} were active before. Over {limit}, a person looks first."

# RESUMED plans are shown again, so they are added. AGED_OUT is the calendar's doing, not the file's.
_COUNTED = {
    Effect.END: (Change.ENDED,),
    Effect.DELETE: (Change.DELETED,),
    Effect.ADD: (Change.NEW, Change.REOPENED, Change.RESUMED),
    Effect.LEAVE_MISSING: (Change.MISSING,),
}


@dataclass(frozen=True, slots=True)
class Excess:
    """One reason to hold a file: `count` stands against `limit`, and `base` is what the limit was taken from."""

    effect: Effect
    plan_type: PlanType | None  # None: the file as a whole
    count: int
    limit: int
    base: int

    @property
    def words(self) -> str:
        """The reason as the LA and the operator read it; counts only."""
        if self.plan_type is None:
            return _FILE_WORDS[self.effect].format(count=self.count, base=self.base, limit=self.limit)
        what = _TYPE_WORDS[self.effect].format(count=self.count, plan_type=self.plan_type)
        return _OF_TYPE.format(what=what, base=self.base, limit=self.limit)


def assess(
    plans: pa.Table,
    changes: pa.Table,
    *,
    kind: ExtractKind,
    rows: int,
    usual_rows: int | None,
    first: bool,
    business_date: date,
    brake: Brake,
) -> tuple[Excess, ...]:
    """Why the file must be held; nothing where it may be merged.

    `plans` (PLANS) is the LA's part before and `changes` (CHANGES) what the merge would do. `rows` is how many rows the file
    has, `usual_rows` how many the LA's last merged FULL had (None: none yet); both are asked of a FULL only, since a DELTA
    is as long as there is news. `first`: the LA has never had a file merged, and is exempt.

    Plans that an earlier file left out count too, yet only a file that leaves out another one is held for them: what a
    person has released is not asked again every night.
    """
    if first:
        return ()
    standing = active(plans, business_date)
    found = list(_of_the_file(kind, rows, usual_rows, standing.num_rows, brake))
    before = by_type(standing)
    counts = {
        effect: by_type(changes.filter(pc.is_in(changes["change"], pa.array(list(which))))) for effect, which in _COUNTED.items()
    }
    counts[Effect.REDATE] = by_type(changes.filter(changes["redated"]))
    newly_missing = by_type(_newly_missing(plans, changes))
    for plan_type in PlanType:
        limit = max(brake.minimum, floor(_exact(brake.share * before[plan_type])))
        found += [
            Excess(effect, plan_type, counts[effect][plan_type], limit, before[plan_type])
            for effect in _TYPE_WORDS
            if counts[effect][plan_type] > limit and (effect is not Effect.LEAVE_MISSING or newly_missing[plan_type])
        ]
    return tuple(found)


def _of_the_file(kind: ExtractKind, rows: int, usual_rows: int | None, standing: int, brake: Brake) -> Iterator[Excess]:
    usual = usual_rows or 0
    least = ceil(_exact(brake.row_count_share * usual))
    if kind is not ExtractKind.FULL:
        return
    if rows == 0 and (usual or standing):
        yield Excess(Effect.EMPTY, None, 0, least, usual or standing)
    elif rows < least:
        yield Excess(Effect.FEW_ROWS, None, rows, least, usual)


def _newly_missing(plans: pa.Table, changes: pa.Table) -> pa.Table:
    left_out = changes.filter(pc.equal(changes["change"], Change.MISSING))
    if not left_out.num_rows:
        return left_out  # most nights
    was_there = plans.filter(pc.is_null(plans["missing_since"]))
    return left_out.filter(pc.is_in(keys(left_out, PLAN), value_set=keys(was_there, PLAN)))


def _exact(share_of: float) -> float:
    """A share of a count without the noise of binary fractions: 0.29 of 100 is 29, not a little less."""
    return round(share_of, 6)
