"""The stage of the night's benchmark: a synthetic England whose sealed files lie on a real OpenSSH server.

Two evenings, or as many as are asked for, are sealed once, ahead of all measuring. A home, its server's folders included, is put
back as it was before each round, so that every round begins with an empty register.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from cpis_batch.business_time import LONDON
from cpis_batch.sandbox import home as sandbox_home
from cpis_batch.sandbox.drops import Drop, Senders
from cpis_batch.sandbox.england import England, make_england
from cpis_batch.sandbox.events import Events, events_of
from cpis_batch.sandbox.extracts import Header, changed_on, write
from cpis_batch.sandbox.nights import next_night
from cpis_batch.vocabulary import ExtractKind
from tests.integration.sshd import Sshd, start_sshd

SEED = 1
FRIDAY, MONDAY, TUESDAY = (
    date(2026, 10, 2),
    date(2026, 10, 5),
    date(2026, 10, 6),
)  # over a weekend about one row in a hundred changes
_KEYS_LAST_UNTIL = date(2036, 12, 31)


@dataclass(frozen=True, slots=True)
class Evening:
    """What has been put down before one night: `rows` of all extracts, `changed` those that are not as on the night before."""

    on: date
    now: datetime
    rows: int
    changed: int
    events: int
    sealed_bytes: int
    england: England
    lying: Path  # a tree of <partner's folder>/inbound/<file>, as the server is to hold it


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the benchmark runs. `home` is the hub's; `root` what the server serves; `evenings` are in their order."""

    folder: Path
    sshd: Sshd
    senders: Senders
    evenings: tuple[Evening, ...]

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def root(self) -> Path:
        return self.home / sandbox_home.REMOTE

    def set(self) -> None:
        """Put the home and the server's folders back as they were before the first night, with nothing put down."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.folder / "pristine", self.home)

    def put_down(self, evening: Evening) -> None:
        """Let an evening's files lie on the server."""
        shutil.copytree(evening.lying, self.root, dirs_exist_ok=True)


@contextmanager
def staged(folder: Path, *, las: Sequence[str], scale: float, days: Sequence[date] = (FRIDAY, MONDAY)) -> Iterator[Stage]:
    """Make the stage in `folder`, which must not exist yet, with an evening a day; the server runs for the block."""
    home = folder / "home"
    folder.mkdir(parents=True)
    senders = sandbox_home.make_home(home, las=las, starts=FRIDAY, expires=_KEYS_LAST_UNTIL, anchor=FRIDAY)
    with start_sshd(home / sandbox_home.REMOTE, folder / "sshd") as sshd:
        sandbox_home.point_to(home, sshd.settings(), anchor=FRIDAY)
        shutil.copytree(home, folder / "pristine")
        evenings: list[Evening] = []
        seen: Events | None = None
        for night, day in enumerate(days):
            england = next_night(evenings[-1].england, day) if evenings else make_england(seed=SEED, on=day, scale=scale, las=las)
            seen = events_of(england, night, at_night(day), seen)
            evenings.append(_evening(folder, senders, england, seen, sequence=night + 1))
        yield Stage(folder, sshd, senders, tuple(evenings))


def at_night(on: date) -> datetime:
    """When the hub runs on a business date."""
    return datetime.combine(on, time(23, 30), LONDON).astimezone(UTC)


def _evening(folder: Path, senders: Senders, england: England, events: Events, *, sequence: int) -> Evening:
    """Seal every authority's full extract and the day's access events, and keep the tree that they make."""
    now = at_night(england.on)
    made_at = now - timedelta(hours=3)
    drops = []
    for code, plans in england.by_la().items():
        header = Header(la_code=code, kind=ExtractKind.FULL, sequence=sequence, extracted_at=made_at)
        drops.append(Drop(sender=code, name=header.file_name, put_at=made_at, content=write(header, plans)))
    senders.put_down([*drops, events.drop])
    lying = folder / f"evening-{sequence}"
    sealed = [path for path in senders.root.rglob("inbound/*") if path.is_file()]
    for path in sealed:
        kept = lying / path.relative_to(senders.root)
        kept.parent.mkdir(parents=True)
        shutil.move(path, kept)
    return Evening(
        on=england.on,
        now=now,
        rows=england.plans.num_rows,
        changed=changed_on(england.plans, england.on).num_rows,
        events=events.table.num_rows,
        sealed_bytes=sum(path.stat().st_size for path in lying.rglob("*.pgp")),
        england=england,
        lying=lying,
    )
