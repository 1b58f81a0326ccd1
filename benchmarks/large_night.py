"""Whole nights at real size, 10 and 60 times: what each stage takes and how it grows; a night of changes; one file alone.

No trace service is among the partners (what it adds is in docs/performance.md). In turn: the first night, with every authority's
full extract, access events and a release; a Monday's, on which every authority sends what has changed since the Friday; a night
on which one authority alone sends its full extract.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.large_release import Bare, bare_release
from benchmarks.large_stage import FRIDAY, MONDAY, make, rows_of
from benchmarks.measure import Cost
from benchmarks.page import Section, Table
from cpis_batch.sandbox.volumes import volumes
from cpis_batch.vocabulary import ExtractKind

FIRST, CHANGES, ONE = "everything, empty register", "what changed, from everybody", "one authority's full extract"
MOST_MEGABYTES = 2_000.0
MOST_GROWTH = 1.1  # of the time a row, from one scale to the next: what is over is over linear


@dataclass(slots=True)
class Size:
    """The nights at one scale. `rows` of the register; by night: what it cost, rows read, seconds of its stages."""

    scale: float
    rows: int
    authority_rows: int = 0  # of the one that sends alone
    costs: dict[str, Cost] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    bare: Bare | None = None


def run(folder: Path, *, las: Sequence[str], scales: Sequence[float], told: Callable[[str], None]) -> list[Size]:
    """Measure in `folder`, which must not exist. AssertionError where a night did not read what was put down."""
    sizes = []
    for scale in scales:
        sizes.append(_size(folder / f"{scale:g}", las, scale, told))
        shutil.rmtree(folder / f"{scale:g}")
    return sizes


def _size(folder: Path, las: Sequence[str], scale: float, told: Callable[[str], None]) -> Size:
    stage = make(folder, scale=scale, las=las)
    made, _ = stage.put_down(FRIDAY)
    size = Size(scale, sum(one.extract.rows for one in made))
    _note(size, FIRST, size.rows, stage.night(FRIDAY), told)
    size.bare = bare_release(stage, size.stages[FIRST]["release"])
    told(f"{scale:g} times: {size.bare.rows:,} rows released in {size.bare.ours:.1f} s; bare {size.bare.seconds:.1f} s")
    made, _ = stage.put_down(MONDAY, kind=ExtractKind.DELTA)
    _note(size, CHANGES, sum(one.changed for one in made), stage.night(MONDAY), told)
    middle = sorted(las, key=lambda code: volumes()[code].rows)[len(las) // 2]
    (one,), _ = stage.put_down(MONDAY, only=(middle,))
    size.authority_rows = one.extract.rows
    _note(size, ONE, one.extract.rows, stage.night(MONDAY, minutes=30), told)
    return size


def _note(size: Size, night: str, rows: int, ran: tuple[Cost, dict[str, Any]], told: Callable[[str], None]) -> None:
    cost, document = ran
    assert rows_of(document) == rows, f"{rows_of(document):,} rows read of {rows:,}"
    size.costs[night], size.read[night], size.stages[night] = cost, rows, document["stages"]
    told(f"{size.scale:g} times: {night}, {rows:,} rows, {cost.seconds:.1f} s, {cost.megabytes:.0f} MB")


_HOW = """\
`cpis-batch run nightly`, from the start of the process to its end, over a folder in the place of a server, on two processes. \
On the first night every authority sends everything, and the CHIS units are released to; on the second each sends what has \
changed (DELTA); then, on the same day, one of middling size alone sends everything. No trace service is among the partners. \
Memory is the greatest sum of the proportional set sizes of all processes. A night is measured once at each size."""

_GROWTH = """\
How each stage of the first night grows: its seconds, and times as long for each row as at the size before. 1.0 is linear; what \
costs the same however many rows there are grows by less."""

_CHANGES = """\
A night in which about one row in a hundred changed. Its cost goes by what changed where the last column stays; an authority's \
part is written anew whole when a row of it changes, so that what has not changed costs too."""


def section(sizes: Sequence[Size]) -> Section:
    """The nights in words and figures."""
    nights = tuple(
        (
            f"{size.scale:g}",
            night,
            f"{size.read[night]:,}",
            f"{cost.seconds:.1f}",
            f"{cost.processor_seconds:.1f}",
            f"{cost.megabytes:.0f}",
            f"{size.read[night] / cost.seconds:,.0f}",
        )
        for size in sizes
        for night, cost in size.costs.items()
    )
    return Section(
        "Whole nights, and how they grow",
        (_HOW, _GROWTH, _CHANGES),
        (
            Table(("times England", "night", "rows read", "seconds", "processor seconds", "MB at most", "rows a second"), nights),
            _stages(sizes),
            _changes(sizes),
            Table(("asked for", "measured", "met"), _targets(sizes)),
        ),
    )


def _stages(sizes: Sequence[Size]) -> Table:
    names = [name for name, seconds in sizes[-1].stages[FIRST].items() if seconds >= 0.1]
    whole = [sum(size.stages[FIRST].values()) for size in sizes]
    rows = [
        (
            name,
            *(
                f"{size.stages[FIRST][name]:.1f} ({size.stages[FIRST][name] / all_of:.0%})"
                for size, all_of in zip(sizes, whole, strict=True)
            ),
            *(f"{growth:.2f}" for growth in _growth(sizes, [size.stages[FIRST][name] for size in sizes])),
        )
        for name in names
    ]
    rows.append(
        ("the whole night", *(f"{size.costs[FIRST].seconds:.1f}" for size in sizes), *(f"{g:.2f}" for g in whole_growth(sizes)))
    )
    headings = [f"{size.scale:g} times" for size in sizes]
    steps = [f"{then:g} against {before:g}" for before, then in pairwise(size.scale for size in sizes)]
    return Table(("stage", *headings, *steps), tuple(rows))


def _growth(sizes: Sequence[Size], seconds: Sequence[float]) -> list[float]:
    """From each size to the next: how many times as long a row takes."""
    a_row = [one / size.rows for one, size in zip(seconds, sizes, strict=True)]
    return [then / max(before, 1e-12) for before, then in pairwise(a_row)]


def whole_growth(sizes: Sequence[Size]) -> list[float]:
    """Of the first night as a whole."""
    return _growth(sizes, [size.costs[FIRST].seconds for size in sizes])


def _changes(sizes: Sequence[Size]) -> Table:
    rows = tuple(
        (
            f"{size.scale:g}",
            f"{size.rows:,}",
            f"{size.read[CHANGES]:,}",
            f"{size.read[CHANGES] / size.rows:.1%}",
            f"{size.costs[CHANGES].seconds:.1f}",
            f"{size.costs[CHANGES].seconds / size.costs[FIRST].seconds:.0%}",
            f"{1e6 * size.costs[CHANGES].seconds / max(1, size.read[CHANGES]):,.0f}",
        )
        for size in sizes
    )
    headings = (
        "times England",
        "rows in the register",
        "changed",
        "share",
        "seconds",
        "of the first night",
        "microseconds a changed row",
    )
    return Table(headings, rows)


def _targets(sizes: Sequence[Size]) -> tuple[tuple[str, str, str], ...]:
    last = sizes[-1]
    growth = whole_growth(sizes)
    one = last.costs[ONE].seconds
    memory = max(cost.megabytes for cost in last.costs.values())
    return (
        (
            "the first night: nothing over linear",
            " ".join(f"{one:.2f}" for one in growth) or "one size",
            "yes" if all(one <= MOST_GROWTH for one in growth) else "NO",
        ),
        (
            f"a night at {last.scale:g} times: at most {MOST_MEGABYTES:.0f} MB",
            f"{memory:.0f} MB",
            "yes" if memory <= MOST_MEGABYTES else "NO",
        ),
        (
            f"one authority ({last.authority_rows:,} rows) into {last.rows:,}: under 1 s, the whole command",
            f"{one:.1f} s, of these {last.stages[ONE].get('check and merge', 0.0):.1f} s to check and merge",
            "yes" if one < 1 else "NO",
        ),
    )
