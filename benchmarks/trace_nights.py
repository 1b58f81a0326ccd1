"""What the trace adds to a night: the same nights with the trace service among the partners, and without.

On the first everybody is asked about, on the second everybody's answer comes: once in the life of a service, since those who were
traced on one day are asked about again on different ones. The third is an ordinary night: answers to the questions of the night
before, questions about who is new. The benchmark's home is the night's own, put back as it was before each of the two courses.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from benchmarks.measure import Cost, measured
from benchmarks.page import Section, Table
from benchmarks.stage import FRIDAY, MONDAY, TUESDAY, Evening, Stage, staged
from cpis_batch.sandbox.tracing import TRACE, respond

MOST = 0.20  # issue 4: of the processor time of a night
NIGHTS = ("the first of all: everybody is asked about", "the second: everybody's answer comes", "an ordinary night")
ORDINARY = NIGHTS[-1]


@dataclass(slots=True)
class Nights:
    """Costs by night, without and with the trace; and how many were asked about and settled."""

    costs: dict[str, tuple[Cost, Cost]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)

    def added(self, night: str) -> float:
        """What the trace adds to a night, as a part of it."""
        without, traced = self.costs[night]
        return traced.processor_seconds / without.processor_seconds - 1


def run(folder: Path, *, las: Sequence[str], scale: float, told: Callable[[str], None]) -> Nights:
    """Measure in `folder`, which must not exist. AssertionError where a night failed, or nobody was asked about or settled."""
    told(f"Staging {len(las)} authorities for nights with and without a trace...")
    nights = Nights()
    with staged(folder, las=las, scale=scale, days=(FRIDAY, MONDAY, TUESDAY)) as stage:
        courses = []
        for traced in (False, True):
            stage.set()
            if not traced:
                shutil.rmtree(stage.home / "partners" / TRACE)
            course = []
            answered: set[str] = set()
            for night, evening in zip(NIGHTS, stage.evenings, strict=True):
                stage.put_down(evening)
                if traced:
                    at = evening.now - timedelta(hours=2)
                    stage.senders.put_down(respond(stage.senders, evening.england, answered=answered, now=at))
                cost, counts = _night(stage, evening)
                course.append(cost)
                if traced:
                    nights.asked[night], nights.settled[night] = (counts.get(name, 0) for name in ("asked", "settled"))
                told(f"{'With' if traced else 'Without'} the trace: {cost.processor_seconds:.1f} processor seconds")
            courses.append(course)
    nights.costs = dict(zip(NIGHTS, zip(*courses, strict=True), strict=True))
    assert nights.asked[NIGHTS[0]], "nobody was asked about"
    assert nights.settled[NIGHTS[1]] > 0.9 * nights.asked[NIGHTS[0]], "answers did not settle whom they are of"
    return nights


def _night(stage: Stage, evening: Evening) -> tuple[Cost, dict[str, int]]:
    told = stage.folder / "night.json"
    program = Path(sys.executable).with_name("cpis-batch")
    arguments = ["--home", str(stage.home), "run", "nightly", "--date", str(evening.on), "--json"]
    cost = measured([str(program), *arguments], env={"CPIS_NOW": evening.now.isoformat()}, stdout=told)
    document = json.loads(told.read_bytes())
    assert not document["failed"], "an authority's evening failed"
    assert not document["stopped"], "a step of the night was stopped"
    return cost, document["trace"]


def section(nights: Nights) -> Section:
    """What was measured, for the page."""
    rows = []
    for night, (without, traced) in nights.costs.items():
        seconds = f"{without.processor_seconds:.1f}", f"{traced.processor_seconds:.1f}"
        people = f"{nights.asked[night]:,}", f"{nights.settled[night]:,}"
        rows.append((night, *people, *seconds, f"{nights.added(night):+.0%}"))
    words = (
        "Three nights of the same England, with and without a trace service among the partners. Processor seconds of all"
        " processes of the command. The first two come once in the life of a service: those who were traced on one day are asked"
        " about again on different ones."
    )
    headings = ("night", "asked about", "settled", "without the trace", "with it", "adds")
    added = nights.added(ORDINARY)
    claim = (f"{ORDINARY}: at most {MOST:.0%} more", f"{added:+.0%}", "yes" if added <= MOST else "NO")
    tables = (Table(headings, tuple(rows)), Table(("asked for", "measured", "met"), (claim,)))
    return Section("What the trace adds to a night", (words,), tables)
