"""Drawing plans of invented children: ages, stays and ends, as columns of numpy.

Ages, durations and shares follow `reference/national_distributions_2025.csv`. What it does not tell (ages on a plan, the
unborn, second plans) is set here, beside each use.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cpis_batch.vocabulary import PlanType

TAIL_DAYS = 365
ADULT_DAYS = 6574  # the fewest days that eighteen years can have

# Years of age and share of the children in that band. Looked after: national_distributions_2025. On a plan: a guess
# at the shape of the published national table (most between 1 and 15).
LOOKED_AFTER_AGES = ((0, 1, 4), (1, 5, 12), (5, 10, 18), (10, 16, 38), (16, 18, 27))
CARE_START_AGES = ((0, 1, 16), (1, 5, 14), (5, 10, 15), (10, 16, 27), (16, 18, 28))
PLAN_AGES = ((0, 1, 10), (1, 5, 26), (5, 10, 28), (10, 16, 31), (16, 18, 5))
MOTHER_AGES = ((14, 18, 6), (18, 25, 34), (25, 35, 46), (35, 46, 14))

PLAN_DAYS = ((1, 92, 31.5), (92, 183, 25.5), (183, 365, 26.3), (365, 730, 14.4), (730, 1300, 2.3))
CARE_DAYS = 81_770 / 32_270 * 365.25  # children in care over children entering it in a year: a mean stay
UNBORN_DAYS = 210  # a pre-birth plan lasts no longer than what is left of a pregnancy

# 1,200 of some 49,300 plans were of the unborn (2014/15); lasting a quarter as long as others, they turn over faster.
UNBORN_OF_PLANS = 0.025
UNBORN_OF_PLANS_STARTED = 0.08
SECOND_PLANS = 0.10  # of plans that ended within the year, those whose child is on a plan again
EIGHTEENTH_OF_CEASED = 0.32  # 22,060 aged 16 and 17 turn 18 in two years: a third of those who leave care
Days = npt.NDArray[np.datetime64]
Whole = npt.NDArray[np.int64]


def stream(seed: int, la_code: str, purpose: str) -> np.random.Generator:
    """Random numbers for one purpose of one authority, whatever else is drawn elsewhere."""
    return np.random.default_rng([seed, zlib.crc32(la_code.encode()), zlib.crc32(purpose.encode())])


def banded(rng: np.random.Generator, count: int, bands: Sequence[tuple[int, int, float]]) -> npt.NDArray[np.float64]:
    """`count` values, uniform within bands (from, to, weight)."""
    low, high, weight = np.array(bands, dtype=float).T
    band = rng.choice(len(bands), count, p=weight / weight.sum())
    return np.asarray(low[band] + rng.random(count) * (high[band] - low[band]))


def age_days(rng: np.random.Generator, count: int, bands: Sequence[tuple[int, int, float]]) -> Whole:
    """Ages in days, from bands in years."""
    return np.asarray(banded(rng, count, bands) * 365.25, dtype=np.int64)


def eighteenth(births: Days) -> Days:
    """The eighteenth birthdays; 1 March for those born on 29 February."""
    months = births.astype("M8[M]")
    return np.asarray((months + 216).astype("M8[D]") + (births - months.astype("M8[D]")))


@dataclass(frozen=True)
class Drawn:
    """Plans of people, column by column; `who` is the place of a row's person among the authority's people."""

    who: Whole
    plan_type: npt.NDArray[np.str_]
    births: Days
    starts: Days
    ends: Days

    @staticmethod
    def joined(parts: Sequence[Drawn]) -> Drawn:
        """One after the other."""
        return Drawn(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("who", "plan_type", "births", "starts", "ends")
            )
        )


def care(rng: np.random.Generator, first: int, count: int, today: np.datetime64, *, ended: bool) -> Drawn:
    """Looked-after children: now, or (the tail) until a day within the last year, a third of them until they were 18."""
    ends = today - rng.integers(1, TAIL_DAYS, count) if ended else np.full(count, "NaT", dtype="M8[D]")
    until = ends if ended else np.full(count, today)
    ages = np.minimum(age_days(rng, count, LOOKED_AFTER_AGES), ADULT_DAYS - 1)
    births = until - ages
    if ended:
        turned = rng.random(count) < EIGHTEENTH_OF_CEASED
        births = np.where(turned, until - ADULT_DAYS, births)
        ends = np.where(turned, np.minimum(eighteenth(births), today), ends)
        ages = np.where(turned, ADULT_DAYS, ages)
    stays = np.minimum(1 + rng.exponential(CARE_DAYS, count).astype(np.int64), ages)
    return Drawn(np.arange(first, first + count), np.full(count, PlanType.LAC.value), births, until - stays, ends)


def plans(rng: np.random.Generator, first: int, count: int, today: np.datetime64, *, ended: bool) -> Drawn:
    """Children on a protection plan, now or until a day within the last year."""
    ends = today - rng.integers(1, TAIL_DAYS, count) if ended else np.full(count, "NaT", dtype="M8[D]")
    until = ends if ended else np.full(count, today)
    ages = np.minimum(age_days(rng, count, PLAN_AGES), ADULT_DAYS - 1)
    stays = np.minimum(banded(rng, count, PLAN_DAYS).astype(np.int64), ages)
    return Drawn(np.arange(first, first + count), np.full(count, PlanType.CPP.value), until - ages, until - stays, ends)


def unborn(rng: np.random.Generator, first: int, count: int, today: np.datetime64, *, ended: bool) -> Drawn:
    """Pregnant women whose child has a plan, now or until a day within the last year."""
    ends = today - rng.integers(1, TAIL_DAYS, count) if ended else np.full(count, "NaT", dtype="M8[D]")
    until = ends if ended else np.full(count, today)
    starts = until - rng.integers(1, UNBORN_DAYS, count)
    return Drawn(
        np.arange(first, first + count),
        np.full(count, PlanType.UCPP.value),
        starts - age_days(rng, count, MOTHER_AGES),
        starts,
        ends,
    )


def second_plans(rng: np.random.Generator, count: int, today: np.datetime64, current: Drawn) -> Drawn:
    """Plans that ended within the year, of children who are on a plan again: up to `count`, each before the `current` one."""
    since = (today - current.starts).astype(np.int64)
    ages = (current.starts - current.births).astype(np.int64)
    able = np.flatnonzero((since < 300) & (ages > 450))[:count]
    ends = current.starts[able] - 14 - rng.integers(0, TAIL_DAYS - 50 - since[able])
    starts = ends - rng.integers(30, np.maximum(31, (ends - current.births[able]).astype(np.int64)).clip(31, 400))
    return Drawn(current.who[able], current.plan_type[able], current.births[able], starts, ends)
