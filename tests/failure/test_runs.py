"""What a run does when something in it dies or breaks: the others are served, it is told where, the next run makes up for it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cpis_batch import config
from cpis_batch.errors import Exit
from cpis_batch.runs.hub import opened
from cpis_batch.runs.pool import workers
from tests.builders import HACKNEY, KENT, nhs
from tests.commands import told
from tests.failure.strace_kit import injected
from tests.hub import Hub, plan_row
from tests.small_england import NORTH_EAST_LONDON, UNITS, small_england

CAMDEN, ISLINGTON = "E09000007", "E09000019"


def log(hub: Hub) -> list[dict]:
    path = hub.home / "logs" / f"{hub.now.date()}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def hub(tmp_path):
    """Four authorities, so that there are worker processes."""
    hub = small_england(tmp_path, las=(HACKNEY, KENT, CAMDEN, ISLINGTON))
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace("[intake]\n", "[intake]\nworkers = 2\n"))
    return hub


def test_f63_a_worker_that_does_not_end_keeps_no_night_from_ending(hub, monkeypatch):
    monkeypatch.setattr("cpis_batch.runs.pool._GOODBYE_SECONDS", 0.5)
    with opened(hub.home, what="test", business_date=hub.now.date(), now=hub.now) as run:
        with workers(run, 4) as pool:
            worker = pool.submit(os.getpid).result()
            os.kill(worker, signal.SIGSTOP)
        assert not Path(f"/proc/{worker}").exists()


def test_a_temporary_folder_with_too_long_a_name_is_told_and_how_to_choose_another(hub, tmp_path):
    folder = tmp_path / ("t" * 80)
    folder.mkdir()
    for number, la in enumerate((HACKNEY, KENT, CAMDEN, ISLINGTON), 1):
        hub.drop(la, [plan_row(number)])
    environment = os.environ | {"CPIS_HOME": str(hub.home), "CPIS_NOW": hub.now.isoformat()}
    night = [Path(sys.executable).with_name("cpis-batch"), "run", "nightly"]
    done = subprocess.run(night, env=environment | {"TMPDIR": str(folder)}, capture_output=True, text=True, check=False)
    assert done.returncode == Exit.CONFIGURATION, done.stderr
    assert "TMPDIR" in done.stderr
    assert {file["state"] for file in told(hub, "run", "nightly")["files"]} == {"MERGED"}


def test_f28_an_authority_whose_file_kills_its_worker_is_alone_in_it(hub):
    for number, la in enumerate((HACKNEY, KENT, CAMDEN, ISLINGTON), 1):
        dropped = hub.drop(la, [plan_row(number)])
        if la == KENT:
            digest = hashlib.sha256(dropped.read_bytes()).hexdigest()
    strace = shutil.which("strace")
    assert strace, "install strace: sudo apt-get install strace"
    kills = ["-e", "trace=openat", "-e", "inject=openat:signal=KILL", "-P", hub.home / "archive" / f"{digest}.pgp"]
    environment = os.environ | {"CPIS_HOME": str(hub.home), "CPIS_NOW": hub.now.isoformat()}
    program = Path(sys.executable).with_name("cpis-batch")
    done = subprocess.run(
        [strace, "-f", "-qq", "-o", os.devnull, *kills, program, "run", "intake", "--json"],
        capture_output=True, text=True, env=environment, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 70, done.stderr
    told = json.loads(done.stdout)
    assert set(told["failed"]) == {KENT}
    assert "killed" in told["failed"][KENT]
    assert {file["la"] for file in told["files"]} == {HACKNEY, CAMDEN, ISLINGTON}
    assert hub.outbound(KENT) == []
    assert len(hub.acknowledgements(ISLINGTON)) == 1

    assert hub.run().exit_code == 0
    assert hub.active(KENT) == {(nhs(2), "CPP")}


def test_a_run_that_breaks_off_says_in_its_log_that_it_did_and_why(hub):
    hub.drop(HACKNEY, [plan_row(1)])
    done = injected(hub, "fsync:error=ENOSPC:when=3")
    assert done.returncode == 74
    last = log(hub)[-1]
    assert (last["event"], last["level"]) == ("run broken off", "ERROR")
    assert "No space left" in last["fault"]
    assert hub.status()["last_run"]["exit_code"] == 74
    with hub.catalogue() as catalogue:
        (kept,) = catalogue.runs(hub.now.date())
    assert "No space left" in json.loads(kept.summary or "")["broken_off"]


def test_a_step_that_is_stopped_is_in_the_log_and_the_run_ends(hub):
    hub.add_partner(UNITS[0], "CHIS", key="CHIS", agreement_ends="2026-11-19")
    hub.drop(HACKNEY, [plan_row(1)])
    assert hub.run("nightly").exit_code == 78
    events = {line["event"]: line for line in log(hub)}
    assert (events["step stopped"]["step"], events["step stopped"]["level"]) == ("release", "ERROR")
    assert events["run ends"]["exit_code"] == 78


def test_a_sealed_file_that_is_damaged_in_the_outbox_is_not_sent_and_keeps_no_other_back(hub):
    outbound = hub.root / HACKNEY / "outbound"
    outbound.rmdir()
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run()
    with hub.catalogue() as catalogue:
        (due,) = catalogue.deliveries("delivered_at IS NULL")
    path = hub.home / "outbox" / f"{due.digest}.pgp"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    outbound.mkdir()
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1), plan_row(5)])
    night = hub.run()
    assert set(night.undelivered) == {due.name}
    assert [path.name for path in outbound.iterdir()] == [f"CPIS_ACK_{HACKNEY}_00000002_000000002.zip.pgp"]

    path.unlink()
    assert "missing" in hub.run().undelivered[due.name]
    path.write_bytes(whole)
    assert hub.run().undelivered == {}
    assert len(hub.acknowledgements()) == 2


def test_f16_a_file_that_was_moved_by_a_run_that_could_not_say_so_is_known_to_be_moved(hub):
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run()
    with hub.catalogue() as catalogue:
        catalogue.table("UPDATE arrivals SET moved_to = NULL RETURNING 1")
    hub.run()
    with hub.catalogue() as catalogue:
        assert [arrival.moved_to for arrival in catalogue.arrivals()] == [f"{HACKNEY}/processed"]


def test_f02_a_file_that_its_sender_takes_away_or_replaces_after_the_commit_is_left_to_its_sender(hub):
    processed = hub.root / HACKNEY / "processed"
    processed.rmdir()
    processed.write_text("in the way")
    dropped = hub.drop(HACKNEY, [plan_row(1)])
    hub.run()
    assert dropped.exists()

    processed.unlink()
    processed.mkdir()
    dropped.unlink()
    hub.drop(HACKNEY, [plan_row(1), plan_row(5)], sequence=2).rename(dropped)
    hub.run()
    with hub.catalogue() as catalogue:
        told = {arrival.sequence: arrival.moved_to for arrival in catalogue.arrivals()}
    assert told == {1: "replaced by its sender", 2: f"{HACKNEY}/processed"}
    assert hub.active() == {(nhs(1), "CPP"), (nhs(5), "CPP")}


def test_the_extracts_of_one_fortnight_lie_there_although_one_unit_s_server_is_away(hub, tmp_path):
    with (hub.home / config.FILE_NAME).open("a") as stream:
        stream.write(f'\n[mailboxes.away]\nkind = "folder"\npath = "{tmp_path / "away"}"\n')
    path = hub.home / "partners" / UNITS[0] / "partner.toml"
    path.write_text(path.read_text().replace('mailbox = "central"', 'mailbox = "away"'))
    hub.drop(HACKNEY, [plan_row(1)])
    night = hub.run("nightly")
    assert night.released is not None
    assert len(night.undelivered) == 3
    assert len(hub.outbound(NORTH_EAST_LONDON)) == 3
    (tmp_path / "away" / UNITS[0] / "outbound").mkdir(parents=True)
    hub.run("nightly")
    assert len(list((tmp_path / "away" / UNITS[0] / "outbound").iterdir())) == 3
