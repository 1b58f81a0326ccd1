from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from random import Random

import pytest

from cpis_batch.extracts.schedule import LENGTH, Fortnight, Release, due, fortnight_of

ANCHOR = date(2026, 1, 5)
DAY = timedelta(days=1)


def test_fortnights_begin_every_fourteen_days_from_the_anchor_on_either_side():
    assert fortnight_of(ANCHOR, ANCHOR) == Fortnight(ANCHOR)
    assert fortnight_of(ANCHOR + 13 * DAY, ANCHOR) == Fortnight(ANCHOR)
    assert fortnight_of(ANCHOR + 14 * DAY, ANCHOR) == Fortnight(ANCHOR + LENGTH)
    assert fortnight_of(ANCHOR - DAY, ANCHOR) == Fortnight(ANCHOR - LENGTH)
    assert Fortnight(ANCHOR).ends == date(2026, 1, 18)


@pytest.mark.parametrize(
    ("day", "label"),
    [
        (date(2026, 1, 4), "2025F26"),
        (date(2026, 1, 5), "2026F01"),
        (date(2026, 11, 20), "2026F23"),
        (date(2027, 1, 3), "2026F26"),
        (date(2027, 1, 4), "2027F01"),
    ],
)
def test_a_fortnight_is_named_by_the_year_in_which_it_begins(day, label):
    assert fortnight_of(day, ANCHOR).label == label


def test_a_year_may_have_27_fortnights():
    assert fortnight_of(date(2024, 12, 31), date(2024, 1, 1)).label == "2024F27"


@pytest.mark.parametrize("shift", range(14))
def test_f66_over_ten_years_every_fortnight_has_one_name_and_numbers_run_from_1_without_gaps(shift):
    anchor = ANCHOR + shift * DAY
    days = [date(2026, 1, 1) + n * DAY for n in range(3653)]
    fortnights = list(dict.fromkeys(fortnight_of(day, anchor) for day in days))
    assert all(next_.starts == one.ends + DAY for one, next_ in pairwise(fortnights))
    assert len({one.label for one in fortnights}) == len(fortnights)
    for year in range(2027, 2035):
        numbers = [one.number for one in fortnights if one.year == year]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) in (26, 27)


def test_f66_over_ten_years_of_nightly_runs_each_fortnight_is_released_on_the_day_it_begins():
    last, released = None, []
    for n in range(3653):
        today = ANCHOR + n * DAY
        if (release := due(today, ANCHOR, last)) is not None:
            assert (release.fortnight.starts, release.missed) == (today, ())
            last = release.fortnight.starts
            released.append(release.fortnight.label)
    assert len(released) == len(set(released)) == 261


@pytest.mark.parametrize("seed", range(5))
def test_f66_with_runs_left_out_for_weeks_every_fortnight_is_released_or_covered_exactly_once(seed):
    random, today, last, told = Random(seed), ANCHOR, None, []
    while today < ANCHOR + 3653 * DAY:
        if (release := due(today, ANCHOR, last)) is not None:
            assert release.fortnight.starts <= today <= release.fortnight.ends  # never new data under an old name
            told += [*release.missed, release.fortnight]
            last = release.fortnight.starts
            assert due(today, ANCHOR, last) is None
        today += random.choice([1, 1, 1, 9, 30]) * DAY
    assert [one.starts for one in told] == [ANCHOR + n * LENGTH for n in range(len(told))]


def test_f66_two_missed_fortnights_make_one_release_that_names_them_oldest_first():
    release = due(date(2026, 2, 17), ANCHOR, date(2026, 1, 5))
    assert release == Release(Fortnight(date(2026, 2, 16)), (Fortnight(date(2026, 1, 19)), Fortnight(date(2026, 2, 2))))


def test_the_first_release_is_the_current_fortnight_and_makes_up_for_nothing():
    assert due(date(2026, 11, 20), ANCHOR, None) == Release(Fortnight(date(2026, 11, 9)))


def test_f64_a_clock_that_went_back_finds_nothing_due():
    assert due(date(2026, 2, 1), ANCHOR, date(2026, 2, 16)) is None


def test_an_anchor_that_is_moved_neither_repeats_nor_skips_a_release():
    moved = ANCHOR + 3 * DAY
    assert due(date(2026, 1, 7), moved, ANCHOR) is None
    assert due(date(2026, 1, 8), moved, ANCHOR) == Release(Fortnight(date(2026, 1, 8)))
