"""The national view over whole nights: what each authority is told of its own children, once, and nothing of another's row."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from pathlib import Path

import pytest

from cpis_batch.errors import ConfigFault, Exit
from cpis_batch.runs.verify import verify
from tests.builders import HACKNEY, KENT, nhs
from tests.commands import told, typed
from tests.failure.erasure_kit import applied
from tests.functional.test_trace_night import table
from tests.hub import NATIONAL, Hub, Row, plan_row
from tests.small_england import replace_table, small_england
from tests.trace_hub import asked, found, respond, traced_england

KENTS_START = "2026-11-03"
KENTS_OWN = ("KENTS-CANARY", "Kentish", "2019-04-29", KENTS_START)


def at_kent(child: int, plan_type: str = "CPP", start: str = KENTS_START) -> tuple[str, ...]:
    """A plan of Kent's, in which everything but the NHS number differs from Hackney's."""
    number, _, _, given, _, kind, begins, end, delete = plan_row(child, plan_type, start=start)
    return (number, "KENTS-CANARY", "Kentish", given, "2019-04-29", kind, begins, end, delete)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return small_england(tmp_path)


def both_hold_child_1(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.drop(KENT, [at_kent(1)])
    hub.run("nightly")


def received(hub: Hub, la: str) -> list[list[dict[str, str]]]:
    """The rows of every list that lies for an authority, oldest first."""
    return [
        list(csv.DictReader(io.StringIO(hub.unpacked(path, la)["national-list.csv"].decode(), newline="")))
        for path in hub.outbound(la, "CPIS_NATIONAL_")
    ]


def looked_up(hub: Hub, child: int, setting: str) -> None:
    """An events file with one look at a child, this morning."""
    at = (hub.now - timedelta(hours=2)).isoformat(timespec="seconds")
    row = f"D,e-{child},{at},{nhs(child)},PERSON,Jo Smith,R0050,,RX101,Seaside General,{setting},Y"
    text = f"H,CPIS-ACCESS-EVENTS,1.0,TEST,1,{at}\n{row}\nT,1\n"
    hub.put(NATIONAL, f"CPIS_EVENTS_00000001_{hub.now:%Y%m%dT%H%M%SZ}.csv.pgp", hub.sealed(text.encode(), NATIONAL))


def test_f43_both_authorities_are_told_once_that_the_other_holds_the_child_and_whom_to_ring(hub: Hub) -> None:
    both_hold_child_1(hub)
    night = hub.run("national")
    assert night.document["national"] == {"new": 2, "lists": 2, "owed": 0}
    assert night.exit_code is Exit.DONE
    for la, own, other in ((HACKNEY, "LC-000001", KENT), (KENT, "KENTS-CANARY", HACKNEY)):
        ((row,),) = received(hub, la)
        assert (row["matter"], row["standing"], row["news"], row["child_id"]) == ("CONFLICT", "HANDOVER", "NEW", own)
        assert (row["other_la_code"], row["other_office_phone"], row["other_emergency_phone"]) == (
            other, "020 7946 0100", "020 7946 0199",
        )  # fmt: skip
    with hub.catalogue() as catalogue:
        head = catalogue.head()
    assert hub.run("national").document["national"] == {"lists": 0, "owed": 0}
    with hub.catalogue() as catalogue:
        assert catalogue.head() == head, "a second run has no news and changes nothing"
    hub.next_night(14)
    assert hub.run("national").document["national"] == {"changed": 2, "lists": 2, "owed": 0}, "over 30 days it is doubtful"
    assert [row["standing"] for row in received(hub, KENT)[-1]] == ["DOUBTFUL"]
    hub.drop(KENT, [(*at_kent(1)[:7], "2026-12-03", "")])
    hub.run("nightly")
    hub.next_night()
    assert hub.run("national").document["national"]["closed"] == 2
    assert [row["news"] for row in received(hub, HACKNEY)[-1]] == ["CLOSED"]
    assert verify(hub.home).exit_code is Exit.DONE


def test_f43_nothing_of_another_authority_s_row_is_in_what_an_authority_opens(hub: Hub) -> None:
    both_hold_child_1(hub)
    hub.run("national")
    everything = b"".join(
        data for path in hub.outbound(HACKNEY, "CPIS_NATIONAL_") for data in hub.unpacked(path, HACKNEY).values()
    ).decode()
    assert "LC-000001" in everything
    for canary in (*KENTS_OWN, nhs(1)):
        assert canary not in everything
    with hub.catalogue() as catalogue:
        sent = [one for one in catalogue.deliveries() if one.kind == "NATIONAL_LIST"]
    assert [(one.partner, one.record_count) for one in sent] == [(HACKNEY, 1), (KENT, 1)]
    logs = "".join(path.read_text(encoding="utf-8") for path in (hub.home / "logs").iterdir())
    database = (hub.home / "catalogue.sqlite").read_bytes().decode("latin-1")
    assert not [value for value in (nhs(1), "LC-000001", "KENTS-CANARY") if value in logs + database]


@pytest.mark.parametrize(
    ("setting", "overdue"), [("EMERGENCY-DEPARTMENT", ["LC-000002"]), ("SEXUAL-HEALTH", []), ("POP-UP-CLINIC", [])]
)
def test_f51_f44_a_child_seen_after_the_plan_ended_is_listed_and_never_for_a_withheld_visit(
    hub: Hub, setting: str, overdue: list[str]
) -> None:
    hub.drop(HACKNEY, [plan_row(1), plan_row(2, end="2026-10-30")])
    looked_up(hub, 2, setting)
    hub.run("nightly")
    hub.run("national")
    assert received(hub, HACKNEY) == [], "the 15th working day is today"
    hub.next_night()
    hub.run("national")
    assert [row["child_id"] for rows in received(hub, HACKNEY) for row in rows if row["matter"] == "GAP"] == overdue
    assert [one["standing"] for one in told(hub, "register", "gaps")["las"]] == ["OVERDUE" for _ in overdue]


@pytest.mark.parametrize(("practice", "listed"), [("ZP0002", ["LC-000002"]), ("ZP0001", [])])
def test_f51_a_child_who_changed_practice_after_the_plan_ended_is_listed_and_one_who_did_not_is_not(
    tmp_path: Path, practice: str, listed: list[str]
) -> None:
    hub = traced_england(tmp_path)
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.run("nightly")
    respond(hub, *(found(reference, child) for child, reference in of_children(hub, 1, 2)))
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1), plan_row(2, end="2026-11-20")])
    hub.run("nightly")
    hub.next_night(13)
    hub.drop(HACKNEY, [plan_row(1), plan_row(2, end="2026-11-20")])
    hub.run("nightly")
    assert set(asked(hub)) == {nhs(2)}, "two weeks after the end"
    respond(hub, *(found(reference, child, practice=practice) for child, reference in of_children(hub, 2)), sequence=2)
    hub.next_night()
    hub.run("nightly")
    hub.next_night(8)
    hub.run("national")
    assert [row["child_id"] for rows in received(hub, HACKNEY) for row in rows if row["matter"] == "GAP"] == listed


def of_children(hub: Hub, *children: int) -> list[tuple[int, str]]:
    references = asked(hub)
    return [(child, references[nhs(child)]) for child in children]


def test_what_an_authority_without_an_agreement_is_owed_is_told_when_it_has_one_again(hub: Hub) -> None:
    both_hold_child_1(hub)
    hub.next_night()
    hub.add_partner(HACKNEY, "LA", agreement_ends="2026-11-20")
    night = hub.run("national")
    assert night.document["national"] == {"new": 1, "lists": 1, "owed": 1}
    assert night.exit_code is Exit.PERSON_NEEDED
    assert (len(received(hub, HACKNEY)), len(received(hub, KENT))) == (0, 1)
    hub.add_partner(HACKNEY, "LA")
    assert hub.run("national").document["national"] == {"new": 1, "lists": 1, "owed": 0}
    assert len(received(hub, KENT)) == 1


def test_the_readers_count_and_name_nobody_and_a_dry_run_changes_nothing(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1), plan_row(7, "UCPP", start="2025-11-01", born="1994-08-02")])
    hub.drop(KENT, [at_kent(1), (*at_kent(3, start="2026-10-01")[:7], "2026-10-02", ""), at_kent(3)])
    hub.run("nightly")
    assert told(hub, "register", "conflicts")["standings"] == {"HANDOVER": 1}
    assert told(hub, "register", "unborn")["las"] == [
        {"la_code": HACKNEY, "standing": "RAN_PAST", "plan_type": "UCPP", "persons": 1}
    ]
    assert told(hub, "register", "returns")["standings"] == {"SAME_AUTHORITY": 1}
    assert told(hub, "register", "gaps")["standings"] == {}
    assert "handover" in typed(hub, "register", "conflicts").output
    with hub.catalogue() as catalogue:
        head = catalogue.head()
    planned = told(hub, "run", "national", "--dry-run")
    assert planned["authorities"] == 2
    assert {(one["matter"], one["news"]): one["entries"] for one in planned["news"]} == {
        ("CONFLICT", "NEW"): 2, ("UNBORN", "NEW"): 1, ("RETURN", "NEW"): 1,
    }  # fmt: skip
    assert "Would tell 2 authorities" in typed(hub, "run", "national", "--dry-run").output
    with hub.catalogue() as catalogue:
        assert catalogue.head() == head
    assert received(hub, HACKNEY) == []


def test_a_calendar_that_lacks_a_year_stops_the_lists_and_says_what_to_add(hub: Hub) -> None:
    both_hold_child_1(hub)
    replace_table(hub, "bank_holidays", ["day,name,rule", *(f"2025-01-{day:02},a,b" for day in range(1, 9))])
    with pytest.raises(ConfigFault, match=r"bank_holidays\.csv has 2025 to 2025"):
        hub.run("national")
    assert received(hub, HACKNEY) == []


def test_before_anything_was_taken_in_there_is_nothing_to_tell(hub: Hub) -> None:
    assert hub.run("national").document["national"] == {}
    assert typed(hub, "register", "returns").output.strip() == "None."


def test_a_trace_service_that_is_not_there_stays_so_after_the_national_view(hub: Hub) -> None:
    both_hold_child_1(hub)
    hub.run("national")
    hub.next_night()
    assert hub.run("nightly").document["trace"] == {}


def test_f56_what_was_told_of_a_person_is_erased_with_the_person(hub: Hub) -> None:
    others = [plan_row(child) for child in range(10, 22)]  # so many that one row less holds no file

    def sent(*rows: Row) -> None:
        hub.drop(HACKNEY, [*others[:6], *rows])
        hub.drop(KENT, [*others[6:], *rows])
        hub.run("nightly")

    sent(plan_row(1))
    hub.run("national")
    assert {row["nhs_number"] for row in table(hub, "NATIONAL")} == {nhs(1)}
    sent(plan_row(1, end="2026-11-20"))
    hub.next_night(370)
    sent()
    applied(hub)
    assert table(hub, "NATIONAL") == []
    assert verify(hub.home).exit_code is Exit.DONE
    assert hub.run("national").document["national"] == {"lists": 0, "owed": 0}, "and nothing is said of it any more"
