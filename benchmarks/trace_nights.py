"""What the trace adds to a night: the same two nights with the trace service among the partners, and without.

On the first night everybody is asked about, on the second everybody's answer comes: the most that a trace can ever cost. The
benchmark's home is the night's own, put back as it was before each of the two courses.
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
from benchmarks.stage import Evening, Stage, staged
from cpis_batch.sandbox.tracing import TRACE, respond

MOST = 0.20  # issue 4: of the processor time of a night
NIGHTS = ("everybody is asked about", "everybody's answer comes")


@dataclass(slots=True)
class Nights:
    """Costs by night, without and with the trace; and how many were asked about and settled."""

    costs: dict[str, tuple[Cost, Cost]] = field(default_factory=dict)
    asked: int = 0
    settled: int = 0

    def added(self, night: str) -> float:
        """What the trace adds to a night, as a part of it."""
        without, traced = self.costs[night]
        return traced.processor_seconds / without.processor_seconds - 1


def run(folder: Path, *, las: Sequence[str], scale: float, told: Callable[[str], None]) -> Nights:
    """Measure in `folder`, which must not exist. AssertionError where a night failed, or nobody was asked about or settled."""
    told(f"Staging {len(las)} authorities for nights with and without a trace...")
    nights = Nights()
    with staged(folder, las=las, scale=scale) as stage:
        courses = []
        for traced in (False, True):
            stage.set()
            if not traced:
                shutil.rmtree(stage.home / "partners" / TRACE)
            course = []
            for evening in stage.evenings:
                stage.put_down(evening)
                if traced:
                    at = evening.now - timedelta(hours=2)
                    stage.senders.put_down(respond(stage.senders, evening.england, answered=set(), now=at))
                cost, counts = _night(stage, evening)
                course.append(cost)
                nights.asked += counts.get("asked", 0) if evening is stage.evenings[0] else 0
                nights.settled += counts.get("settled", 0)
                told(f"{'With' if traced else 'Without'} the trace: {cost.processor_seconds:.1f} processor seconds")
            courses.append(course)
    nights.costs = dict(zip(NIGHTS, zip(*courses, strict=True), strict=True))
    assert nights.asked, "nobody was asked about"
    assert nights.settled > 0.9 * nights.asked, "answers did not settle whom they are of"
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
        rows.append((night, *seconds, f"{nights.added(night):+.0%}", f"{MOST:.0%}"))
    words = (
        "Two nights of the same England, with and without a trace service among the partners;"
        f" {nights.asked:,} people asked about, {nights.settled:,} settled. Processor seconds of every process that the command"
        " started. In an ordinary night about one person in a hundred is asked about: these two are the most there is."
    )
    headings = ("night", "without the trace", "with it", "adds", "at most")
    return Section("What the trace adds to a night", (words,), (Table(headings, tuple(rows)),))
