"""A full extract of everything merged into a register of sixty Englands, against a bare anti-join and rewrite of the same rows.

Ours, an authority at a time in each of two processes, as the night does: read the encrypted part, merge the accepted rows, append
to the history, write both anew encrypted and durable, take the logical digest and recount. What comes before (opening, rules) and
after (answers) is not in it. DuckDB on as many threads reads the same plans and rows from plain Parquet, keeps the plans that the
extract does not speak of, adds the extract's, and writes plain Parquet; no history, no rule of merging, no digest, no fsync.

python -m benchmarks.large_merge ours|duckdb FOLDER
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.large_stage import FRIDAY, MONDAY, SEED
from benchmarks.measure import Cost, measured
from benchmarks.page import Section, Table
from benchmarks.stage import at_night
from cpis_batch.keystore import MasterKey
from cpis_batch.register import history, merge, view
from cpis_batch.register.digest import logical_digest
from cpis_batch.register.schema import ACCEPTED, HISTORY, PLANS
from cpis_batch.register.store import PartStore
from cpis_batch.sandbox.scaled import Wanted, plans_at
from cpis_batch.sandbox.volumes import volumes
from cpis_batch.vocabulary import ExtractKind

SCALE = 60.0
MOST_TIMES, MOST_MEGABYTES, MOST_SECONDS_ONE = 2.0, 2_000.0, 1.0
ONE_ROWS = 100_000  # of the authority that is looked at alone
_KEY = bytes(range(32))  # of a benchmark's register, which holds nobody


@dataclass(frozen=True, slots=True)
class Merged:
    """Rows of the register before; the costs of both; of the authority nearest to ONE_ROWS its rows and seconds."""

    rows: int
    ours: Cost
    bare: Cost
    one_rows: int
    one_seconds: float


def run(folder: Path, *, las: Sequence[str], scale: float, told: Callable[[str], None]) -> Merged:
    """Measure in `folder`, which must not exist. AssertionError where the two come to other rows."""
    for name in ("register", "plans", "accepted", "bare"):
        (folder / name).mkdir(parents=True)
    ordered = sorted(las, key=lambda code: -volumes()[code].rows)
    with _processes() as pool:
        parts = dict(pool.map(partial(_prepare, folder, scale), ordered))
    (folder / "parts.json").write_text(json.dumps(parts))
    rows = sum(count for _, count in parts.values())
    told(f"a register of {rows:,} plans")
    costs, answers = [], []
    for name in ("duckdb", "ours"):
        answer = folder / f"{name}.json"
        costs.append(
            measured([sys.executable, "-m", "benchmarks.large_merge", name, str(folder)], stdout=answer, most_seconds=3_600)
        )
        assert costs[-1].status == 0, f"{name} ended with {costs[-1].status}"
        answers.append(json.loads(answer.read_bytes()))
        told(f"{name}: {costs[-1].seconds:.1f} s, {costs[-1].megabytes:.0f} MB")
    bare, ours = answers
    assert sum(ours["plans"].values()) == sum(bare["plans"].values()), "other plans"
    near = min(ours["seconds"], key=lambda code: abs(ours["plans"][code] - ONE_ROWS))
    return Merged(rows, costs[1], costs[0], ours["plans"][near], ours["seconds"][near])


def _processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("forkserver"))


def _store(folder: Path) -> PartStore:
    return PartStore(folder / "register", MasterKey(_KEY))


def _facts(code: str, number: int) -> merge.ExtractFacts:
    return merge.ExtractFacts(code, ExtractKind.FULL, (FRIDAY, MONDAY)[number], f"{number}" * 64)


def _prepare(folder: Path, scale: float, code: str) -> tuple[str, tuple[str, int]]:
    """One authority: Friday's plans merged into nothing, as a part and as plain Parquet; Monday's rows."""
    wanted = Wanted(seed=SEED, scale=scale, on=FRIDAY, las=(code,))
    known_at = at_night(FRIDAY)
    begun = merge.merge(
        PLANS.empty_table(), _accepted(plans_at(code, wanted)), _facts(code, 0), business_date=FRIDAY, known_at=known_at
    )
    pq.write_table(begun.plans, folder / "plans" / f"{code}.parquet", compression="zstd", use_dictionary=False)
    then = Wanted(seed=SEED, scale=scale, on=MONDAY, after=FRIDAY, las=(code,))
    pq.write_table(_accepted(plans_at(code, then)), folder / "accepted" / f"{code}.parquet", compression="zstd")
    return code, (_store(folder).write(begun.plans).digest, begun.plans.num_rows)


def _accepted(plans: pa.Table) -> pa.Table:
    """ACCEPTED of plans as the generator makes them."""
    rows = plans.append_column("line", pa.array(range(2, plans.num_rows + 2), pa.int32()))
    return rows.select(ACCEPTED.names).cast(ACCEPTED)


def _one(folder: Path, task: tuple[str, str]) -> tuple[str, int, float]:
    """Merge one authority's rows; how many plans the extract speaks of, and the seconds it took."""
    code, digest = task
    began = time.monotonic()
    store = _store(folder)
    plans, past = store.read(digest), HISTORY.empty_table()
    accepted = pq.read_table(folder / "accepted" / f"{code}.parquet").cast(ACCEPTED)
    known_at = at_night(MONDAY) + timedelta(minutes=1)
    done = merge.merge(plans, accepted, _facts(code, 1), business_date=MONDAY, known_at=known_at, history=past)
    past = history.append(past, done.closed)
    store.write(done.plans)
    if past.num_rows:
        store.write(past)
    logical_digest(done.plans)
    view.by_type(view.active(done.plans, MONDAY))
    view.missing(done.plans, MONDAY)
    merge.next_age_out(done.plans)
    seconds = time.monotonic() - began
    return code, pc.sum(pc.equal(done.plans["last_confirmed_on"], MONDAY)).as_py() or 0, seconds


def _ours(folder: Path) -> dict[str, dict[str, float]]:
    parts = json.loads((folder / "parts.json").read_text())
    with _processes() as pool:
        found = list(pool.map(partial(_one, folder), [(code, digest) for code, (digest, _) in parts.items()]))
    return {"plans": {code: count for code, count, _ in found}, "seconds": {code: seconds for code, _, seconds in found}}


def _duckdb(folder: Path) -> dict[str, dict[str, float]]:
    import duckdb

    spoken = ", ".join(name for name in ACCEPTED.names if name in PLANS.names)
    plans = {}
    for code in json.loads((folder / "parts.json").read_text()):
        old, new, target = (folder / name / f"{code}.parquet" for name in ("plans", "accepted", "bare"))
        duckdb.sql(f"""
            COPY (
                SELECT * FROM '{old}' ANTI JOIN '{new}' AS said USING (nhs_number, plan_type, start_date)
                UNION ALL BY NAME SELECT '{code}' AS la_code, {spoken} FROM '{new}' WHERE delete_date IS NULL
            ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)""")
        (plans[code],) = duckdb.sql(f"SELECT count(*) FROM '{new}' WHERE delete_date IS NULL").fetchall()[0]
    return {"plans": plans, "seconds": {}}


_HOW = """\
Ours, an authority at a time in each of two processes: read the encrypted part, merge, append to the history, write both anew \
encrypted and durable, take the logical digest and recount. DuckDB on as many threads reads the same rows from plain Parquet, \
keeps what the extract does not speak of, adds the extract's rows and writes plain Parquet: no history, no rule of merging, no \
digest, no encryption, no fsync. A merge reads and writes the part of its own authority, and nothing else of the register."""


def section(found: Merged) -> Section:
    """The merge in words and figures."""
    times = found.ours.seconds / found.bare.seconds
    runs = tuple(
        (
            name,
            f"{cost.seconds:.1f}",
            f"{cost.processor_seconds:.1f}",
            f"{found.rows / cost.seconds:,.0f}",
            f"{cost.megabytes:.0f}",
        )
        for name, cost in (("cpis-batch", found.ours), ("DuckDB, bare", found.bare))
    )
    return Section(
        f"A full extract of everything into a register of {found.rows:,}",
        (_HOW,),
        (
            Table(("", "seconds", "processor seconds", "rows a second", "MB at most"), runs),
            Table(
                ("asked for", "measured", "met"),
                (
                    (f"within {MOST_TIMES:.0f} times the bare one", f"{times:.1f} times", "yes" if times <= MOST_TIMES else "NO"),
                    (
                        f"at most {MOST_MEGABYTES:.0f} MB",
                        f"{found.ours.megabytes:.0f} MB",
                        "yes" if found.ours.megabytes <= MOST_MEGABYTES else "NO",
                    ),
                    (
                        f"an authority of {found.one_rows:,} rows into it: under {MOST_SECONDS_ONE:.0f} s, beside another one's",
                        f"{found.one_seconds:.2f} s",
                        "yes" if found.one_seconds < MOST_SECONDS_ONE else "NO",
                    ),
                ),
            ),
        ),
    )


if __name__ == "__main__":
    print(json.dumps({"ours": _ours, "duckdb": _duckdb}[sys.argv[1]](Path(sys.argv[2]))))
