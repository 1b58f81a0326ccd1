"""The stage of the large benchmarks: a rehearsal's home, and a synthetic England of any size sealed into its folders.

The partners' folders are those of the home's own mailbox, a folder: what a server costs is in the benchmark of the night. Files
are sealed ahead of all measuring, in parallel, an authority at a time.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost, measured
from benchmarks.stage import FRIDAY, MONDAY, SEED, at_night
from cpis_batch.sandbox import home as sandbox_home
from cpis_batch.sandbox import scaled, scaled_events
from cpis_batch.sandbox.drops import Drop, Senders
from cpis_batch.sandbox.events import NATIONAL
from cpis_batch.sandbox.scaled import Made, Wanted
from cpis_batch.sandbox.tracing import TRACE
from cpis_batch.sandbox.volumes import volumes
from cpis_batch.vocabulary import ExtractKind

SCALES = (1.0, 10.0, 60.0)
EVENTS_A_DAY = 584  # at real size: `events.UNSCHEDULED_A_DAY` with the other settings
MOST_SECONDS = 3_600.0
EARLY, LATE = time(20, 30), time(23, 45)  # when extracts are made; late: those of the authorities that send alone
_KEYS_LAST_UNTIL = date(2036, 12, 31)


@dataclass(frozen=True, slots=True)
class Large:
    """A home, and where its partners put files down."""

    folder: Path
    scale: float
    las: tuple[str, ...]
    senders: Senders

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def wanted(self, on: date, *, kind: ExtractKind = ExtractKind.FULL, only: tuple[str, ...] = (), events: int = 0) -> Wanted:
        """The England of a day: drawn as of the FRIDAY, or carried on from it; of the authorities `only`, or of all."""
        return Wanted(
            seed=SEED,
            scale=self.scale,
            on=on,
            after=FRIDAY if on > FRIDAY else None,
            las=only or self.las,
            events=events,
            sequence=3 if only else 1 if on == FRIDAY else 2,
            kind=kind,
            exported_at=LATE if only else EARLY,
            senders=self.senders,
        )

    def put_down(self, on: date, *, kind: ExtractKind = ExtractKind.FULL, only: tuple[str, ...] = ()) -> tuple[list[Made], int]:
        """Seal and put down an evening's extracts, and one file of the day's access events; what was made, and the events."""
        made_in = self.folder / f"made-{on}"
        looks = 0 if only else round(EVENTS_A_DAY * self.scale * self._share())
        wanted = self.wanted(on, kind=kind, only=only, events=looks)
        made = scaled.write(made_in, wanted)
        events = sum(file.rows for one in made for file in one.events)
        if events:
            number = 41 + (on - FRIDAY).days
            body = b"".join(self._details(made_in / file.name) for one in made for file in one.events)
            content = scaled_events.header(number, wanted.environment, wanted.made_at) + body + b"T,%d\r\n" % events
            name = f"{scaled_events.file_name(number, wanted.made_at)}.pgp"
            self.senders.put_down([Drop(sender=NATIONAL, name=name, put_at=wanted.made_at, content=content)])
        shutil.rmtree(made_in)
        return made, events

    def _share(self) -> float:
        return sum(scaled_events.shares(10_000, tuple(volumes())).get(code, 0) for code in self.las) / 10_000

    @staticmethod
    def _details(path: Path) -> bytes:
        return b"".join(line for line in path.read_bytes().splitlines(keepends=True) if line.startswith(b"D,"))

    def night(self, on: date, *, kind: str = "nightly", minutes: int = 0) -> tuple[Cost, dict[str, Any]]:
        """The program's own command, as an operator types it, and what it says. AssertionError where not all is well."""
        now: datetime = at_night(on) + timedelta(minutes=minutes)
        told = self.folder / "night.json"
        program = Path(sys.executable).with_name("cpis-batch")
        arguments = ["--home", str(self.home), "run", kind, "--date", str(on), "--json"]
        cost = measured([str(program), *arguments], env={"CPIS_NOW": now.isoformat()}, stdout=told, most_seconds=MOST_SECONDS)
        document: dict[str, Any] = json.loads(told.read_bytes())
        amiss = {name: document[name] for name in ("failed", "stopped", "undelivered", "broken_off") if document[name]}
        assert not amiss, f"the night of {on} at {self.scale} times England: {amiss}"
        return cost, document


def rows_of(document: dict[str, Any]) -> int:
    """The rows that a night has read."""
    return sum(sum(file["records"].values()) for file in document["files"])


def make(folder: Path, *, scale: float, las: Sequence[str]) -> Large:
    """A new home in `folder`, which must not exist, for an England of that size; a fortnight begins on the FRIDAY."""
    folder.mkdir(parents=True)
    senders = sandbox_home.make_home(
        folder / "home",
        las=las,
        starts=FRIDAY,
        expires=_KEYS_LAST_UNTIL,
        anchor=FRIDAY,
        environment=scaled.environment_of(scale),
    )
    shutil.rmtree(folder / "home" / "partners" / TRACE)
    return Large(folder, scale, tuple(las), senders)


__all__ = ["FRIDAY", "MONDAY", "SCALES", "SEED", "Large", "make", "rows_of"]
