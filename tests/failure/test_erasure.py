"""F56: a year after the end, a person is in no byte of the state; and the register can still be proven and rebuilt."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta

import pytest

from cpis_batch import config, partners
from cpis_batch.errors import Bug, UsageFault
from tests.builders import HACKNEY, KENT, nhs
from tests.commands import told, typed
from tests.failure.erasure_kit import APPLY, OTHER, OTHERS, applied, lived, looks, person, traces
from tests.hub import Hub, plan_row


@pytest.fixture(scope="module")
def due(tmp_path_factory) -> Hub:
    return lived(tmp_path_factory.mktemp("due"))


@pytest.fixture
def hub(due, tmp_path) -> Hub:
    """A home in which a person is due, to spoil."""
    home, root = shutil.copytree(due.home, tmp_path / "home"), shutil.copytree(due.root, tmp_path / "served")
    path = home / config.FILE_NAME
    path.write_text(path.read_text().replace(str(due.root), str(root)))
    return Hub(home, root, due.now, dict(due.sequences))


def proven(hub: Hub) -> None:
    """Nothing is damaged, the ledger holds, and the archive alone comes to the same register."""
    assert (told(hub, "register", "verify")["damages"], hub.status()["imbalance"]) == ([], 0)
    rebuilt = told(hub, "register", "rebuild")
    assert rebuilt["same"]
    assert rebuilt["rebuilt_digest"] == hub.status()["register_digest"]


def test_the_search_finds_the_person_everywhere_before(hub):
    assert traces(hub) == {"a part in register", "a message in archive"}


def test_f56_a_year_after_the_end_the_person_is_in_no_byte_of_the_state(hub):
    active = {la: hub.active(la) for la in (HACKNEY, KENT)}
    planned = told(hub, "retention", "plan")
    done = applied(hub)
    assert traces(hub) == set()
    assert {la: hub.active(la) for la in (HACKNEY, KENT)} == active
    assert {name: done[name] for name in ("plans", "versions", "access_events", "archived_files", "messages")} == {
        "plans": 2, "versions": 3, "access_events": 2, "archived_files": planned["archived_files"] + planned["events_files"],
        "messages": planned["messages"],
    }  # fmt: skip
    assert done["las"] == [{"la": HACKNEY, "plans": 2, "versions": 3}, {"la": KENT, "plans": 0, "versions": 0}]
    proven(hub)


def test_f56_the_ledger_keeps_a_count_and_no_identity(hub):
    done = applied(hub)
    with hub.catalogue() as opened:
        lines = {line.plan_type: (line.opening, line.erased, line.closing) for line in opened.balances(done["commit"])}
    assert lines == {"CPP": (13, 2, 11), "LAC": (0, 0, 0), "UCPP": (0, 0, 0)}
    commit = told(hub, "register", "log")["commits"][-1]
    assert (commit["kind"], commit["changes"]) == ("ERASURE", {"ERASED": 2})


def test_who_stands_at_another_authority_keeps_what_belongs_to_that_plan(hub):
    looks(hub, 2, ("e-9", OTHER, "EMERGENCY-DEPARTMENT"))
    hub.run("nightly")
    applied(hub)
    assert traces(hub, (nhs(OTHER).encode(),)) == {"a part in register", "a part in archive"}
    assert nhs(OTHER) not in hub.plans(HACKNEY)["nhs_number"].to_pylist()


def test_nights_and_erasures_go_on_and_the_archive_comes_to_the_same_each_time(hub):
    applied(hub)
    hub.next_night()
    hub.drop(HACKNEY, [*OTHERS, person(start="2026-02-12", end="2026-11-21"), plan_row(1, "LAC", end="2027-11-20")])
    hub.run("nightly")
    assert hub.plans()["nhs_number"].to_pylist().count(nhs(77)) == 0, "the row is past retention, and is told so"
    proven(hub)
    hub.next_night(380)
    hub.drop(HACKNEY, [*OTHERS, plan_row(30)])
    hub.run("nightly")
    again = applied(hub)
    assert again["plans"] == 1
    assert traces(hub) == set(), "what it sent again after the first erasure is gone too"
    proven(hub)
    hub.next_night()
    hub.drop(HACKNEY, [*OTHERS, plan_row(30, end="2028-12-01")])
    hub.run("nightly")
    proven(hub)


def test_a_part_lost_after_an_erasure_comes_back_and_brings_nobody_back(hub):
    applied(hub)
    hub.next_night()
    hub.drop(HACKNEY, [*OTHERS, plan_row(30)])
    hub.run()
    with hub.catalogue() as opened:
        version = opened.la(HACKNEY)
    (hub.home / "register" / f"{version.plans_part}.parquet").unlink()
    done = told(hub, "register", "rebuild", "--replace", "--yes", "--reason", "a test")
    assert [one["la"] for one in done["las"]] == [HACKNEY]
    assert traces(hub, (b"Quillcanary",)) == set()
    proven(hub)


def test_f71_a_checkpoint_that_is_damaged_is_named(hub):
    done = applied(hub)
    with hub.catalogue() as opened:
        part = next(one.plans_part for _, one in opened.checkpoints() if one.la_code == HACKNEY)
    path = hub.home / "archive" / f"{part}.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    (damage,) = told(hub, "register", "verify", code=74)["damages"]
    assert damage["about"] == f"archive/{part}.parquet"
    rebuilt = told(hub, "register", "rebuild", code=74)
    assert part in next(one for one in rebuilt["las"] if one["la"] == HACKNEY)["stopped"]
    assert rebuilt["checkpoints"][HACKNEY] == done["commit"]


def test_an_event_whose_person_was_erased_is_not_told_when_it_is_sent_again(hub):
    applied(hub)
    before = len(hub.outbound(HACKNEY, "CPIS_ACCESS_"))
    looks(hub, 5, ("e-1", 1, "EMERGENCY-DEPARTMENT"), ("e-3", 1, "EMERGENCY-DEPARTMENT"))  # the ids of then
    counts = hub.run("nightly").document["access_events"]
    assert (counts["events"], counts["new"]) == (2, 0)
    assert len(hub.outbound(HACKNEY, "CPIS_ACCESS_")) == before


def test_what_a_chis_unit_still_shows_waits_until_it_was_told_that_it_ceased(tmp_path):
    hub = lived(tmp_path)
    hub.drop(HACKNEY, [*OTHERS[1:], plan_row(1, end="2026-10-01")])  # told late, and past retention at once
    hub.run("intake")
    (la,) = (one for one in told(hub, "retention", "plan")["las"] if one["la"] == HACKNEY)
    assert (la["plans"]["CPP"], la["waiting_for_release"]) == (2, 1)
    applied(hub)
    assert nhs(1) in hub.plans()["nhs_number"].to_pylist()
    hub.next_night(14)
    hub.run("nightly")
    assert applied(hub)["plans"] == 1
    assert nhs(1) not in hub.plans()["nhs_number"].to_pylist()
    proven(hub)


def test_f58_more_than_a_tenth_at_once_waits_for_a_person_and_the_others_go(tmp_path):
    hub = lived(tmp_path)
    for last in (43, 46):
        ended = [plan_row(child, end="2027-11-20") for child in range(40, last)]
        hub.drop(KENT, [plan_row(OTHER, "LAC"), *ended])
        hub.run()
    hub.next_night(380)
    hub.drop(HACKNEY, OTHERS)
    hub.run("nightly")
    done = applied(hub, code=3)
    (left,) = done["left_out"]
    assert (left["la"], left["reason"]) == (KENT, "BRAKE")
    assert "6 of 6 CPP plans" in left["why"]
    assert hub.plans(KENT).num_rows == 7
    assert hub.plans(HACKNEY).num_rows == len(OTHERS)
    assert applied(hub, "--la", KENT, "--beyond-brake")["plans"] == 6
    assert hub.plans(KENT).num_rows == 1
    proven(hub)


def test_an_authority_with_something_held_or_undelivered_is_left_out_and_told_why(hub):
    hub.drop(HACKNEY, OTHERS[:2])
    (hub.root / KENT / "outbound").rename(hub.root / KENT / "gone")
    hub.drop(KENT, [plan_row(OTHER, "LAC", family="Other")])
    hub.run()
    before = hub.status()["register_digest"]
    done = applied(hub, code=3)
    assert {one["la"]: one["reason"] for one in done["left_out"]} == {HACKNEY: "HOLD", KENT: "UNDELIVERED"}
    assert "hold 1 first" in done["left_out"][0]["why"]
    assert hub.status()["register_digest"] == before
    assert "a message in archive" in traces(hub)


def test_an_authority_that_is_sent_nothing_any_more_is_not_kept_for_what_it_was_not_told(hub):
    (hub.root / HACKNEY / "outbound").rename(hub.root / HACKNEY / "gone")
    hub.drop(HACKNEY, [*OTHERS, plan_row(30)])
    hub.run()
    path = hub.home / "partners" / HACKNEY / partners.FILE_NAME
    path.write_text(path.read_text().replace("to = 2035-01-01", f"to = {hub.now.date()}"))
    hub.next_night()
    assert applied(hub)["plans"] == 2
    assert traces(hub) == set()
    assert hub.status()["undelivered"] == 1
    assert told(hub, "register", "verify")["damages"] == []


def test_a_home_in_which_nothing_has_happened_has_nothing_due(tmp_path):
    hub = Hub.make(tmp_path)
    assert told(hub, "retention", "plan")["register_digest"] is None
    assert applied(hub)["commit"] is None


def test_where_the_archive_does_not_bear_out_the_register_nothing_of_it_is_destroyed(hub):
    with hub.catalogue() as opened:
        opened.table(f"UPDATE la_versions SET emergency_phone = '020 7946 0111' WHERE la_code = '{HACKNEY}' RETURNING 1")
        opened.table("UPDATE commits SET rules = 'those of last year' WHERE id = 1 RETURNING 1")
    rows, archived = hub.plans(), len(list((hub.home / "archive").glob("*.pgp")))
    done = applied(hub, "--la", HACKNEY, code=3)
    (left,) = done["left_out"]
    assert left["reason"] == "UNPROVEN"
    assert "commit 1 (emergency_phone), which was made under other rules than today's" in left["why"]
    assert hub.plans().equals(rows)
    assert len(list((hub.home / "archive").glob("*.pgp"))) == archived - 1, "the file of access events needs no proof"


def test_what_cannot_be_proven_goes_when_a_person_says_so_for_each_authority(hub):
    shutil.rmtree(hub.home / "partners" / HACKNEY)  # its certificates are gone: no file of it opens any more
    assert applied(hub, "--la", HACKNEY, code=3)["left_out"][0]["reason"] == "UNPROVEN"
    token = told(hub, "retention", "plan")["token"]
    with pytest.raises(UsageFault, match="authorities named"):
        typed(hub, "retention", "apply", "--plan", token, *APPLY, "--unproven")
    assert applied(hub, "--la", HACKNEY, "--unproven")["plans"] == 2
    assert traces(hub) == set()


def test_worker_processes_erase_the_same(tmp_path):
    las = (HACKNEY, KENT, "E08000025")
    hub = Hub.make(tmp_path, las=las)
    for la in las:
        hub.drop(la, [*OTHERS, person(end="2026-11-19")])
    hub.run()
    hub.next_night(370)
    done = applied(hub)
    assert [(one["la"], one["plans"]) for one in done["las"]] == [(la, 1) for la in sorted(las)]
    assert traces(hub) == set()
    proven(hub)
    with hub.catalogue() as opened:
        assert "Records officer" in opened.one("SELECT summary FROM runs WHERE kind = 'retention'")


def test_plan_and_application_are_told_in_words_too(hub):
    said = typed(hub, "retention", "plan").output
    assert "2 plans and 3 versions of plans of 2 authorities would be erased" in said
    token = told(hub, "retention", "plan")["token"]
    assert f"retention apply --plan {token}" in said
    assert "Erased: 2 plans and 3 versions" in typed(hub, "retention", "apply", "--plan", token, *APPLY).output
    assert f"last run {hub.now:%Y-%m-%d}" in typed(hub, "status").output


def test_f74_a_plan_of_another_day_or_state_is_refused(hub):
    token = told(hub, "retention", "plan")["token"]
    hub.next_night()
    with pytest.raises(UsageFault, match=token):
        typed(hub, "retention", "apply", "--plan", token, *APPLY)
    token = told(hub, "retention", "plan")["token"]
    hub.drop(HACKNEY, [*OTHERS, plan_row(30)])
    hub.run()
    with pytest.raises(UsageFault, match="has changed since"):
        typed(hub, "retention", "apply", "--plan", token, *APPLY)
    token = told(hub, "retention", "plan")["token"]
    with pytest.raises(UsageFault, match="E06000001"):
        typed(hub, "retention", "apply", "--plan", token, *APPLY, "--la", "E06000001")
    for lacking in (("--by", " ", "--reason", "x"), ("--by", "x", "--reason", " "), ("--by", "x", "--reason", nhs(1))):
        with pytest.raises(UsageFault):
            typed(hub, "retention", "apply", "--plan", token, *lacking)


def test_a_rehearsal_says_the_same_and_changes_nothing(hub):
    def state() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in hub.home.rglob("*") if path.is_file()}

    before = state()
    said = applied(hub, "--dry-run")
    assert state() == before
    done = applied(hub)
    same = ("plans", "versions", "archived_files", "messages", "access_events", "plan", "las")
    assert {name: said[name] for name in same} == {name: done[name] for name in same}


def test_what_was_erased_cannot_be_sent_again_and_what_is_young_can(hub):
    with hub.catalogue() as opened:
        old = opened.deliveries("partner = ?", (HACKNEY,))[0]
        young = opened.deliveries("partner LIKE 'CHIS%'")[-1]
        aged = opened.deliveries("partner LIKE 'CHIS%'")[0]
    applied(hub)
    for gone in (old, aged):
        with pytest.raises(UsageFault, match="retention has erased"):
            typed(hub, "deliveries", "resend", str(gone.id))
    assert "Sent again: 1" in typed(hub, "deliveries", "resend", str(young.id)).output


def test_a_second_run_the_same_day_has_nothing_to_do(hub):
    applied(hub)
    planned = told(hub, "retention", "plan")
    assert (planned["las"], planned["events_files"], planned["messages"], planned["access_events"]) == ([], 0, 0, 0)
    assert applied(hub)["commit"] is None


def test_status_says_when_it_was_done_last_and_reminds_of_it(hub):
    assert hub.status()["retention"] == {"last_run_at": None, "authorities_due": 1, "days_past": 6}
    hub.next_night(40)
    assert "plans of 1 authorities are 46 days past retention" in typed(hub, "status").output
    hub.now -= timedelta(days=40)
    applied(hub)
    assert hub.status()["retention"] == {
        "last_run_at": hub.now.strftime("%Y-%m-%dT%H:%M:%SZ"), "authorities_due": 0, "days_past": 0
    }  # fmt: skip


def test_the_same_bytes_sent_again_after_the_erasure_are_a_duplicate_and_leave_with_the_next(hub):
    with hub.catalogue() as opened:
        first = opened.arrivals("partner = ? AND state = 'MERGED'", (HACKNEY,))[0]
    data = (hub.home / "archive" / f"{first.digest}.pgp").read_bytes()
    applied(hub)
    hub.put(HACKNEY, first.name, data)
    assert [one["state"] for one in hub.run("nightly").document["files"]] == ["DUPLICATE"]
    proven(hub)
    assert traces(hub) == {"a message in archive"}
    applied(hub)
    assert traces(hub) == set()
    proven(hub)


def test_files_in_the_archive_that_nobody_names_go_when_they_are_old(hub):
    stray = hub.home / "archive" / f"{'0' * 64}.pgp"
    stray.write_bytes(b"left by a killed run")
    os.utime(stray, (hub.now.timestamp(), hub.now.timestamp()))
    hub.next_night(30)
    applied(hub)
    assert stray.exists()
    hub.next_night()
    assert told(hub, "retention", "plan")["unnamed_files"] == 1
    applied(hub)
    assert not stray.exists()


def test_while_the_ledger_does_not_balance_nothing_is_erased(hub):
    token = told(hub, "retention", "plan")["token"]
    with hub.catalogue() as opened:
        opened.table("UPDATE balances SET new = new + 1 WHERE commit_id = 1 AND plan_type = 'CPP' RETURNING 1")
    with pytest.raises(Bug, match="ledger does not balance"):
        typed(hub, "retention", "apply", "--plan", token, *APPLY)
    assert "a message in archive" in traces(hub)


def test_the_audit_log_tells_who_had_what_erased_and_how_much(hub):
    done = applied(hub)
    entries = told(hub, "audit", "show")["entries"]
    command = next(one for one in reversed(entries) if one["kind"] == "COMMAND")["what"]
    assert (command["command"], command["by"], command["plan"]) == ("retention apply", "Records officer", done["plan"])
    erasure = next(one for one in entries if one["kind"] == "ERASURE")["what"]
    assert (erasure.pop("authorities"), command["commit"]) == (2, erasure["commit"])
    assert erasure == {name: done[name] for name in erasure}
    assert told(hub, "audit", "verify")["faults"] == []
    with hub.catalogue() as opened:
        opened.table(f"UPDATE deliveries SET erased_in = {done['commit']} WHERE erased_in IS NULL RETURNING 1")
    assert told(hub, "audit", "verify", code=74)["faults"]
