"""What comes of the traces: standing, notifications, places for routing, match rates, and the worked example of it all."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from cpis_batch.demographics import notices, places, rate, request, standing
from cpis_batch.demographics.settle import settle
from cpis_batch.errors import Bug
from tests.builders import HACKNEY, KENT, TODAY, nhs, plan, plans
from tests.demographics_builders import NOBODY, NOTHING_ASKED, PATIENCE, answer, answers, asked, read, reference_of, settled

SAMPLES = Path(__file__).parents[3] / "sample_data" / "trace"
BOTH = plans([plan(1), plan(1, "LAC", la_code=KENT, child_id="K-1")])


def stand(active, persons=NOBODY, questions=NOTHING_ASKED, *, service=True):
    made = standing.standing(active, persons, questions, service=service)
    return made.sort_by([(name, "ascending") for name in ("la_code", "nhs_number", "child_id", "identity")])


def fresh(found):
    return [(row["la_code"], row["nhs_number"], row["reason"], row["current_nhs_number"]) for row in found.fresh.to_pylist()]


def told(active, persons, before=notices.TOLD.empty_table()):  # noqa: B008 - a table is never changed
    return notices.notices(stand(active, persons), before, on=TODAY)


def test_whoever_is_not_traced_yet_is_provisional_and_said_to_be_so():
    one = plans([plan(1)])
    for questions, service, status in ((NOTHING_ASKED, True, "03"), (asked(one), True, "06"), (NOTHING_ASKED, False, "02")):
        (row,) = stand(one, NOBODY, questions, service=service).to_pylist()
        assert (row["status"], row["provisional"], row["outcome"]) == (status, True, None)


def test_each_authority_stands_by_the_details_that_it_holds():
    active = plans([plan(1), plan(1, "LAC", la_code=KENT, given_name="Other")])
    questions = asked(active)
    said = [answer(reference, 1) for reference in questions["reference"].to_pylist()]
    rows = stand(active, settle(answers(said), questions, NOBODY, active).persons).to_pylist()
    assert [(row["la_code"], row["outcome"], row["check"]) for row in rows] == [
        (HACKNEY, "CPR06", None), (KENT, "CPR03", "GIVEN_NAMES"),
    ]  # fmt: skip


def test_f47_every_authority_that_holds_a_superseded_number_is_told_the_current_one_once():
    persons = settled(BOTH, answer(nhs(1), code="21", nhs_number=nhs(9))).persons
    first = told(BOTH, persons)
    assert fresh(first) == [(HACKNEY, nhs(1), "SUPERSEDED", nhs(9)), (KENT, nhs(1), "SUPERSEDED", nhs(9))]
    assert fresh(told(BOTH, persons, first.told)) == []


def test_f47_an_authority_that_comes_to_hold_the_number_later_is_told_then():
    persons = settled(BOTH, answer(nhs(1), code="21", nhs_number=nhs(9))).persons
    before = told(plans([plan(1)]), persons).told
    assert fresh(told(BOTH, persons, before)) == [(KENT, nhs(1), "SUPERSEDED", nhs(9))]


def test_f48_an_authority_is_told_that_the_number_is_inactive_and_no_other_ever():
    persons = settled(BOTH, answer(nhs(1), code="22")).persons
    assert fresh(told(BOTH, persons)) == [(HACKNEY, nhs(1), "NO_REPLACEMENT", None), (KENT, nhs(1), "NO_REPLACEMENT", None)]


def test_f48_what_was_told_before_is_forgotten_when_the_number_turns_out_to_have_none_in_its_place():
    one = plans([plan(1)])
    before = told(one, settled(one, answer(nhs(1), code="21", nhs_number=nhs(9))).persons)
    assert nhs(9) in str(before.told.to_pylist())
    after = told(one, settled(one, answer(nhs(1), code="22")).persons, before.told)
    assert fresh(after) == [(HACKNEY, nhs(1), "NO_REPLACEMENT", None)]
    assert nhs(9) not in str(after.told.to_pylist()) + str(after.fresh.to_pylist())


def test_what_was_told_is_kept_no_longer_than_the_number_is_held():
    one = plans([plan(1)])
    before = told(one, settled(one, answer(nhs(1), code="22")).persons).told
    assert told(plans(), NOBODY, before).told.num_rows == 0


def test_a_notification_holds_the_rows_of_its_authority_or_is_not_made():
    rows = told(BOTH, settled(BOTH, answer(nhs(1), code="22")).persons).fresh
    with pytest.raises(Bug):
        notices.to_csv(rows, la_code=HACKNEY)


def test_f48_a_notification_that_would_tell_a_number_where_there_is_none_is_not_made():
    row = {
        "la_code": HACKNEY,
        "nhs_number": nhs(1),
        "child_id": "1",
        "reason": "NO_REPLACEMENT",
        "current_nhs_number": nhs(9),
        "noticed_on": TODAY,
    }
    with pytest.raises(Bug) as fault:
        notices.to_csv(pa.Table.from_pylist([row], schema=notices.NOTICES), la_code=HACKNEY)
    assert nhs(9) not in str(fault.value)


def test_who_is_verified_is_routed_by_place_and_nobody_else_is():
    active = plans([plan(child) for child in range(1, 7)])
    found = settled(
        active,
        answer(nhs(1)),
        answer(nhs(2), 2, practice_code=None),
        answer(nhs(3), 3, family_name="Other"),
        answer(nhs(4), 4, code="22"),
        answer(nhs(5), 5, sensitive=True),
    )
    known = {
        row["nhs_number"]: (row["practice_code"], row["residence_code"], row["sensitive"])
        for row in places.places(found.persons, active).to_pylist()
    }
    assert known == {
        nhs(1): ("A99901", "E09000012", False),
        nhs(2): (None, "E09000012", False),
        nhs(3): (None, None, False),
        nhs(4): (None, None, False),
        nhs(5): (None, None, True),
    }


def test_a_number_under_which_one_authority_holds_other_details_goes_by_the_sending_authority():
    active = plans([plan(1), plan(1, "LAC", la_code=KENT, given_name="Other")])
    questions = asked(active)
    persons = settle(answers([answer(one, 1) for one in questions["reference"].to_pylist()]), questions, NOBODY, active).persons
    (row,) = places.places(persons, active).to_pylist()
    assert (row["practice_code"], row["residence_code"]) == (None, None)


def test_an_amended_name_does_not_send_a_child_elsewhere_before_it_is_traced():
    persons = settled(plans([plan(1)]), answer(nhs(1))).persons
    (row,) = places.places(persons, plans([plan(1, family_name="Other")])).to_pylist()
    assert row["practice_code"] == "A99901"


def test_the_match_rate_is_of_those_with_an_answer_and_is_held_to_the_line_exactly():
    active = plans([plan(child) for child in range(1, 22)])
    good = [answer(nhs(child), child) for child in range(1, 20)]
    (at_line,) = rate.rates(
        stand(active, settled(active, *good, answer(nhs(20), 20, code="30")).persons), rate.RATES.empty_table(), on=TODAY
    ).to_pylist()
    assert (at_line["people"], at_line["answered"], at_line["matched"], at_line["rate"], at_line["below_line"]) == (
        21,
        20,
        19,
        9500,
        False,
    )
    worse = settled(active, *good, answer(nhs(20), 20, code="30"), answer(nhs(21), 21, code="30")).persons
    (below,) = rate.rates(stand(active, worse), rate.RATES.empty_table(), on=TODAY).to_pylist()
    assert (below["rate"], below["below_line"]) == (9047, True)


def test_without_an_answer_there_is_no_rate_and_nobody_is_below_the_line():
    (row,) = rate.rates(stand(plans([plan(1)])), rate.RATES.empty_table(), on=TODAY).to_pylist()
    assert (row["rate"], row["below_line"], row["change"]) == (None, False, None)


def test_the_trend_is_against_four_weeks_before():
    active = plans([plan(1), plan(2)])
    half = stand(active, settled(active, answer(nhs(1)), answer(nhs(2), 2, code="30")).persons)
    whole = stand(active, settled(active, answer(nhs(1)), answer(nhs(2), 2)).persons)
    before = pa.concat_tables(
        [
            rate.rates(found, rate.RATES.empty_table(), on=TODAY - timedelta(days=days))
            for found, days in ((whole, 60), (half, 28), (whole, 5))
        ]
    )
    (row,) = rate.rates(whole, before, on=TODAY).to_pylist()
    assert row["change"] == 5000


def test_f52_a_death_that_the_trace_reports_is_told_to_the_authority_with_what_not_to_do():
    one = plans([plan(1)])
    found = rate.to_check(stand(one, settled(one, answer(nhs(1), date_of_death=date(2026, 10, 1))).persons))
    (row,) = found.to_pylist()
    assert (row["la_code"], row["date_of_death"]) == (HACKNEY, date(2026, 10, 1))
    assert "contact" in row["what_to_check"]


@pytest.mark.parametrize(
    "said",
    [{"code": code} for code in ("22", "30", "31", "32", "40")]
    + [
        {"code": "21", "nhs_number": nhs(9)},
        {"family_name": "Other"},
        {"given_name": "Other"},
        {"date_of_birth": date(2018, 1, 1)},
    ],
)
def test_whoever_does_not_match_is_listed_once_with_what_to_check(said):
    one = plans([plan(1)])
    (row,) = rate.to_check(stand(one, settled(one, answer(nhs(1), **said)).persons)).to_pylist()
    assert row["what_to_check"]


def _rows(name):
    with (SAMPLES / name).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_the_worked_example_comes_to_what_its_neighbours_say():
    held = plans(
        plan(1)
        | row
        | {"date_of_birth": date.fromisoformat(row["date_of_birth"]), "start_date": date.fromisoformat(row["start_date"])}
        for row in _rows("plans.csv")
    )
    people = request.wanted(held, NOBODY, NOTHING_ASKED, on=TODAY, patience=PATIENCE)
    with (SAMPLES / "request.csv").open(encoding="utf-8", newline="") as opened:
        lines = [line for line in csv.reader(opened) if line[0] == "D"]
    assert [line[2] for line in lines] == people["nhs_number"].to_pylist()
    questions = people.select(["nhs_number", "identity"]).append_column("reference", pa.array([line[1] for line in lines]))
    questions = questions.append_column("asked_on", pa.array([TODAY] * len(lines), pa.date32())).select(
        NOTHING_ASKED.schema.names
    )
    found = settle(read((SAMPLES / "response.csv").read_bytes()).answers, questions, NOBODY, held)
    rows = stand(held, found.persons, found.open).to_pylist()
    names = ("la_code", "nhs_number", "status", "outcome", "check", "inactive", "current_number", "date_of_death")
    assert [{name: "" if row[name] is None else str(row[name]) for name in names} for row in rows] == _rows("standing.csv")
    for la_code, text in ((HACKNEY, (SAMPLES / "inactive-number.csv").read_bytes()), (KENT, None)):
        mine = told(held, found.persons).fresh.filter(pa.compute.field("la_code") == la_code)
        assert (notices.to_csv(mine, la_code=la_code) if mine.num_rows else None) == text


def test_references_name_each_question_apart():
    questions = asked(plans([plan(child) for child in range(1, 30)]))
    assert reference_of(questions, nhs(3)) != reference_of(questions, nhs(4))
    assert len(set(questions["reference"].to_pylist())) == 29
