"""Access events through whole nights: each told once to whom it concerns, and nothing told that must not be (F44, F46)."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from cpis_batch.errors import Exit
from cpis_batch.runs import event_parts
from tests.builders import HACKNEY, KENT, nhs
from tests.hub import NATIONAL, Hub, plan_row
from tests.small_england import small_england


@pytest.fixture
def hub(tmp_path):
    """Hackney holds the children 1, 2 and 5, Kent 3 and 5. It is the second night: the fortnight's release is done."""
    hub = small_england(tmp_path)
    settled(hub)
    return hub


def settled(hub: Hub) -> None:
    hub.drop(HACKNEY, [plan_row(1), plan_row(2), plan_row(5)])
    hub.drop(KENT, [plan_row(3), plan_row(5, "LAC")])
    hub.run("nightly")
    hub.next_night()


def look(
    event: str,
    child: int,
    *,
    setting: str = "EMERGENCY-DEPARTMENT",
    organisation: str = "RX101",
    notify: str = "Y",
    days_ago: int = 1,
    hub: Hub,
) -> str:
    """One line of an events file: a nurse looked a child up."""
    at = (hub.now - timedelta(days=days_ago)).isoformat(timespec="seconds")
    return f"D,{event},{at},{nhs(child)},PERSON,Jo Smith,R0050,,{organisation},Seaside General,{setting},{notify}"


def events(hub: Hub, *lines: str, sequence: int = 1, by: str = NATIONAL) -> Path:
    """Put down a file of events."""
    at = (hub.now - timedelta(hours=2)).isoformat(timespec="seconds")
    text = "\n".join([f"H,CPIS-ACCESS-EVENTS,1.0,TEST,{sequence},{at}", *lines, f"T,{len(lines)}", ""])
    name = f"CPIS_EVENTS_{sequence:08d}_{hub.now:%Y%m%dT%H%M%SZ}.csv.pgp"
    return hub.put(NATIONAL, name, hub.sealed(text.encode(), by))


def reports(hub: Hub, la: str) -> list[dict[str, bytes]]:
    """Every access report that lies for an authority, oldest first."""
    return [hub.unpacked(path, la) for path in hub.outbound(la, "CPIS_ACCESS_")]


def told(hub: Hub, la: str) -> list[str]:
    """The event ids of all those reports, in order."""
    lines = [line for report in reports(hub, la) for line in report["access-report.csv"].decode().splitlines()[1:]]
    return [line.replace('"', "").split(",")[2] for line in lines]


def answers(hub: Hub) -> int:
    return len(hub.outbound(NATIONAL, "CPIS_EVENTS_ACK_"))


def test_each_authority_reads_of_its_own_children_and_of_no_other(hub):
    events(hub, look("e-1", 1, hub=hub), look("e-2", 3, hub=hub), look("e-3", 99, hub=hub))
    night = hub.run("nightly")
    assert (told(hub, HACKNEY), told(hub, KENT)) == (["e-1"], ["e-2"])
    assert night.document["access_events"] == {"events": 3, "new": 3, "waiting": 0, "without_a_plan": 1, "owed": 0}
    for la, others in ((HACKNEY, 3), (KENT, 1)):
        assert not any(nhs(others).encode() in data for report in reports(hub, la) for data in report.values())


def test_two_authorities_with_one_child_each_get_their_own(hub):
    events(hub, look("e-1", 5, hub=hub))
    hub.run("nightly")
    assert (told(hub, HACKNEY), told(hub, KENT)) == (["e-1"], ["e-1"])
    (hackneys,), (kents,) = reports(hub, HACKNEY), reports(hub, KENT)
    assert b"CPP" in hackneys["access-report.csv"]
    assert b"LAC" not in hackneys["access-report.csv"]
    assert KENT.encode() not in b"".join(hackneys.values())
    assert HACKNEY.encode() not in b"".join(kents.values())


def test_each_event_is_told_once_over_any_number_of_runs_and_files(hub):
    dropped = events(hub, look("e-1", 1, hub=hub))
    again = dropped.read_bytes()
    hub.run("nightly")
    hub.run("nightly")
    hub.next_night()
    hub.put(NATIONAL, dropped.name, again)  # the same bytes
    events(hub, look("e-1", 1, hub=hub, days_ago=2), look("e-2", 1, hub=hub), sequence=2)  # the same event in another file
    events(hub, look("e-2", 1, hub=hub), sequence=3)  # and twice in one night
    hub.run("nightly")
    assert told(hub, HACKNEY) == ["e-1", "e-2"]
    assert answers(hub) == 4, "every file is answered, those with nothing new too"


def test_f44_silent_and_withheld_looks_leave_no_trace_in_any_report(tmp_path):
    secret = [
        {"setting": "SEXUAL-HEALTH"},
        {"setting": "SARC"},
        {"setting": "TERMINATION-OF-PREGNANCY"},
        {"organisation": "ZZSH1"},
        {"notify": "N"},
    ]
    made = []
    for folder, more in (("without", []), ("with", secret)):
        hub = small_england(tmp_path / folder)
        settled(hub)
        hidden = [look(f"s-{number}", 1, hub=hub, **facts) for number, facts in enumerate(more)]
        events(hub, *hidden, look("e-1", 1, hub=hub), look("e-2", 3, hub=hub))
        hub.run("nightly")
        names = [path.name for la in (HACKNEY, KENT) for path in hub.outbound(la, "CPIS_ACCESS_")]
        made.append((names, reports(hub, HACKNEY), reports(hub, KENT)))
    assert made[0] == made[1]
    assert len(made[0][1]) == 1


def test_f44_a_night_of_nothing_but_withheld_looks_makes_no_report(hub):
    events(hub, look("s-1", 1, setting="SARC", hub=hub))
    assert hub.run("nightly").document["access_reports"] == 0
    assert hub.outbound(HACKNEY, "CPIS_ACCESS_") == []
    assert answers(hub) == 1


def test_a_setting_that_nobody_has_listed_waits_for_a_person_and_is_then_told_once(hub):
    events(hub, look("e-1", 1, setting="POP-UP-CLINIC", hub=hub), look("e-2", 1, hub=hub))
    night = hub.run("nightly")
    assert night.exit_code is Exit.PERSON_NEEDED
    assert night.document["access_events"]["waiting"] == 1
    assert told(hub, HACKNEY) == ["e-2"]

    hub.next_night()
    assert hub.run("nightly").exit_code is Exit.PERSON_NEEDED, "it waits on, and is told so each night"

    listed(hub, "care_settings.csv", "code,name,care", "POP-UP-CLINIC,Pop-up clinic,UNSCHEDULED")
    for _ in range(2):
        hub.next_night()
        hub.run("nightly")
    assert told(hub, HACKNEY) == ["e-2", "e-1"]


def test_f44_a_setting_that_a_person_lists_as_withheld_is_never_told(hub):
    events(hub, look("s-1", 1, setting="POP-UP-CLINIC", hub=hub))
    hub.run("nightly")
    listed(hub, "withheld_settings.csv", "code,reason", "POP-UP-CLINIC,trust")
    hub.next_night()
    assert hub.run("nightly").document["access_events"]["waiting"] == 0
    assert told(hub, HACKNEY) == []


def listed(hub: Hub, table: str, heading: str, line: str) -> None:
    """A person adds a line to one of the home's reference tables."""
    (hub.home / "reference" / table).write_text(f"{heading}\n{line}\n", encoding="utf-8")


@pytest.mark.parametrize("lacking", ["agreement", "certificate"])
def test_a_report_that_cannot_be_sent_now_is_owed_and_sent_once_it_can(hub, lacking):
    certificate = next((hub.home / "partners" / HACKNEY).glob("*.asc"))
    if lacking == "agreement":
        hub.add_partner(HACKNEY, "LA", agreement_ends="2026-11-20")
    else:
        certificate.rename(certificate.with_suffix(".away"))
    events(hub, look("e-1", 1, hub=hub), look("e-2", 3, hub=hub))
    night = hub.run("nightly")
    assert night.exit_code is Exit.PERSON_NEEDED
    assert night.document["access_events"]["owed"] == 1
    assert (hub.outbound(HACKNEY, "CPIS_ACCESS_"), told(hub, KENT)) == ([], ["e-2"])

    hub.next_night()
    hub.run("nightly")
    assert hub.outbound(HACKNEY, "CPIS_ACCESS_") == []

    if lacking == "agreement":
        hub.add_partner(HACKNEY, "LA")
    else:
        certificate.with_suffix(".away").rename(certificate)
    for _ in range(2):
        hub.next_night()
        hub.run("nightly")
    assert (told(hub, HACKNEY), told(hub, KENT)) == (["e-1"], ["e-2"])


def test_f46_a_child_that_has_moved_is_told_to_the_authority_of_that_day(hub):
    hub.drop(HACKNEY, [plan_row(1, end=f"{hub.now.date() - timedelta(days=2)}"), plan_row(2), plan_row(5)])
    hub.drop(KENT, [plan_row(3), plan_row(5, "LAC"), plan_row(1, start=f"{hub.now.date() - timedelta(days=1)}")])
    events(hub, look("e-then", 1, days_ago=4, hub=hub), look("e-now", 1, days_ago=1, hub=hub))
    hub.run("nightly")
    assert (told(hub, HACKNEY), told(hub, KENT)) == (["e-then"], ["e-now"])


def test_a_plan_of_tonight_s_extract_is_known_when_tonight_s_events_are_told(hub):
    hub.drop(KENT, [plan_row(3), plan_row(5, "LAC"), plan_row(8, start="2026-11-15")])
    events(hub, look("e-1", 8, hub=hub))
    hub.run("nightly")
    assert told(hub, KENT) == ["e-1"]


@pytest.mark.parametrize("wrong", ["signed by an authority", "cut short", "not a file of events"])
def test_an_events_file_that_is_wrong_is_answered_and_changes_nothing(hub, wrong):
    dropped = events(hub, look("e-1", 1, hub=hub), by=HACKNEY if wrong.startswith("signed") else NATIONAL)
    if wrong == "cut short":
        hub.put(NATIONAL, dropped.name, dropped.read_bytes()[:-200])
    elif wrong.startswith("not"):
        hub.put(NATIONAL, dropped.name, hub.sealed(b"H,SOMETHING,1.0\n", NATIONAL))
    before = hub.status()["register_digest"]
    night = hub.run("nightly")
    assert night.exit_code is Exit.PERSON_NEEDED
    assert (answers(hub), told(hub, HACKNEY)) == (1, [])
    assert hub.status()["register_digest"] == before
    assert list((hub.root / NATIONAL / "refused").iterdir())

    events(hub, look("e-1", 1, hub=hub), sequence=2)
    hub.next_night()
    hub.run("nightly")
    assert told(hub, HACKNEY) == ["e-1"]


def test_a_reference_table_that_does_not_read_stops_the_reports_and_not_the_answers(hub):
    table = hub.home / "reference" / "care_settings.csv"
    table.write_text("code;name;care\nPOP-UP;Pop-up;UNSCHEDULED\n")
    dropped = events(hub, look("e-1", 1, hub=hub))
    hub.drop(HACKNEY, [plan_row(1), plan_row(2), plan_row(5), plan_row(6)])
    night = hub.run("nightly")
    assert night.exit_code is Exit.CONFIGURATION
    assert set(night.document["stopped"]) == {"access reports"}
    assert hub.acknowledgement()["file"]["state"] == "MERGED"
    assert dropped.exists(), "nothing of it is taken"

    table.unlink()
    hub.next_night()
    hub.run("nightly")
    assert told(hub, HACKNEY) == ["e-1"]


def months(hub: Hub, la: str) -> list[str]:
    """The months of which a report lies for an authority."""
    return [path.name.split("_")[4][:7] for path in hub.outbound(la, "CPIS_ACCESS_MONTH_")]


def test_each_authority_gets_its_month_once_when_it_is_over_and_a_missed_one_is_caught_up(hub):
    events(hub, look("e-1", 1, hub=hub), look("e-2", 3, hub=hub))
    assert hub.run("nightly").document["monthly_access_reports"] == 0, "November is not over"
    hub.next_night((date(2026, 12, 2) - hub.now.date()).days)
    assert hub.run("nightly").document["monthly_access_reports"] == 0, "its last days are not in"
    hub.next_night()
    night = hub.run("nightly")
    assert night.document["stopped"] == {}
    assert night.document["monthly_access_reports"] == 2
    assert (months(hub, HACKNEY), months(hub, KENT)) == (["2026-11"], ["2026-11"])
    for la, number in ((HACKNEY, 1), (KENT, 3)):
        (path,) = hub.outbound(la, "CPIS_ACCESS_MONTH_")
        lines = hub.unpacked(path, la)["access-month.csv"].decode().splitlines()
        assert len(lines) == 2
        assert nhs(number) in lines[1]
    assert hub.run("nightly").document["monthly_access_reports"] == 0, "once"
    hub.next_night((date(2027, 2, 5) - hub.now.date()).days)
    assert hub.run("nightly").document["monthly_access_reports"] == 4
    assert months(hub, KENT) == ["2026-11", "2026-12", "2027-01"]


def test_the_month_of_an_authority_without_an_agreement_is_not_made(hub):
    events(hub, look("e-1", 1, hub=hub), look("e-2", 3, hub=hub))
    hub.run("nightly")
    hub.add_partner(KENT, "LA", agreement_ends="2026-11-30")
    hub.next_night((date(2026, 12, 3) - hub.now.date()).days)
    assert hub.run("nightly").document["monthly_access_reports"] == 1
    assert (months(hub, HACKNEY), months(hub, KENT)) == (["2026-11"], [])


def month_told(hub: Hub, la: str) -> list[str]:
    """The event ids of the newest month's report, in order."""
    lines = hub.unpacked(hub.outbound(la, "CPIS_ACCESS_MONTH_")[-1], la)["access-month.csv"].decode().splitlines()[1:]
    return [line.replace('"', "").split(",")[2] for line in lines]


def test_f44_an_id_that_two_files_of_a_night_give_to_several_events_is_in_the_month_as_it_was_told_or_not_told(hub):
    events(hub, look("s-1", 1, hub=hub), look("e-2", 1, hub=hub), look("e-3", 1, days_ago=3, hub=hub))
    events(
        hub,
        look("s-1", 3, setting="SARC", days_ago=45, hub=hub),
        look("e-2", 2, days_ago=40, notify="N", hub=hub),
        look("e-3", 3, days_ago=2, hub=hub),
        sequence=2,
    )
    hub.run("nightly")
    assert (told(hub, HACKNEY), told(hub, KENT)) == (["e-3", "e-2"], [])
    hub.next_night((date(2026, 12, 3) - hub.now.date()).days)
    assert hub.run("nightly").document["stopped"] == {}
    assert (month_told(hub, HACKNEY), month_told(hub, KENT)) == (["e-3", "e-2"], [])


def test_a_month_in_many_parts_is_told_as_one_in_a_single_part(tmp_path, monkeypatch):
    made = []
    for most in (event_parts.MOST, 2):
        monkeypatch.setattr(event_parts, "MOST", most)
        hub = small_england(tmp_path / str(most))
        settled(hub)
        for night in range(1, 4):
            looks = [look(f"e-{night}-{child}", child, hub=hub, days_ago=1 + night % 2) for child in (1, 2, 3, 5)]
            events(hub, *looks, sequence=night)
            hub.run("nightly")
            hub.next_night()
        with hub.catalogue() as opened:
            parts = {part.month for part in opened.event_parts() if event_parts.month_of(part)}
        assert len(parts) == {2: 6}.get(most, 1)
        hub.next_night((date(2026, 12, 3) - hub.now.date()).days)
        assert hub.run("nightly").document["stopped"] == {}
        assert list(hub.home.rglob(".part-*")) == [], "nothing that was put aside stays"
        made.append([hub.unpacked(hub.outbound(la, "CPIS_ACCESS_MONTH_")[-1], la) for la in (HACKNEY, KENT)])
    assert made[0] == made[1]
