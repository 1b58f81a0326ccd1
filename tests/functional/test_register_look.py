"""What the register shows of itself: counts to anybody on duty, and a person's own data to who says why."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from datetime import date

import pytest

from cpis_batch.cli.register import register
from cpis_batch.envelope.certificates import inspect
from cpis_batch.errors import UsageFault
from cpis_batch.register import conflicts
from tests.builders import HACKNEY, KENT, nhs, plan, plans
from tests.commands import told, typed
from tests.hub import Hub, keys, plan_row

MOTHER = plan_row(7, "UCPP", start="2026-09-30", born="1994-08-02")
WHY = ("--reason", "case review 12", "--by", "Records officer")


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Hub:
    """Two authorities, three nights: a plan amended, another ended, one child and one mother known to both."""
    hub = Hub.make(tmp_path_factory.mktemp("look"))
    hub.drop(HACKNEY, [plan_row(1), plan_row(2), MOTHER])
    hub.drop(KENT, [plan_row(1, "LAC", start="2026-11-01"), plan_row(7, "CPP", born="2010-08-02"), plan_row(3)])
    hub.run()
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1, start="2026-02-10"), plan_row(2, end="2026-11-19")], kind="DELTA")
    hub.run()
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(9)], kind="DELTA")
    hub.put(KENT, hub.name(KENT, 9), b"no message at all")
    hub.run()
    return hub


def asked(hub: Hub, child: int, *, valid: str = "2026-11-15", known: str, more: tuple[str, ...] = ()) -> list[dict]:
    return told(hub, "register", "asof", "--valid", valid, "--known", known, *WHY, *more, given=f"{nhs(child)}\n")["plans"]


def test_show_counts_plans_by_authority_and_type(hub):
    found = told(hub, "register", "show")
    hackney, kent = found["las"]
    assert (hackney["code"], hackney["held"], hackney["active"]) == (
        HACKNEY, {"CPP": 3, "LAC": 0, "UCPP": 1}, {"CPP": 2, "LAC": 0, "UCPP": 1},
    )  # fmt: skip
    assert (kent["age_days"], kent["sequence"], kent["missing"]) == (3, 1, 0)
    assert found["held"] == {"CPP": 5, "LAC": 1, "UCPP": 1}
    assert [la["code"] for la in told(hub, "register", "show", "--la", KENT)["las"]] == [KENT]
    assert "2 of 3" in typed(hub, "register", "show").output


def test_log_tells_what_each_commit_did(hub):
    commits = told(hub, "register", "log")["commits"]
    assert [(one["files_merged"], one["changes"]) for one in commits] == [
        (2, {"NEW": 6}),
        (1, {"AMENDED": 1, "ENDED": 1}),
        (1, {"NEW": 1}),
    ]
    assert commits[-1]["digest"] == hub.status()["register_digest"]
    (first,) = told(hub, "register", "log", "--la", KENT)["commits"]
    assert (first["files_merged"], first["changes"]) == (1, {"NEW": 3})
    assert first["digest"] == told(hub, "register", "show", "--la", KENT)["las"][0]["logical_digest"]
    assert len(told(hub, "register", "log", "--last", "1")["commits"]) == 1


def test_f43_conflicts_are_counted_by_pair_and_both_plan_types(hub):
    found = told(hub, "register", "conflicts")
    pair = {"la_code": HACKNEY, "other_la_code": KENT, "persons": 1}
    assert found["pairs"] == [
        pair | {"plan_type": "CPP", "other_plan_type": "LAC"},
        pair | {"plan_type": "UCPP", "other_plan_type": "CPP"},
    ]
    assert found["persons"] == 2


def test_as_of_tells_what_was_known_then_and_what_is_known_now(hub):
    before = asked(hub, 1, known="2026-11-20T12:00:00Z", more=("--la", HACKNEY))
    after = asked(hub, 1, known="2026-11-21T02:00:00Z", more=("--la", HACKNEY))
    assert [one["plan"]["start_date"] for one in before] == ["2026-02-11"]
    assert [one["plan"]["start_date"] for one in after] == ["2026-02-10"]
    assert asked(hub, 1, known="2026-11-20T01:59:59Z") == []


def test_what_a_commit_brought_is_known_from_the_very_instant_that_the_log_tells(tmp_path):
    hub = Hub.make(tmp_path, las=(HACKNEY,))
    hub.now = hub.now.replace(microsecond=987_654)
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run()
    (commit,) = told(hub, "register", "log")["commits"]
    assert len(asked(hub, 1, known=commit["made_at"])) == 1
    assert told(hub, "register", "rebuild")["same"]


def test_as_of_tells_the_day_s_plans_of_every_authority(hub):
    now = "2026-11-22T02:00:00Z"
    assert {(one["plan"]["la_code"], one["plan"]["plan_type"]) for one in asked(hub, 1, known=now)} == {
        (HACKNEY, "CPP"),
        (KENT, "LAC"),
    }
    assert [one["plan"]["la_code"] for one in asked(hub, 1, valid="2026-10-31", known=now)] == [HACKNEY]
    assert len(asked(hub, 2, valid="2026-11-19", known=now)) == 1
    assert asked(hub, 2, valid="2026-11-20", known=now) == []


def test_as_of_names_the_file_the_line_and_the_signer_behind_each_row(hub):
    (said,) = asked(hub, 2, known="2026-11-22T02:00:00Z")
    with hub.catalogue() as opened:
        arrival = opened.arrivals("partner = ? AND sequence = 2", (HACKNEY,))[0]
    assert (said["plan"]["source_file"], said["plan"]["source_line"]) == (arrival.digest, 3)
    assert (said["source"]["name"], said["source"]["sequence"]) == (arrival.name, 2)
    assert said["source"]["signer"] == inspect(keys(HACKNEY).certificate).fingerprint
    words = typed(
        hub, "register", "asof", "--valid", "2026-11-15", "--known", "2026-11-22T02:00:00Z", *WHY, given=f"{nhs(2)}\n"
    ).output
    assert f"line 3\n  sent as: {arrival.name}, sequence 2, signed by {arrival.signer}" in words


def test_f68_the_use_is_written_down_and_the_person_is_not(hub):
    asked(hub, 3, known="2026-11-22T02:00:00Z")
    with hub.catalogue() as opened:
        run = opened.table("SELECT * FROM runs WHERE kind = 'asof' ORDER BY id DESC LIMIT 1")[0]
    use = json.loads(run["summary"])
    assert (use["by"], use["reason"], use["rows"], use["las"]) == ("Records officer", "case review 12", 1, [KENT])
    assert (run["exit_code"], run["ended_at"] is not None) == (0, True)
    logs = [path.read_text() for path in (hub.home / "logs").iterdir()]
    assert any('"reason": "case review 12"' in text for text in logs)
    everything = [*logs, str(use), str(told(hub, "register", "show")), str(told(hub, "register", "conflicts"))]
    for value in (nhs(3), "LC-000003", "2019-04-30"):
        assert not any(value in text for text in everything)


def test_f68_the_number_is_no_argument_and_no_reason(hub):
    options = {option for parameter in register.commands["asof"].params for option in parameter.opts}
    assert options == {"--valid", "--known", "--la", "--reason", "--by", "--json"}
    spaced = f"{nhs(3)[:3]} {nhs(3)[3:6]} {nhs(3)[6:]}"
    for reason in (f"child {nhs(3)}", f"child {spaced}", "  "):
        with pytest.raises(UsageFault) as refused:
            typed(hub, "register", "asof", "--valid", "2026-11-15", "--known", "2026-11-22T02:00:00Z", "--reason", reason)
        assert nhs(3) not in str(refused.value)


def test_f68_on_a_terminal_the_number_is_asked_for_and_not_shown(hub):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cpis_batch", "--home", str(hub.home), "--now", hub.now.isoformat(), "register", "asof",
               "--valid", "2026-11-15", "--known", "2026-11-22T02:00:00Z", *WHY]  # fmt: skip
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        shown = b""
        while b"NHS number" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, f"{nhs(2)}\n".encode())
        with contextlib.suppress(OSError):  # the terminal is gone with the process: the end, on Linux
            while more := os.read(ours, 4096):
                shown += more
    os.close(ours)
    assert process.returncode == 0
    assert b"LC-000002" in shown
    assert nhs(2).encode() not in shown


@pytest.mark.parametrize("given", ["", "9990000000\n", f"{nhs(1)}1\n", "٩٩٩٠٠٠٠٠١٨\n"])
def test_what_is_no_nhs_number_is_not_looked_up(hub, given):
    def uses() -> int:
        with hub.catalogue() as opened:
            return int(opened.one("SELECT count(*) FROM runs WHERE kind = 'asof'"))

    before = uses()
    with pytest.raises(UsageFault, match="not an NHS number") as refused:
        typed(hub, "register", "asof", "--valid", "2026-11-15", "--known", "2026-11-22T02:00:00Z", *WHY, given=given)
    assert given.strip() not in str(refused.value) or not given.strip()
    assert uses() == before


@pytest.mark.parametrize(
    "command", [["show"], ["log"], ["asof", "--valid", "2026-11-15", "--known", "2026-11-22T02:00:00Z", *WHY]]
)
def test_an_authority_that_has_sent_nothing_is_a_fault_of_usage(hub, command):
    with pytest.raises(UsageFault, match="E06000001"):
        typed(hub, "register", *command, "--la", "E06000001", given=f"{nhs(1)}\n")


def test_an_empty_register_is_shown_as_such(tmp_path):
    hub = Hub.make(tmp_path)
    assert "empty" in typed(hub, "register", "show").output
    assert "No commits" in typed(hub, "register", "log").output
    assert "No conflicts" in typed(hub, "register", "conflicts").output
    assert told(hub, "register", "verify")["commit"] is None
    assert told(hub, "register", "rebuild")["same"]


def test_f43_a_person_with_two_plans_of_a_type_at_one_authority_counts_once():
    held = plans([plan(1), plan(1, start=date(2026, 3, 1)), plan(1, "LAC", la_code=KENT), plan(2), plan(2, "LAC")])
    assert [one["persons"] for one in conflicts.counts(held).to_pylist()] == [1]
    assert conflicts.persons(held) == 1
