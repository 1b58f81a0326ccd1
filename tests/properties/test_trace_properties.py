"""Matching and settling against a plain model, and what must hold whatever is answered, in whatever order, however often."""

from __future__ import annotations

import csv
import random
import unicodedata
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from cpis_batch.demographics import notices, places, rate, request, standing
from cpis_batch.demographics.matching import Check, compared
from cpis_batch.demographics.settle import settle
from cpis_batch.vocabulary import Environment
from tests.builders import HACKNEY, KENT, TODAY, nhs, plan, plans
from tests.demographics_builders import NOBODY, NOTHING_ASKED, NOW, PATIENCE, answer, answers, asked, file_of, line, read

FAMILY = ("Smith", "O'Brien", "OBRIEN", "Nguyễn", "Smith-Jones", "SMITH JONES", "-", "")
GIVEN = ("Ana", "Ana Maria", "Maria", "Ána-Maria", "Zoë", "", "Maria Ana Zoe")
BORN = (date(2019, 4, 30), date(2018, 4, 30), TODAY - timedelta(days=10))
OTHER = tuple(nhs(number) for number in range(900, 903))  # numbers that stand in the place of others, and in no plan

people = st.builds(
    lambda child, la, family, forename, born: plan(
        child, "LAC", date(2026, 11, 15), la, family_name=family, given_name=forename, date_of_birth=born
    ),
    st.integers(1, 4), st.sampled_from((HACKNEY, KENT)), st.sampled_from(FAMILY), st.sampled_from(GIVEN), st.sampled_from(BORN),
)  # fmt: skip
registers = st.lists(people, min_size=1, max_size=6).map(plans)
said = st.builds(
    lambda code, number, family, forename, born, sensitive, died: {
        "code": code,
        "nhs_number": number,
        "family_name": family,
        "given_name": forename,
        "date_of_birth": born,
        "sensitive": sensitive,
        "date_of_death": died,
    },
    st.sampled_from(("20", "20", "20", "21", "21", "22", "30", "31", "32", "33", "40")), st.sampled_from(("same", *OTHER)),
    st.sampled_from(FAMILY), st.sampled_from(GIVEN), st.sampled_from(BORN), st.booleans(),
    st.sampled_from((None, date(2026, 11, 1))),
)  # fmt: skip


def _answer(question, facts):
    if facts["code"] not in ("20", "21"):
        return answer(question["reference"], code=facts["code"])
    number = question["nhs_number"] if facts["nhs_number"] == "same" else facts["nhs_number"]
    return answer(question["reference"], **(facts | {"nhs_number": number}))


@st.composite
def evenings(draw):
    """A register, the questions about it, and answers to some of them, some twice, some to no question."""
    held = draw(registers)
    questions = asked(held)
    given_ = [_answer(question, facts) for question in questions.to_pylist() for facts in draw(st.lists(said, max_size=2))]
    strangers = [answer(f"00000099-{place:06d}", code="22") for place in range(draw(st.integers(0, 2)))]
    return held, questions, given_ + strangers


def _letters(text):
    return "".join(one for one in unicodedata.normalize("NFKD", text).lower() if unicodedata.category(one)[0] == "L")


def _model(ours, theirs):
    """Which check fails, as a person with both records in hand would say."""
    if ours["date_of_birth"] != theirs["date_of_birth"]:
        return Check.DATE_OF_BIRTH
    if not _letters(ours["family_name"]) or _letters(ours["family_name"]) != _letters(theirs["family_name"]):
        return Check.FAMILY_NAME
    mine, others = ([_letters(name) for name in side["given_name"].split() if _letters(name)] for side in (ours, theirs))
    if mine and ("".join(mine) == "".join(others) or mine[0] in others):
        return None
    return Check.GIVEN_NAMES


records = st.fixed_dictionaries(
    {"family_name": st.sampled_from(FAMILY), "given_name": st.sampled_from(GIVEN), "date_of_birth": st.sampled_from(BORN)}
)


@given(st.lists(st.tuples(records, records), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
def test_a_match_is_what_a_person_with_both_records_in_hand_would_call_one(pairs):
    schema = pa.schema(
        [
            (f"{side}{name}", pa.date32() if name == "date_of_birth" else pa.string())
            for side in ("", "pds_")
            for name in pairs[0][0]
        ]
    )
    rows = [ours | {f"pds_{name}": value for name, value in theirs.items()} for ours, theirs in pairs]
    found = compared(pa.Table.from_pylist(rows, schema=schema))
    assert found["check"].to_pylist() == [_model(ours, theirs) for ours, theirs in pairs]


@given(evenings(), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_neither_the_order_of_answers_nor_their_repetition_matters(evening, chance):
    held, questions, given_ = evening
    once = settle(answers(given_), questions, NOBODY, held)
    mixed = given_ + [one for one in given_ if chance.random() < 0.5]
    chance.shuffle(mixed)
    again = settle(answers(mixed), questions, NOBODY, held)
    assert (again.persons, again.open, again.counts) == (once.persons, once.open, once.counts)
    assert settle(answers(given_), once.open, once.persons, held).persons.equals(once.persons)


@given(evenings())
@settings(max_examples=20, deadline=None)
def test_nobody_is_lost_everybody_is_traced_or_asked_or_to_be_asked(evening):
    held, questions, given_ = evening
    found = settle(answers(given_), questions, NOBODY, held)
    everybody = set(questions["identity"].to_pylist())
    traced, waiting = set(found.persons["identity"].to_pylist()), set(found.open["identity"].to_pylist())
    to_ask = request.wanted(held, found.persons, found.open, on=TODAY, patience=PATIENCE)
    frozen = {row["nhs_number"] for row in found.persons.to_pylist() if row["inactive"] == "NO_REPLACEMENT"}
    settled_otherwise = {row["identity"] for row in questions.to_pylist() if row["nhs_number"] in frozen}
    assert everybody == traced | waiting | set(to_ask["identity"].to_pylist()) | settled_otherwise
    assert not traced & waiting
    assert not set(to_ask["identity"].to_pylist()) & waiting
    stands = standing.standing(held, found.persons, found.open, service=True).to_pylist()
    assert {(row["la_code"], row["nhs_number"], row["child_id"]) for row in stands} == {
        (row["la_code"], row["nhs_number"], row["child_id"]) for row in held.to_pylist()
    }
    assert all(row["provisional"] == (row["outcome"] is None) for row in stands)
    assert all(row["status"] in ("03", "06", "08") for row in stands if row["provisional"])


@given(evenings(), st.lists(said, min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_answers_to_no_question_change_nothing(evening, more):
    held, questions, given_ = evening
    found = settle(answers(given_), questions, NOBODY, held)
    strangers = [_answer({"reference": f"00000077-{place:06d}", "nhs_number": nhs(1)}, facts) for place, facts in enumerate(more)]
    after = settle(answers(strangers), found.open, found.persons, held)
    assert (after.persons, after.open) == (found.persons, found.open)


@given(st.lists(evenings(), min_size=2, max_size=2))
@settings(max_examples=20, deadline=None)
def test_f48_f49_no_table_or_file_ties_a_frozen_number_to_another_or_places_a_sensitive_person(nights):
    told, persons, frozen = notices.TOLD.empty_table(), NOBODY, set()
    for sequence, (held, _, given_) in enumerate(nights, 1):
        people_asked = request.wanted(held, persons, NOTHING_ASKED, on=TODAY, patience=PATIENCE)
        assert not frozen & set(people_asked["nhs_number"].to_pylist())
        made = request.make(people_asked, sequence=sequence, environment=Environment.TEST, on=TODAY, now=NOW)
        asked_now = made.questions.to_pylist()
        replies = [one | {"reference": to["reference"]} for one, to in zip(given_, asked_now, strict=False)]
        found = settle(answers(replies), made.questions, persons, held)
        persons = found.persons
        stands = standing.standing(held, persons, found.open, service=True)
        news = notices.notices(stands, told, on=TODAY)
        told = news.told
        where = places.places(persons, held)
        frozen = {row["nhs_number"] for row in persons.to_pylist() if row["inactive"] == "NO_REPLACEMENT"}
        sensitive = {row["nhs_number"] for row in persons.to_pylist() if row["sensitive"]}
        rows = [
            row
            for table in (persons, found.open, stands, news.fresh, told, where, rate.to_check(stands), made.questions)
            for row in table.to_pylist()
        ]
        for la in (HACKNEY, KENT):
            mine = news.fresh.filter(pc.equal(news.fresh["la_code"], la))
            rows += csv.DictReader(notices.to_csv(mine, la_code=la).decode().splitlines())
        for row in rows:
            if row["nhs_number"] in frozen:
                assert not [other for other in OTHER if other in str(row)]
            if row["nhs_number"] in sensitive | frozen:
                assert (row.get("practice_code"), row.get("residence_code")) == (None, None)


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
@settings(max_examples=20, deadline=None)
def test_no_bytes_make_the_reader_fail(data):
    for whole in (data, file_of(data.decode("utf-8", "replace"))):
        reading = read(whole)
        assert reading.rows == reading.answers.num_rows + reading.rejected + reading.repeated


@given(st.integers(0, 90), st.text(max_size=6).filter(lambda text: "\n" not in text), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_a_damaged_line_is_an_answer_or_is_named_and_harms_no_other(at, inserted, cut):
    whole = line()
    reading = read(file_of(whole[:at] + inserted + whole[at + cut :], line("00000001-20261120T020500Z-000002", 2)))
    if reading.rows:
        taken = set(reading.answers["line"].to_pylist())
        named = {fault["line"] for fault in reading.faults.to_pylist() if fault["severity"] == "ERROR"}
        assert taken | named >= {2, 3}
        assert not taken & named


def test_f48_the_order_of_a_request_is_not_that_of_the_register():
    held = plans([plan(child, child_id=f"LC-{child:06d}") for child in range(1, 60)])
    shuffled = held.take(pa.array(random.Random(1).sample(range(59), 59)))
    assert asked(shuffled).equals(asked(held))
    assert asked(held)["nhs_number"].to_pylist() != sorted(held["nhs_number"].to_pylist())
