"""Access events in, access reports out: each told once to each LA that held a plan on its day, in one commit with the event.

An event whose care setting nobody has listed yet waits: it is told to no LA until a person has said what the setting is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import files
from cpis_batch.access import answer, events, reference, report, withheld
from cpis_batch.access.events import EventsReading
from cpis_batch.access.schema import EVENTS, REPORT
from cpis_batch.catalogue.records import Arrival, Delivery, EventPart
from cpis_batch.delivery import outbox
from cpis_batch.intake import acknowledge
from cpis_batch.intake.collect import Collected
from cpis_batch.partners import Partner, PartnerKind
from cpis_batch.runs import event_parts, log
from cpis_batch.runs.emit import AccessReport, side_by_side
from cpis_batch.runs.exchange import Round, Servers
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.intake import Progress, usable
from cpis_batch.runs.services import Taken, sealable, sealed, sendable, take
from cpis_batch.vocabulary import FileState

_NAME = re.compile(r"CPIS_EVENTS_[0-9]{8}_[0-9]{8}T[0-9]{6}Z\.csv\.pgp")
WAITING = "WAITING"  # in the place of a month: events that wait for their care setting to be listed
OWED = "OWED"  # likewise: lines of reports that could not be sent, for want of an agreement or a certificate
KNOWN = "KNOWN"  # likewise: the ids of events of which nothing else is kept, their person having been erased
_PLANS = ["la_code", "nhs_number", "plan_type", "start_date", "end_date", "child_id", "date_of_birth"]


@dataclass(slots=True)
class Reports:
    """What the night's access events came to."""

    sent: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    round: Round = field(default_factory=Round)

    @property
    def needs_a_person(self) -> bool:
        """Whether an events file was refused, or events wait for their care setting, or an LA's report for its agreement."""
        stuck = self.counts.get("waiting", 0) + self.counts.get("owed", 0)
        return bool(stuck) or any(arrival.state is FileState.REFUSED for arrival in self.arrivals)


def wanted(partner: Partner, name: str) -> bool:
    """Whether a name in the national service's folder is of the format's grammar."""
    return partner.kind is PartnerKind.NATIONAL and _NAME.fullmatch(name) is not None


def run(hub: Hub, servers: Servers, progress: Progress = lambda *_: None) -> Reports:
    """Take in what the national service has put down, and report it; everything of it in one commit."""
    services, left_out = usable(hub, PartnerKind.NATIONAL)
    brought = servers.collect(services, wanted)
    brought.troubles += left_out
    held = {part.month: part for part in hub.catalogue.event_parts()}
    waiting = hub.store.read(held[WAITING].part) if WAITING in held else EVENTS.empty_table()
    owed = hub.store.read(held[OWED].part) if OWED in held else REPORT.empty_table()
    if not brought.files and not waiting.num_rows and not _sendable(hub, owed).num_rows:
        return Reports(round=brought)
    known = reference.load(hub.home / "reference")
    taken = _take(hub, brought.files, known)
    read = pa.concat_tables([EVENTS.empty_table(), *(one.reading.events for one in taken)])
    asked = pa.concat_tables([read.select(["event_id"]), waiting.select(["event_id"])])["event_id"].unique()
    seen_ids = _seen(hub, held, asked)
    fresh = events.unseen(read, seen_ids, waiting)
    sifted = withheld.sift(fresh, known)
    looked_at = sifted.notifying["nhs_number"].unique()  # a night's events speak of few: the others' plans are not held
    rows = report.report(sifted, hub.plans(_PLANS, of=looked_at), known)
    told = report.joined(rows, owed)
    now = _sendable(hub, told)
    result = Reports(arrivals=[one.arrival for one in taken], round=brought)
    result.counts = {
        "events": read.num_rows,
        "new": fresh.num_rows - waiting.num_rows,
        "waiting": sifted.waiting.num_rows,
        "without_a_plan": report.untold(sifted, rows).num_rows,
        "owed": told.num_rows - now.num_rows,
    }
    with files.names_together():
        answers = _answers(hub, taken, seen_ids)
    deliveries = answers + _reports(hub, now, result, progress)
    settled = fresh.filter(pc.invert(pc.is_in(fresh["event_id"], sifted.waiting["event_id"])))
    taken_from = {(arrival.folder, arrival.name) for arrival in result.arrivals}
    head = hub.commit(
        "EVENTS",
        arrivals=tuple(result.arrivals),
        deliveries=tuple(deliveries),
        event_parts=tuple(_parts(hub, held, settled, {WAITING: sifted.waiting, OWED: _not_in(told, now)})),
        forget=[waited for waited in hub.catalogue.waiting() if (waited.folder, waited.name) in taken_from],
    )
    log.event("access events", commit=head.id, **result.counts)
    return result


def _seen(hub: Hub, held: dict[str, EventPart], asked: pa.Array) -> pa.ChunkedArray:
    """Those of the event ids `asked` that are settled: looked for in one part after another, since all ids ever seen are many."""
    found = [
        ids.filter(pc.is_in(ids, value_set=asked))
        for name, part in held.items()
        if name not in (WAITING, OWED)
        for ids in (hub.store.read(part.part, ["event_id"])["event_id"],)
    ]
    return pa.chunked_array([chunk for column in found for chunk in column.chunks], pa.string())


def _take(hub: Hub, brought: list[Collected], known: reference.AccessReference) -> list[Taken[EventsReading]]:
    environment, line_bytes = hub.settings.service.environment, hub.settings.limits.line_bytes
    return take(
        hub,
        brought,
        lambda plaintext: events.read_events(plaintext, known, environment=environment, line_bytes=line_bytes),
        lambda outcome, faults: EventsReading(outcome, faults=faults),
    )


def _answers(hub: Hub, taken: list[Taken[EventsReading]], seen_ids: pa.ChunkedArray) -> list[Delivery]:
    """The one acknowledgement of each events file, to the national service."""
    deliveries = []
    for one in taken:
        arrival, partner = one.arrival, hub.partners[one.arrival.partner]
        told = answer.EventsAnswer(
            file_name=arrival.name,
            file_digest=arrival.digest,
            received_at=arrival.seen_at,
            answered_at=hub.now,
            reading=one.reading,
            audit=hub.audit,
            already_known=pc.sum(pc.is_in(one.reading.events["event_id"], seen_ids)).as_py() or 0,
        )
        bundled = acknowledge.bundle({"answer.csv": answer.to_csv(told), "answer.json": answer.to_json(told)})
        label = f"{arrival.sequence:08d}" if arrival.sequence >= 0 else "unread"
        deliveries.append(
            outbox.prepare(
                hub.home / "outbox",
                partner,
                kind="ACKNOWLEDGEMENT",
                purpose="Answer to a file of the recipient's own",
                name=f"CPIS_EVENTS_ACK_{label}_{arrival.id:09d}.zip.pgp",
                sealed=sealed(hub, partner, bundled),
                record_count=one.reading.rows,
                made_at=hub.now,
                arrival_id=arrival.id,
            )
        )
    return deliveries


def _reports(hub: Hub, rows: pa.Table, result: Reports, progress: Progress) -> list[Delivery]:
    """One report for every LA with something to be told, sealed to that LA alone."""
    parted = report.by_la(rows)
    result.sent = len(parted)
    return side_by_side(
        hub,
        [
            AccessReport(hub.partners[code], sealable(hub, hub.partners[code]), hub.la_name(code), told)
            for code, told in parted.items()
        ],
        lambda done: progress("access reports", done, len(parted)),
    )


def _sendable(hub: Hub, rows: pa.Table) -> pa.Table:
    """The lines of the LAs that may be sent something today and can be sealed to."""
    codes = sendable(hub, set(rows["la_code"].unique().to_pylist()))
    return rows.filter(pc.is_in(rows["la_code"], pa.array(sorted(codes), pa.string())))


def _not_in(rows: pa.Table, sent: pa.Table) -> pa.Table:
    """The lines of the LAs of which none was sent."""
    return rows.filter(pc.invert(pc.is_in(rows["la_code"], sent["la_code"].unique())))


def _parts(hub: Hub, held: dict[str, EventPart], settled: pa.Table, kept: dict[str, pa.Table]) -> list[EventPart]:
    """The events of each month that they add to, and what is kept for a later run, by why."""
    changed = event_parts.with_more(hub.store, held, settled)
    for why, table in kept.items():
        if table.num_rows or why in held:
            changed.append(EventPart(month=why, part=hub.store.write(table).digest, row_count=table.num_rows))
    return changed
