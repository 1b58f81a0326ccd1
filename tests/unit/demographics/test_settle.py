"""What answers make of persons: outcome, number status, what is kept and what is not."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cpis_batch.demographics import request
from cpis_batch.demographics.settle import settle
from tests.builders import KENT, TODAY, nhs, plan, plans
from tests.demographics_builders import NOBODY, PATIENCE, answer, answers, asked, identity, person, reference_of, settled

ONE = plans([plan(1)])
BABY = plans([plan(1, date_of_birth=TODAY - timedelta(days=41))])
SIX_WEEKS_OLD = plans([plan(1, date_of_birth=TODAY - timedelta(days=42))])


@pytest.mark.parametrize(
    ("said", "outcome", "status", "check", "inactive"),
    [
        ({}, "CPR06", "01", None, None),
        ({"sensitive": True, "practice_code": None, "residence_code": None}, "CPR02", "01", None, None),
        ({"date_of_birth": date(2018, 4, 30)}, "CPR03", "05", "DATE_OF_BIRTH", None),
        ({"family_name": "Other"}, "CPR03", "05", "FAMILY_NAME", None),
        ({"given_name": "Other"}, "CPR03", "05", "GIVEN_NAMES", None),
        ({"code": "21", "nhs_number": nhs(9)}, "CPR05", "05", None, "SUPERSEDED"),
        ({"code": "21", "nhs_number": nhs(9), "family_name": "Other"}, "CPR03", "05", "FAMILY_NAME", None),
        ({"code": "21", "nhs_number": nhs(9), "sensitive": True}, "CPR02", "05", None, "NO_REPLACEMENT"),
        ({"code": "22"}, "CPR07", "05", None, "NO_REPLACEMENT"),
        ({"code": "30"}, "CPR01", "04", None, None),
        ({"code": "31"}, "CPR01", "04", None, None),
        ({"code": "32"}, "CPR04", "05", None, None),
        ({"code": "40"}, "CPR03", "05", None, None),
    ],
)
def test_an_answer_gives_a_person_outcome_and_number_status(said, outcome, status, check, inactive):
    found = settled(ONE, answer(nhs(1), **said))
    one = person(found)
    assert (one["outcome"], one["status"], one["check"], one["inactive"]) == (outcome, status, check, inactive)
    assert one["traced_on"] == TODAY
    assert one["current_number"] == (nhs(9) if outcome == "CPR05" else None)
    assert found.open.num_rows == 0
    assert found.counts == {"settled": 1}


def test_who_matches_keeps_practice_residence_and_date_of_death_and_nothing_else_of_the_record():
    one = person(settled(ONE, answer(nhs(1), date_of_death=date(2026, 10, 1))))
    assert (one["practice_code"], one["residence_code"], one["date_of_death"]) == ("A99901", "E09000012", date(2026, 10, 1))
    assert set(one) & {"family_name", "given_name", "date_of_birth"} == set()


def test_f51_the_day_on_which_another_practice_was_first_told_of_stays_until_the_next_move():
    def after(persons, practice, day, **facts):
        said = answer(nhs(1), practice_code=practice, answered_on=TODAY + timedelta(days=day), **facts)
        return settled(ONE, said, before=persons).persons

    persons, days = NOBODY, []
    for day, practice in enumerate(("A99901", "A99901", "A99902", "A99902", "A99901")):
        persons = after(persons, practice, day)
        days.append(person(persons)["practice_since"])
    assert days == [None, None, TODAY + timedelta(days=2), TODAY + timedelta(days=2), TODAY + timedelta(days=4)]
    secret = after(persons, None, 5, sensitive=True, residence_code=None)
    assert (person(secret)["practice_code"], person(secret)["practice_since"]) == (None, None)


def test_nothing_of_a_record_that_is_another_persons_is_kept():
    one = person(settled(ONE, answer(nhs(1), family_name="Other", date_of_death=date(2026, 10, 1))))
    assert (one["practice_code"], one["residence_code"], one["date_of_death"], one["current_number"]) == (None,) * 4


def test_f47_a_superseded_number_keeps_its_own_key_and_is_told_the_number_in_its_place():
    one = person(settled(ONE, answer(nhs(1), code="21", nhs_number=nhs(9))))
    assert (one["nhs_number"], one["identity"], one["current_number"]) == (nhs(1), identity(ONE), nhs(9))


def test_f49_no_place_of_a_sensitive_person_is_kept_though_another_identity_of_the_number_had_one():
    active = plans([plan(1), plan(1, "LAC", la_code=KENT, given_name="Other")])
    before = settled(ONE, answer(nhs(1))).persons
    assert person(before)["practice_code"] == "A99901"
    questions = asked(plans([plan(1, given_name="Other")]))
    said = answer(reference_of(questions, nhs(1)), sensitive=True, practice_code="C99904", residence_code="E08000001")
    after = settle(answers([said]), questions, before, active).persons
    assert after.num_rows == 2
    assert set(after["practice_code"].to_pylist()) | set(after["residence_code"].to_pylist()) == {None}


def test_f48_a_number_told_before_goes_when_the_old_one_turns_out_to_have_none_in_its_place():
    before = settled(ONE, answer(nhs(1), code="21", nhs_number=nhs(9))).persons
    active = plans([plan(1), plan(1, "LAC", la_code=KENT, given_name="Other")])
    questions = asked(plans([plan(1, given_name="Other")]))
    after = settle(answers([answer(reference_of(questions, nhs(1)), code="22")]), questions, before, active).persons
    assert after["current_number"].to_pylist() == [None, None]
    assert set(after["inactive"].to_pylist()) == {None, "NO_REPLACEMENT"}


def test_f48_no_later_answer_brings_a_number_or_a_place_back_to_one_that_is_frozen():
    active = plans([plan(1), plan(1, "LAC", la_code=KENT, given_name="Other")])
    frozen = settled(ONE, answer(nhs(1), code="22")).persons
    questions = asked(plans([plan(1, given_name="Other")]))
    late = answer(reference_of(questions, nhs(1)), code="21", nhs_number=nhs(9), given_name="Other")
    after = settle(answers([late]), questions, frozen, active).persons
    assert nhs(9) not in str(after.to_pylist())
    assert set(after["practice_code"].to_pylist()) == {None}


@pytest.mark.parametrize("code", ["30", "31", "40"])
def test_the_trace_of_a_baby_under_six_weeks_is_postponed_where_it_finds_nothing(code):
    postponed = person(settled(BABY, answer(nhs(1), code=code)))
    assert (postponed["outcome"], postponed["status"]) == (None, "08")
    assert person(settled(SIX_WEEKS_OLD, answer(nhs(1), code=code)))["status"] in ("04", "05")


def test_the_trace_of_a_baby_is_postponed_where_the_birth_is_registered_under_no_name_yet_and_settled_where_it_agrees():
    born = BABY["date_of_birth"][0].as_py()
    postponed = person(settled(BABY, answer(nhs(1), date_of_birth=born, given_name="Baby")))
    assert (postponed["outcome"], postponed["status"], postponed["practice_code"]) == (None, "08", None)
    assert person(settled(BABY, answer(nhs(1), date_of_birth=born)))["status"] == "01"


def test_a_trace_that_could_not_be_made_closes_its_question_so_that_it_is_asked_again_tomorrow():
    found = settled(ONE, answer(nhs(1), code="33"))
    assert (found.persons.num_rows, found.open.num_rows, found.counts) == (0, 0, {"again": 1})
    assert request.wanted(ONE, found.persons, found.open, on=TODAY, patience=PATIENCE).num_rows == 1


def test_an_answer_to_no_open_question_changes_nothing():
    before = settled(ONE, answer(nhs(1))).persons
    found = settle(answers([answer("00000009-000001", code="22")]), asked(ONE, sequence=2), before, ONE)
    assert found.persons.equals(before)
    assert (found.open.num_rows, found.counts) == (1, {"strangers": 1})


@pytest.mark.parametrize("said", [{"nhs_number": nhs(9)}, {"code": "21", "nhs_number": nhs(1)}])
def test_a_code_that_contradicts_its_number_settles_nothing_and_keeps_nothing(said):
    found = settled(ONE, answer(nhs(1), **said))
    assert (found.persons.num_rows, found.open.num_rows, found.counts) == (0, 1, {"contradicting": 1})


def test_answers_that_differ_under_one_reference_are_both_out_and_the_question_stays_open():
    found = settled(ONE, answer(nhs(1)), answer(nhs(1), code="22"))
    assert (found.persons.num_rows, found.open.num_rows, found.counts) == (0, 1, {"conflicting": 2})


def test_the_same_answer_in_two_files_is_one_answer():
    found = settled(ONE, answer(nhs(1), line=2), answer(nhs(1), line=7, answered_on=TODAY + timedelta(days=1)))
    assert (person(found)["status"], found.counts) == ("01", {"settled": 1})


def test_an_answer_about_details_that_nobody_holds_any_more_is_kept_nowhere():
    questions = asked(ONE)
    found = settle(answers([answer(reference_of(questions, nhs(1)))]), questions, NOBODY, plans([plan(1, family_name="Other")]))
    assert (found.persons.num_rows, found.open.num_rows, found.counts) == (0, 0, {"gone": 1})


def test_an_amended_name_keeps_the_earlier_trace_until_the_new_one_is_settled():
    before = settled(ONE, answer(nhs(1))).persons
    amended = plans([plan(1, family_name="Other")])
    waiting = settle(answers(), asked(amended, sequence=2), before, amended)
    assert person(waiting)["practice_code"] == "A99901"
    questions = asked(amended, sequence=2)
    after = settle(
        answers([answer(reference_of(questions, nhs(1)), family_name="Other", practice_code="C99904")]),
        questions,
        before,
        amended,
    )
    assert (person(after)["identity"], person(after)["practice_code"]) == (identity(amended), "C99904")


def test_a_trace_and_a_question_live_no_longer_than_the_plan():
    before = settled(plans([plan(1), plan(2)]), answer(nhs(1)), answer(nhs(2), 2, code="22")).persons
    after = settle(answers(), asked(plans([plan(3)])), before, plans())
    assert (after.persons.num_rows, after.open.num_rows) == (0, 0)
