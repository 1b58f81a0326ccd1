"""Removal 365 days after the end date (F56), and of nothing that is active (F58)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from cpis_batch.access.erasure import of_others, waited_out
from cpis_batch.errors import Bug
from cpis_batch.register.balance import balance
from cpis_batch.register.brake import Brake
from cpis_batch.register.erasure import erase
from cpis_batch.register.retention import Due, due, excess, told
from cpis_batch.register.schema import HISTORY
from tests.access_builders import event, events
from tests.builders import HACKNEY, TODAY, history, nhs, plan, plans

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


@pytest.mark.parametrize(("deleted_at", "goes"), [("2025-06-30T22:30", 1), ("2025-06-30T23:30", 0)])
def test_f65_the_days_count_from_the_date_in_england_of_the_commit_that_deleted_a_plan(deleted_at, goes):
    at = datetime.fromisoformat(f"{deleted_at}+00:00")  # half an hour before midnight in summer time, and half an hour after
    past = history([version("DELETED") | {"known_to": at}])
    assert due(plans([plan(1)]), past, date(2026, 7, 1), 365).history.num_rows == goes


def test_a_version_under_an_amended_start_stays_as_long_as_the_plan_it_became():
    past = history([version("AMENDED")])
    assert due(plans([plan(1)]), past, TODAY, 365).history.num_rows == 0
    assert due(plans([plan(1, end_date=LONG_AGO)]), past, TODAY, 365).history.equals(past)
    assert due(plans([plan(1, "LAC")]), past, TODAY, 365).history.equals(past)


def shown(*keys):
    names = ("nhs_number", "plan_type", "start_date")
    return plans([plan(child, kind, start) for child, kind, start in keys]).select(names)


def test_what_the_last_release_shows_waits_and_what_it_does_not_goes():
    held = plans([plan(1, end_date=LONG_AGO), plan(2, end_date=LONG_AGO)])
    goes, waits = told(due(held, NONE, TODAY, 365), held, shown((1, "CPP", date(2026, 2, 11))))
    assert waits.plans.equals(held.slice(0, 1))
    assert goes.plans.equals(held.slice(1, 1))


def test_a_plan_that_was_shown_under_another_start_date_waits_too_with_its_versions():
    held = plans([plan(1, start=START, end_date=LONG_AGO)])
    past = history([version("ENDED")])
    goes, waits = told(due(held, past, TODAY, 365), held, shown((1, "CPP", date(2024, 1, 9))))
    assert not goes.anything
    assert (waits.plans, waits.history) == (held, past)


def test_an_old_plan_goes_while_another_of_the_same_child_and_type_is_shown():
    held = plans([plan(1, start=START, end_date=LONG_AGO), plan(1)])
    goes, waits = told(due(held, NONE, TODAY, 365), held, shown((1, "CPP", date(2026, 2, 11))))
    assert (goes.plans.num_rows, waits.anything) == (1, False)


@pytest.mark.parametrize(
    ("going", "staying", "braked"), [(5, 0, False), (6, 0, True), (6, 54, False), (7, 54, True), (5, 1000, False)]
)
def test_f58_more_than_five_and_a_tenth_of_a_type_is_too_much_at_once(going, staying, braked):
    held = plans([plan(child, end_date=LONG_AGO if child <= going else None) for child in range(1, going + staying + 1)])
    words = excess(held, due(held, NONE, TODAY, 365), Brake())
    assert bool(words) is braked
    assert all(f"{going} of {going + staying} CPP plans" in each for each in words)


def test_what_is_due_is_taken_out_counted_and_nothing_else_is_touched():
    held = plans([plan(1, start=START, end_date=LONG_AGO), plan(1), plan(2, "LAC")])
    past = history([version("ENDED"), version("AMENDED"), version("AMENDED", 2, replaced=LATELY)])
    left = erase(held, past, due(held, past, TODAY, 365), TODAY)
    assert left.plans.equals(held.slice(1))
    assert left.history.equals(past.slice(2))
    assert [(row["change"], row["nhs_number"], row["line"]) for row in left.changes.to_pylist()] == [("ERASED", nhs(1), None)]
    sums = balance(HACKNEY, held, left.plans, left.changes).to_pylist()
    assert [(row["opening"], row["erased"], row["closing"], row["difference"]) for row in sums] == [
        (2, 1, 1, 0),
        (1, 0, 1, 0),
        (0, 0, 0, 0),
    ]


def test_f58_an_erasure_that_would_touch_an_active_plan_stops():
    held = plans([plan(1), plan(2)])
    with pytest.raises(Bug, match="active plan"):
        erase(held, NONE, Due(held.slice(0, 1), NONE), TODAY)


def test_of_an_event_the_id_is_kept_when_its_person_stands_in_no_register():
    seen = events([event(1, child=1), event(2, child=2), event(3, child=3)])
    assert of_others(seen, pa.array([nhs(2)]))["event_id"].to_pylist() == ["e-1", "e-3"]


def test_an_event_that_waits_for_its_care_setting_is_kept_while_an_authority_may_still_send_the_plan():
    days_ago = {days: datetime(2026, 11, 20, 8, tzinfo=UTC) - timedelta(days=days) for days in (1, 365, 366)}
    seen = events([event(days, at=at, child=1) for days, at in days_ago.items()])
    assert waited_out(seen, pa.array([nhs(2)]), TODAY, 365)["event_id"].to_pylist() == ["e-366"]
    assert waited_out(seen, pa.array([nhs(1)]), TODAY, 365).num_rows == 0


@pytest.mark.parametrize("order", [1, -1])
def test_what_ended_and_was_deleted_in_one_night_goes_as_what_was_deleted(order):
    """Two files of an evening are of one commit: the later version is the one that begins where it ends."""
    night = datetime(LONG_AGO.year, LONG_AGO.month, LONG_AGO.day, 2, tzinfo=UTC)
    past = history([version("ENDED"), version("DELETED") | {"known_from": night}][::order])
    assert due(plans([plan(1)]), past, TODAY, 365).history.num_rows == 2
