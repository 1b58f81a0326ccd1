"""Retention applied: what is past its time erased from register, archive, outbox and access events, in one commit.

Order is everything. Each authority's archive is proven to come to its register, and a checkpoint is written in its place
(`la_erasure`, in workers); one commit names the new parts and marks the files and messages that are kept no longer; only then
are these removed. A kill before the commit leaves all as it was; after it, whatever runs next removes the rest (`hub.tidy`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access.schema import EVENT_IDS
from cpis_batch.audit.entry import Deed, Kind
from cpis_batch.catalogue.records import ChangeCount, CommitHead, EventPart, LaVersion, ReleaseErasure, TracePart
from cpis_batch.errors import CpisError, Exit, UsageFault, place_of
from cpis_batch.extracts.chis import EXTRACT
from cpis_batch.runs import log, rebuild, reports, retention
from cpis_batch.runs.as_of import Use
from cpis_batch.runs.hub import Hub, tidy
from cpis_batch.runs.la_erasure import ErasureTask, LaErasure, erase
from cpis_batch.runs.pool import workers
from cpis_batch.runs.retention import LeftOut, Plan
from cpis_batch.runs.spool import REPEATED
from cpis_batch.vocabulary import Change, ExtractChange

Progress = Callable[[str, int, int], None]  # stage, done, of
VERSION = "1.0"
KIND = "retention"  # of its line in the log of runs


@dataclass(frozen=True, slots=True)
class Asked:
    """Which plan is applied, and how far. `las`: these alone, if any is named; `unproven`: these without proof."""

    token: str
    las: tuple[str, ...] = ()
    beyond_brake: bool = False
    unproven: bool = False


@dataclass(slots=True)
class Applied:
    """What a retention run came to; `document` is its published form (specs/retention-apply/1.0)."""

    plan: Plan
    dry_run: bool = False
    head: CommitHead | None = None
    las: list[LaErasure] = field(default_factory=list)
    left_out: dict[str, tuple[LeftOut, str]] = field(default_factory=dict)
    files: int = 0
    messages: int = 0
    events: int = 0

    @property
    def exit_code(self) -> Exit:
        """PERSON_NEEDED where an authority was left out; BUG where a fault of the program did it."""
        if any(one.exit_code is Exit.BUG for one in self.las):
            return Exit.BUG
        waits_by_itself = all(reason is LeftOut.RELEASE for reason, _ in self.left_out.values())
        return Exit.DONE if waits_by_itself else Exit.PERSON_NEEDED

    @property
    def document(self) -> dict[str, Any]:
        """One object with what went and what was left out: counts, and no value of a record."""
        return {
            "version": VERSION,
            "business_date": self.plan.business_date,
            "plan": self.plan.token,
            "dry_run": self.dry_run,
            "commit": self.head.id if self.head else None,
            "register_digest": self.head.register_digest if self.head else self.plan.register_digest,
            "plans": sum(one.plans for one in self.las),
            "versions": sum(one.versions for one in self.las),
            "archived_files": self.files,
            "messages": self.messages,
            "access_events": self.events,
            "las": [
                {"la": one.la_code, "plans": one.plans, "versions": one.versions}
                for one in self.las
                if self.dry_run or one.checkpoint
            ],
            "left_out": [
                {"la": la_code, "reason": reason, "why": why} for la_code, (reason, why) in sorted(self.left_out.items())
            ],
            "exit_code": int(self.exit_code),
        }


def rehearse(home: Path, asked: Asked, business_date: date) -> Applied:
    """What `apply` would do, for `--dry-run`: nothing is replayed, written or removed."""
    plan = retention.plan(home, business_date)
    _hold_to(plan, asked)
    chosen, left_out = _chosen(plan, asked)
    found = Applied(plan, dry_run=True, left_out=left_out)
    for one in chosen:
        found.las.append(LaErasure(one.la_code, plans=sum(one.plans.values()), versions=one.versions, exit_code=Exit.DONE))
    found.files = sum(one.files for one in chosen) + plan.events_files
    found.messages = sum(one.messages for one in chosen) + plan.messages
    found.events = plan.events
    return found


def apply(hub: Hub, asked: Asked, use: Use, progress: Progress = lambda *_: None) -> Applied:
    """Erase what the plan of that token names.

    UsageFault where another state has another plan, or no such LA is in it; Bug where the ledger does not balance.
    """
    hub.hold_to_the_ledger()
    plan = retention.planned(hub.home, hub.catalogue, hub.store, hub.settings, hub.partners, hub.business_date)
    _hold_to(plan, asked)
    chosen, left_out = _chosen(plan, asked)
    done = Applied(plan, left_out=left_out)
    number = hub.catalogue.start_run(KIND, hub.business_date, hub.now)
    log.start(hub.home, hub.business_date)
    log.of_run(number)
    try:
        log.event("retention begins", plan=plan.token, by=use.by, reason=use.reason)
        done.las = _erased(hub, [one.la_code for one in chosen], asked, progress)
        done.left_out |= {one.la_code: (LeftOut.UNPROVEN, one.why) for one in done.las if one.checkpoint is None}
        _commit(hub, done, asked, use)
        tidy(hub)
        for path in retention.unnamed_files(hub.home, hub.catalogue, hub.business_date, plan.outbox_days):
            path.unlink(missing_ok=True)
        for la_code, (reason, why) in done.left_out.items():
            log.event("left out of retention", la=la_code, reason=reason, why=why)
        log.event("retention ends", commit=done.head.id if done.head else None, plans=done.document["plans"])
        summary = done.document | {"by": use.by, "reason": use.reason}
        hub.catalogue.end_run(number, hub.now, int(done.exit_code), msgspec.json.encode(summary))
    except BaseException as fault:
        why = fault.message if isinstance(fault, CpisError) else place_of(fault)
        log.event("retention broken off", logging.ERROR, fault=why)
        raise
    finally:
        log.stop()
    return done


def _hold_to(plan: Plan, asked: Asked) -> None:
    if asked.token != plan.token:
        raise UsageFault(
            f"This is not the plan that {asked.token} names: the day, the register or what is due has changed since.",
            "Look again: cpis-batch retention plan; then apply the token that it prints.",
        )
    if asked.unproven and not asked.las:
        raise UsageFault("--unproven wants the authorities named.", "Name each with --la, after a look at register rebuild --la.")
    if unknown := sorted(set(asked.las) - {one.la_code for one in plan.las}):
        raise UsageFault(f"Nothing is due of {', '.join(unknown)}.", "See: cpis-batch retention plan")


def _chosen(plan: Plan, asked: Asked) -> tuple[list[retention.OfLa], dict[str, tuple[LeftOut, str]]]:
    """The authorities of which something is erased now, and those that are left out of what was asked for."""
    wanted = [one for one in plan.las if not asked.las or one.la_code in asked.las]
    passes = (None, LeftOut.BRAKE) if asked.beyond_brake else (None,)
    left_out = {one.la_code: (one.left_out, one.why) for one in wanted if one.left_out and one.left_out not in passes}
    return [one for one in wanted if one.left_out in passes], left_out


def _erased(hub: Hub, codes: list[str], asked: Asked, progress: Progress) -> list[LaErasure]:
    """Every chosen authority in a worker process."""
    if not codes:
        return []
    shown = retention.shown_by_release(hub.catalogue, hub.store)
    versions = {version.la_code: version for version in hub.catalogue.las()}
    proofs = {task.la_code: task for task in rebuild.tasks_of(hub.catalogue, hub.partners, tuple(codes))}
    tasks = [
        ErasureTask(versions[code], retention.shown_of(shown, code), None if asked.unproven else proofs[code]) for code in codes
    ]
    found: list[LaErasure] = []
    with workers(hub, len(tasks), rebuild.oldest_day(list(proofs.values()), hub.business_date)) as executor:
        for future in as_completed([executor.submit(erase, task) for task in tasks]):
            found.append(future.result())
            progress("proving the archive and erasing", len(found), len(tasks))
    return sorted(found, key=lambda one: one.la_code)


def _commit(hub: Hub, done: Applied, asked: Asked, use: Use) -> None:
    erased = [one for one in done.las if one.checkpoint]
    changed = {one.version.la_code: one.version for one in erased if one.version}
    codes = {one.la_code for one in erased}
    arrivals = [one.id for one in hub.catalogue.arrivals("erased_in IS NULL AND state <> 'HELD'") if one.partner in codes]
    arrivals += retention.settled_events_files(hub.catalogue, hub.partners)
    old = {number for number, _ in retention.old_messages(hub.catalogue, hub.business_date, done.plan.outbox_days)}
    kept = hub.catalogue.deliveries("delivered_at IS NOT NULL AND erased_in IS NULL")
    messages = [one.id for one in kept if one.partner in codes or one.id in old]
    persons = _persons(hub, changed)
    events, done.events = _events(hub, persons)
    release = _release(hub, persons)
    traces = tuple(
        TracePart(name=name, part=hub.store.write(stays).digest, row_count=stays.num_rows)
        for name, stays in retention.trace_without(hub.catalogue, hub.store, persons)
    )
    done.files, done.messages = len(arrivals), len(messages)
    if not (erased or arrivals or messages or events or release or traces):
        return
    done.head = hub.commit(
        "ERASURE",
        versions=tuple(changed.values()),
        balances=tuple(line for one in erased for line in one.balances),
        changes=tuple(ChangeCount(la_code=one.la_code, change=Change.ERASED, plans=one.plans) for one in erased if one.plans),
        checkpoints=tuple(one.checkpoint for one in erased if one.checkpoint),
        erased_arrivals=tuple(arrivals),
        erased_deliveries=tuple(messages),
        event_parts=tuple(events),
        release_erasure=release,
        trace_parts=traces,
        deeds=(_deed(asked, use),),
    )


def _deed(asked: Asked, use: Use) -> Deed:
    """What the audit log is to tell of the command: which plan, how far beyond it, who and why."""
    what = {"command": "retention apply", "plan": asked.token, "las": asked.las, "by": use.by, "reason": use.reason}
    return Deed(Kind.COMMAND, what | {"beyond_brake": asked.beyond_brake, "unproven": asked.unproven})


def _persons(hub: Hub, changed: dict[str, LaVersion]) -> pa.Array:
    """The NHS numbers that stand in some authority's plans or history after this erasure."""
    versions = {version.la_code: version for version in hub.catalogue.las()} | changed
    tables = [
        hub.store.read(part, ["nhs_number"])
        for version in versions.values()
        for part in (version.plans_part, version.history_part)
        if part
    ]
    return retention.persons(*tables)


def _events(hub: Hub, persons: pa.Array) -> tuple[list[EventPart], int]:
    """The parts of access events that change, and how many events are from now on known by their id alone."""
    changed: list[EventPart] = []
    gone = EVENT_IDS.empty_table()
    held = {part.month: part for part in hub.catalogue.event_parts()}
    for month, ids in retention.events_due(hub.catalogue, hub.store, persons, hub.business_date, hub.settings.retention.days):
        rows = hub.store.read(held[month].part)
        stays = rows.filter(pc.invert(pc.is_in(rows["event_id"], value_set=ids["event_id"])))
        changed.append(EventPart(month=month, part=hub.store.write(stays).digest, row_count=stays.num_rows))
        gone = pa.concat_tables([gone, ids])
    if not changed:
        return [], 0
    known = hub.store.read(held[reports.KNOWN].part) if reports.KNOWN in held else EVENT_IDS.empty_table()
    known = pa.concat_tables([known, gone]).group_by("event_id").aggregate([]).sort_by("event_id").cast(EVENT_IDS)
    changed.append(EventPart(month=reports.KNOWN, part=hub.store.write(known).digest, row_count=known.num_rows))
    return changed, pc.count_distinct(gone["event_id"]).as_py()


def _release(hub: Hub, persons: pa.Array) -> ReleaseErasure | None:
    """The newest release without the CEASED rows of persons who stand in no register; its other rows are all of such as do."""
    releases = hub.catalogue.releases()
    if not releases:
        return None
    store, released = hub.store, releases[-1].rows_part
    store.prove(released)

    def ceased(rows: pa.Table) -> pa.ChunkedArray:
        return pc.equal(rows["change"], ExtractChange.CEASED)

    numbers = [rows.filter(ceased(rows))["nhs_number"] for rows in store.groups(released, ["nhs_number", "change"])]
    told = pa.chunked_array([chunk for number in numbers for chunk in number.chunks], pa.string()).unique()
    gone = told.filter(pc.invert(pc.is_in(told, value_set=persons)))
    if not len(gone):
        return None

    def stay(rows: pa.Table) -> pa.Table:
        return rows.filter(pc.invert(pc.and_(ceased(rows), pc.is_in(rows["nhs_number"], value_set=gone))))

    part = store.write_groups(map(stay, store.groups(released)), EXTRACT, REPEATED.intersection(EXTRACT.names))
    return ReleaseErasure(year=releases[-1].year, number=releases[-1].number, rows_part=part.digest)
