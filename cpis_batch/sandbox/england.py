"""A synthetic England: the plans that every authority holds on a day, in the proportions of the published figures.

PLANS, one row a plan as its authority holds it:

- `la_code`, `nhs_number` (text, of a range that is never issued: `numbers`), `child_id`, `family_name`, `given_name`,
  `date_of_birth`, `plan_type`, `start_date`, `end_date` and `delete_date` as in LA extract 1.0; `changed_on`, the day of the last
  change of the row.

The same seed gives the same England, on any machine. Each authority is drawn from a stream of its own, so `plans_of`
makes one without the others; an authority's people are its own but for the `movers`, children whom one authority has
passed on to another (Kent above all), who stand with one NHS number in the rows of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cpis_batch.sandbox import draws, people
from cpis_batch.sandbox.draws import Days, Drawn
from cpis_batch.sandbox.numbers import Numbering, Numbers, Range, range_of
from cpis_batch.sandbox.volumes import KENT, Volume, volumes
from cpis_batch.vocabulary import PlanType

PLANS = pa.schema(
    [
        *(
            pa.field(name, pa.string(), nullable=False)
            for name in ("la_code", "nhs_number", "child_id", "family_name", "given_name")
        ),
        pa.field("date_of_birth", pa.date32(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("start_date", pa.date32(), nullable=False),
        pa.field("end_date", pa.date32()),
        pa.field("delete_date", pa.date32()),
        pa.field("changed_on", pa.date32(), nullable=False),
    ]
)

UNACCOMPANIED = 0.08  # of the looked-after children
PASSED_ON = 0.03  # of those who leave an authority's care, the share that another takes over
PASSED_ON_BY_KENT = 0.5
HELD_BY_BOTH = 0.1  # of the children passed on, those whom neither has let go yet


@dataclass(frozen=True)
class England:
    """All plans of the authorities at the end of the day `on`; `dealt` is how many numbers each has given to people."""

    seed: int
    scale: float
    on: date
    plans: pa.Table
    dealt: dict[str, int]

    def by_la(self) -> dict[str, pa.Table]:
        """The plans of each authority, those without any included, in the order of the codes."""
        codes = sorted(self.dealt)
        held = self.plans["la_code"].to_numpy()
        order = np.argsort(held, kind="stable")
        grouped, held = self.plans.take(pa.array(order)), held[order]
        first, last = np.searchsorted(held, codes, "left"), np.searchsorted(held, codes, "right")
        return {code: grouped.slice(int(a), int(b - a)) for code, a, b in zip(codes, first, last, strict=True)}


def make_england(*, seed: int, on: date, scale: float = 1.0, las: Sequence[str] | None = None) -> England:
    """The England of `seed` as it stands on `on`, or the part of it that the authorities `las` hold.

    ValueError where `scale` is over that of the largest range of numbers. An England over TESTS.max_scale has LIVE numbers.
    """
    codes = sorted(las) if las is not None else list(volumes())
    parts = [plans_of(code, seed=seed, on=on, scale=scale) for code in codes]
    return England(seed, scale, on, pa.concat_tables(parts), {code: people_of(code, scale) for code in codes})


def numbering(seed: int, scale: float = 1.0) -> Numbering:
    """Who gets which NHS numbers. Within one range of numbers a larger England has the smaller one's and more."""
    return _numbering(seed, range_of(scale))


@cache
def _numbering(seed: int, numbers: Range) -> Numbering:
    return Numbering(seed, {code: volume.rows for code, volume in volumes().items()}, numbers)


def volume_of(la_code: str, scale: float) -> Volume:
    """The figures of one authority at `scale`; ValueError where `scale` is over what the ranges of numbers allow."""
    range_of(scale)
    return volumes()[la_code].scaled(scale)


def people_of(la_code: str, scale: float) -> int:
    """How many of its numbers an authority gives out at the beginning: one for each row is enough and leaves no doubt."""
    return volume_of(la_code, scale).rows


@dataclass(frozen=True)
class Movers:
    """Children whom one authority has passed on to another: the plan at the source, and the plan that is open at the target."""

    at_source: Drawn  # `who`: their places among the people of the source
    numbers: Numbers
    targets: npt.NDArray[np.str_]
    starts_at_target: Days
    family: pa.Array
    given: pa.Array

    def to(self, la_code: str) -> tuple[Drawn, Numbers, pa.Array, pa.Array]:
        """Those who are now at `la_code`, by the plan that it holds."""
        mine = np.flatnonzero(self.targets == la_code)
        held, picked = self.at_source, pa.array(mine)
        never = np.full(len(mine), "NaT", dtype="M8[D]")
        drawn = Drawn(held.who[mine], held.plan_type[mine], held.births[mine], self.starts_at_target[mine], never)
        return drawn, self.numbers[mine], self.family.take(picked), self.given.take(picked)


@cache
def movers(source: str, *, seed: int, on: date, scale: float) -> Movers:
    """The children whom `source` has passed on within the year: the first of its people.

    Most left its care up to three weeks after the other authority took over (the weeks in which both rightly hold
    the child); one in ten is still held by both. They go where looked-after children are.
    """
    rng = draws.stream(seed, source, "movers")
    today = np.datetime64(on, "D")
    kent = source == KENT
    count = round((PASSED_ON_BY_KENT if kent else PASSED_ON) * volume_of(source, scale).care_ceased)
    others = [volume for code, volume in volumes().items() if code != source]
    weights = np.array([volume.looked_after for volume in others], dtype=float)
    targets = rng.choice([volume.la_code for volume in others], count, p=weights / weights.sum())
    still = rng.random(count) < HELD_BY_BOTH
    until = today - np.where(still, 0, rng.integers(1, draws.TAIL_DAYS, count))
    stays = rng.integers(25, 90, count)
    ages = np.minimum(rng.integers(5300 if kent else 500, draws.ADULT_DAYS, count), draws.ADULT_DAYS - 1)
    at_source = Drawn(
        np.arange(count),
        np.full(count, PlanType.LAC.value),
        today - np.maximum(ages, (today - until).astype(np.int64) + stays),
        until - stays,
        np.where(still, np.datetime64("NaT"), until),
    )
    family, given = people.names(rng, np.full(count, True) if kent else rng.random(count) < UNACCOMPANIED)
    return Movers(
        at_source,
        numbering(seed, scale).first_of(source, count),
        targets,
        until - rng.integers(0, 21, count),
        family,
        given,
    )


@cache
def all_movers(*, seed: int, on: date, scale: float) -> Movers:
    """The movers of all England, source after source."""
    parts = [movers(source, seed=seed, on=on, scale=scale) for source in volumes()]
    return Movers(
        Drawn.joined([part.at_source for part in parts]),
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.starts_at_target for part in parts]),
        pa.concat_arrays([part.family for part in parts]),
        pa.concat_arrays([part.given for part in parts]),
    )


def plans_of(la_code: str, *, seed: int, on: date, scale: float = 1.0) -> pa.Table:
    """The plans of one authority on `on` (columns: PLANS): open ones, and those that ended within 365 days."""
    volume, today = volume_of(la_code, scale), np.datetime64(on, "D")
    rng = draws.stream(seed, la_code, "plans")
    gone = movers(la_code, seed=seed, on=on, scale=scale)
    come, come_numbers, come_family, come_given = all_movers(seed=seed, on=on, scale=scale).to(la_code)
    held_by_both = int(np.isnat(gone.at_source.ends).sum())
    unborn, unborn_ended = round(draws.UNBORN_OF_PLANS * volume.plans), round(draws.UNBORN_OF_PLANS_STARTED * volume.plans_ceased)

    # Each line takes as many rows as the figures say, less those of the movers.
    first = len(gone.at_source.who)
    open_care = draws.care(rng, first, max(0, volume.looked_after - held_by_both - len(come.who)), today, ended=False)
    first += len(open_care.who)
    past_care = draws.care(rng, first, volume.care_ceased - len(gone.at_source.who) + held_by_both, today, ended=True)
    first += len(past_care.who)
    open_plans = draws.plans(rng, first, volume.plans - unborn, today, ended=False)
    first += len(open_plans.who)
    again = draws.second_plans(rng, round(draws.SECOND_PLANS * volume.plans_ceased), today, open_plans)
    past_plans = draws.plans(rng, first, volume.plans_ceased - unborn_ended - len(again.who), today, ended=True)
    first += len(past_plans.who)
    open_unborn = draws.unborn(rng, first, unborn, today, ended=False)
    first += len(open_unborn.who)
    past_unborn = draws.unborn(rng, first, unborn_ended, today, ended=True)
    first += len(past_unborn.who)

    drawn = Drawn.joined([open_care, past_care, open_plans, again, past_plans, open_unborn, past_unborn])
    family, given = _own_names(rng, drawn, first)
    numbers = numbering(seed, scale).first_of(la_code, first)
    return pa.concat_tables(
        [
            table_of(la_code, drawn, numbers[drawn.who], family, given, _last_changed(drawn)),
            table_of(la_code, gone.at_source, gone.numbers, gone.family, gone.given, _last_changed(gone.at_source)),
            table_of(la_code, come, come_numbers, come_family, come_given, _last_changed(come)),
        ]
    ).combine_chunks()


def _last_changed(drawn: Drawn) -> Days:
    """When rows last changed, at the beginning: on the day on which the plan ended, or else started."""
    days: Days = np.where(np.isnat(drawn.ends), drawn.starts, drawn.ends)
    return days


def _own_names(rng: np.random.Generator, drawn: Drawn, count: int) -> tuple[pa.Array, pa.Array]:
    """Names for the rows: one pair a person, however many plans they have."""
    arrived = np.zeros(count, dtype=bool)
    in_care = drawn.who[drawn.plan_type == PlanType.LAC.value]
    arrived[in_care[rng.random(len(in_care)) < UNACCOMPANIED]] = True
    family, given = people.names(rng, arrived)
    who = pa.array(drawn.who)
    return family.take(who), given.take(who)


def table_of(
    la_code: str, drawn: Drawn, numbers: Numbers, family: pa.Array, given: pa.Array, changed: Days | np.datetime64
) -> pa.Table:
    """Drawn plans as a table (columns: PLANS), last changed `changed` (one day for each, or for all)."""
    count = len(numbers)
    return pa.table(
        [
            pa.repeat(la_code, count),
            pa.array(numbers).cast(pa.string()),
            people.child_ids(la_code, numbers),
            family,
            given,
            pa.array(drawn.births),
            pa.array(drawn.plan_type.tolist(), pa.string()),
            pa.array(drawn.starts),
            pa.array(drawn.ends),
            pa.nulls(count, pa.date32()),
            pa.array(np.broadcast_to(changed, count)),
        ],
        schema=PLANS,
    )
