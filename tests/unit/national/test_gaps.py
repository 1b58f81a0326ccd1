"""Children whom nobody holds any more though they were seen since."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from cpis_batch.errors import ConfigFault
from cpis_batch.national.gaps import gaps
from tests.national_builders import (
    HACKNEY,
    KENT,
    TODAY,
    WORKING_DAYS,
    accesses,
    england,
    nhs,
    person,
    plan,
    short,
    traced,
)

DAY = timedelta(days=1)
LONG_AGO = date(2026, 10, 1)
TURNED_18 = date(2008, 10, 1)
SEEN = accesses((1, LONG_AGO + DAY))


def found(*rows, seen=SEEN, persons=(), on=TODAY):
    return short(gaps(england(rows, *persons), seen, traced(*persons), WORKING_DAYS, on=on))


OVERDUE = [(HACKNEY, 1, "OVERDUE", None)]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], OVERDUE),
        ([plan(la_code=KENT, start=LONG_AGO)], []),  # Kent has taken over
        ([plan(plan_type="LAC", la_code=KENT, start=TODAY)], []),  # late, but it has
        ([plan(start=LONG_AGO + DAY)], []),  # it went on at Hackney itself
        ([plan(la_code=KENT, end_date=LONG_AGO - DAY)], OVERDUE),  # Kent had ended before
        ([plan(la_code=KENT, end_date=LONG_AGO + 9 * DAY)], []),  # Kent was the last: its gap, if it is one
        ([plan(plan_type="UCPP", la_code=KENT, start=LONG_AGO)], OVERDUE),  # speaks of another child
        ([plan(la_code=KENT, start=TODAY + DAY)], OVERDUE),  # announced, not begun
    ],
)
def test_f51_a_plan_elsewhere_closes_the_gap_and_nothing_else_does(others, expected):
    assert found(plan(end_date=LONG_AGO), *others) == expected


def test_f51_the_last_authority_is_told_whoever_held_the_child_before():
    rows = [plan(end_date=LONG_AGO - 9 * DAY), plan(la_code=KENT, start=LONG_AGO - 20 * DAY, end_date=LONG_AGO)]
    assert found(*rows) == [(KENT, 1, "OVERDUE", None)]
    assert found(plan(end_date=LONG_AGO), plan(la_code=KENT, end_date=LONG_AGO)) == sorted(
        [*OVERDUE, (KENT, 1, "OVERDUE", None)]
    )  # on one day: both


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (accesses(), []),  # not seen: nothing to ask about
        (accesses((1, LONG_AGO)), []),  # on the plan's last day
        (accesses((1, LONG_AGO + DAY)), OVERDUE),
        (accesses((2, LONG_AGO + DAY)), []),  # another child
        (accesses((1, datetime(2026, 10, 1, 22, 59, tzinfo=UTC))), []),  # 23:59 in England
        (accesses((1, datetime(2026, 10, 1, 23, 0, tzinfo=UTC))), OVERDUE),  # midnight in England
    ],
)
def test_f51_a_child_was_seen_in_care_after_the_end(seen, expected):
    assert found(plan(end_date=LONG_AGO), seen=seen) == expected


def test_f51_a_child_was_seen_where_another_authority_has_a_plan_that_is_still_to_begin():
    ended, nobody = plan(end_date=LONG_AGO), accesses()
    assert found(ended, plan(la_code=KENT, start=TODAY + DAY), seen=nobody) == OVERDUE
    assert found(ended, plan(start=TODAY + DAY), seen=nobody) == []  # Hackney's own


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (None, []),  # the same practice as before
        (LONG_AGO, []),  # learnt while the plan stood
        (LONG_AGO + DAY, OVERDUE),
        (TODAY, OVERDUE),
        (TODAY + DAY, []),  # not yet known on that day
    ],
)
def test_f51_a_child_has_moved_to_another_practice_since_the_end(moved, expected):
    assert found(plan(end_date=LONG_AGO), seen=accesses(), persons=[person(practice_since=moved)]) == expected


def test_f48_a_move_of_practice_under_a_number_with_none_in_its_place_is_no_gap():
    adopted = person(inactive="NO_REPLACEMENT", practice_since=TODAY)
    assert found(plan(end_date=LONG_AGO), seen=accesses(), persons=[adopted]) == []


@pytest.mark.parametrize(
    ("end", "on", "standing"),
    [
        # the 15th working day after Friday 30 October is Friday 20 November
        (date(2026, 10, 30), date(2026, 11, 20), "RUNNING"),
        (date(2026, 10, 30), date(2026, 11, 21), "OVERDUE"),
        (date(2026, 10, 31), date(2026, 11, 20), "RUNNING"),  # a weekend's end is Friday's
        (date(2026, 10, 31), date(2026, 11, 21), "OVERDUE"),
        # after 11 December, over Christmas and New Year, it is Wednesday 6 January
        (date(2026, 12, 11), date(2027, 1, 6), "RUNNING"),
        (date(2026, 12, 11), date(2027, 1, 7), "OVERDUE"),
    ],
)
def test_f51_the_clock_runs_on_england_s_working_days(end, on, standing):
    assert found(plan(end_date=end), seen=accesses((1, end + DAY)), on=on) == [(HACKNEY, 1, standing, None)]


def test_the_clock_says_how_many_working_days_have_gone_by():
    rows = gaps(
        england([plan(end_date=date(2026, 12, 11))]),
        accesses((1, date(2026, 12, 12))),
        traced(),
        WORKING_DAYS,
        on=date(2027, 1, 6),
    )
    assert rows["working_days"].to_pylist() == [15]


@pytest.mark.parametrize(
    ("row", "persons"),
    [
        (plan(end_date=LONG_AGO, end_basis="AGE", date_of_birth=TURNED_18), []),  # the 18th birthday ended it
        (plan(end_date=LONG_AGO, date_of_birth=TURNED_18), []),  # grown up since
        (plan(plan_type="UCPP", end_date=LONG_AGO), []),  # of an unborn child: another rule
        (plan(end_date=TODAY - 366 * DAY, start=TODAY - 400 * DAY), []),  # past its year
        (plan(end_date=LONG_AGO), [person(date_of_death=TODAY)]),
        (plan(end_date=LONG_AGO), [person(inactive="NO_REPLACEMENT")]),  # adopted: nobody looks for the child (F48)
    ],
)
def test_who_is_no_gap(row, persons):
    assert found(row, seen=accesses((1, TODAY - DAY)), persons=persons) == []


def test_f47_the_plan_under_the_current_number_closes_the_gap_of_the_old_one():
    superseded = person(1, inactive="SUPERSEDED", current_number=nhs(2))
    assert found(plan(1, end_date=LONG_AGO), plan(2, la_code=KENT), persons=[superseded]) == []
    assert found(plan(1, end_date=LONG_AGO), seen=accesses((2, TODAY)), persons=[superseded]) == OVERDUE


def test_a_day_that_the_calendar_does_not_reach_is_a_fault_and_no_wrong_clock():
    with pytest.raises(ConfigFault, match="2030"):
        found(plan(end_date=date(2029, 12, 20)), on=date(2030, 1, 10))
