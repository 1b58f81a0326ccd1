"""The intake: collect, settle every LA's files side by side, commit once, deliver the answers, move the files away.

As often as one likes: what was taken is known by its digest, what was answered is in the catalogue, and a second run
finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Future, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from math import ceil
from typing import Any

from cpis_batch import partners
from cpis_batch.catalogue.records import Arrival, ChangeCount, CommitHead, Hold, Waiting
from cpis_batch.delivery import outbox
from cpis_batch.demographics.rate import RATES
from cpis_batch.envelope.certificates import inspect
from cpis_batch.errors import ConfigFault, Exit, StateFault
from cpis_batch.intake import findings, names
from cpis_batch.intake.acknowledge import Match, Notice
from cpis_batch.intake.collect import Collected, Trouble, inbound
from cpis_batch.intake.matches import matches
from cpis_batch.partners import Partner, PartnerKind
from cpis_batch.runs.exchange import Round, Servers
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.pool import worker_count, workers
from cpis_batch.runs.task import Candidate, LaResult, LaTask
from cpis_batch.runs.worker import work
from cpis_batch.vocabulary import FileState


@dataclass(slots=True)
class Intake:
    """What an intake came to."""

    head: CommitHead | None = None
    arrivals: list[Arrival] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    waiting: list[Candidate] = field(default_factory=list)
    changes: dict[str, int] = field(default_factory=dict)
    faults: dict[str, LaResult] = field(default_factory=dict)  # of the LAs whose evening failed
    notes: list[str] = field(default_factory=list)
    round: Round = field(default_factory=Round)


Progress = Callable[[str, int, int], None]  # stage, done, of
_BATCHES = 3  # for each worker: to check one costs 40 ms beside its rows, and the last to end keeps one worker waiting


def wanted(partner: Partner, name: str) -> bool:
    """Whether a name in an LA's folder is of the format's grammar. Names decide nothing more."""
    return partner.kind is PartnerKind.LA and names.parse(name) is not None


def run(hub: Hub, servers: Servers, progress: Progress = lambda *_: None) -> Intake:
    """Take in what the LAs have put down, and make it true."""
    las, left_out = usable(hub, PartnerKind.LA)
    progress("collecting", 0, len(las))
    done_with = iter(range(1, len(las) + 1))
    brought = servers.collect(las, wanted, lambda: progress("collecting", next(done_with), len(las)))
    done = settle(hub, brought.files, progress=progress)
    done.round = brought
    brought.troubles += left_out
    return done


def usable(hub: Hub, kind: PartnerKind) -> tuple[list[Partner], list[Trouble]]:
    """The partners of a kind that may be taken from and answered today; and those left out, with what to do about it.

    One whose agreement has not begun yet is in neither.
    """
    found: list[Partner] = []
    left_out: list[Trouble] = []
    for partner in hub.partners.values():
        if partner.kind is not kind or hub.business_date < partner.agreement.starts:
            continue
        if not partner.agreement.covers(hub.business_date):
            left_out.append(Trouble(partner.code, partner.mailbox, _run_out(partner)))
        elif isinstance(lacking := certificates_of(hub, partner), ConfigFault):
            left_out.append(Trouble(partner.code, partner.mailbox, lacking))
        else:
            found.append(partner)
    return found, left_out


def _run_out(partner: Partner) -> ConfigFault:
    return ConfigFault(
        f"The data sharing agreement {partner.agreement.reference} of {partner.code} ended on {partner.agreement.ends}:"
        " nothing of it is taken or sent.",
        "Renew it, then correct [agreement] in its partner.toml.",
    )


def certificates_of(hub: Hub, partner: Partner) -> dict[str, bytes] | ConfigFault:
    """The partner's certificates that are allowed today; where there is none the fault, as a value: its files stay there."""
    try:
        found = partners.certificates(hub.home, partner, hub.business_date)
    except ConfigFault as fault:
        return fault
    if recipients(hub, found):
        return found
    return ConfigFault(
        f"{partner.code} has no certificate that is allowed on {hub.business_date} and can be sealed to.",
        "Import its current certificate: cpis-batch keys import --party CODE FILE",
    )


def recipients(hub: Hub, certificates: dict[str, bytes]) -> tuple[bytes, ...]:
    """Those of a partner's certificates that can be sealed to: neither expired nor revoked, and able to encrypt."""
    return tuple(data for data in certificates.values() if _sealable(data, hub.now))


@lru_cache(maxsize=1024)
def _sealable(certificate: bytes, now: datetime) -> bool:
    """Asked several times a night of each of 200 certificates, at 0.5 ms an answer (measured)."""
    return inspect(certificate).sealable(now)


def settle(
    hub: Hub, collected: Iterable[Collected], *, decisions: dict[int, Hold] | None = None, progress: Progress = lambda *_: None
) -> Intake:
    """Settle collected files, and held ones on which there are `decisions` (by hold id), LA by LA; one commit."""
    files = list(collected)
    result = Intake()
    with hub.stages("check and merge"):
        results = _evenings(hub, files, decisions or {}, progress)
    worked = sum(one.seconds for one in results)
    hub.stages.share("answers", "check and merge", sum(one.answering for one in results) / worked if worked else 0.0)
    for one in results:
        result.arrivals += one.arrivals + one.settled
        result.holds += one.holds
        result.waiting += one.waiting
        result.notes += [f"{one.la_code}: {note}" for note in one.operator_notes]
        for change, count in one.changes.items():
            result.changes[change] = result.changes.get(change, 0) + count
        if one.fault:
            result.faults[one.la_code] = one
    progress("committing", 0, 0)
    result.head = _commit(hub, results, result.waiting, looked=decisions is None)
    _drop_halves(hub, result.waiting)
    return result


def _evenings(hub: Hub, files: list[Collected], decisions: dict[int, Hold], progress: Progress) -> list[LaResult]:
    """What each LA's evening comes to, by code; all side by side."""
    tasks = _tasks(hub, files, decisions)
    results: list[LaResult] = []
    with workers(hub, len(tasks)) as executor:
        running: list[Future[list[LaResult]]] = []
        with suppress(BrokenExecutor):
            running += (executor.submit(work, batch) for batch in _batches(tasks, _BATCHES * worker_count(hub)))
        for done in as_completed(running):
            if isinstance(done.exception(), BrokenExecutor):
                continue
            results += done.result()
            progress("checking and merging", len(results), len(tasks))
    settled = {one.la_code for one in results}
    results += (_apart(hub, task) for task in tasks if task.partner.code not in settled)
    asked = {task.partner.code: task for task in tasks}
    return sorted((accounted(asked[one.la_code], one) for one in results), key=lambda one: one.la_code)


def _apart(hub: Hub, task: LaTask) -> LaResult:
    """One LA in a process of its own here, after a worker was killed with others' tasks: now it shows whose task kills."""
    with workers(hub, 1, apart=True) as executor:
        try:
            return executor.submit(work, [task]).result()[0]
        except BrokenExecutor:
            why = "Its worker process was killed, perhaps by the system for want of memory."
            return LaResult(task.partner.code, fault=why, fault_code=Exit.BUG)


def first_seen(hub: Hub) -> dict[tuple[str, str, str, str], datetime]:
    """Since when each file that is waited for has had the bytes it has: (mailbox, folder, name, digest) -> instant."""
    return {(w.mailbox, w.folder, w.name, w.digest): w.first_seen_at for w in hub.catalogue.waiting()}


def wait_for(hub: Hub, file: Collected) -> bool:
    """Whether an unreadable file may still be growing; it is remembered if so (FAULTS F01)."""
    since = first_seen(hub).get((file.mailbox, file.folder, file.name, file.digest), hub.now)
    if (hub.now - min(since, file.modified_at)).total_seconds() / 60 >= hub.settings.intake.partial_wait_minutes:
        return False
    waited = Waiting(mailbox=file.mailbox, folder=file.folder, name=file.name, digest=file.digest, first_seen_at=since)
    hub.catalogue.wait_for([waited], gone=[waited])
    return True


def _batches(tasks: list[LaTask], count: int) -> list[list[LaTask]]:
    """The tasks in at most `count` batches of much the same size, two at least in each: each to the one that has least so far."""
    batches: list[list[LaTask]] = [[] for _ in range(min(count, ceil(len(tasks) / 2)))]
    sizes = [0] * len(batches)
    for task in sorted(tasks, key=_size, reverse=True):
        least = sizes.index(min(sizes))
        batches[least].append(task)
        sizes[least] += _size(task) + 1
    return batches


def _size(task: LaTask) -> int:
    return sum(candidate.arrival.size for candidate in task.candidates)


def _tasks(hub: Hub, files: list[Collected], decisions: dict[int, Hold]) -> list[LaTask]:
    """One task for every LA with something to settle: new files, a decision, or somebody who turns 18."""
    number = hub.catalogue.next_arrival_id()
    seen = first_seen(hub)
    new: dict[str, list[Candidate]] = {}
    for file in files:
        key = (file.mailbox, file.folder, file.name, file.digest)
        arrival = Arrival(
            id=number,
            partner=file.partner,
            mailbox=file.mailbox,
            folder=file.folder,
            name=file.name,
            digest=file.digest,
            size=file.size,
            modified_at=file.modified_at,
            seen_at=hub.now,
            state=FileState.HELD,
        )
        new.setdefault(file.partner, []).append(Candidate(arrival, seen.get(key, hub.now)))
        number += 1

    open_holds: dict[str, list[Hold]] = {}
    for hold in hub.catalogue.holds():
        open_holds.setdefault(hold.partner, []).append(decisions.get(hold.id, hold))
    states = {version.la_code: version for version in hub.catalogue.las()}
    waits = hub.trace.keeps_waiting
    freed = {hold.partner for holds in open_holds.values() for hold in holds if hold.reason == "DEMOGRAPHICS" and not waits}
    matching = _matches(hub)
    due = {code for code, version in states.items() if version.next_age_out and version.next_age_out <= hub.business_date}
    decided = {hold.partner for hold in decisions.values()}
    return [
        _task(hub, hub.partners[code], tuple(new.get(code, ())), open_holds.get(code, []), code in freed, matching.get(code))
        for code in sorted(new.keys() | due | decided | freed)
        if code in hub.partners
    ]


def _matches(hub: Hub) -> dict[str, Match]:
    """The newest match rate of each LA and those of the weeks before, for its answers.

    None of any where the table cannot be read: the trace tells of that.
    """
    part = {one.name: one.part for one in hub.catalogue.trace_parts()}.get("RATES")
    try:
        rates = hub.store.read(part) if part else RATES.empty_table()
    except StateFault:
        return {}
    return matches(rates, hub.business_date)


def _task(hub: Hub, partner: Partner, new: tuple[Candidate, ...], holds: list[Hold], freed: bool, match: Match | None) -> LaTask:
    held = {arrival.id: arrival for arrival in hub.catalogue.arrivals("partner = ? AND state = 'HELD'", (partner.code,))}
    # What is held is looked at again with another file, with a decision, or when it need not wait for the trace service any more
    # (`freed`). A birthday alone asks nothing of it, and no certificate.
    files_looked_at = bool(new) or freed or any(hold.decision is not None for hold in holds)
    again = tuple(_again(hub, held[hold.arrival_id], hold) for hold in holds if files_looked_at and hold.arrival_id in held)
    conflicts = [hold for hold in holds if hold.reason == "CONFLICT"]
    certificates = certificates_of(hub, partner)
    if isinstance(certificates, ConfigFault):
        if files_looked_at:
            raise certificates
        certificates = {}
    return LaTask(
        partner=partner,
        name=hub.la_name(partner.code),
        certificates=certificates,
        recipients=recipients(hub, certificates),
        version=hub.catalogue.la(partner.code),
        merged=hub.catalogue.merged_files(partner.code),
        held_digests=frozenset(arrival.digest for arrival in held.values()),
        brake=partner.brake or hub.settings.brake,
        candidates=(*again, *new),
        conflict_open=any(hold.decision is None for hold in conflicts),
        decided=tuple(hold for hold in conflicts if hold.decision is not None),
        notices=_key_notices(hub, certificates),
        match=match,
    )


def _again(hub: Hub, arrival: Arrival, hold: Hold) -> Candidate:
    """A held file. Each release on it waives what it was asked about and goes on doing so; each reason is told to the LA once."""
    before = [one for one in hub.catalogue.holds(open_only=False) if one.arrival_id == hold.arrival_id and one.id != hold.id]
    return Candidate(
        arrival,
        arrival.seen_at,
        hold=hold,
        waived=frozenset(one.reason for one in (*before, hold) if one.decision == "RELEASED"),
        told=frozenset(one.reason for one in (*before, hold)),
    )


def _key_notices(hub: Hub, certificates: dict[str, bytes]) -> tuple[Notice, ...]:
    """Which of the LA's keys run out within the longest warning time (FAULTS F24)."""
    furthest = max(hub.settings.warnings.key_expiry_days, default=0)
    found = []
    for fingerprint, certificate in certificates.items():
        expires = inspect(certificate).expires
        if expires is not None and (days := (expires.date() - hub.business_date).days) <= furthest:
            text = f"Your key {fingerprint[-16:]} expires on {expires.date()}, in {days} days."
            found.append(Notice(findings.KEY_EXPIRES.code, text, findings.KEY_EXPIRES.cure))
    return tuple(found)


def accounted(task: LaTask, result: LaResult) -> LaResult:
    """The result, if every file of the task came to one end, every end has one answer, and the plans balance; else a fault.

    Every file is an arrival, settled, waited for, or held as it was; every final one has one acknowledgement.
    """
    if result.fault:
        return result
    ends = [arrival.id for arrival in (*result.arrivals, *result.settled)] + [one.arrival.id for one in result.waiting]
    still = {candidate.arrival.id for candidate in task.candidates if candidate.hold} - set(ends)
    answered = [delivery.arrival_id for delivery in result.deliveries if delivery.kind == "ACKNOWLEDGEMENT"]
    final = [arrival.id for arrival in (*result.arrivals, *result.settled) if arrival.file_outcome]
    if sorted([*ends, *still]) != sorted(candidate.arrival.id for candidate in task.candidates):
        why = "A file of it came to no end, or to two."
    elif sorted(one for one in answered if one is not None) != sorted(final):
        why = "A file of it has no acknowledgement, or two."
    elif any(one.opening + one.new + one.reopened - one.deleted - one.erased != one.closing for one in result.balances):
        why = "Its balance does not hold: plans would appear or vanish."
    else:
        return result
    return LaResult(result.la_code, fault=why, fault_code=Exit.BUG)


def _commit(hub: Hub, results: list[LaResult], waiting: list[Candidate], *, looked: bool) -> CommitHead | None:
    """Make the evening true. Where nobody `looked` into the mailboxes, what is waited for there goes on being waited for."""
    what: dict[str, tuple[Any, ...]] = {
        "versions": tuple(one.version for one in results if one.version),
        "balances": tuple(line for one in results for line in one.balances),
        "changes": tuple(
            ChangeCount(la_code=one.la_code, change=change, plans=plans)
            for one in results
            for change, plans in one.changes.items()
        ),
        "arrivals": tuple(arrival for one in results for arrival in one.arrivals),
        "settled": tuple(arrival for one in results for arrival in one.settled),
        "holds": tuple(hold for one in results for hold in one.holds),
        "decided": tuple(hold for one in results for hold in one.decided),
        "deliveries": tuple(delivery for one in results for delivery in one.deliveries),
    }
    still = {(c.arrival.mailbox, c.arrival.folder, c.arrival.name): _waiting(c) for c in waiting}
    folders = {(partner.mailbox, inbound(partner)) for partner in hub.partners.values() if partner.kind is PartnerKind.LA}
    before = [w for w in hub.catalogue.waiting() if looked and (w.mailbox, w.folder) in folders]
    gone = [w for w in before if still.get((w.mailbox, w.folder, w.name)) != w]
    new = [w for w in still.values() if w not in before]
    head = hub.commit("INTAKE", forget=gone, **what) if any(what.values()) else None
    if new or (gone and head is None):
        hub.catalogue.wait_for(new, gone=gone)
    return head


def _drop_halves(hub: Hub, waiting: list[Candidate]) -> None:
    """Take files that may still be growing out of the archive again: they are fetched anew, and may be whole by then."""
    for candidate in waiting:
        digest = candidate.arrival.digest
        if not hub.catalogue.arrivals("digest = ?", (digest,)):
            (hub.home / "archive" / f"{digest}{outbox.SUFFIX}").unlink(missing_ok=True)


def _waiting(candidate: Candidate) -> Waiting:
    arrival = candidate.arrival
    return Waiting(
        mailbox=arrival.mailbox,
        folder=arrival.folder,
        name=arrival.name,
        digest=arrival.digest,
        first_seen_at=candidate.first_seen_at,
    )
