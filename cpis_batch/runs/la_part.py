"""What a file does to one LA's part of the register: the same steps on the night and when the archive is replayed.

Tables and values in, tables and values out. Who opens a file, and who writes a part, is told elsewhere (`la_night`, `rebuild`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import accounts
from cpis_batch.business_time import business_date as date_in_england
from cpis_batch.catalogue.records import LaVersion
from cpis_batch.intake.check import CheckContext, Verdict, check_all
from cpis_batch.intake.file_facts import Header
from cpis_batch.intake.read import read_extract
from cpis_batch.register import merge, view
from cpis_batch.register.digest import logical_digest
from cpis_batch.register.merge import Merged
from cpis_batch.runs.task import Rehearsed
from cpis_batch.vocabulary import ExtractKind, PlanType


def judged(texts: Sequence[tuple[str, bytes]], common: Rehearsed) -> list[Verdict]:
    """The texts of files, each with its LA's code, held to the rules on the business date of `common`; the verdicts in order.

    Bug where a row of one of them has no outcome, or two.
    """
    verdicts = check_all(
        [read_extract(plaintext, line_bytes=common.limits.line_bytes) for _, plaintext in texts],
        [CheckContext(la_code, common.environment, common.business_date) for la_code, _ in texts],
    )
    return [_counted(plaintext, verdict) for (_, plaintext), verdict in zip(texts, verdicts, strict=True)]


def _counted(plaintext: bytes, verdict: Verdict) -> Verdict:
    if verdict.header is None:
        return verdict  # its rows were not looked at
    return replace(verdict, records=accounts.check_rows(plaintext, verdict.outcomes, verdict.accepted))


def merged(
    plans: pa.Table, history: pa.Table, verdict: Verdict, header: Header, *, la_code: str, digest: str, common: Rehearsed
) -> Merged:
    """What a readable file (the one with this SHA-256) makes of the LA's PLANS and HISTORY, known at the `now` of `common`.

    Bug where an accepted row, or a version that was replaced, went nowhere.
    """
    facts = merge.ExtractFacts(
        la_code=la_code,
        kind=header.kind,
        extracted_on=date_in_england(header.extracted_at),
        source_file=digest,
        rejected=verdict.rejected,
    )
    result = merge.merge(
        plans,
        verdict.accepted,
        facts,
        history=history,
        business_date=common.business_date,
        known_at=common.now,
        retention_days=common.retention_days,
    )
    accounts.check_merge(verdict.accepted, result.changes, result.passed_over, result.closed)
    return result


def version_after(
    before: LaVersion | None, verdict: Verdict, header: Header, *, la_code: str, digest: str, content: str, epoch: int
) -> LaVersion:
    """The LA's line once a file is merged. What is counted from the plans is put in by `recounted`, the parts when written."""
    usual = verdict.outcomes.num_rows if header.kind is ExtractKind.FULL else (before.usual_rows if before else None)
    return LaVersion(
        la_code=la_code,
        plans_part="",
        history_part=None,
        logical_digest="",
        row_count=0,
        active_cpp=0,
        active_lac=0,
        active_ucpp=0,
        missing=0,
        missing_since=None,
        next_age_out=None,
        oldest_end=None,
        epoch=epoch,
        last_sequence=header.sequence,
        last_kind=header.kind,
        last_extracted_at=header.extracted_at,
        last_file=digest,
        last_content=content,
        usual_rows=usual,
        office_phone=header.office_phone,
        emergency_phone=header.emergency_phone,
    )


def recounted(version: LaVersion, plans: pa.Table, business_date: date) -> LaVersion:
    """The LA's line with everything in it that is counted from its PLANS, as they stand on the business date."""
    active = view.by_type(view.active(plans, business_date))
    missing = view.missing(plans, business_date)
    since: date | None = min(missing["missing_since"].to_pylist(), default=None)
    return msgspec.structs.replace(
        version,
        logical_digest=logical_digest(plans),
        row_count=plans.num_rows,
        active_cpp=active[PlanType.CPP],
        active_lac=active[PlanType.LAC],
        active_ucpp=active[PlanType.UCPP],
        missing=missing.num_rows,
        missing_since=since,
        next_age_out=merge.next_age_out(plans),
        oldest_end=pc.min(plans["end_date"]).as_py(),
    )
