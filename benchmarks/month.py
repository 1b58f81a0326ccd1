"""A month of England in the archive: how long it takes to verify the state, to rebuild it, and to erase what is past retention.

Each night is the program's real intake of every authority's full extract, over a folder in the place of a server; there is no
fortnight in it, and what is delivered stays in that folder. What is timed are the commands of an operator, a process each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.measure import Cost, measured
from benchmarks.page import Section, Table
from benchmarks.stage import at_night
from cpis_batch.errors import Exit
from cpis_batch.runs import nightly
from cpis_batch.sandbox import home as sandbox_home
from cpis_batch.sandbox.drops import Drop
from cpis_batch.sandbox.england import England, make_england
from cpis_batch.sandbox.extracts import Header, changed_on, write
from cpis_batch.sandbox.nights import next_night
from cpis_batch.vocabulary import ExtractKind

SEED = 1
BEGINS = date(2026, 10, 2)
NIGHTS = 30  # issue 3
MOST_SECONDS = {"register verify": 10.0, "register rebuild": 300.0}  # issue 3
RETENTION = "retention plan"
_KEYS_LAST_UNTIL = date(2036, 12, 31)


@dataclass(slots=True)
class Month:
    """What was built, and what each command cost, in the order of the rounds."""

    authorities: int
    nights: int
    rows: int = 0  # of all extracts of all nights
    changed: int = 0  # of these, rows that were not as on the night before
    archived_bytes: int = 0
    costs: dict[str, list[Cost]] = field(default_factory=dict)


def run(folder: Path, *, las: Sequence[str], scale: float, rounds: int, nights: int, told: Callable[[str], None]) -> Month:
    """Build in `folder`, which must not exist, and measure. AssertionError where a command does not find all well."""
    month = Month(len(las), nights)
    home, now = _built(folder, month, las, scale, told)
    for number in range(1, rounds + 1):
        for command in (*MOST_SECONDS, RETENTION):
            cost, document = _command(folder, home, command, now)
            month.costs.setdefault(command, []).append(cost)
            assert document.get("same", True), "the archive comes to another register"
            told(f"Round {number} of {rounds}: {command}, {cost.seconds:.1f} s")
    return month


def _built(folder: Path, month: Month, las: Sequence[str], scale: float, told: Callable[[str], None]) -> tuple[Path, datetime]:
    """The home after its nights, and the instant of the last of them."""
    home = folder / "home"
    folder.mkdir(parents=True)
    anchor = BEGINS + timedelta(days=month.nights + 1)
    senders = sandbox_home.make_home(home, las=las, starts=BEGINS, expires=_KEYS_LAST_UNTIL, anchor=anchor)
    england = make_england(seed=SEED, on=BEGINS, scale=scale, las=las)
    for number in range(1, month.nights + 1):
        now = at_night(england.on)
        senders.put_down(drops(england, number, now - timedelta(hours=3)))
        night = nightly.run(home, kind="intake", business_date=england.on, now=now)
        document = night.document
        amiss = ("failed", "stopped", "waiting", "holds", "partners_in_trouble", "servers_down", "undelivered", "needs_a_person")
        others = [file for file in document["files"] if file["state"] != "MERGED"]
        assert night.exit_code is Exit.DONE, {name: document[name] for name in amiss if document[name]} | {"files": others}
        month.rows += england.plans.num_rows
        month.changed += changed_on(england.plans, england.on).num_rows if number > 1 else 0
        if number < month.nights:
            england = next_night(england, england.on + timedelta(days=1))
        told(f"Night {number} of {month.nights} taken in")
    month.archived_bytes = sum(path.stat().st_size for path in (home / "archive").iterdir())
    return home, now


def drops(england: England, sequence: int, made_at: datetime) -> Iterator[Drop]:
    """Every authority's full extract of one evening."""
    for code, plans in england.by_la().items():
        header = Header(la_code=code, kind=ExtractKind.FULL, sequence=sequence, extracted_at=made_at)
        yield Drop(sender=code, name=header.file_name, put_at=made_at, content=write(header, plans))


def _command(folder: Path, home: Path, command: str, now: datetime) -> tuple[Cost, dict[str, object]]:
    told = folder / "told.json"
    program = Path(sys.executable).with_name("cpis-batch")
    cost = measured(
        [str(program), "--home", str(home), *command.split(), "--json"],
        env={"CPIS_NOW": now.isoformat()},
        stdout=told,
        most_seconds=3_600,
    )
    assert cost.status == 0, f"{command} ended with {cost.status}"
    return cost, json.loads(told.read_bytes())


_STAGE = """\
{authorities} authorities' full extracts of {nights} nights in a row ({rows:,} rows, of which {changed:.1%} were not as on the \
night before; {megabytes:.0f} MB of archive), taken in by the program's intake over a folder. `register verify` holds every \
file of the state to the catalogue; `register rebuild` opens every archived file again, checks and merges it as on its night and \
compares after each commit; `retention plan` looks for what is due. The last two are what a retention run is made of."""


def section(month: Month) -> Section:
    """The month in words and figures."""
    stage = _STAGE.format(
        authorities=month.authorities,
        nights=month.nights,
        rows=month.rows,
        changed=month.changed / max(1, month.rows),
        megabytes=month.archived_bytes / 1e6,
    )
    runs = tuple((command, *_figures(costs)) for command, costs in month.costs.items())
    targets = tuple(
        (f"{command}: under {most:.0f} s", f"{seconds:,.1f} s", "yes" if seconds <= most else "NO")
        for command, most in MOST_SECONDS.items()
        for seconds in (median(cost.seconds for cost in month.costs[command]),)
    )
    return Section(
        "A month of England",
        (stage,),
        (
            Table(("command", "seconds", "processor seconds", "MB at most"), runs),
            Table(("asked for", "measured", "met"), targets),
        ),
    )


def _figures(costs: Sequence[Cost]) -> tuple[str, str, str]:
    seconds, processor = [cost.seconds for cost in costs], [cost.processor_seconds for cost in costs]
    spread = [f"{median(found):.1f} ({min(found):.1f} to {max(found):.1f})" for found in (seconds, processor)]
    return spread[0], spread[1], f"{max(cost.megabytes for cost in costs):.0f}"
