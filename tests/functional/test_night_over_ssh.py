"""The whole night against a real OpenSSH server, and from the command line: what an operator would type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import HACKNEY, KENT, nhs
from tests.hub import Hub, plan_row
from tests.integration.sshd import Sshd, start_sshd


@pytest.fixture
def sshd(tmp_path):
    (tmp_path / "served").mkdir()
    with start_sshd(tmp_path / "served", tmp_path / "sshd") as server:
        yield server


@pytest.fixture
def hub(tmp_path, sshd):
    return Hub.make(tmp_path, server=table(sshd))


def table(server: Sshd) -> str:
    settings = server.settings()
    keys = ", ".join(f'"{key}"' for key in settings.host_keys)
    return (
        f'[mailboxes.central]\nkind = "sftp"\nhost = "{settings.host}"\nport = {settings.port}\nuser = "{settings.user}"\n'
        f'key = "{settings.key}"\nhost_keys = [{keys}]\n'
    )


def command(hub: Hub, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The program itself, at the hub's time."""
    environment = os.environ | {"CPIS_HOME": str(hub.home), "CPIS_NOW": hub.now.isoformat()} | more
    program = Path(sys.executable).with_name("cpis-batch")
    return subprocess.run([program, *arguments], capture_output=True, text=True, env=environment, check=False, timeout=120)


def test_a_night_over_sftp_answers_every_authority_and_moves_what_it_took(hub):
    hub.drop(HACKNEY, [plan_row(1), plan_row(2, "UCPP", born="1994-08-02")])
    hub.drop(KENT, [plan_row(1, "LAC")])

    done = command(hub, "run", "nightly", "--json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {(file["la"], file["sequence"], file["file_outcome"]) for file in told["files"]} == {
        (HACKNEY, 1, "CPF02"),
        (KENT, 1, "CPF02"),
    }
    assert {file["la"]: file["records"] for file in told["files"]} == {
        HACKNEY: {"CPR06": 2, "CPR07": 0},
        KENT: {"CPR06": 1, "CPR07": 0},
    }
    assert hub.acknowledgement(KENT)["file"]["outcome"] == "CPF02"
    for la in (HACKNEY, KENT):
        assert not list((hub.root / la / "inbound").iterdir())
        assert len(list((hub.root / la / "processed").iterdir())) == 1
        assert not [path for path in (hub.root / la / "outbound").iterdir() if path.name.startswith(".")]
    assert hub.active() == {(nhs(1), "CPP"), (nhs(2), "UCPP")}


def test_a_second_night_with_nothing_new_is_a_no_op(hub):
    hub.drop(HACKNEY, [plan_row(1)])
    first = json.loads(command(hub, "run", "nightly", "--json").stdout)
    again = json.loads(command(hub, "run", "nightly", "--json").stdout)
    assert first["commit"] == 1
    assert (again["commit"], again["files"], again["release"], again["delivered"]) == (None, [], None, 0)


def test_f13_a_changed_host_key_stops_with_76_and_says_what_to_do(hub, sshd):
    hub.drop(HACKNEY, [plan_row(1)])
    sshd.stop()
    sshd.new_host_key()
    sshd.start()
    done = command(hub, "run", "nightly")
    assert done.returncode == 76
    assert done.stdout.count("SHA256:") >= 2
    assert command(hub, "run", "nightly").returncode == 76, "the new key is never learnt"


def test_f14_a_server_that_is_down_is_69_and_the_next_run_makes_up_for_it(hub, sshd):
    hub.drop(HACKNEY, [plan_row(1)])
    hub.drop(KENT, [plan_row(9)])
    sshd.stop()
    assert command(hub, "run", "nightly").returncode == 69
    sshd.start()
    assert command(hub, "run", "nightly").returncode == 0
    assert hub.active() == {(nhs(1), "CPP")}


def test_f16_a_move_that_the_server_refuses_is_tried_again_and_answered_once(hub, sshd):
    hub.drop(HACKNEY, [plan_row(1)])
    inbound = hub.root / HACKNEY / "inbound"
    processed = hub.root / HACKNEY / "processed"
    processed.rmdir()
    processed.write_text("in the way")
    command(hub, "run", "intake")
    command(hub, "run", "intake")
    assert len(hub.acknowledgements()) == 1
    assert len(list(inbound.iterdir())) == 1

    processed.unlink()
    processed.mkdir()
    command(hub, "run", "intake")
    assert not list(inbound.iterdir())
    assert len(hub.acknowledgements()) == 1


def test_f62_of_eight_runs_at_once_one_works_and_the_others_name_it(hub):
    hub.drop(HACKNEY, [plan_row(1)])
    hub.drop(KENT, [plan_row(9)])
    environment = os.environ | {"CPIS_HOME": str(hub.home), "CPIS_NOW": hub.now.isoformat()}
    program = Path(sys.executable).with_name("cpis-batch")
    running = [
        subprocess.Popen([program, "run", "nightly"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for _ in range(8)
    ]
    ended = [(process.communicate(timeout=120), process.returncode) for process in running]
    codes = [code for _, code in ended]
    assert set(codes) <= {0, 75}
    assert 0 in codes
    assert all("run nightly" in text[1] for text, code in ended if code == 75)
    assert len(hub.acknowledgements()) == 1


def test_f64_nothing_runs_before_the_last_commit(hub):
    hub.drop(HACKNEY, [plan_row(1)])
    command(hub, "run", "nightly")
    done = command(hub, "run", "nightly", CPIS_NOW="2026-11-19T02:00:00Z")
    assert done.returncode == 78
    assert "clock" in done.stderr


def test_f74_a_wrong_business_date_is_refused_and_changes_nothing(hub):
    hub.drop(HACKNEY, [plan_row(1)])
    ahead = command(hub, "run", "nightly", "--date", "2027-11-20")
    assert ahead.returncode == 64
    assert "future" in ahead.stderr
    command(hub, "run", "nightly")
    behind = command(hub, "run", "nightly", "--date", "2026-11-19")
    assert behind.returncode == 64
    assert "before that of the last commit" in behind.stderr
    assert hub.active() == {(nhs(1), "CPP")}


def test_f74_a_dry_run_says_what_lies_ready_and_changes_nothing(hub):
    hub.drop(HACKNEY, [plan_row(1)])
    done = command(hub, "run", "nightly", "--dry-run", "--json")
    assert json.loads(done.stdout)["files_ready"] == {HACKNEY: 1}
    assert json.loads(done.stdout)["release_due"] == "2026F23"
    assert list((hub.root / HACKNEY / "inbound").iterdir())


def test_f70_a_typo_in_the_configuration_is_78_and_an_open_key_77(hub):
    key = hub.home / "keys" / "master.key"
    key.chmod(0o644)
    done = command(hub, "run", "nightly")
    assert done.returncode == 77
    assert "chmod 600" in done.stderr
    key.chmod(0o600)
    with (hub.home / "config.toml").open("a") as stream:
        stream.write("\n[intakes]\nworkers = 1\n")
    done = command(hub, "run", "nightly")
    assert done.returncode == 78
    assert "intakes" in done.stderr


def test_preflight_names_what_would_go_wrong(hub, sshd):
    assert command(hub, "preflight").returncode in (0, 3)
    (hub.root / KENT / "inbound").rmdir()
    sshd.stop()
    assert command(hub, "preflight").returncode == 69
    sshd.start()
    done = command(hub, "preflight")
    assert KENT in done.stdout
    assert done.returncode != 0
