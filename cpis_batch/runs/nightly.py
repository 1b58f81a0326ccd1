"""The night: intake, trace, access reports, whatever release is due, deliveries, what was collected. Each step may run again.

What keeps the reports or the release from being made keeps no authority's answer back: it is told, and gives the exit code.

The identity of a night is its business date. A second start finds nothing to take, nothing to report twice, no release
due and nothing undelivered: it changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from cpis_batch.catalogue.records import Arrival, Release
from cpis_batch.errors import Bug, CpisError, DiskFault, Exit, HostKeyFault, exit_code_of, place_of
from cpis_batch.intake.collect import Trouble
from cpis_batch.runs import demographics, intake, log, monthly, national, operations, release, reports
from cpis_batch.runs.exchange import Servers
from cpis_batch.runs.hub import Hub, opened
from cpis_batch.runs.stages import Stages
from cpis_batch.status import needs_a_person, status
from cpis_batch.vocabulary import FileState

VERSION = "1.0"


@dataclass(slots=True)
class Night:
    """What a run came to; `document` is its published form (specs/run/1.0)."""

    kind: str
    business_date: date
    intake: intake.Intake = field(default_factory=intake.Intake)
    traces: demographics.Traces = field(default_factory=demographics.Traces)
    reports: reports.Reports = field(default_factory=reports.Reports)
    monthly: int = 0  # access reports of a month
    national: national.Lists = field(default_factory=national.Lists)
    released: Release | None = None
    delivered: int = 0
    undelivered: dict[str, str] = field(default_factory=dict)
    servers_down: dict[str, CpisError] = field(default_factory=dict)
    servers_reached: bool = False  # one of them at least
    stopped: dict[str, CpisError] = field(default_factory=dict)  # by step of the night: why nothing was made of it
    needs_a_person: list[str] = field(default_factory=list)  # of what stands after the run, in words
    seconds: float = 0.0  # of the clock on the wall
    stages: dict[str, float] = field(default_factory=dict)  # of these, by what was at work
    broken_off: tuple[Exit, str] | None = None  # by what, in words
    standing: dict[str, Any] | None = None  # the status after it
    warnings: list[str] = field(default_factory=list)  # what could not be told to those who watch; it changes nothing of the run

    @property
    def exit_code(self) -> Exit:
        """DONE; PERSON_NEEDED for a hold, a partner in trouble, an undelivered file; the server's own where all are down.

        A step that was stopped ends with the code of what stopped it; so does a run that was broken off.
        """
        if self.broken_off:
            return self.broken_off[0]
        if self.stopped:
            return next(iter(self.stopped.values())).exit_code
        if any(isinstance(fault, HostKeyFault) for fault in self.servers_down.values()):
            return Exit.HOST_KEY
        if self.intake.faults:
            return max(one.fault_code for one in self.intake.faults.values())
        if self.servers_down and not self.servers_reached:
            return next(iter(self.servers_down.values())).exit_code
        needs = (
            self.needs_a_person,
            self.intake.waiting,
            self.troubles,
            self.servers_down,
            self.undelivered,
            self.traces.needs_a_person,
            self.reports.needs_a_person,
            self.national.needs_a_person,
            [arrival for arrival in self.intake.arrivals if arrival.state is FileState.REFUSED],
        )
        return Exit.PERSON_NEEDED if any(needs) else Exit.DONE

    @property
    def troubles(self) -> list[Trouble]:
        """The partners that were left out, whoever they are."""
        return [*self.intake.round.troubles, *self.traces.round.troubles, *self.reports.round.troubles]

    @property
    def document(self) -> dict[str, Any]:
        """One object with the outcome of every file; versioned and only ever added to."""
        return {
            "version": VERSION,
            "kind": self.kind,
            "business_date": self.business_date,
            "commit": self.intake.head.id if self.intake.head else None,
            "files": [file_outcome(arrival) for arrival in self.intake.arrivals],
            "waiting": [{"la": c.arrival.partner, "name": c.arrival.name} for c in self.intake.waiting],
            "holds": [{"partner": hold.partner, "reason": hold.reason, "detail": hold.detail} for hold in self.intake.holds],
            "changes": self.intake.changes,
            "skipped": self.intake.round.skipped | self.traces.round.skipped | self.reports.round.skipped,
            "partners_in_trouble": {trouble.partner: trouble.fault.message for trouble in self.troubles},
            "servers_down": {name: fault.message for name, fault in self.servers_down.items()},
            "failed": {la: one.fault for la, one in self.intake.faults.items()},
            "stopped": {step: fault.message for step, fault in self.stopped.items()},
            "trace": self.traces.counts,
            "access_reports": self.reports.sent,
            "access_events": self.reports.counts,
            "monthly_access_reports": self.monthly,
            "national": self.national.counts,
            "release": {"fortnight": f"{self.released.year:04}F{self.released.number:02}", "sent": self.released.sent,
                        "unroutable": self.released.unroutable, "caught_up": self.released.caught_up} if self.released else None,
            "delivered": self.delivered,
            "undelivered": self.undelivered,
            "needs_a_person": self.needs_a_person,
            "seconds": round(self.seconds, 3),
            "stages": {stage: round(seconds, 3) for stage, seconds in self.stages.items()},
            "broken_off": self.broken_off[1] if self.broken_off else None,
            "exit_code": int(self.exit_code),
        }  # fmt: skip


Step = Callable[[Hub, Servers, Night, intake.Progress], None]


def file_outcome(arrival: Arrival) -> dict[str, Any]:
    """One LA file's outcome."""
    records = {"CPR06": arrival.records_loaded, "CPR07": arrival.records_rejected}
    return {
        "la": arrival.partner,
        "sequence": arrival.sequence,
        "name": arrival.name,
        "digest": arrival.digest,
        "state": arrival.state,
        "file_outcome": arrival.file_outcome,
        "code": arrival.code,
        "records": {outcome: count for outcome, count in records.items() if count is not None},
        "records_warned": arrival.records_warned,
    }


def run(
    home: Path,
    *,
    kind: str,
    business_date: date,
    now: datetime,
    cluster: str | None = None,
    progress: intake.Progress = lambda *_: None,
) -> Night:
    """Run `kind` (intake, nightly, fortnightly or national) in a home; on a cluster, where the address of its scheduler is given.

    The run is written into its log and the catalogue, and told to those who watch: the operations page and what goes with it.
    """
    steps: dict[str, Step] = {
        "intake": _intake,
        "nightly": _nightly,
        "fortnightly": _fortnightly,
        "national": _national,
    }
    night, stages = Night(kind, business_date), Stages()
    try:
        with (
            opened(
                home, what=f"run {kind} of {business_date}", business_date=business_date, now=now, stages=stages, cluster=cluster
            ) as hub,
            Servers(hub) as servers,
        ):
            log.start(home, business_date)
            try:
                _run(hub, servers, night, steps[kind], progress)
            finally:
                log.stop()
    except Exception as fault:
        if not night.seconds:  # the home could not be opened; a run that was broken off has been told of
            operations.not_begun(home, kind, business_date, now, fault)
        raise
    return night


def _run(hub: Hub, servers: Servers, night: Night, step: Step, progress: intake.Progress) -> None:
    """The run in an open home, with all that is told of it, however it ends."""
    number = hub.catalogue.start_run(night.kind, night.business_date, hub.now)
    log.of_run(number)
    log.event("run begins", kind=night.kind, business_date=night.business_date)
    try:
        night.warnings += operations.begun(hub, night.kind)
        step(hub, servers, night, progress)
        _send(hub, servers, night, progress)
        with hub.stages("status"):
            night.standing = status(hub.catalogue, hub.settings, hub.partners, hub.now)
            night.needs_a_person = needs_a_person(night.standing)
        _note(night)
        night.seconds, night.stages = hub.stages.elapsed, hub.stages.seconds
        hub.catalogue.end_run(number, hub.now, int(night.exit_code), msgspec.json.encode(night.document))
        log.event("run ends", exit_code=int(night.exit_code), seconds=round(night.seconds, 3))
    except BaseException as fault:
        night.seconds, night.stages = hub.stages.elapsed, hub.stages.seconds
        night.broken_off = exit_code_of(fault), fault.message if isinstance(fault, CpisError) else place_of(fault)
        with suppress(CpisError):  # the disk that broke the run off may refuse this as well: then it has no end, as if killed
            hub.catalogue.end_run(number, hub.now, int(night.exit_code), msgspec.json.encode(night.document))
        log.event("run broken off", logging.ERROR, fault=night.broken_off[1], exit_code=int(night.exit_code))
        raise
    finally:
        night.warnings += operations.ended(hub, night.kind, night.exit_code, night.standing)


def _send(hub: Hub, servers: Servers, night: Night, progress: intake.Progress) -> None:
    """Deliver what is due, move away what was taken, look what was collected."""
    due = int(hub.catalogue.one("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL"))
    progress("delivering", 0, due)
    delivered = 0

    def one(count: int) -> None:
        nonlocal delivered
        delivered += count
        progress("delivering", delivered, due)

    with _apart(hub, night, "deliveries"):
        night.delivered, night.undelivered = servers.deliver(one)
    with hub.stages("move away"):
        progress("moving files away", 0, 0)
        servers.move_away()
        progress("looking for what was collected", 0, 0)
        servers.look_for_collected()
    night.servers_down, night.servers_reached = servers.down, servers.reached


def _intake(hub: Hub, servers: Servers, night: Night, progress: intake.Progress) -> None:
    night.intake = intake.run(hub, servers, progress)


def _nightly(hub: Hub, servers: Servers, night: Night, progress: intake.Progress) -> None:
    _intake(hub, servers, night, progress)
    with _apart(hub, night, "trace"):
        night.traces = demographics.run(hub, servers, progress)
    with _apart(hub, night, "access reports"):
        hub.hold_to_the_ledger()
        night.reports = reports.run(hub, servers, progress)
    with _apart(hub, night, "monthly access reports"):
        hub.hold_to_the_ledger()
        night.monthly = monthly.run(hub, progress)
    _fortnightly(hub, servers, night, progress)


def _fortnightly(hub: Hub, _: Servers, night: Night, progress: intake.Progress) -> None:
    with _apart(hub, night, "release"):
        night.released = release.run(hub, progress)


def _national(hub: Hub, _: Servers, night: Night, progress: intake.Progress) -> None:
    with hub.stages("national view"):
        night.national = national.run(hub, progress)


@contextmanager
def _apart(hub: Hub, night: Night, step: str) -> Iterator[None]:
    """Keep what stops one step from stopping the night: it commits whole or not at all, and the next run makes it anew."""
    try:
        with hub.stages(step):
            yield
    except (DiskFault, OSError):
        raise  # nothing else can be written either
    except CpisError as fault:
        night.stopped[step] = fault
    except Exception as fault:  # noqa: BLE001 - the text of a foreign exception may quote a record: only its type and place are told
        night.stopped[step] = Bug(
            f"A fault of the program itself, {place_of(fault)}.", "Report it with this line and the run's log."
        )


def _note(night: Night) -> None:
    """What an operator reads in the log afterwards."""
    for arrival in night.intake.arrivals:
        log.event("file", la=arrival.partner, arrival=arrival.id, digest=arrival.digest, state=arrival.state,
                  outcome=arrival.file_outcome, code=arrival.code, sequence=arrival.sequence)  # fmt: skip
    for note in night.intake.notes:
        log.event("envelope not opened", detail=note)
    for hold in night.intake.holds:
        log.event("held", la=hold.partner, reason=hold.reason, detail=hold.detail)
    for trouble in night.troubles:
        log.event("partner in trouble", partner=trouble.partner, fault=trouble.fault.message)
    for name, fault in night.servers_down.items():
        log.event("server down", server=name, fault=fault.message)
    for step, stopped in night.stopped.items():
        log.event("step stopped", logging.ERROR, step=step, fault=stopped.message)
    for la, failed in night.intake.faults.items():
        log.event("an LA's evening failed", la=la, fault=failed.fault)
