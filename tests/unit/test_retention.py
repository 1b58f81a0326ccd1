"""Removal 365 days after the end date (F56), and of nothing that is active (F58)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from cpis_batch.register.retention import due
from cpis_batch.register.schema import HISTORY
from tests.builders import TODAY, history, plan, plans

NONE = HISTORY.empty_table()
LONG_AGO, LATELY = TODAY - timedelta(days=366), TODAY - timedelta(days=365)
START = date(2024, 1, 1)


def version(change, child=1, start=START, replaced=LONG_AGO, **facts):
    since, until = (datetime(day.year, day.month, day.day, 2, tzinfo=UTC) for day in (date(2024, 1, 2), replaced))
    return plan(child, start=start, known_from=since, **facts) | {"known_to": until, "change": change}


@pytest.mark.parametrize(("end", "goes"), [(LONG_AGO, 1), (LATELY, 0), (TODAY, 0), (TODAY + timedelta(days=400), 0), (None, 0)])
def test_f56_a_plan_goes_365_days_after_its_end_with_all_its_versions(end, goes):
    held, past = plans([plan(1, start=START, end_date=end), plan(2)]), history([version("ENDED"), version("AMENDED", 2)])
    found = due(held, past, TODAY, 365)
    assert found.plans.equals(held.slice(0, goes))
    assert found.history.equals(past.slice(0, goes))


@pytest.mark.parametrize("days", [0, -10_000])
def test_f58_however_retention_is_set_nothing_that_may_be_active_is_due(days):
    held = plans(
        [plan(1), plan(2, end_date=TODAY), plan(3, start=TODAY + timedelta(days=9)), plan(4, end_date=TODAY + timedelta(days=9))]
    )
    assert due(held, NONE, TODAY, days).plans.num_rows == 0


@pytest.mark.parametrize(("replaced", "goes"), [(LONG_AGO, 2), (LATELY, 0)])
def test_what_was_deleted_goes_although_the_child_has_another_plan(replaced, goes):
    earlier = version("RESUMED", replaced=date(2024, 6, 1))
    past = history([earlier, version("DELETED", replaced=replaced)])
    assert due(plans([plan(1)]), past, TODAY, 365).history.num_rows == goes


def test_a_version_under_an_amended_start_stays_as_long_as_the_plan_it_became():
    past = history([version("AMENDED")])
    assert due(plans([plan(1)]), past, TODAY, 365).history.num_rows == 0
    assert due(plans([plan(1, end_date=LONG_AGO)]), past, TODAY, 365).history.equals(past)
    assert due(plans([plan(1, "LAC")]), past, TODAY, 365).history.equals(past)
