"""A rehearsal: several nights of a synthetic England, what each authority puts down, and what must become of it.

Deterministic: the seed decides England, who sends changes only, and who has which fault on which night.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from cpis_batch.business_time import LONDON
from cpis_batch.sandbox.cases import Act, Case, Evening, Expected, Fate, as_usual
from cpis_batch.sandbox.drops import Drop
from cpis_batch.sandbox.england import England, make_england
from cpis_batch.sandbox.events import Events, events_of
from cpis_batch.sandbox.extracts import Header, changed_on
from cpis_batch.sandbox.faults import CATALOGUE, Fault
from cpis_batch.sandbox.nights import next_night
from cpis_batch.sandbox.numbers import TESTS
from cpis_batch.sandbox.volumes import TRUST, volumes
from cpis_batch.vocabulary import ExtractKind

NIGHTS = tuple(date(2026, 10, day) for day in (5, 6, 7, 8))
RUN_AT = time(23, 30)  # in England
FIRST_SEQUENCE = 118  # as if they had been at it for months

CITY = "E09000001"  # sends changes only; often there are none, and the empty file is right
SENDS_CHANGES = 0.05  # of the authorities
FEWEST_ROWS = 200  # of an authority that is given a fault: in a smaller one a few rows already mean much


@dataclass(frozen=True)
class Night:
    """One night: `now` is when the hub runs; `faults` names the fault that an authority has tonight."""

    on: date
    now: datetime
    england: England
    acts: tuple[Act, ...]
    events: Events
    faults: Mapping[str, Fault]

    @property
    def drops(self) -> tuple[Drop, ...]:
        """Everything that is put down, in order: the authorities' files, then the national service's access events."""
        return (*(act.drop for act in self.acts if act.drop), self.events.drop)

    @property
    def expected(self) -> tuple[Expected, ...]:
        """What must become of the authorities' files tonight."""
        return tuple(act.expected for act in self.acts)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of one file: what was expected, and what happened (None: the run says nothing of it)."""

    expected: Expected
    fault: Fault | None
    fate: Fate | None
    outcome: str | None
    rejected: int

    @property
    def agrees(self) -> bool:
        """Whether it happened as expected."""
        told = (self.fate, self.outcome) if self.fate not in (Fate.WAITING, Fate.PASSED_OVER, Fate.NO_FILE) else (self.fate, None)
        if told != (self.expected.fate, self.expected.outcome):
            return False
        return self.fate is not Fate.MERGED or self.rejected == self.expected.rejected


@dataclass(frozen=True)
class Rehearsal:
    """What is rehearsed. `las` are the authorities' codes; `catalogue` the faults to spread over them, as far as they go."""

    seed: int
    las: tuple[str, ...]
    dates: tuple[date, ...] = NIGHTS
    scale: float = 1.0
    catalogue: tuple[Fault, ...] = CATALOGUE

    def nights(self) -> Iterator[Night]:
        """The nights, one after the other; each is made when it is asked for. ValueError where they would need LIVE numbers."""
        if self.scale > TESTS.max_scale:
            raise ValueError(f"a rehearsal in TEST has numbers for {TESTS.max_scale:.0f} times England: see `sandbox england`")
        plan = self._plan()
        cases: dict[str, list[Case]] = {code: [] for code in self.las}
        england: England | None = None
        events: Events | None = None
        for index, on in enumerate(self.dates):
            england = next_night(england, on) if england else make_england(seed=self.seed, on=on, scale=self.scale, las=self.las)
            now = datetime.combine(on, RUN_AT, LONDON).astimezone(UTC)
            held = england.by_la()
            acts: list[Act] = []
            for place, (code, plans) in enumerate(held.items()):
                neighbour = self.las[(place + 1) % len(self.las)]
                case = self._case(code, plans, index, now, neighbour, held[neighbour], cases[code])
                cases[code].append(case)
                _, evening = plan.get((code, index), (None, as_usual))
                acts += evening(case)
            events = events_of(england, index, now, events)
            faults = {code: fault for (code, night), (fault, _) in plan.items() if night == index}
            yield Night(on, now, england, tuple(acts), events, faults)

    def _case(
        self, code: str, plans: pa.Table, index: int, now: datetime, neighbour: str, strangers: pa.Table, earlier: list[Case]
    ) -> Case:
        """An authority's evening. It exports between six and ten o'clock, always at its own minute."""
        minute = zlib.crc32(code.encode()) % 240
        kind = ExtractKind.DELTA if index and code in self.sends_changes() else ExtractKind.FULL
        made_at = now - timedelta(hours=5, minutes=30 - minute)
        return Case(
            header=Header(la_code=code, kind=kind, sequence=FIRST_SEQUENCE + index, extracted_at=made_at),
            runs_at=now,
            told=changed_on(plans, self.dates[index]) if kind is ExtractKind.DELTA else plans,
            neighbour=neighbour,
            strangers=strangers,
            earlier=tuple(earlier),
        )

    def sends_changes(self) -> frozenset[str]:
        """The authorities that send, after their first extract, what has changed alone."""
        order = np.random.default_rng([self.seed, 1]).permutation(self._large())
        return frozenset({*order[: round(SENDS_CHANGES * len(self.las))].tolist(), CITY} & set(self.las))

    def _large(self) -> list[str]:
        return [code for code in self.las if volumes()[code].scaled(self.scale).rows >= FEWEST_ROWS and code not in TRUST]

    def _plan(self) -> dict[tuple[str, int], tuple[Fault, Evening]]:
        """Who has which evening of which fault on which night: a fault an authority, while there are authorities."""
        rng = np.random.default_rng([self.seed, 2])
        changes = self.sends_changes()
        free = {
            kind: rng.permutation([code for code in self._large() if (code in changes) is (kind is ExtractKind.DELTA)]).tolist()
            for kind in ExtractKind
        }
        plan = {}
        for fault in self.catalogue:
            last = len(self.dates) - len(fault.evenings)
            first = last if fault.lasts else int(fault.follows)
            if not free[fault.kind] or first > last:
                continue
            code, begins = free[fault.kind].pop(), int(rng.integers(first, last + 1))
            for evening, act in enumerate(fault.evenings):
                plan[code, begins + evening] = fault, act
        return plan


def compare(night: Night, document: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """What a run said (its JSON document) against what was expected of it."""
    told = {(file["la"], file["name"]): file for file in document["files"]}
    waiting = {(file["la"], file["name"]) for file in document["waiting"]}
    return tuple(_compared(expected, night, told, waiting, document["skipped"]) for expected in night.expected)


def _compared(
    expected: Expected,
    night: Night,
    told: Mapping[tuple[str, str], Mapping[str, Any]],
    waiting: Iterable[tuple[str, str]],
    skipped: Mapping[str, Mapping[str, int]],
) -> Comparison:
    key, fault = (expected.la_code, expected.name), night.faults.get(expected.la_code)
    if file := told.get(key):
        return Comparison(expected, fault, Fate(file["state"]), file["file_outcome"], file["records"].get("CPR07", 0))
    if key in waiting:
        return Comparison(expected, fault, Fate.WAITING, None, 0)
    if expected.fate is Fate.PASSED_OVER and skipped.get(expected.la_code, {}).get("name"):
        return Comparison(expected, fault, Fate.PASSED_OVER, None, 0)
    if expected.fate is Fate.NO_FILE and not any(la == expected.la_code for la, _ in told):
        return Comparison(expected, fault, Fate.NO_FILE, None, 0)
    return Comparison(expected, fault, None, None, 0)
