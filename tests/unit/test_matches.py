"""The match rates that an answer tells: the newest, and the weeks before it, none of them of days to come."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa

from cpis_batch.demographics.rate import RATES
from cpis_batch.intake.acknowledge import Rated
from cpis_batch.intake.matches import TREND_WEEKS, matches
from tests.builders import HACKNEY, KENT

THURSDAY = date(2026, 11, 19)


def rates(*counted: tuple[str, date, int | None]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "la_code": la, "counted_on": on, "people": 100, "answered": 0 if rate is None else 100,
                "matched": (rate or 0) // 100, "rate": rate, "below_line": (rate or 0) < 9500, "change": None,
            }
            for la, on, rate in counted
        ],
        schema=RATES,
    )  # fmt: skip


def test_nothing_is_told_that_was_counted_after_the_business_date():
    later = THURSDAY + timedelta(days=1)
    found = matches(rates((HACKNEY, THURSDAY, 9600), (HACKNEY, later, 9100), (KENT, later, 9000)), THURSDAY)
    assert list(found) == [HACKNEY]
    assert (found[HACKNEY].counted_on, found[HACKNEY].rate) == (THURSDAY, 9600)
    assert found[HACKNEY].trend == (Rated(THURSDAY, 9600),)


def test_the_trend_is_the_last_rate_of_each_of_twelve_weeks_the_oldest_first():
    days = [THURSDAY - timedelta(days=ago) for ago in range(TREND_WEEKS * 7 + 20)]
    found = matches(rates(*((HACKNEY, day, 9000 + number) for number, day in enumerate(days))), THURSDAY)[HACKNEY]
    sundays = [one.counted_on for one in found.trend[:-1]]
    assert found.trend[-1] == Rated(THURSDAY, 9000)
    assert {day.isoweekday() for day in sundays} == {7}
    assert sundays == sorted(sundays)
    assert sundays[0] > THURSDAY - timedelta(days=TREND_WEEKS * 7)
    assert len(sundays) == TREND_WEEKS


def test_a_day_without_an_answer_is_the_newest_and_no_point_of_the_trend():
    found = matches(rates((HACKNEY, THURSDAY - timedelta(days=7), 9400), (HACKNEY, THURSDAY, None)), THURSDAY)[HACKNEY]
    assert (found.counted_on, found.rate) == (THURSDAY, None)
    assert found.trend == (Rated(THURSDAY - timedelta(days=7), 9400),)
