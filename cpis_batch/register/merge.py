"""Merge: what one extract of one LA does to that LA's part of the register. A pure function.

The rules (DESIGN, sections 4 and 5):

- Absence never ends a plan. What a FULL extract leaves out is MISSING: it stays, its `last_confirmed_on` stands still.
  A row that was sent and rejected is not absent.
- A row with a delete date takes out the plan with that very key; it goes to the history.
- An LA has one open plan of a type for a person, so an open row with an unknown start date amends the start of the open
  plan, unless this file speaks of that plan in a row of its own.
- CPP and LAC end on the 18th birthday, whatever the LA goes on sending; a UCPP, on an adult's number, does not.
- What ended longer ago than the retention is not taken in again.

Merged twice, a file changes nothing the second time. The order of the rows makes no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.business_time import birthday
from cpis_batch.errors import Bug
from cpis_batch.register import masks
from cpis_batch.register.history import deleted_keys
from cpis_batch.register.judge import FACTS, Judged, afterwards, judge
from cpis_batch.register.pairing import PERSON_AND_TYPE, PLAN, keys, pair
from cpis_batch.register.schema import ACCEPTED, CHANGES, HISTORY, PLANS
from cpis_batch.vocabulary import CLOSES, Change, ExtractKind, PlanType

RETENTION_DAYS = 365  # DESIGN, section 3; a home may set another in [retention]

# Rows that were accepted and did nothing, with why (`judge`): DELETE_UNKNOWN or PAST_RETENTION.
PASSED_OVER = pa.schema([pa.field("line", pa.int32(), nullable=False), pa.field("reason", pa.string(), nullable=False)])


@dataclass(frozen=True, slots=True)
class ExtractFacts:
    """What merge needs to know of the file beside its accepted rows.

    `extracted_on` is the date in England of the header's extracted-at; `source_file` the SHA-256 of the file's bytes;
    `rejected` the rows that were kept out, with nhs_number and plan_type as text (null or nonsense match nothing).
    """

    la_code: str
    kind: ExtractKind
    extracted_on: date
    source_file: str
    rejected: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """`plans` (PLANS, sorted by key) replaces the part, `closed` (HISTORY) goes to the history, `changes` (CHANGES) tells.

    Every accepted row has one row in `changes` or one in `passed_over` (PASSED_OVER).
    """

    plans: pa.Table
    closed: pa.Table
    changes: pa.Table
    passed_over: pa.Table


_TAKEN_IN = [Change.NEW, Change.REOPENED]


def merge(
    plans: pa.Table,
    accepted: pa.Table,
    facts: ExtractFacts,
    *,
    business_date: date,
    known_at: datetime,
    retention_days: int = RETENTION_DAYS,
    history: pa.Table | None = None,
) -> Merged:
    """Merge the accepted rows (ACCEPTED) of one extract into the part (PLANS) of its LA.

    `business_date` (England) decides ages, what is active and what is past retention; `known_at` (with zone) is the
    instant of the commit that will name the result. `history` (HISTORY of the LA, or its columns nhs_number,
    plan_type, start_date and change) tells REOPENED from NEW.

    An older FULL is not for merge (`intake.sequence` turns it away); even so `last_confirmed_on` never goes back.
    Bug where the part holds another LA's plan or two accepted rows have one key.
    """
    plans, accepted = plans.combine_chunks(), accepted.combine_chunks()
    _check(plans, facts.la_code)
    pairs = pair(plans, accepted, business_date)
    before, said = plans.take(pairs["plan"]).combine_chunks(), accepted.take(pairs["row"]).combine_chunks()
    after = afterwards(before, said, business_date)
    rejected = _among(before, PERSON_AND_TYPE, facts.rejected)
    judged = judge(
        before,
        said,
        after,
        full=facts.kind is ExtractKind.FULL,
        rejected=rejected,
        was_deleted=_among(said, PLAN, None if history is None else deleted_keys(history)),
        today=business_date,
        retention_days=retention_days,
    )
    now = pa.scalar(known_at, HISTORY.field("known_to").type)
    merged = _merged(before, said, after, judged, rejected, facts, now)
    changes = _changes(merged, before, said, after, judged, business_date)

    versioned = pc.is_in(judged.change, pa.array(CLOSES))
    closed = before.append_column("known_to", pa.repeat(now, len(versioned))).append_column("change", judged.change)
    passed_over = pa.table([said["line"], judged.passed_over], names=PASSED_OVER.names)
    leaves = pc.or_(judged.has(Change.DELETED), pc.is_valid(judged.passed_over))
    return Merged(
        merged.filter(pc.invert(leaves)).cast(PLANS),
        closed.filter(versioned).cast(HISTORY),
        changes.filter(pc.is_valid(judged.change)).cast(CHANGES),
        passed_over.filter(pc.is_valid(judged.passed_over)).cast(PASSED_OVER),
    )


def age_out(plans: pa.Table, *, business_date: date, known_at: datetime) -> Merged:
    """End by AGE, on the 18th birthday, the CPP and LAC plans of those who have had it by `business_date`.

    `merge` does the same on its way; this is for an LA that sends nothing that night.
    """
    la_codes = pc.unique(plans["la_code"])
    if len(la_codes) == 0:
        return Merged(plans, HISTORY.empty_table(), CHANGES.empty_table(), PASSED_OVER.empty_table())
    nothing = ExtractFacts(la_codes[0].as_py(), ExtractKind.DELTA, date.min, "")
    return merge(plans, ACCEPTED.empty_table(), nothing, business_date=business_date, known_at=known_at)


def next_age_out(plans: pa.Table) -> date | None:
    """The earliest day on which `age_out` would end a plan; it may lie in the past. None where no plan waits for it."""
    ends, born = plans["end_date"], plans["date_of_birth"]
    childs, is_open = pc.not_equal(plans["plan_type"], PlanType.UCPP), pc.is_null(ends)
    first_born = pc.min(born.filter(pc.and_(childs, is_open)))  # who was born first turns 18 first
    ending = pc.and_(childs, pc.invert(is_open))
    adult = masks.adult_on(born.filter(ending))
    beyond = pc.min(adult.filter(pc.greater(ends.filter(ending), adult))).as_py()
    return min((day for day in (first_born.is_valid and birthday(first_born.as_py(), 18), beyond) if day), default=None)


def _check(plans: pa.Table, la_code: str) -> None:
    if pc.any(pc.not_equal(plans["la_code"], la_code)).as_py():
        raise Bug(f"The part of {la_code} holds a plan of another authority.", "Run: cpis-batch register verify")


def _among(rows: pa.Table, columns: Sequence[str], some: pa.Table | None) -> pa.Array:
    """Whether each row has, in `columns`, the values of one of `some`."""
    if some is None or some.num_rows == 0:
        return pa.repeat(pa.scalar(value=False), rows.num_rows)
    return pc.is_in(keys(rows, columns), value_set=keys(some, columns), skip_nulls=True)


def _merged(
    before: pa.Table, said: pa.Table, after: pa.Table, judged: Judged, rejected: pa.Array, facts: ExtractFacts, now: pa.Scalar
) -> pa.Table:
    """The plan of every pair as it stands from now on, those that leave the register included."""
    spoken, extracted_on = pc.is_valid(said["line"]), pa.scalar(facts.extracted_on)
    altered = pc.is_in(judged.change, pa.array([*CLOSES, *_TAKEN_IN]))
    restated = pc.and_(altered, spoken)  # it stands as this file has it, else as it stood
    confirmed_on = pc.max_element_wise(before["last_confirmed_on"], extracted_on)
    untouched = pc.and_(pc.is_null(judged.change), pc.invert(pc.or_(spoken, rejected)))
    missing_since = pc.case_when(
        pc.make_struct(judged.has(Change.MISSING), untouched),
        pc.coalesce(before["missing_since"], extracted_on),
        before["missing_since"],
    )
    columns = {name: pc.if_else(restated, after[name], before[name]) for name in FACTS} | {
        "la_code": pa.repeat(facts.la_code, len(spoken)),
        "end_date": after["end_date"],
        "end_basis": after["end_basis"],
        "last_confirmed_on": pc.if_else(spoken, confirmed_on, before["last_confirmed_on"]),
        "missing_since": missing_since,
        "known_from": pc.if_else(altered, now, before["known_from"]),
        "source_file": pc.if_else(restated, facts.source_file, before["source_file"]),
        "source_line": pc.if_else(restated, said["line"], before["source_line"]),
    }
    return pa.table([columns[name] for name in PLANS.names], names=PLANS.names)


def _changes(merged: pa.Table, before: pa.Table, said: pa.Table, after: pa.Table, judged: Judged, today: date) -> pa.Table:
    """What became of every pair, with the columns of CHANGES."""
    start_moved = pc.not_equal(before["start_date"], said["start_date"])
    columns = {name: merged[name] for name in ("nhs_number", "plan_type", "start_date", "child_id")} | {
        "change": judged.change,
        "line": said["line"],
        "was_active": masks.active(before, today),
        "is_active": pc.and_(masks.active(after, today), pc.invert(judged.has(Change.DELETED))),
        "missing_since": merged["missing_since"],
        "start_moved": pc.fill_null(start_moved, fill_value=False),
        "redated": pc.and_(judged.has(Change.AMENDED), judged.dates_differ),
    }
    return pa.table([columns[name] for name in CHANGES.names], names=CHANGES.names)
