"""A month's access reports over a hundred million events, against a bare group-by of the same events.

Ours, in two processes, as `run nightly` makes them: read the encrypted parts of events once, sift them, put each authority's
aside encrypted, look for ids that stand twice; then an authority at a time, match to the plans held on that day, and count.
`views` ends there: by setting and by organisation with their people, by day, by hour and weekday, in and out of area, the
children seen often and the first access of each plan. `reports` holds and writes every line besides, as CSV, page and workbook
in a zip, sealed and durable. DuckDB on as many threads joins the same events in plain Parquet to the same plans and counts by
authority, day, hour, setting and organisation.

python -m benchmarks.large_access views|reports|duckdb FOLDER
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.measure import Cost, measured
from benchmarks.page import Section, Table
from benchmarks.stage import SEED
from cpis_batch.access import reference
from cpis_batch.access.lines import WORDS
from cpis_batch.access.month import Month
from cpis_batch.audit.entry import Head
from cpis_batch.catalogue.records import EventPart
from cpis_batch.config import Limits
from cpis_batch.envelope.certificates import generate
from cpis_batch.keystore import MasterKey
from cpis_batch.partners import Agreement, Partner, PartnerKind
from cpis_batch.register.schema import PLANS
from cpis_batch.register.store import PartStore
from cpis_batch.runs import month_work
from cpis_batch.runs.event_parts import MOST
from cpis_batch.runs.task import Keys, Rehearsed
from cpis_batch.runs.trace_service import TraceService
from cpis_batch.runs.worker import start_worker
from cpis_batch.sandbox import scaled_events
from cpis_batch.sandbox.events import SETTINGS, organisation_code
from cpis_batch.sandbox.scaled import Wanted, plans_at
from cpis_batch.sandbox.volumes import volumes
from cpis_batch.vocabulary import Environment

SCALE, EVENTS = 60.0, (10_000_000, 100_000_000)
MOST_TIMES, MOST_MEGABYTES = 1.3, 2_000.0
MONTH = Month(2026, 10)
_ENDS = datetime(2026, 11, 1, tzinfo=UTC)  # of the events, which begin 30 days before
_NOW = datetime(2026, 11, 3, 2, tzinfo=UTC)
_KEY = bytes(range(32))  # of a benchmark's register, which holds nobody


@dataclass(frozen=True, slots=True)
class Counted:
    """One number of events: the costs of each, the accesses told, groups that DuckDB counted, bytes that were sealed."""

    events: int
    plans: int
    told: int
    groups: int
    sealed_bytes: int
    views: Cost
    reports: Cost
    bare: Cost


def run(folder: Path, *, las: Sequence[str], scale: float, sizes: Sequence[int], told: Callable[[str], None]) -> list[Counted]:
    """Measure in `folder`, which must not exist. AssertionError where a plain look at the same files comes to another count."""
    for name in ("register", "plans", "reference"):
        (folder / name).mkdir(parents=True)
    areas = [f"{organisation_code(code, setting)},{code},," for code in volumes() for setting, *_ in SETTINGS]
    heading = "ods_code,la_gss_code,valid_from,valid_to"
    (folder / "reference" / "organisation_areas.csv").write_text("\n".join([heading, *areas, ""]), encoding="utf-8")
    ordered = sorted(las, key=lambda code: -volumes()[code].rows)
    with _processes() as pool:
        plans = list(pool.map(partial(_prepare_plans, folder, scale), ordered))
    (folder / "plans.json").write_text(json.dumps([(code, part) for code, part, _ in plans]))
    (pair,) = generate(["Hub <hub@example.org>"], expires=date(2036, 12, 31))
    (folder / "hub.key").write_bytes(pair.secret)
    (folder / "recipient.pgp").write_bytes(pair.certificate)
    found = []
    for size in sizes:
        for name in ("events", "plain", "outbox"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir()
        _prepare_events(folder, ordered, scale, size)
        told(f"{size:,} events, {sum(rows for *_, rows in plans):,} plans")
        found.append(_measure(folder, size, sum(rows for *_, rows in plans), told))
    return found


def _measure(folder: Path, size: int, plans: int, told: Callable[[str], None]) -> Counted:
    costs, answers = {}, {}
    for name in ("duckdb", "views", "reports"):
        answer = folder / f"{name}.json"
        command = [sys.executable, "-m", "benchmarks.large_access", name, str(folder)]
        costs[name] = measured(command, stdout=answer, most_seconds=7_200)
        assert costs[name].status == 0, f"{name} ended with {costs[name].status}"
        answers[name] = json.loads(answer.read_bytes())
        told(f"{name}: {costs[name].seconds:.1f} s, {costs[name].megabytes:.0f} MB")
    views, reports = answers["views"], answers["reports"]
    assert views["told"] == reports["told"] == _plain_count(folder), "other accesses"
    return Counted(
        size,
        plans,
        views["told"],
        answers["duckdb"]["groups"],
        reports["bytes"],
        costs["views"],
        costs["reports"],
        costs["duckdb"],
    )


def _processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("forkserver"))


def _store(folder: Path) -> PartStore:
    return PartStore(folder / "register", MasterKey(_KEY))


def _prepare_plans(folder: Path, scale: float, code: str) -> tuple[str, str, int]:
    """One authority's plans, as a part of the register and as plain Parquet."""
    plans = plans_at(code, Wanted(seed=SEED, scale=scale, on=date(2026, 10, 31), las=(code,)))
    plans = plans.filter(pc.is_null(plans["delete_date"]))
    said: dict[str, Any] = {
        "last_confirmed_on": date(2026, 10, 31),
        "known_from": _ENDS,
        "source_file": "0" * 64,
        "source_line": 2,
    }
    columns = [
        plans[field.name].cast(field.type)
        if field.name in plans.column_names
        else pa.repeat(pa.scalar(said.get(field.name), field.type), plans.num_rows)
        for field in PLANS
    ]
    table = pa.table(columns, schema=PLANS).sort_by([("nhs_number", "ascending"), ("plan_type", "ascending")])
    pq.write_table(table, folder / "plans" / f"{code}.parquet", compression="zstd")
    return code, _store(folder).write(table).digest, table.num_rows


def _prepare_events(folder: Path, las: Sequence[str], scale: float, size: int) -> None:
    """The events of all authorities, mixed as they came by time: encrypted parts of the store's own size, and plain Parquet."""
    shares = scaled_events.shares(size, tuple(las))
    days = range(scaled_events.DAYS)
    for day in days:
        (folder / "events" / str(day)).mkdir()
    with _processes() as pool:
        list(pool.map(partial(_draw, folder, scale), shares.items()))
        parts = [part for some in pool.map(partial(_store_day, folder), days) for part in some]
    (folder / "events.json").write_bytes(msgspec.json.encode(parts))
    shutil.rmtree(folder / "events")


def _draw(folder: Path, scale: float, task: tuple[str, int]) -> None:
    code, count = task
    plans = plans_at(code, Wanted(seed=SEED, scale=scale, on=date(2026, 10, 31), las=(code,)))
    writers: dict[int, pq.ParquetWriter] = {}
    for batch in scaled_events.drawn(code, plans, count, seed=SEED, now=_ENDS):
        events = scaled_events.stored(batch)
        day = pc.subtract(pc.day(events["accessed_at"]), 2).to_numpy()
        ends = np.searchsorted(day, np.arange(scaled_events.DAYS + 1))
        for number in np.unique(day).tolist():
            some = events.slice(ends[number], ends[number + 1] - ends[number])
            if number not in writers:
                for writer in writers.values():
                    writer.close()
                path = folder / "events" / str(number) / f"{code}.parquet"
                writers = {number: pq.ParquetWriter(path, some.schema, compression="lz4")}
            writers[number].write_table(some)
    for writer in writers.values():
        writer.close()


def _store_day(folder: Path, day: int) -> list[EventPart]:
    drawn = sorted((folder / "events" / str(day)).iterdir())
    if not drawn:
        return []
    events = pa.concat_tables([pq.read_table(path, read_dictionary=list(WORDS)) for path in drawn]).unify_dictionaries()
    events = events.sort_by([("accessed_at", "ascending"), ("event_id", "ascending")])  # as runs.event_parts has them
    parts = []
    for first in range(0, events.num_rows, MOST):
        some = events.slice(first, MOST)
        number = len(parts)
        pq.write_table(some, folder / "plain" / f"{day:02}-{number:03}.parquet", compression="zstd")
        digest = _store(folder).write(some, WORDS).digest
        parts.append(EventPart(month=f"{MONTH}.{day:02}{number:03}", part=digest, row_count=some.num_rows))
    return parts


def _start(folder: Path) -> None:
    """What a worker of a run is given."""
    common = Rehearsed(
        home=folder,
        environment=Environment.TEST,
        limits=Limits(),
        partial_wait_minutes=0,
        retention_days=365,
        business_date=_NOW.date(),
        now=_NOW,
        audit=Head(0, "0" * 64),
        trace=TraceService(),
    )
    start_worker(common, Keys(master=_KEY, signer=(folder / "hub.key").read_bytes(), current_hub="", gpg_home=folder))


def _ours(folder: Path, *, lines: bool) -> dict[str, int]:
    parts = msgspec.json.decode((folder / "events.json").read_bytes(), type=list[EventPart])
    plans = tuple((code, part) for code, part in json.loads((folder / "plans.json").read_text()))
    workers = os.cpu_count() or 1
    recipients = ((folder / "recipient.pgp").read_bytes(),)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cpis_batch.runs.worker"])
    with ProcessPoolExecutor(workers, context, _start, (folder,)) as pool:
        tasks = month_work.gathers(parts, plans, MONTH, workers, lines=lines)
        aside = tuple(pool.map(month_work.gather, tasks))
        doubled = list(pool.map(month_work.doubled, [(aside, number) for number in range(tasks[0].shelves)]))
        makes = [
            month_work.Make(
                MONTH,
                tuple(month_work.Recipient(_partner(code), recipients, code, dict(plans)[code]) for code in group),
                tuple(one.only(group) for one in aside),
                np.concatenate(doubled),
                pa.table({"la_code": pa.array([], pa.string())}),
            )
            for group in month_work.groups([code for code, _ in plans], aside, workers)
        ]
        found = list(pool.map(_reports if lines else partial(_views, folder), makes))
    for one in aside:
        one.path.unlink()
    sealed = sum(path.stat().st_size for path in (folder / "outbox").iterdir())
    return {"told": sum(found), "bytes": sealed}


def _reports(task: month_work.Make) -> int:
    return sum(one.record_count for one in month_work.make(task))


def _views(folder: Path, task: month_work.Make) -> int:
    found = month_work.months(task, month_work.reference_of(folder), _store(folder))
    return sum(one.lines.num_rows for one in found.values())


def _partner(code: str) -> Partner:
    agreement = Agreement("benchmark", date(2026, 1, 1), date(2036, 12, 31))
    return Partner(code=code, kind=PartnerKind.LA, name=code, mailbox="default", folder=code, agreement=agreement)


def _told(settings: Iterable[str], zone: str = "UTC") -> str:
    """The plain join: notifying events of the settings that are listed, and the plans held on their day."""
    return f"""
        SELECT {{columns}} FROM (
            SELECT *, timezone('{zone}', accessed_at) AS there, CAST(there AS DATE) AS that_day
            FROM '{{folder}}/plain/*.parquet'
            WHERE notifies_la AND care_setting IN ({", ".join(f"'{setting}'" for setting in settings)})
        ) JOIN '{{folder}}/plans/*.parquet' AS plan USING (nhs_number)
        WHERE start_date <= that_day AND (end_date IS NULL OR end_date >= that_day)"""


def _settings(folder: Path) -> list[str]:
    known = reference.load(folder / "reference")
    withheld = known.withheld_settings["code"].to_pylist()
    return [code for code in known.care_settings["code"].to_pylist() if code not in withheld]


def _duckdb(folder: Path) -> dict[str, int]:
    import duckdb

    columns = "la_code, that_day, hour(there) AS hour, care_setting, organisation_code, count(*) AS accesses"
    told = _told(_settings(folder)).format(columns=columns, folder=folder)
    groups, accesses = duckdb.sql(f"SELECT count(*), sum(accesses) FROM ({told} GROUP BY ALL)").fetchall()[0]
    return {"groups": groups, "accesses": int(accesses)}


def _plain_count(folder: Path) -> int:
    """Accesses and authorities, each pair once, found by another way than ours: not measured."""
    import duckdb

    born = (
        "CAST(date_of_birth + INTERVAL 18 YEAR AS DATE) + CAST(month(date_of_birth) = 2 AND day(date_of_birth) = 29 AS INTEGER)"
    )
    told = _told(_settings(folder), "Europe/London").format(columns="DISTINCT la_code, event_id", folder=folder)
    pairs = f"SELECT count(*) FROM ({told} AND (plan_type = 'UCPP' OR {born} >= that_day))"
    duckdb.sql("SET memory_limit = '6GB'")
    duckdb.sql(f"SET temp_directory = '{folder}/spill'")
    ((count,),) = duckdb.sql(pairs).fetchall()
    return int(count)


_HOW = """\
Ours, in two processes, as a night makes them: read the encrypted parts of events once, sift them, put each authority's aside, \
encrypted, look for ids that stand twice; then, an authority at a time, match to the plans held on that day and count. `views` \
ends there: by setting and organisation with their people, by day, by hour and weekday, in and out of area, the children seen \
often, the first access of each plan. `reports` also holds and writes every line: CSV, page and workbook in a zip, sealed and \
durable. DuckDB on as many threads joins the same events in plain Parquet to the same plans and counts by authority, day, \
hour, setting and organisation; it counts an access under two plans twice, and knows neither people, nor patterns, nor \
birthdays, nor England's clocks. Every access that ours tells was counted another way besides."""


def section(found: Sequence[Counted]) -> Section:
    """The reports in words and figures."""
    runs = tuple(
        (
            f"{one.events:,}",
            name,
            f"{cost.seconds:.1f}",
            f"{cost.processor_seconds:.1f}",
            f"{one.events / cost.seconds:,.0f}",
            f"{cost.megabytes:.0f}",
            f"{cost.seconds / one.bare.seconds:.2f}",
            f"{cost.processor_seconds / one.bare.processor_seconds:.2f}",
        )
        for one in found
        for name, cost in (("DuckDB, bare", one.bare), ("ours: views", one.views), ("ours: reports", one.reports))
    )
    sizes = tuple(
        (f"{one.events:,}", f"{one.plans:,}", f"{one.told:,}", f"{one.groups:,}", f"{one.sealed_bytes / 1e6:,.0f}")
        for one in found
    )
    last = found[-1]
    limits = tuple(
        (
            f"{name} of {last.events:,}: within {MOST_TIMES} times the bare group-by",
            f"{cost.seconds / last.bare.seconds:.2f} times",
            "yes" if cost.seconds <= MOST_TIMES * last.bare.seconds else "NO",
        )
        for name, cost in (("views", last.views), ("reports", last.reports))
    )
    most = max(last.views.megabytes, last.reports.megabytes)
    memory = (f"at most {MOST_MEGABYTES:.0f} MB", f"{most:.0f} MB", "yes" if most <= MOST_MEGABYTES else "NO")
    return Section(
        f"Access reports of a month of {last.events:,} events",
        (_HOW,),
        (
            Table(
                (
                    "events",
                    "",
                    "seconds",
                    "processor seconds",
                    "events a second",
                    "MB at most",
                    "seconds, of the bare one's",
                    "processor seconds, of the bare one's",
                ),
                runs,
            ),
            Table(("events", "plans", "accesses told", "groups of the bare one", "MB sealed"), sizes),
            Table(("asked for", "measured", "met"), (*limits, memory)),
        ),
    )


if __name__ == "__main__":
    work = {"views": partial(_ours, lines=False), "reports": partial(_ours, lines=True), "duckdb": _duckdb}
    print(json.dumps(work[sys.argv[1]](Path(sys.argv[2]))))
