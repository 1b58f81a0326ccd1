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

from cpis_batch.engine import query
from cpis_batch.errors import Bug
from cpis_batch.register import predicates
from cpis_batch.register.history import deleted_keys
from cpis_batch.register.pairing import PERSON_AND_TYPE, PLAN, keys, pair
from cpis_batch.register.schema import ACCEPTED, CHANGES, HISTORY, PLANS
from cpis_batch.vocabulary import Change, ExtractKind

RETENTION_DAYS = 365  # DESIGN, section 3; a home may set another in [retention]

# Rows that were accepted and did nothing, with why. One row an accepted row: line (int32), reason (string).
PASSED_OVER = pa.schema([pa.field("line", pa.int32(), nullable=False), pa.field("reason", pa.string(), nullable=False)])
DELETE_UNKNOWN = "DELETE_UNKNOWN"  # a delete date for a plan that the register does not hold
PAST_RETENTION = "PAST_RETENTION"  # unknown, and ended longer ago than plans are kept


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


_FACTS = ("nhs_number", "plan_type", "start_date", "child_id", "family_name", "given_name", "date_of_birth")
_VERSIONED = [Change.AMENDED, Change.ENDED, Change.RESUMED, Change.DELETED, Change.AGED_OUT]
_TAKEN_IN = [Change.NEW, Change.REOPENED]

# What becomes of each pair of a plan held (h) and a row sent (s): `change`, null where a plan stands untouched or a row is
# passed over; and the plan's new end, the 18th birthday applied.
_JUDGE = f"""
WITH said AS (
    SELECT *,
        coalesce(s.nhs_number, h.nhs_number) AS nhs_number,
        coalesce(s.plan_type, h.plan_type) AS plan_type,
        coalesce(s.start_date, h.start_date) AS start_date,
        coalesce(s.date_of_birth, h.date_of_birth) AS date_of_birth,
        CASE WHEN "row" IS NULL THEN h.end_date ELSE s.end_date END AS end_date,
        CASE WHEN "row" IS NULL THEN h.end_basis WHEN s.end_date IS NOT NULL THEN 'LA' END AS end_basis
    FROM pairs
), born AS (
    SELECT *, {predicates.adult_on("said")} AS adult_on FROM said
), aged AS (
    SELECT *, {predicates.ends_by_age("born", "$today", "adult_on")} AS grown FROM born
), ends AS (
    SELECT *, CASE WHEN grown THEN adult_on ELSE end_date END AS ends_on, CASE WHEN grown THEN 'AGE' ELSE end_basis END AS ends_by
    FROM aged
), judged AS (
    SELECT *,
        (h.start_date, h.end_date, h.date_of_birth) IS DISTINCT FROM (start_date, ends_on, date_of_birth) AS dates_differ,
        CASE
            WHEN plan IS NOT NULL THEN NULL
            WHEN s.delete_date IS NOT NULL THEN '{DELETE_UNKNOWN}'
            WHEN {predicates.spent("ends_on", "$today", "$retention_days")} THEN '{PAST_RETENTION}'
        END AS passed_over,
        CASE
            WHEN passed_over IS NOT NULL THEN NULL
            WHEN plan IS NULL AND was_deleted THEN 'REOPENED'
            WHEN plan IS NULL THEN 'NEW'
            WHEN s.delete_date IS NOT NULL THEN 'DELETED'
            WHEN grown AND (h.end_date IS NULL OR h.end_date > ends_on) THEN 'AGED_OUT'
            WHEN "row" IS NULL AND $full AND NOT rejected AND ends_by IS DISTINCT FROM 'AGE'
                AND (ends_on IS NULL OR ends_on >= $today) THEN 'MISSING'
            WHEN "row" IS NULL THEN NULL
            WHEN h.end_date IS NULL AND ends_on IS NOT NULL THEN 'ENDED'
            WHEN h.end_date IS NOT NULL AND ends_on IS NULL THEN 'RESUMED'
            WHEN dates_differ OR h.end_basis IS DISTINCT FROM ends_by OR h.child_id <> s.child_id
                OR nfc_normalize(h.family_name) <> nfc_normalize(s.family_name)
                OR nfc_normalize(h.given_name) <> nfc_normalize(s.given_name) THEN 'AMENDED'
            ELSE 'CONFIRMED'
        END AS change
    FROM ends
)
SELECT plan, "row", s.line AS line, change, passed_over, ends_on AS end_date, ends_by AS end_basis,
    coalesce(h.start_date <> s.start_date, false) AS start_moved,
    coalesce(change = 'AMENDED' AND dates_differ, false) AS redated,
    coalesce({predicates.active("h", "$today")}, false) AS was_active,
    coalesce(change <> 'DELETED', true) AND {predicates.active("judged", "$today", "adult_on")} AS is_active,
    CASE WHEN "row" IS NULL THEN h.last_confirmed_on ELSE greatest(h.last_confirmed_on, $extracted_on) END AS last_confirmed_on,
    CASE
        WHEN change = 'MISSING' THEN coalesce(h.missing_since, $extracted_on)
        WHEN "row" IS NULL AND change IS NULL AND NOT rejected THEN h.missing_since
    END AS missing_since
FROM judged
ORDER BY nhs_number, plan_type, start_date
"""


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
    _check(plans, accepted, facts.la_code)
    pairs = pair(plans, accepted, business_date)
    before, said = plans.take(pairs["plan"]), accepted.take(pairs["row"])
    pairs = (
        pairs.append_column("h", before.to_struct_array())
        .append_column("s", said.to_struct_array())
        .append_column("was_deleted", _among(said, PLAN, None if history is None else deleted_keys(history)))
        .append_column("rejected", _among(before, PERSON_AND_TYPE, facts.rejected))
    )
    steps = query(
        _JUDGE,
        {"pairs": pairs},
        {
            "today": business_date,
            "extracted_on": facts.extracted_on,
            "full": facts.kind is ExtractKind.FULL,
            "retention_days": retention_days,
        },
    ).combine_chunks()
    return _assemble(plans, accepted, steps, facts, known_at)


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
    sql = f"SELECT min({predicates.adult_on('p')}) AS day FROM plans p WHERE {predicates.outlives_childhood('p')}"
    day: date | None = query(sql, {"plans": plans})["day"][0].as_py()
    return day


def _check(plans: pa.Table, accepted: pa.Table, la_code: str) -> None:
    if pc.any(pc.not_equal(plans["la_code"], la_code)).as_py():
        raise Bug(f"The part of {la_code} holds a plan of another authority.", "Run: cpis-batch register verify")
    if len(pc.unique(keys(accepted, PLAN))) < accepted.num_rows:
        raise Bug(f"Two accepted rows of {la_code} have one key.", "The rule on duplicates within a file let them through.")


def _among(rows: pa.Table, columns: Sequence[str], some: pa.Table | None) -> pa.Array:
    """Whether each row has, in `columns`, the values of one of `some`."""
    if some is None or some.num_rows == 0:
        return pa.repeat(pa.scalar(value=False), rows.num_rows)
    return pc.is_in(keys(rows, columns), value_set=keys(some, columns), skip_nulls=True)


def _assemble(plans: pa.Table, accepted: pa.Table, steps: pa.Table, facts: ExtractFacts, known_at: datetime) -> Merged:
    before, said = plans.take(steps["plan"]).combine_chunks(), accepted.take(steps["row"]).combine_chunks()
    change = steps["change"]
    versioned = pc.is_in(change, pa.array(_VERSIONED))
    altered = pc.or_(versioned, pc.is_in(change, pa.array(_TAKEN_IN)))
    restated = pc.and_(altered, pc.is_valid(steps["row"]))  # the plan stands as this file has it

    now = pa.scalar(known_at, HISTORY.field("known_to").type)
    after = {name: pc.if_else(restated, said[name], before[name]) for name in _FACTS}
    after |= {name: steps[name] for name in ("end_date", "end_basis", "last_confirmed_on", "missing_since")}
    after |= {
        "la_code": pa.repeat(facts.la_code, steps.num_rows),
        "known_from": pc.if_else(altered, now, before["known_from"]),
        "source_file": pc.if_else(restated, facts.source_file, before["source_file"]),
        "source_line": pc.if_else(restated, said["line"], before["source_line"]),
    }
    leaves = pc.or_(pc.is_valid(steps["passed_over"]), pc.fill_null(pc.equal(change, Change.DELETED), fill_value=False))
    told = steps.drop_columns(["missing_since"]).append_column(
        "missing_since", pc.if_else(pc.equal(change, Change.MISSING), steps["missing_since"], None)
    )
    for name in ("nhs_number", "plan_type", "start_date", "child_id"):
        told = told.append_column(name, after[name])
    closed = before.append_column("known_to", pa.repeat(now, steps.num_rows)).append_column("change", change)
    passed_over = steps.filter(pc.is_valid(steps["passed_over"])).select(["line", "passed_over"])
    return Merged(
        pa.table([after[name] for name in PLANS.names], names=PLANS.names).filter(pc.invert(leaves)).cast(PLANS),
        closed.filter(versioned).cast(HISTORY),
        told.filter(pc.is_valid(change)).select(CHANGES.names).cast(CHANGES),
        passed_over.rename_columns(PASSED_OVER.names).cast(PASSED_OVER),
    )
