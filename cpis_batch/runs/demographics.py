"""The trace against PDS, every night: answers in, whom they settle, whom to ask about next, which authority to tell what.

Everything of it is one commit, or none where nothing has changed. What is known of persons lies in encrypted parts (TABLES) that
the catalogue names; the plans themselves are never changed here. Without a trace service among the partners nothing is
asked; with one that does not answer, everybody stays provisional, and nobody is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.business_time import text_of
from cpis_batch.catalogue.records import Arrival, Delivery, TracePart
from cpis_batch.delivery import outbox
from cpis_batch.demographics import answer, matching, notices, rate, request, response
from cpis_batch.demographics.request import Patience, Request
from cpis_batch.demographics.response import ResponseReading
from cpis_batch.demographics.schema import ANSWERS, PERSONS, REQUESTS
from cpis_batch.demographics.settle import Settled, settle
from cpis_batch.demographics.standing import standing
from cpis_batch.engine import query
from cpis_batch.intake import acknowledge
from cpis_batch.intake.collect import Collected
from cpis_batch.partners import Partner, PartnerKind
from cpis_batch.register import view
from cpis_batch.runs import log
from cpis_batch.runs.exchange import Round, Servers
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.intake import Progress, usable
from cpis_batch.runs.services import Taken, sealed, sendable, take
from cpis_batch.vocabulary import FileState

# What is kept, by name of the part. CHECKED is the list of matters that each authority was sent last.
TABLES: Mapping[str, pa.Schema] = {
    "PERSONS": PERSONS,
    "QUESTIONS": REQUESTS,
    "TOLD": notices.TOLD,
    "CHECKED": rate.TO_CHECK,
    "RATES": rate.RATES,
}
KEPT_RATES_DAYS = 400
REQUEST = "TRACE_REQUEST"  # the kind of delivery
_NAME = re.compile(r"CPIS_TRACE_RESPONSE_[0-9]{8}_[0-9]{8}T[0-9]{6}Z\.csv\.pgp")
_PLANS = [
    "la_code", "nhs_number", "child_id", "family_name", "given_name", "date_of_birth", "plan_type", "start_date", "end_date",
]  # fmt: skip


@dataclass(slots=True)
class Traces:
    """What the night's trace came to. `counts`: answers by their fate, people asked about, messages to authorities."""

    counts: dict[str, int] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    round: Round = field(default_factory=Round)

    @property
    def needs_a_person(self) -> bool:
        """Whether a response was refused, or answers differ under one question, or contradict their code."""
        amiss = self.counts.get("conflicting", 0) + self.counts.get("contradicting", 0)
        return bool(amiss) or any(arrival.state is FileState.REFUSED for arrival in self.arrivals)


def wanted(partner: Partner, name: str) -> bool:
    """Whether a name in the trace service's folder is of the format's grammar."""
    return partner.kind is PartnerKind.TRACE and _NAME.fullmatch(name) is not None


def known_persons(hub: Hub) -> pa.Table:
    """PERSONS as the last commit has them."""
    return _tables(hub, ("PERSONS",))["PERSONS"]


def run(hub: Hub, servers: Servers, progress: Progress = lambda *_: None) -> Traces:
    """Take in the responses, settle what they answer, ask anew, tell the authorities concerned."""
    services, left_out = usable(hub, PartnerKind.TRACE)
    result = Traces()
    if hub.catalogue.head() is None or not (
        services or left_out or any(part.name in TABLES for part in hub.catalogue.trace_parts())
    ):
        return result
    result.round = servers.collect(services, wanted)
    result.round.troubles += left_out
    if not result.round.files and _traced_since(hub):
        return result
    progress("tracing", 0, 0)
    before = _tables(hub, TABLES)
    taken = _take(hub, result.round.files)
    result.arrivals = [one.arrival for one in taken]
    plans = matching.identified(hub.plans(columns=_PLANS))
    active = view.active(plans, hub.business_date)
    patience = Patience(hub.settings.demographics.current_days, hub.settings.demographics.answer_days)
    questions = request.still_open(before["QUESTIONS"], on=hub.business_date, patience=patience)
    answers = pa.concat_tables([ANSWERS.empty_table(), *(one.reading.answers for one in taken)])
    found = settle(answers, questions, before["PERSONS"], plans)
    asked = _ask(hub, services, active, plans, found, patience)
    after, deliveries = _tell(hub, plans, active, found, asked, before)
    deliveries = [*_answers(hub, taken), *_request(hub, services, asked), *deliveries]
    parts = tuple(
        TracePart(name=name, part=hub.store.write(table).digest, row_count=table.num_rows)
        for name, table in after.items()
        if not table.equals(before[name])
    )
    result.counts = {**found.counts, "asked": asked.questions.num_rows if asked else 0, "open": after["QUESTIONS"].num_rows,
                     "told": sum(one.kind in ("INACTIVE_NUMBER", "MATCH_REPORT") for one in deliveries)}  # fmt: skip
    if not (taken or deliveries or parts):
        return result
    names = {(arrival.folder, arrival.name) for arrival in result.arrivals}
    head = hub.commit(
        "TRACE",
        arrivals=tuple(result.arrivals),
        deliveries=tuple(deliveries),
        trace_parts=parts,
        forget=[waited for waited in hub.catalogue.waiting() if (waited.folder, waited.name) in names],
    )
    log.event("trace", commit=head.id, **result.counts)
    return result


def _traced_since(hub: Hub) -> bool:
    """Whether a trace of this business date has seen every plan that stands: a second run then has nothing to find."""
    newest = hub.catalogue.one(
        "SELECT max(id) FROM commits WHERE kind = 'TRACE' AND business_date = ?", (str(hub.business_date),)
    )
    return newest is not None and newest > (hub.catalogue.one("SELECT max(commit_id) FROM la_versions") or 0)


def _tables(hub: Hub, names: Mapping[str, pa.Schema] | tuple[str, ...]) -> dict[str, pa.Table]:
    held = {part.name: part.part for part in hub.catalogue.trace_parts()}
    return {name: hub.store.read(held[name]) if name in held else TABLES[name].empty_table() for name in names}


def _take(hub: Hub, files: list[Collected]) -> list[Taken[ResponseReading]]:
    environment, line_bytes = hub.settings.service.environment, hub.settings.limits.line_bytes
    return take(
        hub,
        files,
        lambda plaintext: response.read_response(plaintext, environment=environment, line_bytes=line_bytes),
        lambda outcome, faults: ResponseReading(outcome, faults=faults),
    )


def _ask(
    hub: Hub, services: list[Partner], active: pa.Table, plans: pa.Table, found: Settled, patience: Patience
) -> Request | None:
    """The request of tonight, where there is a service and somebody to ask about. Its sequence is the number of its commit."""
    if not services:
        return None
    ended = request.over(plans, on=hub.business_date) if hub.settings.demographics.ask_after_end else None
    people = request.wanted(active, found.persons, found.open, on=hub.business_date, patience=patience, ended=ended)
    if not people.num_rows:
        return None
    head = hub.catalogue.head()
    assert head is not None
    return request.make(
        people,
        sequence=head.id + 1,
        environment=hub.settings.service.environment,
        on=hub.business_date,
        now=hub.now,
    )


def _tell(
    hub: Hub, plans: pa.Table, active: pa.Table, found: Settled, asked: Request | None, before: dict[str, pa.Table]
) -> tuple[dict[str, pa.Table], list[Delivery]]:
    """The tables after tonight, and the messages to authorities. What cannot be sent tonight is not told yet."""
    questions = pa.concat_tables([found.open, asked.questions]) if asked else found.open
    service = any(partner.kind is PartnerKind.TRACE for partner in hub.partners.values())
    noticed = standing(notices.concerned(plans, found.persons, before["TOLD"]), found.persons, questions, service=service)
    news = notices.notices(noticed, before["TOLD"], on=hub.business_date)
    stands = standing(active, found.persons, questions, service=service)
    rates, listed = rate.rates(stands, before["RATES"], on=hub.business_date), rate.to_check(stands)
    codes = {*news.fresh["la_code"].to_pylist(), *listed["la_code"].to_pylist(), *before["CHECKED"]["la_code"].to_pylist()}
    able = sendable(hub, codes)
    deliveries = []
    for code in sorted(able):
        fresh, mine = _of(news.fresh, code), _of(listed, code)
        if fresh.num_rows:
            files = {"inactive-number.csv": notices.to_csv(fresh, la_code=code)}
            deliveries.append(_message(hub, code, "INACTIVE_NUMBER", "CPIS_INACTIVE", fresh.num_rows, files))
        if not mine.equals(_of(before["CHECKED"], code)):
            files = answer.match_report(_of(rates, code), mine, la_code=code) if _of(rates, code).num_rows else {}
            if files:
                deliveries.append(_message(hub, code, "MATCH_REPORT", "CPIS_MATCH", mine.num_rows, files))
    settled_anew = not found.persons.equals(before["PERSONS"])
    after = {
        "PERSONS": found.persons,
        "QUESTIONS": questions,
        "TOLD": _without(news.told, news.fresh.filter(pc.invert(_is_of(news.fresh, able)))),
        "CHECKED": pa.concat_tables([listed.filter(_is_of(listed, able)), _unsent(before["CHECKED"], able, plans)]),
        "RATES": _rates(hub, rates, before["RATES"]) if settled_anew else before["RATES"],
    }  # fmt: skip
    return after, deliveries


def _is_of(table: pa.Table, codes: set[str]) -> pa.ChunkedArray:
    return pc.is_in(table["la_code"], pa.array(sorted(codes), pa.string()))


def _of(table: pa.Table, code: str) -> pa.Table:
    return table.filter(_is_of(table, {code})).combine_chunks()


def _without(told: pa.Table, untold: pa.Table) -> pa.Table:
    """TOLD less the news that could not be sent."""
    gone = {tuple(row[name] for name in told.schema.names) for row in untold.to_pylist()}
    return told if not gone else told.filter(
        pa.array([tuple(row.values()) not in gone for row in told.to_pylist()], pa.bool_()))  # fmt: skip


def _unsent(checked: pa.Table, able: set[str], plans: pa.Table) -> pa.Table:
    """What the authorities that nothing can be sent to were sent last, of the people whom they still hold."""
    return query(
        "SELECT * FROM checked SEMI JOIN plans USING (la_code, nhs_number) WHERE la_code NOT IN (SELECT unnest($able))",
        {"checked": checked, "plans": plans},
        {"able": sorted(able)},
    ).cast(rate.TO_CHECK)


def _rates(hub: Hub, now: pa.Table, before: pa.Table) -> pa.Table:
    """The rates of earlier days, as long as they are kept, and tonight's in the place of an earlier count of the same day."""
    kept = pc.and_(
        pc.greater(before["counted_on"], pa.scalar(hub.business_date - timedelta(days=KEPT_RATES_DAYS))),
        pc.not_equal(before["counted_on"], pa.scalar(hub.business_date)),
    )
    return pa.concat_tables([before.filter(kept), now])


def _message(hub: Hub, code: str, kind: str, start: str, rows: int, files: dict[str, bytes]) -> Delivery:
    partner = hub.partners[code]
    return outbox.prepare(
        hub.home / "outbox",
        partner,
        kind=kind,
        purpose="Trace of the recipient's own children against PDS: what to correct",
        name=f"{start}_{code}_{text_of(hub.now).replace('-', '').replace(':', '')}.zip.pgp",
        sealed=sealed(hub, partner, acknowledge.bundle(files)),
        record_count=rows,
        made_at=hub.now,
    )


def _request(hub: Hub, services: list[Partner], asked: Request | None) -> list[Delivery]:
    if asked is None:
        return []
    service = services[0]
    return [
        outbox.prepare(
            hub.home / "outbox",
            service,
            kind=REQUEST,
            purpose="Trace against PDS of persons with an active plan, or one that ended two weeks ago",
            name=asked.name,
            sealed=sealed(hub, service, asked.content),
            record_count=asked.questions.num_rows,
            made_at=hub.now,
        )
    ]


def _answers(hub: Hub, taken: list[Taken[ResponseReading]]) -> list[Delivery]:
    """The one acknowledgement of each response."""
    deliveries = []
    for one in taken:
        arrival, partner = one.arrival, hub.partners[one.arrival.partner]
        label = f"{arrival.sequence:08d}" if arrival.sequence >= 0 else "unread"
        deliveries.append(
            outbox.prepare(
                hub.home / "outbox",
                partner,
                kind="ACKNOWLEDGEMENT",
                purpose="Answer to a file of the recipient's own",
                name=f"CPIS_TRACE_ACK_{label}_{arrival.id:09d}.zip.pgp",
                sealed=sealed(hub, partner, acknowledge.bundle(answer.answer(one.reading, hub.audit))),
                record_count=one.reading.rows,
                made_at=hub.now,
                arrival_id=arrival.id,
            )
        )
    return deliveries
