"""The mass-change brake in the life of an authority: what is held, what the authority hears, and what a person's word does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from cpis_batch import config, partners
from cpis_batch.envelope import hub as hub_keys
from cpis_batch.errors import UsageFault
from cpis_batch.keystore import load_master_key
from tests.builders import HACKNEY, KENT, nhs
from tests.commands import told, typed
from tests.hub import Hub, plan_row

EVERYONE = [plan_row(child) for child in range(1, 41)]


@pytest.fixture
def hub(tmp_path):
    """Hackney with forty children."""
    hub = Hub.make(tmp_path, las=(HACKNEY, KENT))
    hub.drop(HACKNEY, EVERYONE)
    hub.run()
    hub.next_night()
    return hub


def held(hub: Hub) -> list[str]:
    return [hold["reason"] for hold in hub.status()["open_holds"]]


def the_hold(hub: Hub) -> int:
    (hold,) = hub.status()["open_holds"]
    return hold["id"]


def states(hub: Hub) -> list[str]:
    return [answer["file"]["state"] for answer in hub.acknowledgements()]


def notices(hub: Hub) -> list[list[str]]:
    return [answer["held_because"] for answer in hub.acknowledgements(start="CPIS_NOTICE_")]


def truncated(hub: Hub) -> None:
    """The full extract of a report that broke off after 25 rows, with a trailer that fits."""
    hub.drop(HACKNEY, EVERYONE[:25])
    hub.run()


TOO_MUCH = {
    "truncated": EVERYONE[:25],
    "empty": [],
    "mass addition": [*EVERYONE, *(plan_row(child) for child in range(41, 60))],
    "mass end": [plan_row(child, end="2026-11-18") for child in range(1, 16)] + EVERYONE[15:],
    "mass delete": [plan_row(child, delete="2026-11-18") for child in range(1, 16)] + EVERYONE[15:],
    "mass re-dating": [plan_row(child, start="2026-02-12") for child in range(1, 16)] + EVERYONE[15:],
    "mass change of type": [plan_row(child, "LAC") for child in range(1, 16)] + EVERYONE[15:],
}


@pytest.mark.parametrize("rows", TOO_MUCH.values(), ids=TOO_MUCH)
def test_f41_f42_a_file_that_changes_too_much_changes_nothing_until_somebody_has_looked(hub, rows):
    before = hub.status()["register_digest"]
    hub.drop(HACKNEY, rows)
    night = hub.run()

    assert night.exit_code == 3
    assert held(hub) == ["BRAKE"]
    assert hub.status()["register_digest"] == before
    assert len(hub.active()) == 40
    assert states(hub) == ["MERGED"], "no acknowledgement while it is held"
    ((words, *_),) = notices(hub)
    assert any(character.isdigit() for character in words)
    assert not list((hub.root / HACKNEY / "inbound").iterdir())


def test_f41_even_a_released_truncated_extract_ends_no_plan(hub):
    truncated(hub)
    hub.decide(the_hold(hub), release=True)
    assert len(hub.active()) == 40
    assert states(hub) == ["MERGED", "MERGED"]
    answer = hub.acknowledgement()
    assert {plan["child_id"] for plan in answer["missing"]} == {f"LC-{child:06d}" for child in range(26, 41)}
    assert hub.status()["missing"] == 15


def test_what_a_release_would_do_is_told_as_counts_before_it_is_done(hub):
    hub.drop(HACKNEY, [plan_row(child, end="2026-11-18") for child in range(1, 16)] + EVERYONE[15:30] + [plan_row(60, "LAC")])
    hub.run()
    would = told(hub, "holds", "show", str(the_hold(hub)))["hold"]["would"]
    counts = {(one["plan_type"], one["change"]): one["plans"] for one in would["changes"]}
    assert counts == {("CPP", "CONFIRMED"): 15, ("CPP", "ENDED"): 15, ("CPP", "MISSING"): 10, ("LAC", "NEW"): 1}
    assert would["active_before"] == {"CPP": 40, "LAC": 0, "UCPP": 0}
    assert would["active_after"] == {"CPP": 25, "LAC": 1, "UCPP": 0}
    words = typed(hub, "holds", "show", str(the_hold(hub))).stdout
    assert re.search(r"CPP +ENDED +15", words)
    assert re.search(r"CPP +40 +25 +-15", words)
    rehearsed = typed(hub, "holds", "release", str(the_hold(hub)), "--by", "J. Okafor", "--reason", "asked", "--dry-run").stdout
    assert re.search(r"CPP +ENDED +15", rehearsed)
    hub.decide(the_hold(hub), release=True)
    assert len(hub.active()) == 26, "and so it came"


def test_a_conflict_changes_no_plan_by_itself_and_says_what_a_release_means(hub):
    hub.drop(HACKNEY, EVERYONE[:39], sequence=1)
    hub.run()
    assert held(hub) == ["CONFLICT"]
    assert "later files are taken again" in typed(hub, "holds", "show", str(the_hold(hub))).stdout


def test_a_first_file_is_exempt_however_large_or_empty(hub):
    hub.drop(KENT, [plan_row(child) for child in range(100, 150)])
    assert hub.run().exit_code == 0
    assert len(hub.active(KENT)) == 50
    assert held(hub) == []


def test_an_empty_extract_after_an_empty_extract_is_right(hub):
    hub.drop(KENT, [])
    hub.run()
    hub.next_night()
    hub.drop(KENT, [])
    assert hub.run().document["holds"] == []
    assert hub.acknowledgement(KENT)["file"]["outcome"] == "CPF02"


def test_a_released_file_is_applied_and_answered_once(hub):
    hub.drop(HACKNEY, TOO_MUCH["mass end"])
    hub.run()
    hub.decide(the_hold(hub), release=True, by="J. Okafor", reason="year-end closures, confirmed by telephone")
    assert len(hub.active()) == 25
    assert (held(hub), states(hub), len(notices(hub))) == ([], ["MERGED", "MERGED"], 1)
    with hub.catalogue() as catalogue:
        (hold,) = catalogue.holds(open_only=False)
    assert (hold.decision, hold.decided_by) == ("RELEASED", "J. Okafor")
    hub.run()
    assert states(hub) == ["MERGED", "MERGED"]


def test_a_refused_file_is_never_applied_and_the_authority_is_told(hub):
    hub.drop(HACKNEY, TOO_MUCH["mass end"])
    hub.run()
    hold = the_hold(hub)
    hub.decide(hold, release=False)
    assert (held(hub), states(hub)) == ([], ["MERGED", "REFUSED"])
    assert hub.acknowledgement()["file"]["outcome"] == "CPF04"
    for _ in range(2):
        hub.next_night()
        hub.drop(HACKNEY, EVERYONE)
        hub.run()
    assert len(hub.active()) == 40
    with pytest.raises(UsageFault, match="decided before: REFUSED"):
        hub.decide(hold, release=True)


def test_the_same_bytes_as_a_refused_file_are_not_let_in_by_the_back_door(hub):
    dropped = hub.drop(HACKNEY, TOO_MUCH["mass end"])
    data = dropped.read_bytes()
    hub.run()
    hub.decide(the_hold(hub), release=False)
    hub.put(HACKNEY, dropped.name, data)
    hub.run()
    assert len(hub.active()) == 40
    assert states(hub)[-1] != "MERGED"


def test_a_later_good_file_overtakes_what_is_held(hub):
    truncated(hub)
    hub.next_night()
    hub.drop(HACKNEY, [*EVERYONE, plan_row(50)])
    hub.run()
    assert held(hub) == []
    assert states(hub) == ["MERGED", "STALE", "MERGED"]
    assert (len(hub.active()), hub.status()["missing"]) == (41, 0)
    with hub.catalogue() as catalogue:
        assert [hold.decision for hold in catalogue.holds(open_only=False)] == ["OVERTAKEN"]


def test_what_is_held_for_one_authority_holds_back_no_other(hub):
    hub.drop(HACKNEY, [])
    hub.drop(KENT, [plan_row(70)])
    hub.run()
    assert hub.active(KENT) == {(nhs(70), "CPP")}


def test_a_partner_s_own_thresholds_count_in_the_place_of_the_configuration_s(hub):
    path = hub.home / "partners" / HACKNEY / partners.FILE_NAME
    path.write_text(f"{path.read_text()}\n[brake]\nshare = 0.5\nminimum = 5\nrow_count_share = 0.5\n")
    hub.drop(HACKNEY, TOO_MUCH["mass end"])
    hub.run()
    assert len(hub.active()) == 25


@pytest.mark.parametrize(("by", "reason"), [("", "asked"), ("J. Okafor", "  ")])
def test_a_decision_without_a_name_or_a_reason_is_none(hub, by, reason):
    truncated(hub)
    with pytest.raises(UsageFault, match="a name and a reason"):
        hub.decide(the_hold(hub), release=True, by=by, reason=reason)
    assert held(hub) == ["BRAKE"]


def test_f74_a_decision_rehearsed_from_the_command_line_changes_nothing_and_the_real_one_does(hub):
    hub.drop(HACKNEY, TOO_MUCH["mass end"])
    hub.run()
    number, before = str(the_hold(hub)), hub.status()
    who = ("--by", "J. Okafor", "--reason", "confirmed by telephone")
    done = command(hub, "holds", "release", number, *who, "--dry-run")
    assert (done.returncode, "would be released" in done.stdout) == (0, True)
    assert hub.status() == before
    assert command(hub, "holds", "release", number).returncode == 64, "a name and a reason are asked for"
    assert command(hub, "holds", "release", number, *who).returncode == 0
    assert len(hub.active()) == 25


def command(hub: Hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CPIS_HOME": str(hub.home), "CPIS_NOW": hub.now.isoformat()}
    program = Path(sys.executable).with_name("cpis-batch")
    return subprocess.run([program, *arguments], capture_output=True, text=True, env=environment, check=False, timeout=60)


def test_a_file_held_for_one_reason_and_then_another_and_the_first_again_is_told_of_each_once(hub):
    conflict(hub, sequence=1)
    hub.drop(HACKNEY, TOO_MUCH["mass end"], sequence=2)
    hub.run()
    assert sorted(held(hub)) == ["CONFLICT", "PARTNER_HELD"]

    hub.decide(hold_for(hub, "CONFLICT"), release=True)
    assert held(hub) == ["BRAKE"]

    conflict(hub, sequence=1, given="Again")
    assert sorted(held(hub)) == ["CONFLICT", "PARTNER_HELD"]
    assert len(notices(hub)) == 2, "of being held behind a conflict, and of the brake"

    hub.decide(hold_for(hub, "CONFLICT"), release=True)
    hub.decide(the_hold(hub), release=True)
    assert len(hub.active()) == 25
    assert states(hub).count("MERGED") == 2


def test_a_file_behind_a_contradiction_cannot_be_released_past_it_but_it_can_be_refused(hub):
    conflict(hub, sequence=1)
    hub.drop(HACKNEY, [*EVERYONE, plan_row(50)], sequence=2)
    hub.run()
    behind, before = hold_for(hub, "PARTNER_HELD"), hub.status()
    with pytest.raises(UsageFault, match="would change nothing"):
        hub.decide(behind, release=True)
    assert hub.status() == before

    hub.decide(behind, release=False)
    assert held(hub) == ["CONFLICT"]
    assert (len(hub.active()), states(hub).count("REFUSED")) == (40, 2)


def test_f21_a_held_file_that_cannot_be_opened_any_more_is_refused_by_the_decision_and_not_waited_for(hub):
    """It was put down minutes before the last day of the hub's key ended: no upload that may still be growing (F01)."""
    hub.now = hub.now.replace(hour=23, minute=58)
    dropped = hub.drop(HACKNEY, EVERYONE[:25])
    hub.put(HACKNEY, dropped.name, dropped.read_bytes(), minutes_ago=5)
    last = hub.now.date()
    hub_keys.make(
        hub.home,
        load_master_key(hub.home, config.load(hub.home)),
        user_id="Hub <hub@example.org>",
        starts=last - timedelta(days=1),
        ends=last.replace(year=2039),
        overlap_days=1,
    )
    hub.run()
    assert held(hub) == ["BRAKE"]
    hub.now += timedelta(minutes=5)
    hub.decide(the_hold(hub), release=True)
    assert (held(hub), hub.status()["waiting"], states(hub)) == ([], 0, ["MERGED", "REFUSED"])
    assert hub.acknowledgement()["file"]["outcome"] == "CPF01"


def test_f01_a_decision_forgets_no_upload_that_is_waited_for(hub):
    hub.put(KENT, hub.name(KENT, 1), b"the first part of something", minutes_ago=5)
    truncated(hub)
    assert hub.status()["waiting"] == 1
    hub.decide(the_hold(hub), release=False)
    assert hub.status()["waiting"] == 1


def conflict(hub: Hub, *, sequence: int, given: str = "Other") -> None:
    """Other bytes under a sequence number that was used."""
    hub.drop(HACKNEY, [plan_row(1, given=given)], sequence=sequence)
    hub.run()


def hold_for(hub: Hub, reason: str) -> int:
    (found,) = (hold["id"] for hold in hub.status()["open_holds"] if hold["reason"] == reason)
    return found


def test_a_decision_at_an_authority_without_a_certificate_says_so_and_keeps_the_hold(hub):
    truncated(hub)
    number = the_hold(hub)
    next((hub.home / "partners" / HACKNEY).glob("*.asc")).unlink()
    done = command(hub, "holds", "release", str(number), "--by", "J. Okafor", "--reason", "asked")
    assert done.returncode == 78
    assert "certificate" in done.stderr
    assert held(hub) == ["BRAKE"]


def test_a_good_file_of_the_same_night_overtakes_a_truncated_one(hub):
    hub.drop(HACKNEY, EVERYONE[:25])
    hub.drop(HACKNEY, [*EVERYONE, plan_row(50)])
    hub.run()
    assert (held(hub), notices(hub)) == ([], [])
    assert states(hub) == ["MERGED", "STALE", "MERGED"]
    assert (len(hub.active()), hub.status()["missing"]) == (41, 0)
