"""From one night of the synthetic England to the next."""

from __future__ import annotations

import hashlib
from datetime import date
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cpis_batch.sandbox.england import England, make_england
from cpis_batch.sandbox.extracts import body, changed_on
from cpis_batch.sandbox.nights import next_night

MONDAY, TUESDAY, WEDNESDAY = date(2026, 10, 5), date(2026, 10, 6), date(2026, 10, 7)
KEY = ["la_code", "nhs_number", "plan_type", "start_date"]


@cache
def night(day: date) -> England:
    return make_england(seed=7, on=MONDAY) if day == MONDAY else next_night(night(date.fromordinal(day.toordinal() - 1)), day)


def digest(plans: pa.Table) -> str:
    return hashlib.sha256(body(plans)).hexdigest()


def test_the_same_england_has_the_same_next_night_and_days_differ() -> None:
    assert digest(next_night(night(MONDAY), TUESDAY).plans) == digest(night(TUESDAY).plans)
    assert digest(night(TUESDAY).plans) != digest(night(WEDNESDAY).plans)


def test_about_520_plans_start_and_end_a_day() -> None:
    for before, after in ((MONDAY, TUESDAY), (TUESDAY, WEDNESDAY)):
        old, new = night(before).plans, night(after).plans
        begun = new.join(old.select(KEY), keys=KEY, join_type="left anti").num_rows
        still = (
            old.filter(pc.is_null(old["end_date"]))
            .select(KEY)
            .append_column("was", pa.array([True] * pc.sum(pc.is_null(old["end_date"])).as_py()))
        )
        ended = new.filter(pc.is_valid(new["end_date"])).join(still, keys=KEY, join_type="inner").num_rows
        assert 400 < begun + ended < 650
        assert begun > 150
        assert ended > 150


def test_plans_are_put_right_and_deleted() -> None:
    old, new = night(MONDAY).plans, night(TUESDAY).plans
    assert 1 <= pc.sum(pc.is_valid(new["delete_date"])).as_py() < 40
    both = new.join(old, keys=KEY, join_type="inner", right_suffix="_before")
    assert pc.sum(pc.not_equal(both["family_name"], both["family_name_before"])).as_py() > 5
    assert pc.sum(pc.not_equal(both["end_date"], both["end_date_before"])).as_py() > 5


def test_a_child_moves_to_another_authority_under_the_same_number() -> None:
    old, new = night(MONDAY).plans, night(WEDNESDAY).plans
    begun = new.join(old.select(KEY), keys=KEY, join_type="left anti")
    known = begun.filter(pc.and_(pc.is_in(begun["nhs_number"], old["nhs_number"]), pc.equal(begun["plan_type"], "LAC")))
    moved = known.filter(pc.greater(known["start_date"], pa.scalar(MONDAY)))
    assert moved.num_rows > 0


def test_what_changed_on_a_day_is_what_a_delta_tells() -> None:
    old, new = night(MONDAY).plans, night(TUESDAY).plans
    facts = [name for name in new.column_names if name != "changed_on"]
    was, now = (set(zip(*(plans[name].cast(pa.string()).to_pylist() for name in facts), strict=True)) for plans in (old, new))
    told = changed_on(new, TUESDAY)
    assert now - was == set(zip(*(told[name].cast(pa.string()).to_pylist() for name in facts), strict=True))


def test_nobody_is_an_adult_with_an_open_plan_but_the_mothers() -> None:
    new = night(WEDNESDAY).plans
    standing = new.filter(pc.and_(pc.is_null(new["end_date"]), pc.not_equal(new["plan_type"], "UCPP")))
    assert pc.min(standing["date_of_birth"]).as_py() > date(2008, 10, 7)


def test_a_night_never_goes_back() -> None:
    with pytest.raises(ValueError, match="later"):
        next_night(night(TUESDAY), TUESDAY)
