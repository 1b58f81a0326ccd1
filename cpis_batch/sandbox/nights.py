"""The next night's England from this one: who starts and ends, what is put right, who moves from one authority to another.

Rates are each authority's own figures of a year spread over its days: some 520 starts and ends a day in England.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.sandbox import draws, people
from cpis_batch.sandbox.draws import Days, Drawn
from cpis_batch.sandbox.england import England, numbering, table_of, volume_of
from cpis_batch.sandbox.volumes import KENT
from cpis_batch.vocabulary import PlanType

DELETED_KEPT_DAYS = 28  # how long an authority's extract goes on telling that a row was entered in error

MOVES_A_YEAR = 2_400
MOVES_FROM_KENT = 0.6
BORN_ONTO_A_PLAN = 0.75  # of the unborn with a plan
AMENDED = 0.0004  # of all rows, each day and each of the three kinds of amendment
DELETED = 0.00004  # of the open rows, each day

Mask = npt.NDArray[np.bool_]


class _Night:
    """The columns of an England while they are changed."""

    def __init__(self, england: England, to: date) -> None:
        self.england, self.today, self.days = england, np.datetime64(to, "D"), (to - england.on).days
        self.rng = np.random.default_rng([england.seed, to.toordinal()])
        self.plans = england.plans.filter(pa.array(self._still_told()))
        self.codes = np.array(sorted(england.dealt))
        self.la = np.searchsorted(self.codes, self.plans["la_code"].to_numpy())
        self.type = self.plans["plan_type"].to_numpy()
        self.births, self.starts, self.ends, self.deletes, self.changed = (
            self.plans[name].to_numpy().astype("M8[D]").copy()
            for name in ("date_of_birth", "start_date", "end_date", "delete_date", "changed_on")
        )
        self.family = self.plans["family_name"]
        self.volumes = [volume_of(code, england.scale) for code in self.codes]
        self.dealt = dict(england.dealt)
        self.added: list[pa.Table] = []

    def _still_told(self) -> Mask:
        """Rows that have not yet left the authority's own extract."""
        ends, deletes = (self.england.plans[name].to_numpy().astype("M8[D]") for name in ("end_date", "delete_date"))
        told: Mask = ~((ends < self.today - draws.TAIL_DAYS) | (deletes < self.today - DELETED_KEPT_DAYS))
        return told

    @property
    def open(self) -> Mask:
        """Which plans stand."""
        stand: Mask = np.isnat(self.ends) & np.isnat(self.deletes)
        return stand

    def chosen(self, chance: npt.NDArray[np.float64] | float, among: Mask) -> npt.NDArray[np.int64]:
        """The places of rows `among` which it happens to, each by its chance a day."""
        return np.flatnonzero(among & (self.rng.random(len(among)) < chance * self.days))

    def end(self, places: npt.NDArray[np.int64], on: Days) -> None:
        self.ends[places] = np.maximum(on, self.starts[places])
        self.changed[places] = self.today

    def start(self, la_code: str, plan_type: PlanType, births: Days, starts: Days) -> None:
        """New people of an authority, with a plan each."""
        count, first = len(births), self.dealt[la_code]
        self.dealt[la_code] = first + count
        numbers = numbering(self.england.seed, self.england.scale).first_of(la_code, first + count)[first:]
        if len(numbers) < count:
            raise ValueError(f"the numbers of {la_code} are used up: begin a new England, or a smaller one")
        drawn = Drawn(np.arange(count), np.full(count, plan_type.value), births, starts, np.full(count, "NaT", dtype="M8[D]"))
        family, given = people.names(self.rng, np.zeros(count, dtype=bool))
        self.added.append(table_of(la_code, drawn, numbers, family, given, self.today))

    def table(self) -> pa.Table:
        """All rows, those that were there first."""
        put = {
            "family_name": self.family,
            "start_date": pa.array(self.starts),
            "end_date": pa.array(self.ends),
            "delete_date": pa.array(self.deletes),
            "changed_on": pa.array(self.changed),
        }
        columns = [put.get(name, self.plans[name]) for name in self.plans.column_names]
        return pa.concat_tables([pa.table(columns, schema=self.plans.schema), *self.added]).combine_chunks()


def next_night(england: England, to: date) -> England:
    """England at the end of the day `to`, which is later than `england.on`."""
    if to <= england.on:
        raise ValueError("the next night is a later one")
    night = _Night(england, to)
    _come_of_age(night)
    _end(night)
    _start(night)
    _move(night)
    _amend(night)
    _delete(night)
    return replace(england, on=to, plans=night.table(), dealt=night.dealt)


def _come_of_age(night: _Night) -> None:
    """Children's plans end on the eighteenth birthday; a woman's plan for her unborn child does not."""
    adult = draws.eighteenth(night.births)
    places = np.flatnonzero(night.open & (night.type != PlanType.UCPP.value) & (adult <= night.today))
    night.end(places, adult[places])


def _end(night: _Night) -> None:
    """Plans that end for other reasons, within the last few days. Of the unborn, most are born onto a plan of their own."""
    chance = np.zeros(len(night.la))
    for plan_type, stock, ends in (
        (
            PlanType.LAC,
            [v.looked_after for v in night.volumes],
            [v.care_ceased * (1 - draws.EIGHTEENTH_OF_CEASED) for v in night.volumes],
        ),
        (PlanType.CPP, [v.plans for v in night.volumes], [v.plans_ceased for v in night.volumes]),
        (
            PlanType.UCPP,
            [draws.UNBORN_OF_PLANS * v.plans for v in night.volumes],
            [draws.UNBORN_OF_PLANS_STARTED * v.plans_ceased for v in night.volumes],
        ),
    ):
        rate = np.array(ends) / 365.0 / np.maximum(1.0, stock)
        ours = night.type == plan_type.value
        chance[ours] = rate[night.la[ours]]
    places = night.chosen(chance, night.open)
    ended = night.today - night.rng.integers(0, 3, len(places))
    night.end(places, ended)
    born = places[(night.type[places] == PlanType.UCPP.value) & (night.rng.random(len(places)) < BORN_ONTO_A_PLAN)]
    for la in np.unique(night.la[born]):
        births = night.ends[born[night.la[born] == la]]
        night.start(str(night.codes[la]), PlanType.CPP, births, np.full(len(births), night.today))


def _start(night: _Night) -> None:
    """Children who come into care or onto a plan, and women whose unborn child has one."""
    for code, volume in zip(night.codes.tolist(), night.volumes, strict=True):
        unborn = draws.UNBORN_OF_PLANS_STARTED * volume.plans_started
        for plan_type, a_year, ages in (
            (PlanType.LAC, float(volume.care_started), draws.CARE_START_AGES),
            (PlanType.CPP, volume.plans_started - unborn, draws.PLAN_AGES),
            (PlanType.UCPP, unborn, draws.MOTHER_AGES),
        ):
            count = int(night.rng.poisson(a_year / 365 * night.days))
            if count:
                starts = night.today - night.rng.integers(0, 3, count)
                days_old = draws.age_days(night.rng, count, ages)
                if plan_type is not PlanType.UCPP:
                    days_old = np.minimum(days_old, draws.ADULT_DAYS - 4)
                night.start(code, plan_type, starts - days_old, starts)


def _move(night: _Night) -> None:
    """Looked-after children whom another authority takes over. Half of them the first still holds tonight, and rightly."""
    open_care = np.flatnonzero(night.open & (night.type == PlanType.LAC.value) & (night.starts < night.today))
    if len(night.codes) < 2 or not len(open_care):
        return
    from_kent = night.codes[night.la[open_care]] == KENT
    kent, others = int(from_kent.sum()), int((~from_kent).sum())
    weights = np.where(from_kent, MOVES_FROM_KENT / max(1, kent), (1 - MOVES_FROM_KENT) / max(1, others))
    share = len(open_care) / (81_770 * night.england.scale)
    count = min(int(night.rng.poisson(MOVES_A_YEAR * night.england.scale / 365 * night.days * share)), len(open_care))
    places = night.rng.choice(open_care, count, replace=False, p=weights / weights.sum())
    stock = np.array([float(volume.looked_after) for volume in night.volumes])
    numbers = night.plans["nhs_number"].cast(pa.int64()).to_numpy()
    _, first = np.unique(numbers[places], return_index=True)  # a child whom two authorities hold moves once
    for place in places[np.sort(first)]:
        target = int(night.rng.choice(len(stock), p=stock / stock.sum()))
        if np.any((night.la == target) & (numbers == numbers[place])):
            continue
        never = np.full(1, "NaT", dtype="M8[D]")
        drawn = Drawn(np.zeros(1, np.int64), night.type[[place]], night.births[[place]], np.array([night.today]), never)
        family, given = (night.plans[name].slice(int(place), 1).combine_chunks() for name in ("family_name", "given_name"))
        night.added.append(table_of(str(night.codes[target]), drawn, numbers[[place]], family, given, night.today))
        if night.rng.random() < 0.5:
            night.end(np.array([place]), np.array([night.today]))


def _amend(night: _Night) -> None:
    """What is put right: a family name (a double one now), the end date of a plan, the start date of an open one."""
    renamed = night.chosen(AMENDED, night.open)
    others, _ = people.names(night.rng, np.zeros(len(renamed), dtype=bool))
    mask = np.zeros(len(night.la), dtype=bool)
    mask[renamed] = True
    joined = pc.binary_join_element_wise(night.family.take(pa.array(renamed)).combine_chunks(), others, "-")
    night.family = pc.replace_with_mask(night.family.combine_chunks(), pa.array(mask), joined)
    night.changed[renamed] = night.today

    ended = night.chosen(AMENDED, ~np.isnat(night.ends) & (night.ends < night.today) & (night.ends > night.starts))
    night.end(ended, night.ends[ended] - 1)

    moved = night.chosen(
        AMENDED, night.open & (night.starts < night.today) & (night.starts - night.births > np.timedelta64(14, "D"))
    )
    night.starts[moved] -= night.rng.integers(1, 8, len(moved))
    night.changed[moved] = night.today


def _delete(night: _Night) -> None:
    """Rows that were entered in error, found within two months."""
    places = night.chosen(DELETED * 5, night.open & (night.starts > night.today - 60) & (night.starts < night.today))
    night.deletes[places] = night.today
    night.changed[places] = night.today
