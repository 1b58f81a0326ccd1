"""One million rows, all rules, every error with its line: `check` against pandera (polars backend), dataframely, frictionless.

Each contender runs in a process of its own on the same rows, one in a hundred of which has a fault, from bytes in memory or a
file in the page cache to a list of what is wrong:

- ours: the whole extract, 130 rules, causes told apart, physical lines, outcomes of all rows, rows against each other;
- pandera, dataframely: the details alone with a heading, the same conditions as vectorised polars expressions, without causes and
  lines;
- frictionless: the details alone with the published Table Schema (types, patterns, enumerations), no other rule. It is given a
  part of the rows and its rate is what is compared, since a million would take it many minutes.

python -m benchmarks.validation [rows]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.page import Section, Table
from cpis_batch.nhs_number import numbers_for_tests
from cpis_batch.spec import folder, table_schema

ROWS = 1_000_000
FRICTIONLESS_SHARE = 20  # one row in so many
TODAY = date(2026, 11, 20)
_PLAN_TYPES = ("CPP", "LAC")
_FAULTS = (
    ("nhs_number", "9.99E+09"),
    ("nhs_number", "9990000017"),
    ("start_date", "01/02/2024"),
    ("plan_type", "CIN"),
    ("family_name", ""),
)
_GIVEN = ("Ana", "Zoë", "Tom", "Mohammed", "Ella", "José", "Noor", "Sam", "Aisha", "Leo", "Mia")
_NAMES = ("O'Brien", "Nguyễn", "Fernando", "Null", '"Smith, Jones"', "Sikorska-Łuc", "Khan", "Evans")


@dataclass(frozen=True)
class Measured:
    """One contender: what it took, and what it found."""

    name: str
    rows: int
    seconds: float
    peak_mb: float
    faults: int

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def _write(target: Path, rows: int) -> None:
    """The extract, and beside it its details alone under a heading, whole and in part."""
    names = table_schema("la-extract", "1.0", "detail").names
    days = [str(date(2012, 1, 1) + timedelta(days=n)) for n in range(5000)]
    details, total = [], 0
    for n, number in enumerate(islice(cycle(islice(numbers_for_tests(), 900_000)), rows)):
        row = ["D", number, f"LC-{n:07d}", _NAMES[n % 8], _GIVEN[n % 11], days[n % 4000], _PLAN_TYPES[n // 900_000 % 2]]
        row += [days[n % 4000 + 365], "2026-06-01" if n % 3 == 0 else "", ""]
        if n % 100 == 0:
            field, spoilt = _FAULTS[n // 100 % len(_FAULTS)]
            row[names.index(field)] = spoilt
        total += int(row[1]) if row[1].isdigit() else 0
        details.append(",".join(row))
    header = "H,CPIS-LA-EXTRACT,1.0,TEST,E09000012,FULL,118,2026-11-19T23:40:00+00:00,020 7946 0100,020 7946 0199"
    target.write_text("\r\n".join([header, *details, f"T,{rows},{total % 10**10}", ""]), encoding="utf-8", newline="")
    heading = ",".join(names)
    target.with_suffix(".details.csv").write_text("\n".join([heading, *details, ""]), encoding="utf-8")
    target.with_suffix(".part.csv").write_text("\n".join([heading, *details[::FRICTIONLESS_SHARE], ""]), encoding="utf-8")


def _ours(path: Path) -> tuple[int, int]:
    from cpis_batch.intake.check import CheckContext, check
    from cpis_batch.intake.read import read_extract
    from cpis_batch.vocabulary import Environment

    verdict = check(read_extract(path.read_bytes()), CheckContext("E09000012", Environment.TEST, TODAY))
    return verdict.outcomes.num_rows, verdict.faults.num_rows


def _conditions() -> tuple[Any, ...]:
    """What a row has to be, as polars expressions; of a row of which nothing can be said one is null."""
    import polars as pl

    digits = pl.col("nhs_number").str.replace_all("[ -]", "")
    parsed = {
        name: pl.col(name).str.to_date("%Y-%m-%d", strict=False)
        for name in ("date_of_birth", "start_date", "end_date", "delete_date")
    }
    born, start, end, deleted = parsed.values()
    child = pl.col("plan_type").is_in(["CPP", "LAC"])
    weighted = pl.sum_horizontal(digits.str.slice(place, 1).cast(pl.Int64, strict=False) * (10 - place) for place in range(10))
    key = pl.struct("nhs_number", "plan_type", "start_date")

    def ymd(day: pl.Expr) -> pl.Expr:
        return day.dt.year() * 10000 + day.dt.month().cast(pl.Int32) * 100 + day.dt.day()

    age_at_start = (ymd(start) - ymd(born)) // 10000
    plain_name = r"^[^=+\-@\t\r\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}\p{Cc}\p{Cf}][^\p{Cc}\p{Cf}]*$"
    filler = (
        r"(?i)^ *(unknown|not (known|given|recorded)|unnamed|n/k|n/a|nk|tb[ac]|x{1,3}|test|baby|unborn|infant|male|female) *$"
    )

    def is_date(name: str) -> pl.Expr:
        return pl.col(name).str.contains("^[0-9]{4}-[0-9]{2}-[0-9]{2}$") & parsed[name].is_not_null()

    def name_is_sane(name: str) -> tuple[pl.Expr, ...]:
        column = pl.col(name)
        return (
            (column == "") | column.str.contains(plain_name),
            ~column.str.contains(filler),
            (column == "") | column.str.contains(r"\p{L}"),
            column.str.normalize("NFC") == column,
            ~column.str.contains("[ÂÃ][\u0080-\u00bf]|\ufffd"),
        )

    return (
        pl.col("record_type") == "D",
        pl.col("nhs_number") != "",
        digits.str.contains("^[0-9]{10}$"),
        digits.str.contains("^[0-9]{10}$") & (weighted % 11 == 0) & (digits.cast(pl.Int64, strict=False) % 1111111111 != 0),
        digits.str.starts_with("999"),
        pl.col("child_id") != "",
        pl.col("family_name") != "",
        *name_is_sane("family_name"),
        *name_is_sane("given_name"),
        pl.col("plan_type").is_in(["CPP", "LAC", "UCPP"]),
        is_date("date_of_birth"),
        is_date("start_date"),
        (pl.col("end_date") == "") | is_date("end_date"),
        (pl.col("delete_date") == "") | is_date("delete_date"),
        (born <= TODAY) & (born >= date(1900, 1, 1)),
        start <= TODAY,
        start <= TODAY + timedelta(days=365),
        end >= start,
        end <= TODAY,
        end >= TODAY - timedelta(days=365),
        deleted >= start,
        deleted <= TODAY,
        ~child | (born <= start),
        ~child | (age_at_start < 18),
        child | age_at_start.is_between(10, 60),
        ~(child & (pl.col("end_date") == "") & ((ymd(pl.lit(TODAY)) - ymd(born)) // 10000 >= 18)),
        key.is_first_distinct(),
        (pl.col("date_of_birth").n_unique().over("nhs_number") == 1),
        ~((pl.col("end_date") == "") & (pl.col("start_date") > pl.col("start_date").min().over("nhs_number", "plan_type"))),
    )


def _details(path: Path) -> Any:
    import polars as pl

    return pl.read_csv(path, infer_schema=False, empty_string_is_null=False)


def _pandera(path: Path) -> tuple[int, int]:
    import pandera.polars as pandera

    checks = [pandera.Check(lambda data, when=when: data.lazyframe.select(when.fill_null(value=True))) for when in _conditions()]
    schema = pandera.DataFrameSchema({}, checks=checks)
    frame = _details(path)
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as found:
        return frame.height, found.failure_cases.height
    return frame.height, 0


def _dataframely(path: Path) -> tuple[int, int]:
    import dataframely

    members: dict[str, Any] = {
        name: dataframely.String(nullable=True) for name in table_schema("la-extract", "1.0", "detail").names
    }
    for number, when in enumerate(_conditions()):
        members[f"rule_{number}"] = dataframely.rule()(lambda _, when=when: when.fill_null(value=True))
    schema = type(dataframely.Schema)("Detail", (dataframely.Schema,), members)
    frame = _details(path)
    _, failures = schema.filter(frame)
    return frame.height, sum(failures.counts().values())


def _frictionless(path: Path) -> tuple[int, int]:
    import frictionless

    schema = str(folder() / "la-extract" / "1.0" / "detail.schema.json")
    with frictionless.system.use_context(trusted=True):
        report = frictionless.validate(str(path), schema=schema, limit_errors=10**9, skip_errors=["primary-key"])
    return report.tasks[0].stats["rows"], report.tasks[0].stats["errors"]


_CONTENDERS = {
    "cpis-batch": (_ours, ".csv"),
    "pandera, polars backend": (_pandera, ".details.csv"),
    "dataframely": (_dataframely, ".details.csv"),
    "frictionless": (_frictionless, ".part.csv"),
}


def measure(rows: int = ROWS, repeats: int = 3) -> list[Measured]:
    """Every contender, the best of `repeats` runs (frictionless: one)."""
    with tempfile.TemporaryDirectory(prefix="cpis-bench-") as scratch:
        extract = Path(scratch) / "extract.csv"
        _write(extract, rows)
        return [
            min((_in_a_process(name, extract.with_suffix(suffix)) for _ in range(times)), key=lambda one: one.seconds)
            for name, (_, suffix) in _CONTENDERS.items()
            for times in [1 if name == "frictionless" else repeats]
        ]


def _in_a_process(name: str, path: Path) -> Measured:
    argv = [sys.executable, "-m", "benchmarks.validation", "--one", name, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return Measured(name, *json.loads(done.stdout.splitlines()[-1]))


def section(found: list[Measured]) -> Section:
    """The measurements as a part of the page, with ratios of our rate to theirs."""
    ours, pandera, dataframely, frictionless = found
    words = __doc__.strip().rpartition("\n\n")[0].partition("\n\n")[2]
    how = "Seconds are of the best run of each, without the start of its process; memory is the most that it held resident."
    rows = tuple(
        (
            one.name,
            f"{one.rows:,}",
            f"{one.seconds:.2f}",
            f"{one.rate:,.0f}",
            f"{one.peak_mb:,.0f}",
            f"{one.faults:,}",
            f"{ours.rate / one.rate:.1f}",
        )
        for one in found
    )
    targets = tuple(
        (what, f"{ratio:.1f} times the rate", "yes" if ratio >= least else "NO")
        for what, ratio, least in (
            ("no slower than pandera on polars", ours.rate / pandera.rate, 1),
            ("no slower than dataframely", ours.rate / dataframely.rate, 1),
            ("at least 20 times frictionless", ours.rate / frictionless.rate, 20),
        )
    )
    headings = ("", "rows", "seconds", "rows a second", "peak MB", "faults named", "ours is faster by")
    return Section(
        f"Validation of {ours.rows:,} rows",
        (words, how),
        (Table(headings, rows), Table(("asked for", "measured", "met"), targets)),
    )


def _peak_mb() -> float:
    """The most memory that this process held resident. What getrusage tells begins with the parent's, which a fork shares."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def main(arguments: list[str]) -> None:
    """Measure all and print the table; or, with `--one NAME FILE`, run one contender and print what it took."""
    if arguments[:1] == ["--one"]:
        run, _ = _CONTENDERS[arguments[1]]
        began = time.perf_counter()
        rows, faults = run(Path(arguments[2]))
        seconds = time.perf_counter() - began
        print(json.dumps([rows, seconds, _peak_mb(), faults]))
    else:
        print(section(measure(int(arguments[0]) if arguments else ROWS)))


if __name__ == "__main__":
    main(sys.argv[1:])
