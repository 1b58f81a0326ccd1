"""The synthetic England: the published proportions, the same from the same seed, and fit to be sent."""

from __future__ import annotations

import hashlib
from datetime import date
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cpis_batch.nhs_number import is_valid
from cpis_batch.sandbox.england import England, make_england, plans_of
from cpis_batch.sandbox.extracts import body
from cpis_batch.sandbox.numbers import LARGE, TESTS
from cpis_batch.sandbox.volumes import KENT, TRUST, choose, volumes

MONDAY = date(2026, 10, 5)
HACKNEY, SCILLY, BIRMINGHAM = "E09000012", "E06000053", "E08000025"


@cache
def england() -> England:
    return make_england(seed=20261005, on=MONDAY)


def digest(plans: pa.Table) -> str:
    return hashlib.sha256(body(plans)).hexdigest()


def share(mask: pa.ChunkedArray) -> float:
    return float(pc.mean(mask.cast(pa.int8())).as_py())


def of_type(plan_type: str, *, still_open: bool) -> pa.Table:
    plans = england().plans
    ended = pc.is_valid(plans["end_date"])
    return plans.filter(pc.and_(pc.equal(plans["plan_type"], plan_type), pc.invert(ended) if still_open else ended))


def years(plans: pa.Table, until: pa.ChunkedArray | date) -> np.ndarray:
    last = np.datetime64(until, "D") if isinstance(until, date) else until.to_numpy().astype("M8[D]")
    return np.asarray((last - plans["date_of_birth"].to_numpy().astype("M8[D]")).astype(float) / 365.25)


def test_the_same_seed_makes_the_same_england_and_another_seed_another() -> None:
    assert digest(england().plans) == digest(make_england(seed=20261005, on=MONDAY).plans)
    one, other = (digest(plans_of(HACKNEY, seed=seed, on=MONDAY)) for seed in (1, 2))
    assert one != other


def test_an_authority_made_alone_is_the_one_made_with_all_the_others() -> None:
    assert digest(plans_of(HACKNEY, seed=20261005, on=MONDAY)) == digest(england().by_la()[HACKNEY])
    part = make_england(seed=20261005, on=MONDAY, las=[HACKNEY, KENT])
    assert digest(part.by_la()[KENT]) == digest(england().by_la()[KENT])


def test_153_authorities_hold_the_rows_that_the_published_figures_imply() -> None:
    held = {code: plans.num_rows for code, plans in england().by_la().items()}
    assert len(held) == 153
    assert sum(held.values()) == pytest.approx(227_464, abs=50)
    assert all(held[code] == pytest.approx(volume.rows, abs=10, rel=0.03) for code, volume in volumes().items())
    assert held[SCILLY] == 0
    assert max(held, key=held.__getitem__) == KENT


def test_open_plans_follow_the_national_counts_by_type() -> None:
    assert of_type("LAC", still_open=True).num_rows == pytest.approx(81_770, rel=0.01)
    on_plans, unborn = of_type("CPP", still_open=True).num_rows, of_type("UCPP", still_open=True).num_rows
    assert on_plans + unborn == pytest.approx(49_420, rel=0.01)
    assert unborn == pytest.approx(1_200, rel=0.1)


@pytest.mark.parametrize(("low", "high", "expected"), [(0, 1, 0.04), (1, 5, 0.12), (5, 10, 0.18), (10, 16, 0.38), (16, 18, 0.27)])
def test_looked_after_children_have_the_published_ages(low: int, high: int, expected: float) -> None:
    ages = years(of_type("LAC", still_open=True), MONDAY)
    assert np.mean((ages >= low) & (ages < high)) == pytest.approx(expected, abs=0.015)


def test_plans_have_lasted_as_long_as_published() -> None:
    plans = of_type("CPP", still_open=True)
    days = (np.datetime64(MONDAY) - plans["start_date"].to_numpy().astype("M8[D]")).astype(int)
    assert np.mean(days <= 92) == pytest.approx(0.315, abs=0.02)
    assert np.mean(days > 730) == pytest.approx(0.023, abs=0.01)


def test_every_number_is_a_valid_number_of_the_test_range() -> None:
    numbers = england().plans["nhs_number"].to_pylist()
    assert all(number.startswith("999") and is_valid(number) for number in numbers[::7])


def test_a_number_is_one_person_and_a_few_persons_are_held_by_two_authorities() -> None:
    people = (
        england()
        .plans.group_by(["nhs_number"])
        .aggregate([(name, "count_distinct") for name in ("date_of_birth", "family_name", "given_name", "la_code")])
    )
    for fact in ("date_of_birth", "family_name", "given_name"):
        assert pc.max(people[f"{fact}_count_distinct"]).as_py() == 1
    holders = people["la_code_count_distinct"]
    assert pc.max(holders).as_py() == 2
    assert 0.005 < share(pc.equal(holders, 2)) < 0.03


def test_children_whom_kent_passed_on_are_with_many_authorities_and_some_are_held_by_both() -> None:
    plans = england().plans
    kent = plans.filter(pc.equal(plans["la_code"], KENT))
    elsewhere = plans.filter(pc.and_(pc.not_equal(plans["la_code"], KENT), pc.is_in(plans["nhs_number"], kent["nhs_number"])))
    assert len(elsewhere["la_code"].unique()) > 100
    open_at_kent = kent.filter(pc.is_null(kent["end_date"]))
    assert 0 < pc.sum(pc.is_in(open_at_kent["nhs_number"], elsewhere["nhs_number"])).as_py() < 400


def test_dates_keep_the_rules_of_the_plan_types() -> None:
    plans = england().plans
    today, tail = pa.scalar(MONDAY), pa.scalar(date(2025, 10, 5))
    assert not pc.any(pc.greater(plans["start_date"], today)).as_py()
    assert not pc.any(pc.less(plans["end_date"], plans["start_date"])).as_py()
    assert not pc.any(pc.or_(pc.greater(plans["end_date"], today), pc.less(plans["end_date"], tail))).as_py()
    for plan_type in ("CPP", "LAC"):
        assert not pc.any(
            pc.less(of_type(plan_type, still_open=True)["start_date"], of_type(plan_type, still_open=True)["date_of_birth"])
        ).as_py()
        assert years(of_type(plan_type, still_open=True), MONDAY).max() < 18
        ended = of_type(plan_type, still_open=False)
        assert years(ended, ended["end_date"]).max() < 18.01
    mothers = pa.concat_tables([of_type("UCPP", still_open=True), of_type("UCPP", still_open=False)])
    at_start = years(mothers, mothers["start_date"])
    assert 14 <= at_start.min() < at_start.max() < 46


def test_an_authority_has_one_open_plan_of_a_type_for_a_person_and_its_plans_do_not_overlap() -> None:
    order = england().plans.sort_by([(name, "ascending") for name in ("la_code", "nhs_number", "plan_type", "start_date")])
    earlier, later = order.slice(0, order.num_rows - 1), order.slice(1)
    same = pc.and_(*(pc.equal(earlier[name], later[name]) for name in ("la_code", "nhs_number")))
    same = pc.and_(same, pc.equal(earlier["plan_type"], later["plan_type"]))
    assert pc.sum(same).as_py() > 1_000, "children on a second plan"
    apart = pc.less(earlier["end_date"], later["start_date"]).fill_null(False)
    assert pc.all(pc.or_(pc.invert(same), apart)).as_py()


def test_names_that_break_software_are_there() -> None:
    plans = england().plans
    for name in ("O'Brien", "Nguyễn", "Fernando", "Null", "None", "NA", "Sikorska-Łuc", "Smith, Jones"):
        assert pc.any(pc.equal(plans["family_name"], name)).as_py(), name
    assert pc.any(pc.equal(plans["given_name"], "Zoë")).as_py()


def test_an_identifier_of_an_authority_is_one_person_and_looks_like_its_own() -> None:
    for code in (HACKNEY, BIRMINGHAM):
        held = england().by_la()[code]
        pairs = held.select(["child_id", "nhs_number"]).group_by(["child_id", "nhs_number"]).aggregate([])
        assert pairs.num_rows == len(held["child_id"].unique()) == len(held["nhs_number"].unique())


def test_england_may_be_larger_or_smaller_but_not_beyond_the_numbers_that_are_safe() -> None:
    small, large = (plans_of(HACKNEY, seed=3, on=MONDAY, scale=scale).num_rows for scale in (0.1, TESTS.max_scale))
    assert small == pytest.approx(101, abs=6)
    assert large == pytest.approx(3 * 1_017, abs=10)
    with pytest.raises(ValueError, match="too few numbers"):
        plans_of(HACKNEY, seed=3, on=MONDAY, scale=LARGE.max_scale + 0.1)


def test_a_choice_of_authorities_has_the_trust_the_smallest_and_the_largest() -> None:
    assert set(choose(153)) == set(volumes())
    assert choose(6) == tuple(sorted({*TRUST, SCILLY, KENT, *choose(6)}))
    assert len(choose(6)) == 6
    assert choose(1) == (KENT,)
    with pytest.raises(ValueError, match="cannot be chosen"):
        choose(154)
