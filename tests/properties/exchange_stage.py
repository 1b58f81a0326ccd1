"""A small exchange for stories: the real hub, the hands of its partners, and beside it the model that is told the same.

Hackney and Kent have sent a first file; Birmingham has not, and no CHIS unit is its own. The hub's key and Hackney's are
replaced within the first days, each with an overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from cpis_batch import config, partners
from cpis_batch.envelope import hub as hub_keys
from cpis_batch.envelope.certificates import inspect
from cpis_batch.envelope.sealing import seal
from cpis_batch.errors import UsageFault
from cpis_batch.keystore import load_master_key
from cpis_batch.runs.erasure import Applied
from tests.builders import HACKNEY, KENT, nhs
from tests.failure.strace_kit import copy_of
from tests.hub import NATIONAL, Hub, extract, keys
from tests.properties.broken_runs import broken_off
from tests.properties.offices import DAY, MOTHERS, Office
from tests.properties.pipeline_model import DAYS, FEW, MINIMUM, SHARE, Authority
from tests.properties.plans_model import is_active
from tests.properties.sent import File, day_of
from tests.small_england import KENT_AND_MEDWAY, NORTH_EAST_LONDON, small_england

BIRMINGHAM = "E08000025"
LAS = (HACKNEY, KENT, BIRMINGHAM)
UNIT_OF = {HACKNEY: NORTH_EAST_LONDON, KENT: KENT_AND_MEDWAY}
BEGINNING = datetime(2026, 10, 22, 2, 0, tzinfo=UTC)
ANCHOR, FORTNIGHT = date(2026, 1, 5), timedelta(days=14)
# Of the hub and of Hackney: the first day of the second key, and the last one of the first.
HUB_KEYS = date(2026, 10, 27), date(2026, 11, 3)
OWN_KEYS = date(2026, 10, 25), date(2026, 11, 1)
COLUMNS = (
    "nhs_number",
    "child_id",
    "family_name",
    "given_name",
    "date_of_birth",
    "plan_type",
    "start_date",
    "end_date",
    "delete_date",
)
FIRST_OWN_KEY = f"{HACKNEY}-1"
Break = tuple[int, bool]  # the effect at which something is broken off; whether by a full disk, else killed


@dataclass(frozen=True)
class Written:
    """A file that an authority has written and sealed, to be put down once, twice or never."""

    la: str
    file: File
    sealed: bytes


@dataclass(frozen=True)
class Erasure:
    """What retention came to: as the program says, and for each authority the keys due and why nothing of them went."""

    applied: Applied
    came_to: dict[str, tuple[set, str | None]]
    ended: int | None  # the process in which it was broken off


@dataclass
class Stage:
    """The hub and its model, its partners and what they have in hand."""

    hub: Hub
    offices: dict[str, Office] = field(default_factory=lambda: {la: Office(la) for la in LAS})
    model: dict[str, Authority] = field(default_factory=lambda: {la: Authority() for la in LAS})
    inbound: dict[str, list[File]] = field(default_factory=lambda: {la: [] for la in LAS})
    drawer: dict[str, list[Written]] = field(default_factory=lambda: {la: [] for la in LAS})
    waited_for: int = 0  # files, since the last intake
    uploads: list[tuple[File, Written]] = field(default_factory=list)  # that are going on
    looks: list[tuple[str, date]] = field(default_factory=list)  # at persons, not reported yet
    told: Counter[str] = field(default_factory=Counter)  # looks reported, by authority
    released: list[date] = field(default_factory=list)
    shown: dict[str, set] = field(default_factory=lambda: {la: set() for la in LAS})  # the plans active at the last release
    number: int = 0  # the last one given to a file
    extracted: set[datetime] = field(default_factory=set)

    @classmethod
    def make(cls, folder: Path) -> Stage:
        """The stage after its first night."""
        hub = small_england(folder, las=LAS)
        path = hub.home / config.FILE_NAME
        brake = f"[brake]\nminimum = {MINIMUM}\nshare = {SHARE}\nrow_count_share = {FEW}\n"
        text = path.read_text().replace("[intake]\n", "[intake]\nworkers = 1\n").replace("[brake]\n", brake)
        assert "[retention]\n" in text
        path.write_text(text.replace("[retention]\n", f"[retention]\ndays = {DAYS}\n"))
        starts, ends = HUB_KEYS
        master = load_master_key(hub.home, config.load(hub.home))
        made = {"user_id": "Hub <hub@example.org>", "ends": date(2039, 1, 1), "overlap_days": (ends - starts).days}
        hub_keys.make(hub.home, master, starts=starts, **made)
        starts, ends = OWN_KEYS
        first = inspect(keys(FIRST_OWN_KEY).certificate)
        own = hub.home / "partners" / HACKNEY
        (own / f"{first.fingerprint}.asc").write_bytes(first.armored)
        listed = (own / partners.FILE_NAME).read_text().replace("from = 2020-01-01\nto = 2039", f"from = {starts}\nto = 2039")
        (own / partners.FILE_NAME).write_text(
            f'{listed}[[keys]]\nfingerprint = "{first.fingerprint}"\nfrom = 2020-01-01\nto = {ends}\n'
        )
        hub.now = BEGINNING
        stage = cls(hub)
        for place, la in enumerate((HACKNEY, KENT)):
            for person in range(1 + 3 * place, 6 + 3 * place):  # two of them are known to both
                stage.offices[la].begin(person, "CPP", stage.today, since=40)
            stage.offices[la].begin(MOTHERS, "UCPP", stage.today, since=40)
            stage.put(stage.write(la, "FULL"))
        stage.run("nightly")
        return stage

    def copy(self, folder: Path) -> Stage:
        """The same at another place."""
        copied = deepcopy(replace(self, hub=None))
        copied.hub = copy_of(self.hub, folder)
        return copied

    @property
    def today(self) -> date:
        """The date in England."""
        return day_of(self.hub.now)

    def plans(self, la: str) -> dict:
        """An authority's plans, as the model has them."""
        return self.model[la].plans.plans

    def active(self, la: str) -> set:
        """The keys of those that are shown today."""
        return {key for key, plan in self.plans(la).items() if is_active(plan, self.today)}

    def next_number(self) -> int:
        """A number of its own for each file."""
        self.number += 1
        return self.number

    # The authorities' hands

    def all_rows(self, la: str) -> list:
        """What a full extract of today holds."""
        return [row for _, row in sorted(self.offices[la].rows.items())]

    def write(
        self, la, kind, rows=None, *, sequence=None, hub_key=None, own_key=None, signer=None, trailer=True, **header
    ) -> Written:
        """Write, sign and seal an extract: the next in the authority's count, by the newest keys, unless told."""
        office = self.offices[la]
        if rows is None:
            rows = [row for key, row in sorted(office.rows.items()) if kind == "FULL" or key in office.changed]
            office.changed.clear()
        office.sequence = sequence or office.sequence + 1
        at = self.hub.now - timedelta(hours=3)
        while at in self.extracted:
            at += timedelta(seconds=1)
        self.extracted.add(at)
        lines = [tuple("" if row[name] is None else str(row[name]) for name in COLUMNS) for row in rows]
        text = extract(la, lines, kind=kind, sequence=office.sequence, extracted_at=at.isoformat(timespec="seconds"), **header)
        if not trailer:
            text = text.replace(b"\r\nT,", b"\r\nT,1")
        hub_key = int(self.today >= HUB_KEYS[0]) if hub_key is None else hub_key
        own_key = int(self.today >= OWN_KEYS[0]) if own_key is None or la != HACKNEY else own_key
        certificates = [hub_keys.certificate(self.hub.home, key) for key in hub_keys.listed(self.hub.home)]
        name = signer or (FIRST_OWN_KEY if la == HACKNEY and own_key == 0 else la)
        file = File(
            name="",
            data=self.next_number(),
            kind=kind,
            sequence=office.sequence,
            extracted_at=at,
            rows=list(rows),
            put_at=self.hub.now,
            sound=trailer and not signer and not header,
            opens=(
                OWN_KEYS[0] if la == HACKNEY and own_key else date.min,
                min(date.max if hub_key else HUB_KEYS[1], OWN_KEYS[1] if name == FIRST_OWN_KEY else date.max),
            ),
        )
        return Written(la, file, seal(text, recipients=[certificates[hub_key]], signer=keys(name).secret))

    def put(self, written: Written, data: bytes | None = None, *, minutes_ago: int = 600) -> File:
        """Put a file down, or `data` in its place, which is then no message. Its name is a number: names decide nothing."""
        name = f"CPIS_LA_{written.la}_FULL_{self.next_number():08d}_{self.hub.now:%Y%m%dT%H%M%SZ}.csv.pgp"
        file = replace(written.file, name=name, put_at=self.hub.now - timedelta(minutes=minutes_ago), waived=set())
        if data is not None:
            file.broken, file.data = True, self.next_number()
        self.inbound[written.la].append(file)
        self.hub.put(written.la, name, written.sealed if data is None else data, minutes_ago=minutes_ago)
        return file

    def complete(self, file: File, written: Written) -> None:
        """The rest of an upload comes, unless it was refused by then."""
        if file in self.inbound[written.la]:
            self.hub.put(written.la, file.name, written.sealed, minutes_ago=0)
            file.broken, file.data, file.put_at = False, written.file.data, self.hub.now

    # The other partners' hands

    def look(self, people: list[int]) -> None:
        """The national service tells of looks at people an hour ago."""
        at, number = self.hub.now - timedelta(hours=1), self.next_number()
        rest = "PERSON,Jo Smith,R0050,,RX101,Seaside,EMERGENCY-DEPARTMENT,Y"
        lines = [f"D,e-{number}-{place},{at.isoformat()},{nhs(person)},{rest}" for place, person in enumerate(people)]
        text = "\n".join([f"H,CPIS-ACCESS-EVENTS,1.0,TEST,{number},{at.isoformat()}", *lines, f"T,{len(lines)}", ""])
        certificate = hub_keys.certificate(self.hub.home, hub_keys.listed(self.hub.home)[-1])
        sealed = seal(text.encode(), recipients=[certificate], signer=keys(NATIONAL).secret)
        self.hub.put(NATIONAL, f"CPIS_EVENTS_{number:08d}_{self.hub.now:%Y%m%dT%H%M%SZ}.csv.pgp", sealed)
        self.looks += [(nhs(person), day_of(at)) for person in people]

    # The hub's hands

    def later(self, days: int) -> None:
        """Go on to two o'clock of a later day, or a while if that is past."""
        night = (self.hub.now + days * DAY).replace(hour=2, minute=0, second=0)
        self.hub.now = max(night, self.hub.now + timedelta(minutes=7))

    def run(self, kind: str) -> None:
        """A run of the hub's; the model is told of it."""
        due = kind != "intake" and self.release_due()
        self.hub.run(kind, self.today)
        if kind != "fortnightly":
            for la in LAS:
                waiting = [file for file in self.inbound[la] if file.waited_for(self.hub.now)]
                whole = [file for file in self.inbound[la] if file not in waiting]
                self.model[la].evening(whole, self.today, again=bool(self.inbound[la]))
                self.inbound[la] = waiting
            self.waited_for = sum(map(len, self.inbound.values()))
        if kind == "nightly":
            for number, day in self.looks:
                self.told.update(
                    la for la in LAS if any(key[0] == number and is_active(one, day) for key, one in self.plans(la).items())
                )
            self.looks.clear()
        if due:
            self.released.append(self.today)
            self.shown = {la: self.active(la) for la in LAS}

    def release_due(self) -> bool:
        """Whether a fortnight has begun since the last release."""
        return not self.released or (self.released[-1] - ANCHOR) // FORTNIGHT < (self.today - ANCHOR) // FORTNIGHT

    def decide(self, la: str, name: str, reason: str, *, release: bool, broken: Break | None = None) -> int | None:
        """A person's decision on a hold; the model is told of it. What waits behind a contradiction cannot be released.

        Where it is `broken` off, it is made again unless it was made by then, and what it did not deliver the next run does.
        """
        with self.hub.catalogue() as catalogue:
            names = {arrival.id: arrival.name for arrival in catalogue.arrivals("partner = ?", (la,))}
            (hold,) = [hold for hold in catalogue.holds() if (names.get(hold.arrival_id), hold.reason) == (name, reason)]
        decision = partial(self.hub.decide, hold.id, release=release)
        if reason == "PARTNER_HELD" and release:
            with pytest.raises(UsageFault):
                decision()
            return None
        ended = broken_off(decision, at=broken[0], full=broken[1]) if broken else None
        with self.hub.catalogue() as catalogue:
            is_open = hold.id in {one.id for one in catalogue.holds()}
        if is_open:
            decision()
        if reason == "CONFLICT":
            self.model[la].states[name] = "REFUSED"
        for file in self.model[la].held:
            if file.name == name:
                file.waived.add(reason)
                file.turned_away = not release
        for code in LAS:
            self.model[code].evening([], self.today, again=code == la)
        if broken:
            self.run("intake")
        return ended

    def erase(self, *, beyond: bool, broken: Break | None = None) -> Erasure:
        """Retention; the model is told of it. Where it is `broken` off, people look again and apply what they see then."""
        ended = broken_off(partial(self.hub.erase, beyond_brake=beyond), at=broken[0], full=broken[1]) if broken else None
        with self.hub.catalogue() as catalogue:
            untold = {one.partner for one in catalogue.deliveries("delivered_at IS NULL")}
        applied = self.hub.erase(beyond_brake=beyond)
        came_to = {
            la: self.model[la].retention(self.today, self.shown[la], undelivered=la in untold, beyond=beyond) for la in LAS
        }
        return Erasure(applied, came_to, ended)

    @contextmanager
    def out_of_reach(self, la: str) -> Iterator[None]:
        """Nothing can be delivered to this authority meanwhile."""
        folder = self.hub.root / la / "outbound"
        away = folder.rename(folder.with_name("away"))
        yield
        away.rename(folder)

    def kept_from_coming(self, la: str) -> Callable[[], None]:
        """What an authority has put down is not there yet; it comes when the answer is called."""
        inbound = self.hub.root / la / "inbound"
        aside = inbound.rename(inbound.with_name("aside"))
        inbound.mkdir()

        def come() -> None:
            inbound.rmdir()
            aside.rename(inbound)

        return come

    def lying(self) -> list[str]:
        """What the partners see on the server."""
        return sorted(str(path) for path in self.hub.root.rglob("*") if path.is_file())
