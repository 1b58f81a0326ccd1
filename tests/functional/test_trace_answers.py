"""What an answer tells of the trace: each row's outcome and number status, the match rate, what to check; and CPF05."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cpis_batch import config
from cpis_batch.errors import Exit
from tests.builders import HACKNEY, KENT, nhs
from tests.hub import Hub, inflated, plan_row
from tests.trace_hub import TRACE, asked, found, respond, traced_england


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return traced_england(tmp_path)


def waits(hub: Hub, nights: int = 3) -> None:
    """The policy that files wait for the trace service."""
    path = hub.home / config.FILE_NAME
    settings = f'[demographics]\nunavailable = "wait"\nunavailable_nights = {nights}\n'
    path.write_text(path.read_text(encoding="utf-8").replace("[demographics]\n", settings), encoding="utf-8")


def rows(answer: dict[str, Any]) -> dict[int, tuple[str, bool, str | None, bool]]:
    """Outcome, loaded, NHS number status and provisional of each row, by line."""
    return {
        row["line"]: (row["outcome"], row["loaded"], row["nhs_number_status"], row["provisional"]) for row in answer["records"]
    }


def test_a_row_is_provisional_until_the_trace_has_answered_and_says_whether_it_has_been_asked(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    assert rows(hub.acknowledgement()) == {2: ("CPR06", True, "03", True)}
    assert hub.acknowledgement()["counts"]["rows_provisional"] == 1
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    assert rows(hub.acknowledgement()) == {2: ("CPR06", True, "06", True)}
    respond(hub, found(asked(hub)[nhs(1)], 1))
    hub.next_night()
    hub.run("nightly")
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    assert rows(hub.acknowledgement()) == {2: ("CPR06", True, "01", False)}


def test_every_outcome_of_the_trace_is_told_of_its_row_and_keeps_nobody_out(hub: Hub) -> None:
    sent = [plan_row(child) for child in range(1, 8)] + [plan_row(8, number="MRTY/123")]
    hub.drop(HACKNEY, sent)
    hub.run("nightly")
    hub.next_night()
    reference = {child: asked(hub)[nhs(child)] for child in range(1, 8)}
    respond(
        hub,
        found(reference[1], 1),
        found(reference[2], 2, family="OTHER"),
        found(reference[3], 3, "21", number=nhs(30)),
        f"D,{reference[4]},30,,,,,,,,",
        found(reference[5], 5, sensitive="Y", practice="", residence=""),
        f"D,{reference[6]},22,,,,,,,,",
        f"D,{reference[7]},32,,,,,,,,",
    )
    hub.run("nightly")
    hub.next_night()
    hub.drop(HACKNEY, sent)
    hub.run("nightly")
    answer = hub.acknowledgement()
    assert rows(answer) == {
        2: ("CPR06", True, "01", False),
        3: ("CPR03", True, "05", False),
        4: ("CPR05", True, "05", False),
        5: ("CPR01", True, "04", False),
        6: ("CPR02", True, "01", False),
        7: ("CPR07", True, "05", False),
        8: ("CPR04", True, "05", False),
        9: ("CPR04", False, None, False),
    }
    assert (answer["file"]["outcome"], answer["counts"]["rows_loaded"]) == ("CPF03", 7)
    assert {number for number, _ in hub.active(HACKNEY)} == {nhs(child) for child in range(1, 8)}
    assert [(row["line"], row["child_id"], row["outcome"], row["check"]) for row in answer["to_check"]] == [
        (3, "LC-000002", "CPR03", "FAMILY_NAME"),
        (4, "LC-000003", "CPR05", None),
        (5, "LC-000004", "CPR01", None),
        (7, "LC-000006", "CPR07", None),
        (8, "LC-000007", "CPR04", None),
    ]
    assert answer["match"] == {
        "counted_on": "2026-11-21", "people": 7, "answered": 7, "matched": 2, "rate": 2857, "below_line": True, "change": None,
        "trend": [{"counted_on": "2026-11-21", "rate": 2857}],
    }  # fmt: skip
    (path,) = hub.outbound(HACKNEY, "CPIS_ACK_E09000012_00000002")
    for sent in hub.unpacked(path, HACKNEY).values():
        data = inflated(sent)
        assert not [child for child in (*range(1, 8), 30) if nhs(child).encode() in data], "answers name rows by line and id"
        assert b"28.57%" in data or b'"rate": 2857' in data


def test_the_match_rate_tells_where_it_is_going_against_four_weeks_before(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.run("nightly")
    hub.next_night()
    reference = asked(hub)
    respond(hub, found(reference[nhs(1)], 1), found(reference[nhs(2)], 2, family="OTHER"))
    hub.run("nightly")
    hub.next_night(28)
    hub.drop(HACKNEY, [plan_row(1), plan_row(2, family="Other")])
    hub.run("nightly")
    hub.next_night()
    respond(hub, found(asked(hub)[nhs(2)], 2, family="OTHER"), sequence=2)
    hub.run("nightly")
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1), plan_row(2, family="Other")])
    hub.run("nightly")
    match = hub.acknowledgement()["match"]
    assert (match["rate"], match["change"], match["below_line"]) == (10000, 5000, False)


def test_nothing_is_awaited_for_a_plan_that_is_over(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1, end="2026-10-01"), plan_row(2, delete="2026-11-01"), plan_row(3)])
    hub.run("nightly")
    over, still = ("CPR06", True, "02", False), ("CPR06", True, "03", True)
    assert rows(hub.acknowledgement()) == {2: over, 3: over, 4: still}


def test_f71_a_damaged_table_of_the_trace_keeps_no_row_out_and_no_answer_back(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    with hub.catalogue() as catalogue:
        (part,) = [one.part for one in catalogue.trace_parts() if one.name == "QUESTIONS"]
    (hub.home / "register" / f"{part}.parquet").write_bytes(b"damaged")
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    night = hub.run("nightly")
    assert set(night.stopped) == {"trace"}
    answer = hub.acknowledgement()
    assert answer["file"]["outcome"] == "CPF02"
    assert rows(answer) == {2: ("CPR06", True, None, False), 3: ("CPR06", True, None, False)}
    assert "CPB-927" in [notice["code"] for notice in answer["notices"]]


def test_cpf05_files_load_provisionally_and_say_so_while_the_trace_service_is_silent(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    for nights, codes in ((2, []), (1, ["CPB-926"])):
        hub.next_night(nights)
        hub.drop(HACKNEY, [plan_row(1)])
        hub.run("nightly")
        told = [notice["code"] for notice in hub.acknowledgement()["notices"] if notice["code"] != "CPB-914"]
        assert told == codes
    assert rows(hub.acknowledgement()) == {2: ("CPR06", True, "06", True)}


def test_cpf05_where_the_policy_is_to_wait_a_file_is_held_whole_until_the_service_answers(hub: Hub) -> None:
    waits(hub)
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    hub.next_night(3)
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.drop(KENT, [plan_row(3)])
    night = hub.run("nightly")
    assert night.exit_code is Exit.PERSON_NEEDED
    assert {(hold.partner, hold.reason) for hold in night.intake.holds} == {(HACKNEY, "DEMOGRAPHICS"), (KENT, "DEMOGRAPHICS")}
    (notice,) = hub.acknowledgements(HACKNEY, "CPIS_NOTICE_")
    assert (notice["file"]["state"], notice["file"]["outcome"], notice["records"]) == ("HELD", "CPF05", [])
    assert hub.active(HACKNEY) == {(nhs(1), "CPP")}
    assert hub.run("nightly").intake.holds == [], "told once"

    hub.next_night()
    respond(hub, found(asked(hub)[nhs(1)], 1))
    hub.run("nightly")
    hub.next_night()
    hub.run("nightly")
    assert hub.active(HACKNEY) == {(nhs(1), "CPP"), (nhs(2), "CPP")}
    assert hub.active(KENT) == {(nhs(3), "CPP")}
    assert rows(hub.acknowledgement()) == {2: ("CPR06", True, "01", False), 3: ("CPR06", True, "03", True)}
    assert hub.status()["open_holds"] == []
    with hub.catalogue() as catalogue:
        assert {hold.decision_reason for hold in catalogue.holds(open_only=False)} == {
            "files wait for the trace service no longer"
        }


def test_cpf05_a_person_may_let_a_file_in_that_waits(hub: Hub) -> None:
    waits(hub, nights=1)
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    (hold,) = hub.run("nightly").intake.holds
    hub.decide(1, release=True)
    assert hold.reason == "DEMOGRAPHICS"
    assert rows(hub.acknowledgement())[3] == ("CPR06", True, "03", True)
    assert hub.active(HACKNEY) == {(nhs(1), "CPP"), (nhs(2), "CPP")}


def test_cpf05_nothing_waits_for_a_service_that_was_never_asked_or_is_no_partner(hub: Hub) -> None:
    waits(hub, nights=1)
    hub.drop(HACKNEY, [])
    hub.run("nightly")
    hub.next_night(5)
    hub.drop(HACKNEY, [plan_row(1)])
    assert hub.run("nightly").intake.holds == []
    hub.next_night(5)
    (hub.home / "partners" / TRACE / "partner.toml").unlink()
    hub.drop(HACKNEY, [plan_row(1)])
    assert hub.run("nightly").intake.holds == []
    assert rows(hub.acknowledgement()) == {2: ("CPR06", True, "06", True)}
