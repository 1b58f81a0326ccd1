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
from statistics import median

from benchmarks.measure import Cost, measured
from benchmarks.page import Section, Table
from benchmarks.stage import FRIDAY, MONDAY, TUESDAY, Evening, Stage, staged
from cpis_batch.sandbox.tracing import TRACE, respond

MOST = 0.20  # issue 4: of the processor time of a night
NIGHTS = ("the first of all: everybody is asked about", "the second: everybody's answer comes", "an ordinary night")
ORDINARY = NIGHTS[-1]


@dataclass(slots=True)
class Nights:
    """Costs by night, of each round without and with the trace; and how many were asked about and settled."""

    costs: dict[str, list[tuple[Cost, Cost]]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)

    def added(self, night: str) -> list[float]:
        """What the trace adds to a night, as a part of it, in each round."""
        return [traced.processor_seconds / without.processor_seconds - 1 for without, traced in self.costs[night]]


def run(folder: Path, *, las: Sequence[str], scale: float, rounds: int, told: Callable[[str], None]) -> Nights:
    """Measure in `folder`, which must not exist: the ordinary night so many times, the others once.

    AssertionError where a night failed, or nobody was asked about or settled.
    """
    told(f"Staging {len(las)} authorities for nights with and without a trace...")
    nights = Nights()
    with staged(folder, las=las, scale=scale, days=(FRIDAY, MONDAY, TUESDAY)) as stage:
        evenings = dict(zip(NIGHTS, stage.evenings, strict=True))
        answered: set[str] = set()

        def spent(night: str, *, traced: bool) -> Cost:
            evening = evenings[night]
            stage.put_down(evening)
            if traced:
                at = evening.now - timedelta(hours=2)
                known = answered if night != ORDINARY else set(answered)
                stage.senders.put_down(respond(stage.senders, evening.england, answered=known, now=at))
            cost, counts = _night(stage, evening)
            if traced:
                nights.asked[night], nights.settled[night] = (counts.get(name, 0) for name in ("asked", "settled"))
            told(f"{'With' if traced else 'Without'} the trace, {night}: {cost.processor_seconds:.1f} processor seconds")
            return cost

        before = {traced: stage.folder / f"before-{traced}" for traced in (False, True)}
        first = {}
        for traced, kept in before.items():
            stage.set()
            if not traced:
                shutil.rmtree(stage.home / "partners" / TRACE)
            first[traced] = [spent(night, traced=traced) for night in NIGHTS[:-1]]
            shutil.copytree(stage.home, kept)
        nights.costs = {night: [pair] for night, pair in zip(NIGHTS, zip(first[False], first[True], strict=True), strict=False)}
        nights.costs[ORDINARY] = []
        for turn in range(rounds):
            pair = {}
            for traced in (False, True) if turn % 2 == 0 else (True, False):
                shutil.rmtree(stage.home)
                shutil.copytree(before[traced], stage.home)
                pair[traced] = spent(ORDINARY, traced=traced)
            nights.costs[ORDINARY].append((pair[False], pair[True]))
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
    for night, pairs in nights.costs.items():
        seconds = (f"{median(cost.processor_seconds for cost in costs):.1f}" for costs in zip(*pairs, strict=True))
        people = f"{nights.asked[night]:,}", f"{nights.settled[night]:,}"
        rows.append((night, *people, *seconds, " ".join(f"{more:+.0%}" for more in nights.added(night))))
    words = (
        "Three nights of the same England, with and without a trace service among the partners. Processor seconds of all"
        " processes of the command. The first two come once in the life of a service: those who were traced on one day are asked"
        " about again on different ones. The ordinary night is had several times, by turns, and the median counts."
    )
    headings = ("night", "asked about", "settled", "without the trace", "with it", "adds, each round")
    added = median(nights.added(ORDINARY))
    claim = (f"{ORDINARY}: at most {MOST:.0%} more", f"{added:+.0%}", "yes" if added <= MOST else "NO")
    tables = (Table(headings, tuple(rows)), Table(("asked for", "measured", "met"), (claim,)))
    return Section("What the trace adds to a night", (words,), tables)
