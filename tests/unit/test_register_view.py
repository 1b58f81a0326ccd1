"""What the register says on a day, and what it knew at a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from cpis_batch.register.history import append, deleted_keys
from cpis_batch.register.merge import merge
from cpis_batch.register.schema import HISTORY, PLANS
from cpis_batch.register.view import active, as_of, by_type, children, known, missing
from cpis_batch.vocabulary import PlanType
from tests.builders import KENT, TODAY, accepted, extract, history, nhs, plan, plans, row

START, END = date(2026, 2, 11), date(2026, 11, 18)


@pytest.mark.parametrize(
    ("on", "shown"),
    [(START - timedelta(days=1), 0), (START, 1), (END, 1), (END + timedelta(days=1), 0)],
)
def test_a_plan_is_active_from_its_first_day_to_its_last(on, shown):
    assert active(plans([plan(1, end_date=END)]), on).num_rows == shown


def test_the_active_plans_keep_their_columns_and_their_order():
    held = plans([plan(3), plan(1), plan(2, end_date=date(2026, 3, 1))])
    assert active(held, TODAY).equals(plans([plan(3), plan(1)]))
    assert active(plans(), TODAY).schema == PLANS


def test_missing_are_the_plans_left_out_that_have_not_ended():
    held = [plan(1, missing_since=END), plan(2), plan(3, missing_since=END, end_date=END)]
    assert missing(plans(held), TODAY).equals(plans(held[:1]))
    assert missing(plans(held), END).num_rows == 2


def test_a_child_counts_once_and_an_unborn_child_beside_its_mother():
    held = plans([plan(1), plan(1, "LAC"), plan(1, la_code=KENT), plan(2), plan(3, "UCPP"), plan(2, "UCPP")])
    assert children([held]) == 4
    assert by_type(held) == {PlanType.CPP: 3, PlanType.LAC: 1, PlanType.UCPP: 2}
    assert children([plans()]) == 0


def test_the_register_of_any_night_can_be_seen_from_any_later_one():
    """Three nights: a plan begins; it is re-dated; it is deleted. What each night knew stands."""
    nights = [datetime(2026, 11, day, 2, tzinfo=UTC) for day in (1, 2, 3)]
    files = [
        [row(1), row(2)],
        [row(1, start=date(2026, 2, 20)), row(2, end_date=END)],
        [row(1, start=date(2026, 2, 20), delete_date=END)],
    ]
    held, past = plans(), HISTORY.empty_table()
    seen = []
    for night, sent in zip(nights, files, strict=True):
        merged = merge(held, accepted(sent), extract(extracted_on=night.date()), business_date=night.date(), known_at=night)
        held, past = merged.plans, append(past, merged.closed)
        seen.append(held)

    def keys(table):
        return sorted((one["nhs_number"], one["start_date"], one["end_date"]) for one in table.to_pylist())

    for night, then in zip(nights, seen, strict=True):
        assert keys(known(held, past, night)) == keys(then)
        assert keys(known(held, past, night + timedelta(hours=23))) == keys(then)
    assert known(held, past, nights[0] - timedelta(seconds=1)).num_rows == 0
    assert keys(as_of(held, past, START, nights[0])) == [(nhs(1), START, None), (nhs(2), START, None)]
    assert keys(as_of(held, past, START, nights[1])) == [(nhs(2), START, END)]
    assert as_of(held, past, END + timedelta(days=1), nights[2]).num_rows == 0
    assert deleted_keys(past).to_pylist() == [{"nhs_number": nhs(1), "plan_type": "CPP", "start_date": date(2026, 2, 20)}]


def test_two_versions_of_one_commit_are_one_to_whoever_looks_later():
    """F07: two files in one night; what the first said stood for no time at all."""
    night = datetime(2026, 11, 19, 2, tzinfo=UTC)
    past = history([plan(1) | {"known_to": night, "change": "ENDED"}])
    assert known(plans([plan(1, end_date=END)]), past, night).equals(plans([plan(1, end_date=END)]))


def test_the_history_is_sorted_by_key_and_time_whatever_came_first():
    later = plan(1, known_from=datetime(2026, 11, 19, 3, tzinfo=UTC)) | {
        "known_to": datetime(2026, 11, 20, tzinfo=UTC),
        "change": "ENDED",
    }
    earlier = plan(1) | {"known_to": datetime(2026, 11, 19, 3, tzinfo=UTC), "change": "RESUMED"}
    other = plan(0) | {"known_to": datetime(2026, 11, 20, tzinfo=UTC), "change": "DELETED"}
    assert append(history([later]), history([earlier, other])).equals(history([other, earlier, later]))
