"""F52: CPP and LAC end by themselves on the 18th birthday, a UCPP does not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpis_batch.business_time import birthday
from cpis_batch.engine import query
from cpis_batch.register import masks, predicates
from cpis_batch.register.merge import age_out, merge, next_age_out
from cpis_batch.register.view import active
from cpis_batch.vocabulary import ExtractKind, PlanType
from tests.builders import TONIGHT, accepted, extract, plan, plans, row

BORN = date(2008, 11, 20)
ADULT = date(2026, 11, 20)
EVE = ADULT - timedelta(days=1)


def taken(held, sent, today=ADULT, facts=None):
    return merge(held, sent, facts or extract(extracted_on=today), business_date=today, known_at=TONIGHT)


@given(st.lists(st.dates(date(1950, 1, 1), date(2030, 12, 31)), min_size=1))
def test_f52_there_is_one_18th_birthday(days):
    births = [*days, date(2008, 2, 29)]
    table = pa.table({"date_of_birth": pa.array(births, pa.date32())})
    expected = [birthday(born, 18) for born in births]
    assert masks.adult_on(table["date_of_birth"]).to_pylist() == expected
    assert query(f"SELECT {predicates.adult_on('t')} AS day FROM t", {"t": table})["day"].to_pylist() == expected


some_days = st.sampled_from([date(2008, 2, 29), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2), date(2027, 3, 1)])


@given(some_days, st.none() | some_days, st.sampled_from(PlanType), some_days, st.integers(-400, 400))
def test_what_is_active_or_spent_is_one_question_in_sql_and_over_columns(start, end, plan_type, today, days):
    held = plans([plan(1, plan_type.value, start, end_date=end, date_of_birth=date(2008, 2, 29))])
    sql = f"SELECT {predicates.active('p', '$on')} AS active, {predicates.spent('p.end_date', '$on', '$days')} AS spent FROM p"
    asked = query(sql, {"p": held}, {"on": today, "days": days})
    assert masks.active(held, today).to_pylist() == asked["active"].to_pylist()
    assert masks.spent(held["end_date"], today, days).to_pylist() == asked["spent"].to_pylist()


@given(st.dates(date(1990, 1, 1), date(2060, 12, 31)))
def test_f52_who_is_a_child_on_a_day_is_known_by_one_date_of_birth(today):
    births = [today.replace(year=today.year - 18, day=1) + timedelta(days) for days in range(-35, 65)]
    held = plans([plan(n, "LAC", date(1980, 1, 1), date_of_birth=born) for n, born in enumerate(births, 1)])
    assert masks.active(held, today).to_pylist() == [birthday(born, 18) >= today for born in births]


@pytest.mark.parametrize("today", [date.min, date(18, 12, 31), date(19, 1, 1), date.max])
def test_the_register_can_be_asked_about_any_day_of_the_calendar(today):
    held = plans([plan(1, "LAC", date.min, date_of_birth=date.min), plan(2, "UCPP", date.min)])
    assert masks.active(held, today).to_pylist() == [today <= birthday(date.min, 18), True]


@pytest.mark.parametrize(
    ("born", "last_day"), [(BORN, ADULT), (date(2008, 2, 29), date(2026, 3, 1)), (date(2008, 2, 28), date(2026, 2, 28))]
)
@pytest.mark.parametrize("plan_type", ["CPP", "LAC"])
def test_f52_a_childs_plan_ends_on_the_18th_birthday(plan_type, born, last_day):
    held = plans([plan(1, plan_type, date(2020, 1, 1), date_of_birth=born)])
    assert next_age_out(held) == last_day
    assert age_out(held, business_date=last_day - timedelta(days=1), known_at=TONIGHT).plans.equals(held)

    aged = age_out(held, business_date=last_day, known_at=TONIGHT)
    (ended,) = aged.plans.to_pylist()
    assert (ended["end_date"], ended["end_basis"], ended["known_from"]) == (last_day, "AGE", TONIGHT)
    assert aged.changes["change"].to_pylist() == aged.closed["change"].to_pylist() == ["AGED_OUT"]
    assert active(aged.plans, last_day).num_rows == 1
    assert active(aged.plans, last_day + timedelta(days=1)).num_rows == 0
    assert next_age_out(aged.plans) is None


def test_f52_the_age_of_a_mother_does_not_touch_her_unborn_childs_plan():
    held = plans([plan(1, "UCPP", date_of_birth=date(2008, 2, 29)), plan(2, "UCPP", date_of_birth=date(1980, 1, 1))])
    assert next_age_out(held) is None
    assert age_out(held, business_date=ADULT, known_at=TONIGHT).plans.equals(held)
    assert active(held, ADULT).num_rows == 2


def test_f52_nobody_is_shown_after_18_although_the_night_job_did_not_run():
    held = plans([plan(1, date_of_birth=BORN)])
    assert [active(held, ADULT + timedelta(days=n)).num_rows for n in (-1, 0, 1)] == [1, 1, 0]


def test_f52_an_authority_that_goes_on_sending_the_plan_open_does_not_resume_it():
    sent = accepted([row(1, date_of_birth=BORN)])
    first = taken(plans([plan(1, date_of_birth=BORN)]), sent)
    assert first.changes["change"].to_pylist() == ["AGED_OUT"]
    again = taken(first.plans, sent, ADULT + timedelta(days=30))
    assert again.changes["change"].to_pylist() == ["CONFIRMED"]
    assert again.plans["end_date"].to_pylist() == [ADULT]


def test_f52_merge_ends_by_age_what_the_file_does_not_speak_of_and_does_not_call_it_missing():
    held = plans([plan(1, date_of_birth=BORN, missing_since=EVE)])
    merged = taken(held, accepted())
    assert merged.changes["change"].to_pylist() == ["AGED_OUT"]
    assert merged.plans["missing_since"].to_pylist() == [None]
    assert merged.plans.equals(age_out(held, business_date=ADULT, known_at=TONIGHT).plans)
    assert taken(merged.plans, accepted()).changes.num_rows == 0


def test_ageing_before_a_merge_or_in_it_reaches_the_same_plans():
    held = plans([plan(child, date_of_birth=BORN) for child in range(4)])
    sent = accepted(
        [
            row(0, date_of_birth=BORN),
            row(1, date_of_birth=BORN, end_date=date(2026, 5, 5)),
            row(2, date_of_birth=BORN, start=date(2026, 3, 1)),
        ]
    )
    at_once = taken(held, sent)
    before = taken(age_out(held, business_date=ADULT, known_at=TONIGHT).plans, sent)
    facts = ["nhs_number", "start_date", "end_date", "end_basis", "last_confirmed_on", "missing_since"]
    assert at_once.plans.select(facts).equals(before.plans.select(facts))


def test_an_end_date_after_the_birthday_is_the_birthday():
    late = ADULT + timedelta(days=90)
    held = taken(plans(), accepted([row(1, date_of_birth=BORN, end_date=late)]), EVE).plans
    assert held["end_date"].to_pylist() == [late]
    assert next_age_out(held) == ADULT
    merged = taken(held, accepted([row(1, date_of_birth=BORN, end_date=late)]))
    assert [(one["end_date"], one["end_basis"]) for one in merged.plans.to_pylist()] == [(ADULT, "AGE")]
    assert merged.changes["change"].to_pylist() == ["AGED_OUT"]


def test_an_end_date_up_to_the_birthday_is_the_authoritys_own():
    aged = age_out(plans([plan(1, date_of_birth=BORN)]), business_date=ADULT, known_at=TONIGHT).plans
    for end in (EVE, ADULT):
        merged = taken(aged, accepted([row(1, date_of_birth=BORN, end_date=end)]))
        assert [(one["end_date"], one["end_basis"]) for one in merged.plans.to_pylist()] == [(end, "LA")]
        assert [(one["change"], one["redated"]) for one in merged.changes.to_pylist()] == [("AMENDED", end == EVE)]


def test_a_date_of_birth_put_right_brings_a_child_back():
    aged = age_out(plans([plan(1, date_of_birth=BORN)]), business_date=ADULT, known_at=TONIGHT).plans
    merged = taken(aged, accepted([row(1, date_of_birth=date(2010, 11, 20))]))
    assert merged.changes["change"].to_pylist() == ["RESUMED"]
    assert active(merged.plans, ADULT).num_rows == 1


def test_a_register_without_plans_ages_nobody():
    assert next_age_out(plans()) is None
    assert age_out(plans(), business_date=ADULT, known_at=datetime(2026, 11, 20, tzinfo=UTC)).changes.num_rows == 0


def test_a_delta_of_an_adults_open_row_is_taken_in_as_ended():
    merged = taken(plans(), accepted([row(1, date_of_birth=BORN)]), ADULT + timedelta(days=5), extract(ExtractKind.DELTA))
    assert [(one["end_date"], one["end_basis"]) for one in merged.plans.to_pylist()] == [(ADULT, "AGE")]
