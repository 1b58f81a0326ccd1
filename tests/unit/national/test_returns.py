"""Children whose plan returns within a year."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cpis_batch.national.returns import returns
from tests.national_builders import HACKNEY, KENT, TODAY, england, person, plan, short

DAY = timedelta(days=1)
END = date(2026, 5, 1)
BEFORE = date(2025, 5, 1)


def found(*rows, persons=()):
    return short(returns(england(rows, *persons), on=TODAY))


def earlier(**facts):
    return plan(**({"start": BEFORE, "end_date": END} | facts))


AGAIN = [(HACKNEY, 1, "SAME_AUTHORITY", None)]
AT_KENT = [(HACKNEY, 1, "ELSEWHERE", KENT)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([plan(start=END + DAY)], []),  # no break
        ([plan(start=END + 2 * DAY)], AGAIN),
        ([plan(start=END + 60 * DAY)], AGAIN),
        ([plan(start=END + 60 * DAY, end_date=TODAY - DAY)], []),  # over again
        ([plan(plan_type="LAC", start=END + 60 * DAY)], []),  # another type is no return
        ([plan(la_code=KENT, start=END + 30 * DAY)], []),  # a handover
        ([plan(la_code=KENT, start=END + 31 * DAY)], AT_KENT),
        ([plan(la_code=KENT, start=END, end_date=END + 50 * DAY), plan(start=END + 51 * DAY)], []),  # Kent held it between
        ([plan(start=END - 9 * DAY)], []),  # they overlap
        ([plan(start=TODAY + DAY)], []),  # not begun
    ],
)
def test_a_plan_of_the_same_type_after_a_break_is_a_return(rows, expected):
    assert found(earlier(), *rows) == expected


@pytest.mark.parametrize(("days", "expected"), [(365, AGAIN), (366, [])])
def test_a_return_is_within_a_year(days, expected):
    start = TODAY - 10 * DAY
    assert found(earlier(start=date(2024, 1, 1), end_date=start - days * DAY), plan(start=start)) == expected


def test_the_authority_where_it_is_again_is_told_its_new_plan_and_the_one_where_it_was_its_old_one():
    (again,) = returns(england([earlier(), plan(start=END + 60 * DAY)]), on=TODAY).to_pylist()
    assert (again["start_date"], again["end_date"]) == (END + 60 * DAY, None)
    (was,) = returns(england([earlier(), plan(la_code=KENT, child_id="KT-1", start=END + 60 * DAY)]), on=TODAY).to_pylist()
    assert (was["child_id"], was["start_date"], was["end_date"]) == ("LC-000001", BEFORE, END)


def test_f48_f49_f52_of_whom_nothing_or_no_name_is_told():
    rows = [earlier(), plan(la_code=KENT, start=END + 60 * DAY)]
    assert found(*rows, persons=[person(sensitive=True)]) == [(HACKNEY, 1, "ELSEWHERE", None)]
    assert found(*rows, persons=[person(inactive="NO_REPLACEMENT")]) == []
    assert found(*rows, persons=[person(date_of_death=TODAY)]) == []
    assert found(earlier(plan_type="UCPP"), plan(plan_type="UCPP", start=END + 60 * DAY)) == []
