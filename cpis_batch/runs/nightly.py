"""The night: intake, trace, access reports, whatever release is due, deliveries, what was collected. Each step may run again.

What keeps the reports or the release from being made keeps no authority's answer back: it is told, and gives the exit code.

The identity of a night is its business date. A second start finds nothing to take, nothing to report twice, no release
due and nothing undelivered: it changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from cpis_batch.catalogue.records import Arrival, Release
from cpis_batch.errors import Bug, CpisError, DiskFault, Exit, HostKeyFault, place_of
from cpis_batch.intake.collect import Trouble
from cpis_batch.runs import demographics, intake, log, monthly, national, release, reports
from cpis_batch.runs.exchange import Servers
from cpis_batch.runs.hub import Hub, opened
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

    @property
    def exit_code(self) -> Exit:
        """DONE; PERSON_NEEDED for a hold, a partner in trouble, an undelivered file; the server's own where all are down.

        A step that was stopped ends with the code of what stopped it.
        """
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
            "exit_code": int(self.exit_code),
        }  # fmt: skip


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


def run(home: Path, *, kind: str, business_date: date, now: datetime, progress: intake.Progress = lambda *_: None) -> Night:
    """Run `kind` (intake, nightly, fortnightly or national) in a home; the run is written into its log and the catalogue."""
    steps: dict[str, Callable[[Hub, Servers, Night, intake.Progress], None]] = {
        "intake": _intake,
        "nightly": _nightly,
        "fortnightly": _fortnightly,
        "national": _national,
    }
    night = Night(kind, business_date)
    with (
        opened(home, what=f"run {kind} of {business_date}", business_date=business_date, now=now) as hub,
        Servers(hub) as servers,
    ):
        log.start(home, business_date)
        number = hub.catalogue.start_run(kind, business_date, now)
        log.event("run begins", run=number, kind=kind, business_date=business_date)
        try:
            steps[kind](hub, servers, night, progress)
            progress("delivering", 0, 0)
            delivered = 0

            def one(count: int) -> None:
                nonlocal delivered
                delivered += count
                progress("delivering", delivered, 0)

            with _apart(night, "deliveries"):
                night.delivered, night.undelivered = servers.deliver(one)
            servers.move_away()
            servers.look_for_collected()
            night.servers_down, night.servers_reached = servers.down, servers.reached
            night.needs_a_person = needs_a_person(status(hub.catalogue, hub.settings, hub.partners, now))
            _note(night)
            hub.catalogue.end_run(number, now, int(night.exit_code), msgspec.json.encode(night.document))
            log.event("run ends", run=number, exit_code=int(night.exit_code))
        except BaseException as fault:
            why = fault.message if isinstance(fault, CpisError) else place_of(fault)
            log.event("run broken off", logging.ERROR, run=number, fault=why)
            raise
        finally:
            log.stop()
    return night


def _intake(hub: Hub, servers: Servers, night: Night, progress: intake.Progress) -> None:
    night.intake = intake.run(hub, servers, progress)


def _nightly(hub: Hub, servers: Servers, night: Night, progress: intake.Progress) -> None:
    _intake(hub, servers, night, progress)
    with _apart(night, "trace"):
        night.traces = demographics.run(hub, servers, progress)
    with _apart(night, "access reports"):
        hub.hold_to_the_ledger()
        night.reports = reports.run(hub, servers, progress)
    with _apart(night, "monthly access reports"):
        hub.hold_to_the_ledger()
        night.monthly = monthly.run(hub, progress)
    _fortnightly(hub, servers, night, progress)


def _fortnightly(hub: Hub, _: Servers, night: Night, progress: intake.Progress) -> None:
    with _apart(night, "release"):
        night.released = release.run(hub, progress)


def _national(hub: Hub, _: Servers, night: Night, progress: intake.Progress) -> None:
    night.national = national.run(hub, progress)


@contextmanager
def _apart(night: Night, step: str) -> Iterator[None]:
    """Keep what stops one step from stopping the night: it commits whole or not at all, and the next run makes it anew."""
    try:
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
