"""The trace over several nights: asked, answered, settled, told, routed; with a real mailbox, real keys and a real catalogue."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from cpis_batch.runs.verify import verify
from tests.builders import HACKNEY, KENT, nhs
from tests.hub import Hub, plan_row
from tests.small_england import KENT_AND_MEDWAY, NORTH_EAST_LONDON, extracts, small_england
from tests.trace_hub import TRACE, asked, found, messages, respond, table, traced_england


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return traced_england(tmp_path)


def test_the_night_asks_about_everybody_once_and_a_second_run_changes_nothing(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    night = hub.run("nightly")
    assert night.document["trace"] == {"asked": 2, "open": 2, "told": 0}
    assert set(asked(hub)) == {nhs(1), nhs(2)}
    with hub.catalogue() as catalogue:
        head = catalogue.head()
    assert hub.run("nightly").document["trace"] == {}
    with hub.catalogue() as catalogue:
        assert catalogue.head() == head
    assert len(hub.outbound(TRACE, "CPIS_TRACE_REQUEST_")) == 1


def test_an_answer_settles_a_person_and_the_service_gets_one_acknowledgement(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    hub.next_night()
    respond(hub, found(asked(hub)[nhs(1)], 1))
    night = hub.run("nightly")
    assert night.document["trace"] == {"settled": 1, "asked": 0, "open": 0, "told": 0}
    assert [(row["nhs_number"], row["outcome"], row["status"]) for row in table(hub, "PERSONS")] == [(nhs(1), "CPR06", "01")]
    (path,) = hub.outbound(TRACE, "CPIS_TRACE_ACK_")
    rows = csv.DictReader(io.StringIO(hub.unpacked(path, TRACE)["answer.csv"].decode(), newline=""))
    assert next(rows)["code"] == "CPF02"
    assert [path.name for path in (hub.root / TRACE / "processed").iterdir()]
    assert verify(hub.home).exit_code == 0


def test_a_child_goes_to_the_unit_of_the_practice_once_the_trace_has_verified_it_and_leaves_the_other(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.run("nightly")
    assert _units(hub) == {(NORTH_EAST_LONDON, nhs(1), "SENDING_LA", "NEW"), (NORTH_EAST_LONDON, nhs(2), "SENDING_LA", "NEW")}
    hub.next_night()
    references = asked(hub)
    respond(hub, found(references[nhs(1)], 1, practice="ZP0002"), found(references[nhs(2)], 2, practice="ZP0002", family="OTHER"))
    hub.run("nightly")
    hub.next_night(14)
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.run("nightly")
    assert _units(hub) == {
        (KENT_AND_MEDWAY, nhs(1), "PRACTICE", "NEW"),
        (NORTH_EAST_LONDON, nhs(1), "SENDING_LA", "CEASED"),
        (NORTH_EAST_LONDON, nhs(2), "SENDING_LA", "UNCHANGED"),  # not verified: not to the place of what may be another's record
    }


def _units(hub: Hub) -> set[tuple[str, str, str, str]]:
    """Unit, number, basis and change of every row of the newest extracts."""
    return {
        (unit, row["nhs_number"], row["routing_basis"], row["change"])
        for unit in (KENT_AND_MEDWAY, NORTH_EAST_LONDON)
        for row in extracts(hub, unit)[-1]
    }


def test_f47_both_authorities_are_told_the_number_in_the_place_of_theirs_once_and_no_key_is_rewritten(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    hub.drop(KENT, [plan_row(1, "LAC")])
    hub.run("nightly")
    hub.next_night()
    respond(hub, found(asked(hub)[nhs(1)], 1, code="21", number=nhs(9)))
    assert hub.run("nightly").document["trace"]["told"] == 4
    for la in (HACKNEY, KENT):
        (message,) = messages(hub, la, "CPIS_INACTIVE_")
        (row,) = message["inactive-number.csv"]
        assert (row["message_type"], row["la_code"], row["nhs_number"], row["current_nhs_number"]) == ("06", la, nhs(1), nhs(9))
    hub.next_night()
    assert hub.run("nightly").document["trace"]["told"] == 0
    assert {number for number, _ in hub.active(HACKNEY) | hub.active(KENT)} == {nhs(1)}


def test_f48_nothing_that_the_hub_holds_or_sends_ties_an_adopted_childs_old_number_to_another(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.run("nightly")
    hub.next_night()
    references = asked(hub)
    respond(
        hub, f"D,{references[nhs(1)]},22,{nhs(9)},,,,,,,", found(references[nhs(2)], 2)
    )  # a service that tells what it must not
    hub.run("nightly")
    assert nhs(9) not in str([table(hub, name) for name in ("PERSONS", "QUESTIONS")])
    hub.next_night()
    respond(hub, f"D,{references[nhs(1)]},22,,,,,,,,", sequence=2)
    assert hub.run("nightly").document["trace"]["settled"] == 1
    (message,) = messages(hub, HACKNEY, "CPIS_INACTIVE_")
    (row,) = message["inactive-number.csv"]
    assert (row["nhs_number"], row["reason"], row["current_nhs_number"]) == (nhs(1), "NO_REPLACEMENT", "")
    hub.next_night(100)
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.run("nightly")
    assert set(asked(hub)) == {nhs(2)}, "a frozen number is never asked about again"
    everything = [str(table(hub, name)) for name in ("PERSONS", "QUESTIONS", "TOLD", "CHECKED", "RATES")]
    everything += [str(messages(hub, HACKNEY, start)) for start in ("CPIS_INACTIVE_", "CPIS_MATCH_")]
    everything += [hub.opened(path, TRACE).decode() for path in hub.outbound(TRACE, "CPIS_TRACE_REQUEST_")]
    everything += [path.read_text(encoding="utf-8") for path in (hub.home / "logs").iterdir()]
    everything += [(hub.home / "catalogue.sqlite").read_bytes().decode("latin-1")]
    assert not [place for place, text in enumerate(everything) if nhs(9) in text]


def test_f49_a_sensitive_person_is_routed_by_the_sending_authority_and_no_place_is_kept(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    hub.next_night()
    respond(hub, found(asked(hub)[nhs(1)], 1, sensitive="Y", practice="ZP0002", residence="E10000016"))
    hub.run("nightly")
    (row,) = table(hub, "PERSONS")
    assert (row["outcome"], row["sensitive"], row["practice_code"], row["residence_code"]) == ("CPR02", True, None, None)


def test_an_authority_gets_its_rate_and_what_to_check_and_gets_it_anew_when_it_has_changed(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.run("nightly")
    hub.next_night()
    references = asked(hub)
    respond(hub, found(references[nhs(1)], 1), found(references[nhs(2)], 2, family="OTHER"))
    hub.run("nightly")
    (report,) = messages(hub, HACKNEY, "CPIS_MATCH_")
    assert [(row["rate"], row["below_line"]) for row in report["match-rate.csv"]] == [("5000", "true")]
    assert [(row["nhs_number"], row["outcome"], row["check"]) for row in report["to-check.csv"]] == [
        (nhs(2), "CPR03", "FAMILY_NAME")
    ]
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1), plan_row(2, family="Other")])
    assert hub.run("nightly").document["trace"] == {"asked": 1, "open": 1, "told": 1}  # provisional again, and off the list
    hub.next_night()
    respond(hub, found(asked(hub)[nhs(2)], 2, family="OTHER"), sequence=2)
    hub.run("nightly")
    assert [len(one["to-check.csv"]) for one in messages(hub, HACKNEY, "CPIS_MATCH_")] == [1, 0]


def test_what_an_authority_without_an_agreement_is_owed_is_told_when_it_has_one_again(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    hub.next_night()
    hub.add_partner(HACKNEY, "LA", agreement_ends="2026-11-20")
    respond(hub, f"D,{asked(hub)[nhs(1)]},22,,,,,,,,")
    hub.run("nightly")
    assert messages(hub, HACKNEY, "CPIS_INACTIVE_") == []
    hub.next_night()
    hub.add_partner(HACKNEY, "LA")
    hub.run("nightly")
    assert len(messages(hub, HACKNEY, "CPIS_INACTIVE_")) == 1


@pytest.mark.parametrize("wrong", ["signed by another", "not a response", "contradicting"])
def test_a_response_that_is_wrong_settles_nothing_and_a_person_is_asked_for(hub: Hub, wrong: str) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    hub.next_night()
    if wrong == "signed by another":
        respond(hub, found(asked(hub)[nhs(1)], 1), by=KENT)
    elif wrong == "contradicting":
        respond(hub, found(asked(hub)[nhs(1)], 1, number=nhs(9)))
    else:
        hub.put(TRACE, f"CPIS_TRACE_RESPONSE_00000001_{hub.now:%Y%m%dT%H%M%SZ}.csv.pgp", hub.sealed(b"H,OTHER,1.0\n", TRACE))
    night = hub.run("nightly")
    assert night.exit_code == 3
    assert night.document["trace"]["open"] == 1
    assert table(hub, "QUESTIONS")


def test_a_service_that_cannot_be_reached_leaves_everybody_provisional_and_nobody_out(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    (hub.root / TRACE / "inbound").rmdir()
    night = hub.run("nightly")
    assert night.document["partners_in_trouble"].keys() == {TRACE}
    assert hub.active(HACKNEY) == {(nhs(1), "CPP")}
    assert night.document["trace"]["open"] == 1


def test_without_a_trace_service_nothing_is_asked_and_nothing_is_said(tmp_path: Path) -> None:
    hub = small_england(tmp_path)
    hub.drop(HACKNEY, [plan_row(1)])
    assert hub.run("nightly").document["trace"] == {}


def test_f52_a_death_takes_the_person_off_every_contact_list_and_tells_the_authority_and_the_plan_stands(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.run("nightly")
    hub.next_night()
    reference = asked(hub)
    respond(hub, found(reference[nhs(1)], 1, died="2026-11-18"), found(reference[nhs(2)], 2))
    hub.run("nightly")
    (report,) = messages(hub, HACKNEY, "CPIS_MATCH_")
    assert [(row["nhs_number"], row["date_of_death"]) for row in report["to-check.csv"]] == [(nhs(1), "2026-11-18")]

    hub.next_night(13)
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    night = hub.run("nightly")
    assert {(number, change) for _, number, _, change in _units(hub)} == {(nhs(1), "CEASED"), (nhs(2), "CHANGED")}
    assert night.released is not None
    assert (night.released.active, night.released.sent, night.released.unroutable) == (2, 1, 1)
    assert night.exit_code == 3, "somebody looks at it until the authority has ended the plan"
    assert hub.active(HACKNEY) == {(nhs(1), "CPP"), (nhs(2), "CPP")}
    (told,) = hub.acknowledgement()["to_check"]
    assert (told["line"], told["child_id"], told["outcome"]) == (2, "LC-000001", "CPR06")
    assert "Do not contact the family" in told["what_to_check"]


def test_f52_a_death_recorded_in_error_is_asked_about_again_after_a_week_and_the_child_comes_back(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    hub.next_night()
    respond(hub, found(asked(hub)[nhs(1)], 1, died="2026-11-18"))
    hub.run("nightly")
    hub.next_night(7)  # 28 November: a fortnight has begun
    hub.run("nightly")
    assert {(number, change) for _, number, _, change in _units(hub)} == {(nhs(1), "CEASED")}
    hub.next_night()
    respond(hub, found(asked(hub)[nhs(1)], 1), sequence=2)
    assert hub.run("nightly").document["trace"]["settled"] == 1
    hub.next_night(8)  # 7 December: another one
    hub.run("nightly")
    assert {(number, change) for _, number, _, change in _units(hub)} == {(nhs(1), "NEW")}


def test_f52_a_death_of_the_record_is_not_that_of_a_child_whose_details_it_does_not_confirm(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    hub.drop(KENT, [plan_row(1, family="Other")])
    hub.run("nightly")
    hub.next_night()
    (request,) = hub.outbound(TRACE, "CPIS_TRACE_REQUEST_")
    references = [row[1] for row in csv.reader(hub.opened(request, TRACE).decode().splitlines()) if row[0] == "D"]
    assert len(references) == 2
    respond(hub, *(found(reference, 1, died="2026-11-18") for reference in references))
    hub.run("nightly")
    hub.next_night(14)
    hub.run("nightly")
    assert {(unit, change) for unit, _, _, change in _units(hub)} == {
        (NORTH_EAST_LONDON, "UNCHANGED"),
        (KENT_AND_MEDWAY, "UNCHANGED"),
    }


def test_f52_of_whoever_is_18_or_20_a_unit_is_shown_the_unborn_childs_plan_alone(hub: Hub) -> None:
    """18 ends CPP and LAC; there is nothing of a child left for 20 to end, and no birthday of a mother ends a UCPP."""
    hub.drop(HACKNEY, [
        plan_row(1, born="2008-12-01", start="2020-01-06"),
        plan_row(2, "LAC", born="2008-12-01", start="2020-01-06"),
        plan_row(3, "UCPP", born="2006-12-01", start="2026-10-01"),
        plan_row(4, "UCPP", born="2008-12-01", start="2026-10-01"),
        plan_row(5),
    ])  # fmt: skip
    hub.run("nightly")
    assert len(_units(hub)) == 5
    hub.next_night(14)  # 4 December: 1, 2 and 4 are 18 now, 3 is 20
    hub.run("nightly")
    assert {(number, change) for _, number, _, change in _units(hub)} == {
        (nhs(1), "CEASED"), (nhs(2), "CEASED"), (nhs(3), "UNCHANGED"), (nhs(4), "UNCHANGED"), (nhs(5), "UNCHANGED"),
    }  # fmt: skip
