"""Plans for unborn children that no child has followed, as far as that can be said."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cpis_batch.national.unborn import unborn
from tests.national_builders import HACKNEY, KENT, TODAY, WORKING_DAYS, england, person, plan, short

DAY = timedelta(days=1)
START, END = date(2026, 4, 1), date(2026, 9, 1)
BORN = date(2026, 8, 30)


def found(*rows, persons=(), on=TODAY):
    return short(unborn(england(rows, *persons), WORKING_DAYS, on=on))


def mother(**facts):
    return plan(**({"plan_type": "UCPP", "start": START, "end_date": END} | facts))


def newborn(**facts):
    return plan(**({"child": 2, "start": BORN + 3 * DAY, "date_of_birth": BORN} | facts))


NOBODY, PERHAPS = [(HACKNEY, 1, "ENDED", None)], [(HACKNEY, 1, "CANNOT_TELL", None)]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], NOBODY),
        ([newborn()], PERHAPS),  # whose child it is, nothing says
        ([newborn(plan_type="LAC")], PERHAPS),
        ([newborn(end_date=TODAY - DAY)], PERHAPS),  # it had a plan
        ([newborn(la_code=KENT)], NOBODY),  # somewhere in England there always is one
        ([newborn(date_of_birth=START - DAY)], NOBODY),  # born before
        ([newborn(date_of_birth=START)], PERHAPS),
        ([mother(la_code=KENT, start=END, end_date=None)], []),  # the mother has moved: Kent holds the plan
        ([mother(la_code=KENT, end_date=END - DAY)], NOBODY),
        ([plan(la_code=KENT)], NOBODY),  # a plan of the mother's own
    ],
)
def test_a_plan_for_an_unborn_child_that_ended_without_any_newborn_s_plan_is_told(others, expected):
    assert found(mother(), *others) == expected


@pytest.mark.parametrize(("born", "expected"), [(315, PERHAPS), (316, NOBODY)])
def test_a_child_is_born_within_45_weeks_of_the_plan_s_start(born, expected):
    start, end = date(2025, 11, 1), date(2026, 3, 1)
    rows = [mother(start=start, end_date=end), newborn(date_of_birth=start + born * DAY)]
    assert found(*rows) == expected


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (date(2026, 10, 30), []),  # the 15th working day is today
        (date(2026, 10, 29), NOBODY),
        (TODAY - 365 * DAY, NOBODY),
        (TODAY - 366 * DAY, []),
        (None, []),
    ],
)
def test_the_child_s_plan_has_15_working_days_to_begin(end, expected):
    assert found(mother(start=TODAY - 380 * DAY if end and end.year == 2025 else START, end_date=end)) == expected


def test_a_plan_that_outlasts_any_pregnancy_is_told_whatever_else_there_is():
    for days, expected in ((315, []), (316, [(HACKNEY, 1, "RAN_PAST", None)])):
        assert found(mother(start=TODAY - days * DAY, end_date=None), newborn()) == expected


def test_a_mother_reported_dead_is_told_since_it_is_her_child_that_is_looked_for_and_a_frozen_number_is_not():
    assert found(mother(), persons=[person(date_of_death=END)]) == NOBODY
    assert found(mother(), persons=[person(inactive="NO_REPLACEMENT")]) == []
    assert found(mother(end_date=None, start=TODAY - 400 * DAY), persons=[person(inactive="NO_REPLACEMENT")]) == []
