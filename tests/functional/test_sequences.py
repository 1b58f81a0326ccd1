"""Replays, gaps, late files, new counts: what the place in the sequence does to a file (FAULTS F03 to F08)."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.builders import HACKNEY, KENT, nhs
from tests.hub import Hub, plan_row

TWO = [plan_row(1), plan_row(2)]


@pytest.fixture
def hub(tmp_path):
    return Hub.make(tmp_path, las=(HACKNEY, KENT))


def states(hub: Hub, la: str = HACKNEY) -> list[str]:
    return [answer["file"]["state"] for answer in hub.acknowledgements(la)]


def test_f03_the_same_bytes_again_change_nothing_and_are_acknowledged(hub):
    dropped = hub.drop(rows=TWO)
    again = dropped.read_bytes()
    hub.run()
    before = hub.status()["register_digest"]

    for _ in range(2):
        hub.put(HACKNEY, dropped.name, again)
        hub.run()

    assert states(hub) == ["MERGED", "DUPLICATE", "DUPLICATE"]
    assert hub.acknowledgement()["file"]["outcome"] == "CPF02"
    assert hub.status()["register_digest"] == before


def test_f03_the_same_bytes_twice_in_one_night_are_one_file_and_one_duplicate(hub):
    dropped = hub.drop(rows=TWO)
    hub.put(HACKNEY, hub.name(HACKNEY, 7), dropped.read_bytes())
    hub.run()
    assert sorted(states(hub)) == ["DUPLICATE", "MERGED"]


def test_f03_other_bytes_under_a_used_sequence_are_refused_and_the_authority_is_held_until_somebody_has_asked(hub):
    hub.drop(rows=TWO)
    hub.run()
    hub.drop(rows=[plan_row(1)], sequence=1)
    night = hub.run()
    assert states(hub) == ["MERGED", "REFUSED"]
    assert night.exit_code == 3

    hub.next_night()
    hub.drop(rows=[*TWO, plan_row(3)])
    hub.run()
    assert hub.acknowledgements(start="CPIS_NOTICE_")[-1]["file"]["state"] == "HELD"
    assert hub.active() == {(nhs(1), "CPP"), (nhs(2), "CPP")}

    conflict = next(hold for hold in hub.status()["open_holds"] if hold["reason"] == "CONFLICT")
    hub.decide(conflict["id"], release=True)
    assert hub.status()["holds"] == 0
    assert hub.active() == {(nhs(1), "CPP"), (nhs(2), "CPP"), (nhs(3), "CPP")}


def test_f03_the_same_content_under_a_new_sequence_is_a_heartbeat_and_is_told(hub):
    hub.drop(rows=TWO)
    hub.run()
    hub.next_night()
    hub.drop(rows=TWO)
    hub.run()
    answer = hub.acknowledgement()
    assert answer["file"]["state"] == "MERGED"
    assert "CPB-914" in [notice["code"] for notice in answer["notices"]]


def test_f04_a_full_after_a_gap_is_accepted_and_the_gap_is_told(hub):
    hub.drop(rows=TWO)
    hub.run()
    hub.drop(rows=[*TWO, plan_row(3)], sequence=4)
    hub.run()
    answer = hub.acknowledgement()
    assert answer["file"]["state"] == "MERGED"
    assert "CPB-913" in [notice["code"] for notice in answer["notices"]]


def test_f04_a_delta_after_a_gap_waits_until_the_missing_one_comes(hub):
    hub.drop(rows=TWO)
    hub.run()
    hub.drop(rows=[plan_row(2, end="2026-11-18")], kind="DELTA", sequence=3)
    hub.run()
    assert len(hub.active()) == 2
    hub.drop(rows=[plan_row(3)], kind="DELTA", sequence=2)
    hub.run()
    assert hub.active() == {(nhs(1), "CPP"), (nhs(3), "CPP")}
    assert states(hub) == ["MERGED", "MERGED", "MERGED"]
    assert hub.status()["holds"] == 0


def test_f04_a_gap_can_be_waived(hub):
    hub.drop(rows=TWO)
    hub.run()
    hub.drop(rows=[plan_row(2, end="2026-11-18")], kind="DELTA", sequence=3)
    hub.run()
    hub.decide(hub.status()["open_holds"][0]["id"], release=True)
    assert hub.active() == {(nhs(1), "CPP")}
    assert states(hub) == ["MERGED", "MERGED"]


@pytest.mark.parametrize("order", list(permutations((2, 3, 4))))
def test_f04_deltas_reach_the_same_register_in_any_order_of_arrival(hub, order):
    files = {
        2: [plan_row(3)],
        3: [plan_row(3, end="2026-11-17"), plan_row(4)],
        4: [plan_row(4, "LAC"), plan_row(1, end="2026-11-18")],
    }
    hub.drop(rows=TWO, extracted_at="2026-11-18T23:00:00+00:00")
    hub.run()
    for sequence in order:
        hub.drop(rows=files[sequence], kind="DELTA", sequence=sequence, extracted_at=f"2026-11-19T1{sequence}:00:00+00:00")
        hub.run()
    assert hub.active() == {(nhs(2), "CPP"), (nhs(4), "CPP"), (nhs(4), "LAC")}
    assert states(hub).count("MERGED") == 4
    assert set(states(hub)) == {"MERGED"}


def test_f05_an_older_full_that_comes_late_is_stale_and_never_merged(hub):
    late = hub.drop(rows=[plan_row(1, end="2026-11-01")], sequence=1, extracted_at="2026-11-17T23:00:00+00:00")
    data = late.read_bytes()
    late.unlink()
    hub.drop(rows=TWO, sequence=2)
    hub.run()
    hub.put(HACKNEY, late.name, data)
    hub.run()
    assert states(hub)[-1] == "STALE"
    assert len(hub.active()) == 2
    assert list((hub.root / HACKNEY / "processed").glob("*00000001*"))


def test_f06_a_count_that_starts_again_is_held_until_somebody_says_so(hub):
    hub.drop(rows=TWO, sequence=118)
    hub.run()
    hub.next_night()
    hub.drop(rows=[*TWO, plan_row(3)], sequence=1)
    hub.run()
    hold = hub.status()["open_holds"][0]
    assert hold["reason"] == "RESET"
    assert len(hub.active()) == 2

    hub.decide(hold["id"], release=True, reason="new case system")
    assert len(hub.active()) == 3

    hub.next_night()
    hub.drop(rows=[*TWO, plan_row(3), plan_row(4)], sequence=2)
    hub.run()
    assert len(hub.active()) == 4


def test_f07_two_files_in_one_night_are_both_taken_in_their_order(hub):
    hub.drop(rows=TWO, sequence=1)
    hub.drop(rows=[plan_row(1, end="2026-11-18"), plan_row(2)], sequence=2)
    hub.run()
    assert states(hub) == ["MERGED", "MERGED"]
    assert hub.active() == {(nhs(2), "CPP")}


def test_f08_an_authority_without_a_file_keeps_its_state_and_its_age_is_shown(hub):
    hub.drop(HACKNEY, TWO)
    hub.drop(KENT, [plan_row(7)])
    hub.run()
    assert {la["lateness"] for la in hub.status()["las"]} == {"GREEN"}
    for light, days in (("AMBER", 1), ("AMBER", 2), ("RED", 1)):
        hub.next_night(days)
        hub.drop(KENT, [plan_row(7)])
        hub.run()
        mine = next(la for la in hub.status()["las"] if la["code"] == HACKNEY)
        assert mine["lateness"] == light
        assert len(hub.active()) == 2


def test_rule_5_the_order_in_which_authorities_come_makes_no_difference(tmp_path):
    digests = set()
    for place, order in enumerate(((HACKNEY, KENT), (KENT, HACKNEY))):
        hub = Hub.make(tmp_path / str(place))
        for la in order:
            hub.drop(la, [plan_row(1), plan_row(2, "LAC")])
            hub.run()
        digests.add(hub.status()["register_digest"])
    assert len(digests) == 1
