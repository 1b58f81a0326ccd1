"""Conflicts and gaps against plain models of them, row by row in Python, and what holds of every list whatever the register."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from cpis_batch.business_time import birthday
from cpis_batch.national import lists
from cpis_batch.national.conflicts import conflicts
from cpis_batch.national.gaps import gaps
from cpis_batch.national.known import known
from cpis_batch.national.returns import returns
from cpis_batch.national.schema import ENTRIES
from cpis_batch.national.unborn import unborn
from tests.builders import HACKNEY, KENT, TODAY, nhs, plan, plans
from tests.national_builders import ESSEX, WORKING_DAYS, accesses, person, traced

DAY = timedelta(days=1)
LAS = (HACKNEY, KENT, ESSEX)
CHILDREN = (1, 2, 3)
KEY = ("la_code", "child_id", "plan_type", "start_date", "other_la_code")
BORN = (date(2019, 4, 30), date(2008, 11, 19), date(2008, 11, 20), date(2008, 11, 21))

held = st.builds(
    lambda child, la, kind, start, length, born, basis: plan(
        child, kind, TODAY - start * DAY, la, end_date=None if length is None else TODAY + (length - start) * DAY,
        end_basis=None if length is None else basis, date_of_birth=born, child_id=f"{LAS.index(la)}-{child}",
    ),
    st.sampled_from(CHILDREN), st.sampled_from(LAS), st.sampled_from(("CPP", "LAC", "UCPP")), st.integers(-5, 400),
    st.none() | st.integers(0, 410), st.sampled_from(BORN), st.sampled_from(("LA", "LA", "AGE")),
)  # fmt: skip
# No two plans of one LA, person and type begin on one day: that is the register's key.
registers = st.lists(
    held, max_size=7, unique_by=lambda one: (one["la_code"], one["nhs_number"], one["plan_type"], one["start_date"])
)
facts = st.fixed_dictionaries(
    {},
    optional={
        "sensitive": st.just(value=True),
        "date_of_death": st.just(TODAY),
        "inactive": st.just("NO_REPLACEMENT"),
        "practice_since": st.integers(-1, 400).map(lambda ago: TODAY - ago * DAY),
    },
)
answers = st.dictionaries(st.sampled_from(CHILDREN), facts).map(lambda of: [person(child, **said) for child, said in of.items()])
visits = st.lists(st.tuples(st.sampled_from(CHILDREN), st.integers(0, 400).map(lambda ago: TODAY - ago * DAY)), max_size=5)


def _active(one, on=TODAY):
    return (
        one["start_date"] <= on
        and (one["end_date"] is None or one["end_date"] >= on)
        and (one["plan_type"] == "UCPP" or birthday(one["date_of_birth"], 18) >= on)
    )


def _marked(persons, name):
    return {row["nhs_number"] for row in persons if row[name] not in (None, False)}


def _plans_of(rows):
    """Each plan found, by authority, local id, type and start."""
    return {(row["la_code"], row["child_id"], row["plan_type"], row["start_date"]): row for row in rows}


@given(registers, answers)
@settings(max_examples=150, deadline=None)
def test_f43_conflicts_are_those_that_a_person_with_all_lists_in_hand_would_find(rows, persons):
    dead, unnamed = _marked(persons, "date_of_death"), _marked(persons, "sensitive") | _marked(persons, "inactive")
    active = [one for one in rows if _active(one) and one["nhs_number"] not in dead]
    expected = {}
    for mine in active:
        for other in active:
            if mine["nhs_number"] == other["nhs_number"] and mine["la_code"] != other["la_code"]:
                named = None if mine["nhs_number"] in unnamed else other["la_code"]
                key = (mine["la_code"], mine["child_id"], mine["plan_type"], mine["start_date"], named)
                both_since = max(mine["start_date"], other["start_date"])
                same = mine["plan_type"] == other["plan_type"]
                how = ("HANDOVER", "DOUBTFUL")[(TODAY - both_since).days > 30] if same else "OTHER_PLAN"
                worst = ("OTHER_PLAN", "HANDOVER", "DOUBTFUL")
                expected[key] = max(expected.get(key, "OTHER_PLAN"), how, key=worst.index)
    found = conflicts(known(plans(rows), traced(*persons)), on=TODAY).to_pylist()
    assert {
        (one["la_code"], one["child_id"], one["plan_type"], one["start_date"], one["other_la_code"]): one["standing"]
        for one in found
    } == expected
    assert len(found) == len(expected)


@given(registers, answers, visits)
@settings(max_examples=150, deadline=None)
def test_f51_gaps_are_those_that_a_person_with_all_lists_in_hand_would_find(rows, persons, seen):
    passed_over = _marked(persons, "date_of_death") | _marked(persons, "inactive")
    children = [one for one in rows if one["plan_type"] != "UCPP" and one["nhs_number"] not in passed_over]
    expected = {}
    for mine in children:
        end, number = mine["end_date"], mine["nhs_number"]
        if end is None or not TODAY - 365 * DAY <= end < TODAY or mine["start_date"] > TODAY or mine["end_basis"] == "AGE":
            continue
        others = [one for one in children if one["nhs_number"] == number]
        later = [one for one in others if one["start_date"] <= TODAY and (one["end_date"] is None or one["end_date"] > end)]
        in_care = any(nhs(child) == number and day > end for child, day in seen)
        announced = any(one["la_code"] != mine["la_code"] and one["start_date"] > TODAY for one in others)
        moved = any(
            one["nhs_number"] == number and one["practice_since"] and end < one["practice_since"] <= TODAY for one in persons
        )
        if not later and (in_care or announced or moved) and birthday(mine["date_of_birth"], 18) > TODAY:
            key = (mine["la_code"], mine["child_id"], mine["plan_type"], mine["start_date"])
            expected[key] = "OVERDUE" if WORKING_DAYS.after(end, 15) < TODAY else "RUNNING"
    found = gaps(known(plans(rows), traced(*persons)), accesses(*seen), traced(*persons), WORKING_DAYS, on=TODAY)
    assert {key: row["standing"] for key, row in _plans_of(found.to_pylist()).items()} == expected
    assert found.num_rows == len(expected)


@given(registers, answers, visits)
@settings(max_examples=100, deadline=None)
def test_f43_no_list_holds_a_row_or_an_id_of_another_authority_and_no_name_of_one_that_must_not_be_told(rows, persons, seen):
    view = known(plans(rows), traced(*persons))
    found = pa.concat_tables(
        [
            conflicts(view, on=TODAY),
            gaps(view, accesses(*seen), traced(*persons), WORKING_DAYS, on=TODAY),
            unborn(view, WORKING_DAYS, on=TODAY),
            returns(view, on=TODAY),
        ]
    )
    own = _plans_of(rows)
    unnamed = _marked(persons, "sensitive") | _marked(persons, "inactive")
    active_at = {(one["nhs_number"], one["la_code"]) for one in rows if _active(one)}
    for row in found.to_pylist():
        mine = own[row["la_code"], row["child_id"], row["plan_type"], row["start_date"]]
        assert (row["end_date"], row["nhs_number"]) == (mine["end_date"], mine["nhs_number"])
        if row["other_la_code"] is not None:
            assert row["nhs_number"] not in unnamed
            assert row["other_la_code"] != row["la_code"]
            assert (row["nhs_number"], row["other_la_code"]) in active_at
    news = lists.news(found, ENTRIES.empty_table(), view)
    for place, la in enumerate(LAS):
        mine = news.fresh.filter(pc.equal(news.fresh["la_code"], la))
        text = lists.to_csv(mine, lists.CONTACTS.empty_table(), la_code=la, on=TODAY).decode()
        assert not any(f",{other}-{child}," in text for other in range(3) if other != place for child in CHILDREN)
        assert not any(nhs(child) in text for child in CHILDREN)


@given(registers, registers, answers)
@settings(max_examples=75, deadline=None)
def test_who_follows_the_news_knows_what_stands(first, second, persons):
    """Each matter that an authority has been told and not told closed is one that stands, and none is told twice."""
    told, heard = ENTRIES.empty_table(), {}
    for rows in (first, second, second):
        view = known(plans(rows), traced(*persons))
        news = lists.news(conflicts(view, on=TODAY), told, view)
        told = news.told
        there = {(one["la_code"], one["child_id"], one["plan_type"], one["start_date"]) for one in rows}
        heard = {key: standing for key, standing in heard.items() if key[:4] in there}  # erased: nothing is said of it
        for one in news.fresh.to_pylist():
            key = tuple(one[name] for name in KEY)
            assert (one["news"] == "NEW") == (key not in heard)
            if one["news"] == "CLOSED":
                del heard[key]
            else:
                heard[key] = one["standing"]
        assert heard == {tuple(one[name] for name in KEY): one["standing"] for one in told.to_pylist()}
    assert news.fresh.num_rows == 0  # the same again is no news


@given(registers, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_rows_changes_nothing(rows, chance):
    shuffled = list(rows)
    chance.shuffle(shuffled)
    seen = accesses(*((child, datetime(2026, 11, 19, 9, tzinfo=UTC)) for child in CHILDREN))

    def found(of):
        view = known(plans(of), traced())
        return [conflicts(view, on=TODAY), gaps(view, seen, traced(), WORKING_DAYS, on=TODAY),
                unborn(view, WORKING_DAYS, on=TODAY), returns(view, on=TODAY)]  # fmt: skip

    assert all(one.equals(other) for one, other in zip(found(rows), found(shuffled), strict=True))
