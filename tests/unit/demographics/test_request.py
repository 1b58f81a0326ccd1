"""Who is asked about, when, and what the request file says."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import frictionless
import pytest

from cpis_batch import spec
from cpis_batch.demographics import request
from cpis_batch.demographics.request import Why
from cpis_batch.intake.frame import Format, Framed, read_frame
from cpis_batch.intake.records import Form
from cpis_batch.register import view
from cpis_batch.vocabulary import Environment
from tests.builders import KENT, TODAY, nhs, plan, plans
from tests.demographics_builders import NOBODY, NOTHING_ASKED, NOW, PATIENCE, answer, asked, settled

SAMPLES = Path(__file__).parents[3] / "sample_data" / "trace"


def wanted(active, persons=NOBODY, questions=NOTHING_ASKED, on=TODAY):
    found = request.wanted(active, persons, questions, on=on, patience=PATIENCE)
    return {(row["nhs_number"], row["why"]) for row in found.to_pylist()}


def test_whoever_has_no_trace_is_asked_about_once_whatever_plans_and_authorities_there_are():
    active = plans([plan(1), plan(1, "LAC"), plan(1, "CPP", la_code=KENT), plan(2)])
    assert wanted(active) == {(nhs(1), Why.NEW), (nhs(2), Why.NEW)}
    assert request.wanted(active, NOBODY, NOTHING_ASKED, on=TODAY, patience=PATIENCE).num_rows == 2


def test_nobody_is_asked_about_twice_while_a_question_is_open():
    active = plans([plan(1), plan(2)])
    assert wanted(active, questions=asked(plans([plan(1)]))) == {(nhs(2), Why.NEW)}


def test_a_question_without_an_answer_lapses_and_is_asked_anew():
    active, questions = plans([plan(1)]), asked(plans([plan(1)]))
    later = TODAY + timedelta(days=PATIENCE.answer_days)
    assert request.still_open(questions, on=later - timedelta(days=1), patience=PATIENCE).num_rows == 1
    assert wanted(active, questions=request.still_open(questions, on=later, patience=PATIENCE), on=later) == {(nhs(1), Why.NEW)}


def test_a_current_trace_is_not_asked_for_again_until_it_is_older_than_the_set_time():
    active = plans([plan(1)])
    persons = settled(active, answer(nhs(1))).persons
    last = TODAY + timedelta(days=PATIENCE.current_days)
    assert wanted(active, persons, on=TODAY + timedelta(days=PATIENCE.current_days * 2 // 3 - 1)) == set()
    assert wanted(active, persons, on=last) == {(nhs(1), Why.OLD)}


def test_those_who_were_traced_on_one_day_are_not_asked_about_again_on_one_day():
    everybody = range(1, 301)
    active = plans([plan(child) for child in everybody])
    persons = settled(active, *(answer(nhs(child), child) for child in everybody)).persons
    days = range(PATIENCE.current_days + 1)
    asked_by = [len(wanted(active, persons, on=TODAY + timedelta(days=day))) for day in days]
    each_night = [now - before for before, now in pairwise(asked_by)]
    assert (asked_by[0], asked_by[-1]) == (0, 300)
    assert sum(night > 0 for night in each_night) > 25
    assert max(each_night) < 30, "a thirtieth of them would be 10"


@pytest.mark.parametrize("amended", [{"family_name": "Other"}, {"given_name": "Other"}, {"date_of_birth": date(2019, 5, 1)}])
def test_an_amended_identity_is_asked_about_anew(amended):
    persons = settled(plans([plan(1)]), answer(nhs(1))).persons
    assert wanted(plans([plan(1, **amended)]), persons) == {(nhs(1), Why.AMENDED)}


@pytest.mark.parametrize(
    ("days", "asked_about"),
    [(13, set()), (14, {(nhs(1), Why.AFTER_END)}), (27, {(nhs(1), Why.AFTER_END)}), (28, set())],
)
def test_f51_a_child_whose_last_plan_is_over_is_asked_about_once_more_two_weeks_later(days, asked_about):
    persons = settled(plans([plan(1)]), answer(nhs(1))).persons
    ended, on = plans([plan(1, end_date=TODAY)]), TODAY + timedelta(days=days)
    assert after_end(ended, persons, on=on) == asked_about


def test_f51_it_is_asked_once_and_not_of_who_had_no_practice_nor_of_mothers_grown_ups_and_the_dead():
    on = TODAY + timedelta(days=14)
    over = {"end_date": TODAY}
    once = settled(plans([plan(1)]), answer(nhs(1), answered_on=on)).persons
    nowhere = settled(plans([plan(1)]), answer(nhs(1), practice_code=None)).persons
    dead = settled(plans([plan(1)]), answer(nhs(1), date_of_death=TODAY)).persons
    known = settled(plans([plan(1)]), answer(nhs(1))).persons
    for persons in (once, nowhere, dead, NOBODY):
        assert after_end(plans([plan(1, **over)]), persons, on=on) == set()
    assert after_end(plans([plan(1, **over), plan(1, "LAC", la_code=KENT)]), known, on=on) == set()  # Kent holds the child
    assert after_end(plans([plan(1, "UCPP", **over)]), known, on=on) == set()
    assert after_end(plans([plan(1, **over, date_of_birth=date(2008, 11, 1))]), known, on=on) == set()


def after_end(held, persons, *, on):
    ended = request.over(held, on=on)
    standing = view.active(held, on)
    found = request.wanted(standing, persons, NOTHING_ASKED, on=on, patience=PATIENCE, ended=ended)
    return {(row["nhs_number"], row["why"]) for row in found.to_pylist()}


def test_a_spelling_that_matches_alike_is_no_amendment():
    persons = settled(plans([plan(1, family_name="O'Brien")]), answer(nhs(1), family_name="OBrien")).persons
    assert wanted(plans([plan(1, family_name="OBRIEN")]), persons) == set()


def test_a_postponed_trace_is_asked_for_when_the_baby_is_six_weeks_old():
    baby = plans([plan(1, date_of_birth=TODAY - timedelta(days=20))])
    persons = settled(baby, answer(nhs(1), code="30")).persons
    assert wanted(baby, persons, on=TODAY + timedelta(days=21)) == set()
    assert wanted(baby, persons, on=TODAY + timedelta(days=22)) == {(nhs(1), Why.SIX_WEEKS)}


def test_f48_a_number_that_is_inactive_with_none_in_its_place_is_never_asked_about_again():
    persons = settled(plans([plan(1)]), answer(nhs(1), code="22")).persons
    much_later = TODAY + timedelta(days=5000)
    assert wanted(plans([plan(1), plan(1, la_code=KENT, family_name="Other")]), persons, on=much_later) == set()


def test_the_file_asks_in_the_form_of_its_schemas_and_no_reference_tells_whose_it_is():
    active = plans([plan(number) for number in range(1, 40)])
    people = request.wanted(active, NOBODY, NOTHING_ASKED, on=TODAY, patience=PATIENCE)
    made = request.make(people, sequence=12, environment=Environment.TEST, on=TODAY, now=NOW)
    form = Form(*(spec.table_schema("trace-request", "1.0", part) for part in ("header", "detail", "trailer")))
    framed = read_frame(
        made.content, Format("CPIS-TRACE-REQUEST", ("1.0",), "X", form), environment=Environment.TEST, line_bytes=4096
    )
    assert isinstance(framed, Framed)
    assert framed.header.sequence == 12
    assert made.name == "CPIS_TRACE_REQUEST_00000012_20261120T233000Z.csv.pgp"
    assert made.reasons == {"NEW": 39}
    asked_about = dict(zip(framed.rows["reference"].to_pylist(), framed.rows["nhs_number"].to_pylist(), strict=True))
    assert asked_about == {row["reference"]: row["nhs_number"] for row in made.questions.to_pylist()}
    assert sorted(asked_about) == [f"00000012-20261120T233000Z-{place:06d}" for place in range(1, 40)]
    in_order = [asked_about[reference] for reference in sorted(asked_about)]
    assert in_order != sorted(in_order), "the order of the rows must be that of nothing else"


def test_the_worked_example_fits_the_schema_as_another_reader_of_table_schemas_sees_it():
    lines = (SAMPLES / "request.csv").read_text(encoding="utf-8").splitlines()
    schema = frictionless.Schema.from_descriptor(str(spec.folder() / "trace-request" / "1.0" / "detail.schema.json"))
    details = [line for line in lines if line.startswith('"D",')]
    with frictionless.system.use_context(trusted=True):
        report = frictionless.Resource([schema.field_names, *csv.reader(details)], schema=schema).validate()
    assert report.valid, report.flatten(["rowNumber", "fieldName", "type"])
    assert len(details) == 10
