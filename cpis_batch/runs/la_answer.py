"""What an evening tells the LA of one file: the arrival's line with what is known of it, and its answer, sealed and durable."""

from __future__ import annotations

import msgspec
import pyarrow as pa

from cpis_batch.catalogue.records import Arrival, Delivery
from cpis_batch.delivery import outbox
from cpis_batch.envelope.sealing import seal
from cpis_batch.intake import acknowledge, answer_forms, answering
from cpis_batch.intake.acknowledge import Answer, Notice
from cpis_batch.intake.check import Verdict
from cpis_batch.intake.findings import Finding
from cpis_batch.register.schema import CHANGES
from cpis_batch.runs.task import Candidate, Keys, LaTask, Rehearsed
from cpis_batch.vocabulary import FileOutcome, FileState


def described(
    candidate: Candidate,
    state: FileState,
    outcome: FileOutcome | None,
    finding: Finding | None,
    verdict: Verdict | None,
    signer: str | None,
    epoch: int | None = None,
) -> Arrival:
    """The arrival's line with what is now known of it."""
    header = verdict.header if verdict else None
    arrival = msgspec.structs.replace(
        candidate.arrival,
        state=state,
        file_outcome=outcome,
        code=finding.code if finding else None,
        signer=signer,
        epoch=epoch,
    )
    if verdict:
        loaded, final = state is FileState.MERGED, state not in (FileState.HELD, FileState.DUPLICATE)
        arrival = msgspec.structs.replace(
            arrival,
            code=arrival.code or answering.refusal_code(verdict),
            records=verdict.records,
            records_loaded=(verdict.accepted.num_rows if loaded else 0) if final else None,
            records_rejected=verdict.outcomes.num_rows - (verdict.accepted.num_rows if loaded else 0) if final else None,
            records_warned=answering.rows_warned(verdict),
        )
    if header:
        arrival = msgspec.structs.replace(
            arrival, sequence=header.sequence, kind=str(header.kind), extracted_at=header.extracted_at
        )
    return arrival


def answer(
    task: LaTask,
    common: Rehearsed,
    candidate: Candidate,
    arrival: Arrival,
    *,
    faults: pa.Table,
    verdict: Verdict | None,
    standing: pa.Table | None,
    changes: pa.Table | None,
    missing: pa.Table | None,
    notices: tuple[Notice, ...],
    holds: tuple[str, ...],
    held_for: str,
) -> Answer:
    """All that the answer says. `missing` are PLANS that the newest full extract left out; of a file that was merged alone."""
    merged = arrival.state is FileState.MERGED
    to_check = acknowledge.TO_CHECK.empty_table()
    if merged and verdict is not None and standing is not None:
        to_check = answering.to_check(verdict, standing)
    return Answer(
        reference=_reference(task, arrival, held_for),
        la_code=task.partner.code,
        la_name=task.name,
        file_name=arrival.name,
        file_digest=arrival.digest,
        received_at=candidate.first_seen_at,
        answered_at=common.now,
        state=arrival.state,
        outcome=FileOutcome.DEMOGRAPHICS_UNAVAILABLE if held_for == "DEMOGRAPHICS" else arrival.file_outcome,
        code=arrival.code,
        sequence=arrival.sequence,
        kind=verdict.header.kind if verdict and verdict.header else None,
        extracted_at=arrival.extracted_at,
        faults=faults,
        outcomes=answering.row_outcomes(arrival.state, verdict, standing),
        changes=CHANGES.empty_table() if changes is None else changes,
        missing=_told_missing(missing),
        match=task.match if merged else None,
        to_check=to_check,
        notices=notices,
        holds=holds,
        audit=common.audit,
    )


def prepared(said: Answer, task: LaTask, common: Rehearsed, keys: Keys, arrival: Arrival) -> Delivery:
    """The answer rendered, sealed to the LA and durable in the outbox; nothing of it is true before a commit names it."""
    return outbox.prepare(
        common.home / "outbox",
        task.partner,
        kind="ACKNOWLEDGEMENT" if arrival.file_outcome is not None else "NOTICE",
        purpose="Answer to a file of the recipient's own",
        name=f"{said.reference}.zip.pgp",
        sealed=seal(answer_forms.render(said), recipients=task.recipients, signer=keys.signer),
        record_count=said.outcomes.num_rows,
        made_at=common.now,
        arrival_id=arrival.id,
    )


def _reference(task: LaTask, arrival: Arrival, held_for: str) -> str:
    label = f"{arrival.sequence:08d}" if arrival.sequence >= 0 else "unread"
    what, why = ("ACK", "") if arrival.file_outcome is not None else ("NOTICE", f"_{held_for}")
    return f"CPIS_{what}_{task.partner.code}_{label}_{arrival.id:09d}{why}"


def _told_missing(missing: pa.Table | None) -> pa.Table:
    empty = acknowledge.MISSING.empty_table()
    return empty if missing is None else missing.select(empty.column_names).cast(acknowledge.MISSING)
