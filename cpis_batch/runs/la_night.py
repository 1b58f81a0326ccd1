"""One LA's evening, in a worker process: open, place, merge, brake, answer. Nothing of it is true yet.

The worker reads the LA's parts, writes new ones and sealed answers (named by content, durable), and tells the parent
what to commit. What was opened is checked in between, together with other LAs' files (`runs.worker`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import pyarrow as pa

from cpis_batch import accounts
from cpis_batch.catalogue.records import Arrival, Balance, Hold, Would, WouldChange
from cpis_batch.delivery import outbox
from cpis_batch.envelope.opening import open_message
from cpis_batch.envelope.outcome import Opened, Refusal, Unopened
from cpis_batch.intake import answering, findings
from cpis_batch.intake.acknowledge import Notice
from cpis_batch.intake.check import Verdict
from cpis_batch.intake.file_facts import Header
from cpis_batch.intake.findings import Finding
from cpis_batch.intake.sequence import Last, Placement, place
from cpis_batch.keystore import MasterKey
from cpis_batch.register import guard, history, merge, view
from cpis_batch.register.balance import balance
from cpis_batch.register.schema import HISTORY, PLANS
from cpis_batch.register.store import PartStore
from cpis_batch.runs import la_answer, la_part
from cpis_batch.runs.stages import Stages
from cpis_batch.runs.task import Candidate, Keys, LaResult, LaTask, Rehearsed
from cpis_batch.vocabulary import Change, FileOutcome, FileState

_BY_A_FILE = "settled by a later file"
_SETTLED_BY = {"DEMOGRAPHICS": "files wait for the trace service no longer"}


@dataclass(frozen=True, slots=True)
class Readable:
    """A candidate whose sender is proven and whose text was read."""

    candidate: Candidate
    verdict: Verdict
    header: Header
    content: str
    notices: tuple[Notice, ...]
    signer: str
    standing: pa.Table | None  # of its accepted rows (standing.ROWS); None where the tables of the trace cannot be read


class Evening:
    """The state of one LA while its files are settled in the order of their sequence."""

    def __init__(self, task: LaTask, common: Rehearsed, keys: Keys) -> None:
        self.task, self.common, self.keys = task, common, keys
        self.store = PartStore(common.home / "register", MasterKey(keys.master))
        self.result = LaResult(task.partner.code)
        self.stages = Stages()
        self.version = task.version
        self.merged = dict(task.merged)
        self.plans = self.store.read(task.version.plans_part) if task.version else PLANS.empty_table()
        self.opening = self.plans
        accounts.check_count("The part as it was written", task.version.row_count if task.version else 0, self.plans.num_rows)
        self.past = (
            self.store.read(task.version.history_part) if task.version and task.version.history_part else HISTORY.empty_table()
        )
        self.changes: list[pa.Table] = []
        self.result.decided += task.decided
        self.conflict = task.conflict_open
        self.touched = False
        self.opened: list[tuple[Candidate, Opened]] = []
        self.on_hold: list[tuple[Readable, str, tuple[str, ...]]] = []  # with the reason, and why in words

    @property
    def bytes_opened(self) -> int:
        """How much plaintext is held."""
        return sum(len(opened.plaintext) for _, opened in self.opened)

    def open(self) -> None:
        """Prove the senders of all candidates; what can be read is in `opened`, what cannot is settled."""
        for candidate in self.task.candidates:
            if opened := self.open_one(candidate):
                self.opened.append((candidate, opened))

    def run(self, judged: Sequence[tuple[Verdict, pa.Table | None]]) -> LaResult:
        """Settle what was opened by the verdict and the standing of each, let who is 18 age out, write the parts that changed."""
        known = ((*file, *said) for file, said in zip(self.opened, judged, strict=True))
        readable = [found for one in known if (found := self.readable(*one))]
        for found in sorted(readable, key=lambda one: (one.header.sequence, one.header.extracted_at)):
            self.settle(found)
        for found, reason, words in self.on_hold:
            if self.placed(found) is Placement.STALE:  # a file of the same evening has overtaken it
                self.finish(found.candidate, FileState.STALE, FileOutcome.NONE_LOADED, findings.STALE, found)
            else:
                self.hold(found, reason, words)
        if self.version and self.version.next_age_out and self.version.next_age_out <= self.common.business_date:
            self.apply(merge.age_out(self.plans, business_date=self.common.business_date, known_at=self.common.now))
        if self.touched:
            self.write()
        self.result.answering = self.stages.seconds.get("answers", 0.0)
        return self.result

    # One file

    def open_one(self, candidate: Candidate) -> Opened | None:
        """Prove the sender; None where that already settles the file."""
        arrival = candidate.arrival
        if candidate.hold is None and (arrival.digest in self.task.held_digests or arrival.digest in self.digests()):
            before = next(
                (outcome for digest, outcome in self.merged.values() if digest == arrival.digest), FileOutcome.NONE_LOADED
            )
            self.finish(candidate, FileState.DUPLICATE, before, findings.ALREADY_HERE)
            return None
        path = self.common.home / "archive" / f"{arrival.digest}{outbox.SUFFIX}"
        opened = open_message(path, gpg_home=self.keys.gpg_home, allowed=self.task.certificates, limits=self.common.limits)
        if isinstance(opened, Unopened):
            self.unopened(candidate, opened)
            return None
        return opened

    def readable(self, candidate: Candidate, opened: Opened, verdict: Verdict, standing: pa.Table | None) -> Readable | None:
        """What can be given its place; None where the rules, or a person, have settled the file."""
        if candidate.hold and candidate.hold.decision == "REFUSED":
            self.finish(
                candidate,
                FileState.REFUSED,
                FileOutcome.NONE_LOADED,
                findings.DECIDED_AGAINST,
                verdict=verdict,
                signer=opened.signer,
            )
            return None
        header = verdict.header
        if header is None or answering.refusal_code(verdict):
            self.finish(candidate, FileState.REFUSED, verdict.file_outcome, None, verdict=verdict, signer=opened.signer)
            return None
        content, notices = answering.content_digest(opened.plaintext), self.key_notices(opened)
        return Readable(candidate, verdict, header, content, notices, opened.signer, standing)

    def digests(self) -> set[str]:
        """The digests of all files that were merged."""
        return {digest for digest, _ in self.merged.values()}

    def unopened(self, candidate: Candidate, opened: Unopened) -> None:
        """Wait while the file may still be growing, else refuse it. One that is held was whole, and is not waited for."""
        self.result.operator_notes.append(f"arrival {candidate.arrival.id}: {opened.refusal}: {opened.operator_detail}")
        quiet_since = min(candidate.first_seen_at, candidate.arrival.modified_at)
        minutes = (self.common.now - quiet_since).total_seconds() / 60
        if candidate.hold is None and opened.refusal is Refusal.UNREADABLE and minutes < self.common.partial_wait_minutes:
            self.result.waiting.append(candidate)
            return
        outcome = FileOutcome.UNREADABLE if opened.refusal is Refusal.UNREADABLE else FileOutcome.NONE_LOADED
        self.finish(candidate, FileState.REFUSED, outcome, findings.OF_REFUSAL[opened.refusal])

    def key_notices(self, opened: Opened) -> tuple[Notice, ...]:
        """What the sender should know of its keys."""
        if opened.sealed_to and opened.sealed_to != self.keys.current_hub:
            return (*self.task.notices, answering.notice(findings.PREVIOUS_HUB_KEY))
        return self.task.notices

    def placed(self, found: Readable) -> Placement:
        """The place of a readable file among those merged by now."""
        header, version = found.header, self.version
        return place(
            kind=header.kind,
            sequence=header.sequence,
            extracted_at=header.extracted_at,
            digest=found.candidate.arrival.digest,
            last=Last(version.last_sequence, version.last_extracted_at) if version else None,
            merged={number: digest for (epoch, number), (digest, _) in self.merged.items() if version and epoch == version.epoch},
        )

    def settle(self, found: Readable) -> None:
        """Give a readable file its place, and merge it where that is its turn."""
        waived = found.candidate.waived
        placed = self.placed(found)
        if placed is Placement.DUPLICATE:
            self.finish(found.candidate, FileState.DUPLICATE, found.verdict.file_outcome, findings.ALREADY_HERE, found)
        elif placed is Placement.STALE:
            self.finish(found.candidate, FileState.STALE, FileOutcome.NONE_LOADED, findings.STALE, found)
        elif placed is Placement.REFUSED:
            self.conflict = True
            self.finish(found.candidate, FileState.REFUSED, FileOutcome.NONE_LOADED, findings.REPEATED_SEQUENCE, found)
            self.result.holds.append(self.new_hold(found.candidate, "CONFLICT", findings.REPEATED_SEQUENCE.cause))
        elif self.conflict:
            self.on_hold.append((found, "PARTNER_HELD", (findings.PARTNER_HELD.cause,)))
        elif placed is Placement.HELD_GAP and "GAP" not in waived:
            self.on_hold.append((found, "GAP", (findings.GAP.cause,)))
        elif placed is Placement.HELD_RESET and "RESET" not in waived:
            self.on_hold.append((found, "RESET", (findings.RESET.cause,)))
        elif self.common.trace.keeps_waiting and "DEMOGRAPHICS" not in waived:
            self.on_hold.append((found, "DEMOGRAPHICS", (findings.DEMOGRAPHICS_UNAVAILABLE.cause,)))
        else:
            self.take(found, placed, brake="BRAKE" not in waived)

    def take(self, found: Readable, placed: Placement, *, brake: bool) -> None:
        """Merge into the LA's part, unless the brake holds the file; an LA's first file is exempt."""
        verdict, header, version = found.verdict, found.header, self.version
        of_file = {"la_code": self.task.partner.code, "digest": found.candidate.arrival.digest}
        merged = la_part.merged(self.plans, self.past, verdict, header, common=self.common, **of_file)
        if version and brake:
            brakes = guard.assess(
                self.plans,
                merged.changes,
                kind=header.kind,
                rows=verdict.outcomes.num_rows,
                usual_rows=version.usual_rows,
                first=False,
                business_date=self.common.business_date,
                brake=self.task.brake,
            )
            if brakes:
                self.on_hold.append((found, "BRAKE", tuple(brake.words for brake in brakes)))
                return
        notices = list(found.notices)
        if placed is Placement.MERGE_WITH_GAP or placed is Placement.HELD_GAP:
            notices.append(answering.notice(findings.GAP))
        if version and found.content == version.last_content:
            notices.append(answering.notice(findings.HEARTBEAT))
        if self.common.trace.silent_since:
            silent = findings.TRACE_SILENT
            text = f"{silent.cause} It was asked on {self.common.trace.silent_since} and has sent nothing since."
            notices.append(Notice(silent.code, text, silent.cure))
        if found.standing is None:
            notices.append(answering.notice(findings.STANDING_UNKNOWN))
        self.apply(merged)
        epoch = version.epoch if version else 1
        if placed is Placement.HELD_RESET:
            epoch += 1
        self.version = la_part.version_after(version, verdict, header, content=found.content, epoch=epoch, **of_file)
        self.merged[(epoch, header.sequence)] = (found.candidate.arrival.digest, verdict.file_outcome)
        self.finish(
            found.candidate,
            FileState.MERGED,
            verdict.file_outcome,
            None,
            found,
            changes=merged.changes,
            notices=tuple(notices),
            epoch=epoch,
            passed_over=merged.passed_over,
        )

    def apply(self, merged: merge.Merged) -> None:
        """Take a merge's result for the LA's state."""
        self.plans = merged.plans
        kept = self.past.num_rows + merged.closed.num_rows
        self.past = history.append(self.past, merged.closed)
        accounts.check_count("The history", kept, self.past.num_rows)
        self.changes.append(merged.changes)
        self.touched = True

    def hold(self, found: Readable, reason: str, words: tuple[str, ...]) -> None:
        """Leave the file unapplied for a person or another file; told once for each reason."""
        before = found.candidate.hold
        if before and before.reason == reason:
            return
        arrival = la_answer.described(found.candidate, FileState.HELD, None, None, found.verdict, found.signer)
        if before:
            self.result.decided.append(before if before.decision else overtaken(before, self.common.now))
        else:
            self.result.arrivals.append(arrival)
        self.result.holds.append(self.new_hold(found.candidate, reason, " ".join(words), self.would(found)))
        if reason not in found.candidate.told:
            with self.stages("answers"):
                self.answer(found.candidate, arrival, None, found.verdict, holds=words, held_for=reason, notices=found.notices)

    def new_hold(self, candidate: Candidate, reason: str, detail: str, would: Would | None = None) -> Hold:
        """A hold's line."""
        return Hold(
            arrival_id=candidate.arrival.id,
            partner=self.task.partner.code,
            reason=reason,
            detail=detail,
            made_at=self.common.now,
            would=would,
        )

    def would(self, found: Readable) -> Would:
        """What the file would do to the LA's plans as they stand after this evening, if a person released it."""
        of_file = {"la_code": self.task.partner.code, "digest": found.candidate.arrival.digest}
        merged = la_part.merged(self.plans, self.past, found.verdict, found.header, common=self.common, **of_file)
        today = self.common.business_date
        counts = merged.changes.group_by(["plan_type", "change"]).aggregate([([], "count_all")])
        told = counts.sort_by([("plan_type", "ascending"), ("change", "ascending")]).to_pylist()
        return Would(
            changes=tuple(WouldChange(row["plan_type"], row["change"], row["count_all"]) for row in told),
            active_before=view.by_type(view.active(self.plans, today)),
            active_after=view.by_type(view.active(merged.plans, today)),
        )

    def finish(
        self,
        candidate: Candidate,
        state: FileState,
        outcome: FileOutcome,
        finding: Finding | None,
        found: Readable | None = None,
        *,
        verdict: Verdict | None = None,
        signer: str | None = None,
        changes: pa.Table | None = None,
        notices: tuple[Notice, ...] | None = None,
        epoch: int | None = None,
        passed_over: pa.Table | None = None,
    ) -> None:
        """Give a file its terminal state and its one acknowledgement."""
        verdict, standing = (found.verdict, found.standing) if found else (verdict, None)
        signer = found.signer if found else signer
        arrival = la_answer.described(candidate, state, outcome, finding, verdict, signer, epoch)
        (self.result.settled if candidate.hold else self.result.arrivals).append(arrival)
        if candidate.hold:
            decided = candidate.hold if candidate.hold.decision else overtaken(candidate.hold, self.common.now)
            self.result.decided.append(decided)
        if notices is None:
            notices = found.notices if found else self.task.notices
        with self.stages("answers"):
            self.answer(candidate, arrival, finding, verdict, standing, changes=changes, notices=notices, passed_over=passed_over)

    def answer(
        self,
        candidate: Candidate,
        arrival: Arrival,
        finding: Finding | None,
        verdict: Verdict | None,
        standing: pa.Table | None = None,
        *,
        changes: pa.Table | None = None,
        notices: tuple[Notice, ...] = (),
        holds: tuple[str, ...] = (),
        held_for: str = "",
        passed_over: pa.Table | None = None,
    ) -> None:
        """Render, seal to the LA, make durable in the outbox."""
        missing = view.missing(self.plans, self.common.business_date) if arrival.state is FileState.MERGED else None
        said = la_answer.answer(
            self.task,
            self.common,
            candidate,
            arrival,
            faults=answering.faults(finding if arrival.state is FileState.REFUSED else None, verdict, passed_over),
            verdict=verdict,
            standing=standing,
            changes=changes,
            missing=missing,
            notices=notices if arrival.state is not FileState.REFUSED else self.task.notices,
            holds=holds,
            held_for=held_for,
        )
        self.result.deliveries.append(la_answer.prepared(said, self.task, self.common, self.keys, arrival))

    # The LA's new state

    def write(self) -> None:
        """Write the parts, recount everything from them, and hold the balance."""
        assert self.version is not None
        plans = self.store.write(self.plans)
        past = self.store.write(self.past) if self.past.num_rows else None
        self.result.version = msgspec.structs.replace(
            la_part.recounted(self.version, self.plans, self.common.business_date),
            plans_part=plans.digest,
            history_part=past.digest if past else None,
        )
        accounts.check_count("The part of the plans", self.plans.num_rows, plans.rows)
        accounts.check_count("The part of the history", self.past.num_rows, past.rows if past else 0)
        changes = pa.concat_tables(self.changes)
        self.result.balances = tuple(
            msgspec.convert(row, Balance)
            for row in balance(self.task.partner.code, self.opening, self.plans, changes).to_pylist()
        )
        for value in changes["change"].value_counts().to_pylist():
            if value["values"] != Change.CONFIRMED:
                self.result.changes[Change(value["values"])] = value["counts"]


def overtaken(hold: Hold, now: datetime) -> Hold:
    """A hold that events have decided."""
    return msgspec.structs.replace(
        hold,
        decision="OVERTAKEN",
        decided_at=now,
        decided_by="cpis-batch",
        decision_reason=_SETTLED_BY.get(hold.reason, _BY_A_FILE),
    )
