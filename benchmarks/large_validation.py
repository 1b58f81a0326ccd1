"""Fifteen million rows in the extracts of 153 authorities: all rules, every error; against merely parsing the same CSV.

No one file is so large: the hub takes none over 2,000,000 lines. So authorities' files are read and checked, two processes at a
time, as many together as on a night, and forgotten. DuckDB and Polars read the very same files into columns of text, all columns,
on as many threads, and count. They hold no row to any rule.

python -m benchmarks.large_validation ours|duckdb|polars FOLDER
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks.large_stage import FRIDAY, SEED
from benchmarks.measure import Cost, measured
from benchmarks.page import Section, Table
from cpis_batch.sandbox import scaled
from cpis_batch.sandbox.scaled import Wanted, environment_of

SCALE = 66.0  # 15 million rows
MOST_TIMES, MOST_MEGABYTES = 4.0, 2_000.0
_SPOILT = 100  # one row in so many has a family name that is no name


@dataclass(frozen=True, slots=True)
class Contender:
    """What it took, rows counted, faults named."""

    name: str
    cost: Cost
    rows: int
    faults: int


def run(folder: Path, *, las: Sequence[str], scale: float, told: Callable[[str], None]) -> list[Contender]:
    """Measure in `folder`, which must not exist. AssertionError where contenders counted other rows."""
    made = scaled.write(folder, Wanted(seed=SEED, scale=scale, on=FRIDAY, las=tuple(las)))
    rows = sum(one.extract.rows for one in made)
    for path in sorted((folder / "extracts").iterdir()):
        _spoil(path)
    found = []
    for name in ("ours", "duckdb", *(["polars"] if find_spec("polars") else [])):  # `make bench-large` installs it
        answer = folder / f"{name}.json"
        command = [sys.executable, "-m", "benchmarks.large_validation", name, str(folder / "extracts"), f"{scale:g}"]
        cost = measured(command, stdout=answer, most_seconds=3_600)
        assert cost.status == 0, f"{name} ended with {cost.status}"
        counted, faults = json.loads(answer.read_bytes())
        assert counted == rows, f"{name} counted {counted:,} rows of {rows:,}"
        found.append(Contender(name, cost, counted, faults))
        told(f"{name}: {rows:,} rows, {cost.seconds:.1f} s, {cost.megabytes:.0f} MB")
    return found


def _spoil(path: Path) -> None:
    """Give one row in a hundred a plan type that there is not."""
    lines = path.read_bytes().splitlines(keepends=True)
    for place in range(1, len(lines) - 1, _SPOILT):
        lines[place] = lines[place].replace(b",LAC,", b",CIN,").replace(b",CPP,", b",CIN,")
    path.write_bytes(b"".join(lines))


def _check(scale: float, paths: Sequence[Path]) -> tuple[int, int]:
    from cpis_batch.intake.check import CheckContext, check_all
    from cpis_batch.intake.read import read_extract

    contexts = [CheckContext(path.name.split("_")[2], environment_of(scale), FRIDAY) for path in paths]
    verdicts = check_all([read_extract(path.read_bytes()) for path in paths], contexts)
    return sum(verdict.outcomes.num_rows for verdict in verdicts), sum(verdict.faults.num_rows for verdict in verdicts)


def _together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The files in groups, as a night checks them: planning a query costs as much as thousands of rows."""
    from cpis_batch.runs.worker import TOGETHER_BYTES

    group: list[Path] = []
    for path in paths:
        if group and sum(one.stat().st_size for one in (*group, path)) > TOGETHER_BYTES:
            yield group
            group = []
        group.append(path)
    yield group


def _ours(folder: Path, scale: float) -> tuple[int, int]:
    paths = sorted(folder.iterdir(), key=lambda path: -path.stat().st_size)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cpis_batch.intake.check"])  # as the program does: else each worker imports it anew
    with ProcessPoolExecutor(os.cpu_count(), context) as pool:
        found = list(pool.map(partial(_check, scale), _together(paths)))
    return sum(rows for rows, _ in found), sum(faults for _, faults in found)


_NAMES = tuple(f"column_{place}" for place in range(10))


def _duckdb(folder: Path, _: float) -> tuple[int, int]:
    import duckdb

    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in _NAMES)
    read = (
        f"read_csv('{folder}/*.csv', header = false, auto_detect = false, delim = ',', quote = '\"', escape = '\"',"
        f" columns = {{{columns}}}, null_padding = true, strict_mode = false)"
    )
    lengths = ", ".join(f"sum(strlen({name}))" for name in _NAMES[1:])  # else it would not parse what nobody asks for
    (rows, *_) = duckdb.sql(f"SELECT count(*) FILTER (column_0 = 'D'), {lengths} FROM {read}").fetchall()[0]
    return rows, 0


def _polars(folder: Path, _: float) -> tuple[int, int]:
    import polars as pl

    rows = 0
    for path in sorted(folder.iterdir()):
        read = pl.read_csv(
            path,
            has_header=False,
            schema=dict.fromkeys(_NAMES, pl.String),
            truncate_ragged_lines=True,
        )
        rows += read.filter(pl.col("column_0") == "D").height
    return rows, 0


_HOW = """\
Authorities' files are read and checked, two processes at a time, as many together as on a night: all rules, all errors, an \
outcome for each row; one row in a hundred has a fault. DuckDB and Polars read the same files into columns of text, and count."""


def section(found: Sequence[Contender]) -> Section:
    """The contenders in words and figures."""
    ours, *others = found
    rows = tuple(
        (
            one.name,
            f"{one.rows:,}",
            f"{one.cost.seconds:.1f}",
            f"{one.cost.processor_seconds:.1f}",
            f"{one.rows / one.cost.seconds:,.0f}",
            f"{one.cost.megabytes:.0f}",
            f"{one.faults:,}",
            f"{ours.cost.seconds / one.cost.seconds:.1f}",
        )
        for one in found
    )
    targets = [
        (
            f"within {MOST_TIMES:.0f} times {one.name}, which merely parses",
            f"{ours.cost.seconds / one.cost.seconds:.1f} times",
            "yes" if ours.cost.seconds <= MOST_TIMES * one.cost.seconds else "NO",
        )
        for one in others
    ]
    met = "yes" if ours.cost.megabytes <= MOST_MEGABYTES else "NO"
    return Section(
        f"Validation of {ours.rows:,} rows",
        (_HOW,),
        (
            Table(
                (
                    "",
                    "rows",
                    "seconds",
                    "processor seconds",
                    "rows a second",
                    "MB at most",
                    "faults named",
                    "ours takes so many times",
                ),
                rows,
            ),
            Table(
                ("asked for", "measured", "met"),
                (*targets, (f"at most {MOST_MEGABYTES:.0f} MB", f"{ours.cost.megabytes:.0f} MB", met)),
            ),
        ),
    )


if __name__ == "__main__":
    print(json.dumps({"ours": _ours, "duckdb": _duckdb, "polars": _polars}[sys.argv[1]](Path(sys.argv[2]), float(sys.argv[3]))))
