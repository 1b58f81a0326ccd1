"""The rows of the catalogue, as values. Columns are those of schema.sql; instants are aware, in UTC."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from cpis_batch.audit.entry import Deed
from cpis_batch.vocabulary import Change, ExtractKind, FileOutcome, FileState, PlanType


class LaVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit made of one LA: its parts, its counts, and its place in its sequence of extracts.

    `oldest_end` is the earliest end date among its plans: once it is past retention, something is due to be erased.
    """

    la_code: str
    plans_part: str
    history_part: str | None
    logical_digest: str
    row_count: int
    active_cpp: int
    active_lac: int
    active_ucpp: int
    missing: int
    missing_since: date | None
    next_age_out: date | None
    oldest_end: date | None
    epoch: int
    last_sequence: int
    last_kind: ExtractKind
    last_extracted_at: datetime
    last_file: str
    last_content: str
    usual_rows: int | None
    office_phone: str
    emergency_phone: str


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """opening + new + reopened - deleted - erased = closing, of one LA and plan type in one commit."""

    la_code: str
    plan_type: str
    opening: int
    new: int
    reopened: int
    deleted: int
    erased: int
    closing: int


class ChangeCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many plans of one LA a commit changed in one way."""

    la_code: str
    change: Change
    plans: int


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One file, one time that it was put down for us. Held files have no outcome yet; `code` is the CPB code of a refusal.

    `erased_in` is the commit since which its bytes are no longer kept; what it was, and what became of it, stays known.
    """

    id: int
    partner: str
    mailbox: str
    folder: str
    name: str
    digest: str
    size: int
    modified_at: datetime
    seen_at: datetime
    state: FileState
    file_outcome: FileOutcome | None = None
    code: str | None = None
    epoch: int | None = None
    sequence: int = -1
    kind: str | None = None
    extracted_at: datetime | None = None
    signer: str | None = None
    records: int | None = None
    records_loaded: int | None = None
    records_rejected: int | None = None
    records_warned: int | None = None
    moved_to: str | None = None
    erased_in: int | None = None


class WouldChange(msgspec.Struct, frozen=True):
    """How many plans of a type a held file would change in one way."""

    plan_type: str
    change: str
    plans: int


class Would(msgspec.Struct, frozen=True, kw_only=True):
    """What the release of a held file would do: plans by type and change, the active before and after. As it was held."""

    changes: tuple[WouldChange, ...]
    active_before: dict[PlanType, int]
    active_after: dict[PlanType, int]


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a person (BRAKE, RESET, CONFLICT), for another file (GAP), behind a conflict (PARTNER_HELD), or for the
    trace service (DEMOGRAPHICS).

    `would` is None for a conflict, which changes no plan by itself.
    """

    id: int = 0
    arrival_id: int
    partner: str
    reason: str
    detail: str
    made_at: datetime
    would: Would | None = None
    decision: str | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None
    decision_reason: str | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One sealed message for one partner: a line of the outbox and of the sharing log. `erased_in` as of an Arrival."""

    id: int = 0
    arrival_id: int | None = None
    partner: str
    kind: str
    purpose: str
    agreement: str
    mailbox: str
    folder: str
    name: str
    digest: str
    size: int
    record_count: int
    made_at: datetime
    delivered_at: datetime | None = None
    collected_at: datetime | None = None
    attempts: int = 0
    last_fault: str | None = None
    erased_in: int | None = None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be read and may still be growing."""

    mailbox: str
    folder: str
    name: str
    digest: str
    first_seen_at: datetime


class EventPart(msgspec.Struct, frozen=True, kw_only=True):
    """Access events of one month: YYYY-MM of the access, or YYYY-MM.NNN for a further part of it (runs.event_parts)."""

    month: str
    part: str
    row_count: int


class TracePart(msgspec.Struct, frozen=True, kw_only=True):
    """One table of what the trace tells of persons (`runs.demographics.TABLES`) or was told of them (`runs.national.TABLES`)."""

    name: str
    part: str
    row_count: int


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One fortnight's release to the CHIS units. `caught_up` names the missed fortnights that it stands for as well."""

    year: int
    number: int
    sequence: int
    starts: date
    caught_up: str
    rows_part: str
    unroutable_part: str
    active: int
    sent: int
    unroutable: int


class ReleaseBalance(msgspec.Struct, frozen=True, kw_only=True):
    """active = sent + unroutable, of one LA and plan type in one release; `sent` are distinct plans in the files as sealed."""

    la_code: str
    plan_type: str
    active: int
    sent: int
    unroutable: int


class ReleaseErasure(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a release without those of persons who were erased."""

    year: int
    number: int
    rows_part: str


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where the archived story of an LA begins: its plans and history as a commit left them, parts in the archive."""

    la_code: str
    plans_part: str
    history_part: str | None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run, and what it keeps of itself: `summary` is JSON, of specs/run/1.0 where the run is of a kind that has one.

    `ended_at` and `exit_code` are None while it is at work, and for ever where it was killed.
    """

    id: int
    kind: str
    business_date: date
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    summary: str | None


class CommitHead(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a commit: its place in the line of commits, when, for which business date, and by what.

    `children` counts those with an active plan in the whole register, each once; a UCPP counts for the child not yet born.
    """

    id: int
    parent: int | None
    made_at: datetime
    business_date: date
    kind: str
    program: str
    rules: str
    reference: str
    register_digest: str
    children: int | None


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """All that becomes true in one transaction."""

    made_at: datetime
    business_date: date
    kind: str
    program: str
    rules: str
    reference: str
    children: int | None
    versions: tuple[LaVersion, ...] = ()
    balances: tuple[Balance, ...] = ()
    changes: tuple[ChangeCount, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    settled: tuple[Arrival, ...] = ()  # arrivals that were HELD before and are final now
    holds: tuple[Hold, ...] = ()
    decided: tuple[Hold, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    event_parts: tuple[EventPart, ...] = ()
    trace_parts: tuple[TracePart, ...] = ()
    release: Release | None = None
    release_balances: tuple[ReleaseBalance, ...] = ()
    deeds: tuple[Deed, ...] = ()  # what the audit log is to tell beside what it reads from these rows: who asked for it, and why
    release_erasure: ReleaseErasure | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    erased_arrivals: tuple[int, ...] = ()  # whose archived bytes are kept no longer
    erased_deliveries: tuple[int, ...] = ()  # likewise the sealed messages
