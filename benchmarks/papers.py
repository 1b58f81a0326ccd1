"""What it takes to make all that authorities are sent: answers and access reports in every form, sealed, on two processes.

The synthetic England's extracts are checked and merged beforehand, outside the measurement; what is measured is what a night
does with the result: to render page, workbook, CSV and JSON of each authority's answer, and page, workbook and CSV of its access
report, and to seal each. Once as on an ordinary night, after a file that changed one row in a hundred, and once as after a first
file, all of whose rows are new.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from multiprocessing import get_context

import pyarrow as pa

from benchmarks.page import Section, Table
from cpis_batch.access import reference, render
from cpis_batch.access.events import read_events
from cpis_batch.access.report import by_la, report
from cpis_batch.access.withheld import sift
from cpis_batch.audit.entry import Head
from cpis_batch.envelope.sealing import seal
from cpis_batch.intake import acknowledge, answer_forms, answering
from cpis_batch.intake.acknowledge import Answer
from cpis_batch.intake.check import CheckContext, check
from cpis_batch.intake.read import read_extract
from cpis_batch.register import merge
from cpis_batch.register.merge import ExtractFacts
from cpis_batch.register.schema import PLANS
from cpis_batch.sandbox.england import England, make_england
from cpis_batch.sandbox.events import events_of
from cpis_batch.sandbox.extracts import Header, write
from cpis_batch.sandbox.nights import next_night
from cpis_batch.vocabulary import Environment, ExtractKind, FileState
from tests.envelope_kit import parties

MOST_SECONDS = 10.0  # issue 5
PROCESSES = 2
FRIDAY, MONDAY = date(2026, 10, 2), date(2026, 10, 5)
NIGHTS = ("ordinary night", "first night")


@dataclass(slots=True)
class Papers:
    """Seconds by the clock of each night; how many messages, and their sealed bytes."""

    seconds: dict[str, float] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    sealed_bytes: dict[str, int] = field(default_factory=dict)


@cache
def _keys() -> tuple[bytes, bytes]:
    la, hub = parties("LA", "Hub", expires=date(2036, 12, 31))
    return la.certificate, hub.secret


def _start(certificate: bytes, secret: bytes) -> None:
    _worker["keys"] = (certificate, secret)
    answer_forms.forms(_bare())  # templates are compiled and modules loaded once, as in a worker of the night


_worker: dict[str, tuple[bytes, bytes]] = {}


def _made(answers: Sequence[Answer], reports: Sequence[tuple[str, pa.Table]]) -> tuple[int, int]:
    """Render and seal; how many messages, of how many bytes."""
    certificate, secret = _worker["keys"]
    sealed = [seal(answer_forms.render(one), recipients=[certificate], signer=secret) for one in answers]
    for la, rows in reports:
        files = render.render(rows, la_code=la, la_name=la, made_at=datetime(2026, 10, 5, tzinfo=UTC))
        sealed.append(seal(acknowledge.bundle(files), recipients=[certificate], signer=secret))
    return len(sealed), sum(map(len, sealed))


def measure(las: Sequence[str], scale: float) -> Papers:
    """Both nights of the England of these authorities."""
    friday = make_england(seed=1, on=FRIDAY, scale=scale, las=las)
    monday = next_night(friday, MONDAY)
    empty = {la: PLANS.empty_table() for la in friday.by_la()}
    first, plans = _answers(friday, empty, FRIDAY, 1)
    second, plans = _answers(monday, plans, MONDAY, 2)
    reports = _reports(monday, pa.concat_tables(plans.values()))
    papers = Papers()
    for night, answers in zip(NIGHTS, (second, first), strict=True):
        with ProcessPoolExecutor(PROCESSES, get_context("forkserver"), _start, _keys()) as pool:
            list(pool.map(_made, [[]] * PROCESSES, [[]] * PROCESSES))  # both are up
            shares = [(answers[n :: PROCESSES * 4], reports[n :: PROCESSES * 4]) for n in range(PROCESSES * 4)]
            began = time.perf_counter()
            done = list(pool.map(_made, *zip(*shares, strict=True)))
            papers.seconds[night] = time.perf_counter() - began
        papers.messages[night] = sum(count for count, _ in done)
        papers.sealed_bytes[night] = sum(size for _, size in done)
    return papers


def _answers(england: England, before: dict[str, pa.Table], on: date, sequence: int) -> tuple[list[Answer], dict[str, pa.Table]]:
    at = datetime(on.year, on.month, on.day, 22, 30, tzinfo=UTC)
    found, after = [], {}
    for la, plans in england.by_la().items():
        header = Header(la_code=la, kind=ExtractKind.FULL, sequence=sequence, extracted_at=at)
        verdict = check(read_extract(write(header, plans)), CheckContext(la, Environment.TEST, on))
        facts = ExtractFacts(la_code=la, kind=ExtractKind.FULL, extracted_on=on, source_file="0" * 64)
        merged = merge.merge(before[la], verdict.accepted, facts, business_date=on, known_at=at)
        after[la] = merged.plans
        found.append(
            Answer(
                reference=f"CPIS_ACK_{la}",
                la_code=la,
                la_name=la,
                file_name=header.file_name,
                file_digest="0" * 64,
                received_at=at,
                answered_at=at,
                state=FileState.MERGED,
                outcome=verdict.file_outcome,
                audit=Head(1, "0" * 64),
                sequence=sequence,
                kind=ExtractKind.FULL,
                extracted_at=at,
                faults=answering.faults(None, verdict),
                outcomes=answering.row_outcomes(FileState.MERGED, verdict),
                changes=merged.changes,
            )
        )
    return found, after


def _bare() -> Answer:
    at = datetime(2026, 10, 2, tzinfo=UTC)
    return Answer(
        reference="r", la_code="E09000012", la_name="n", file_name="f", file_digest="0" * 64, received_at=at, answered_at=at,
        state=FileState.DUPLICATE, outcome=None, audit=Head(1, "0" * 64),
    )  # fmt: skip


def _reports(england: England, plans: pa.Table) -> list[tuple[str, pa.Table]]:
    known = reference.load()
    drop = events_of(england, 1, datetime(2026, 10, 5, 22, 30, tzinfo=UTC), None).drop
    reading = read_events(drop.content, known, environment=Environment.TEST, line_bytes=4096)
    return list(by_la(report(sift(reading.events, known), plans, known)).items())


def section(papers: Papers) -> Section:
    """What was measured, for the page."""
    rows = tuple(
        (night, f"{papers.messages[night]:,}", f"{papers.sealed_bytes[night] / 1e6:.1f}", f"{papers.seconds[night]:.1f}")
        for night in NIGHTS
    )
    claims = []
    for night in NIGHTS:
        met = "yes" if papers.seconds[night] < MOST_SECONDS else "NO"
        claims.append((f"{night}: under {MOST_SECONDS:.0f} s", f"{papers.seconds[night]:.1f} s", met))
    words = (
        "All that authorities are sent on a night, rendered and sealed by two processes that are up: each authority's answer"
        " (page, workbook, CSV, JSON) and the access report of each that has one (page, workbook, CSV)."
    )
    tables = (Table(("night", "messages", "MB sealed", "seconds"), rows), Table(("asked for", "measured", "met"), tuple(claims)))
    return Section("Answers and access reports", (words,), tables)
