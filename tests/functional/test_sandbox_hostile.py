"""`sandbox hostile` and `sandbox serve --hostile`: an operator sees what a run makes of a hostile server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from cpis_batch import config
from cpis_batch.cli import cli
from cpis_batch.config import Limits, SftpServer
from cpis_batch.errors import PartnerRefused, UsageFault
from cpis_batch.exchange.connect import open_mailbox
from cpis_batch.sandbox import demo, home
from cpis_batch.sandbox.hostile import CATALOGUE
from tests.builders import HACKNEY, KENT
from tests.integration.sshd import free_port


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rehearsal") / "home"
    home.make_home(folder, las=(HACKNEY, KENT), starts=date(2026, 11, 18), expires=date(2036, 12, 31))
    demo.point_to(folder, free_port(), demo.make_server(folder).host_key)
    return folder


@contextmanager
def serving(rehearsal: Path, *words: str):
    """The mailbox of the rehearsal's home while `sandbox serve` runs."""
    program = Path(sys.executable).with_name("cpis-batch")
    environment = os.environ | {"CPIS_HOME": str(rehearsal)}
    with subprocess.Popen([program, "sandbox", "serve", *words], stderr=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stderr
        assert "Serving" in child.stderr.readline()
        settings = config.load(rehearsal).mailboxes["central"]
        assert isinstance(settings, SftpServer)
        with open_mailbox(rehearsal, settings, Limits()) as mailbox:
            yield mailbox
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0


def test_a_hostile_server_misbehaves_in_the_folders_of_the_partner_that_is_named(rehearsal):
    with serving(rehearsal, "--hostile", "refused-listing", "--partner", HACKNEY) as mailbox:
        with pytest.raises(PartnerRefused):
            mailbox.list(f"las/{HACKNEY}/inbound")
        assert mailbox.list(f"las/{KENT}/inbound").entries == ()
        assert mailbox.list(f"las/{HACKNEY}/outbound").entries == ()


def test_without_a_partner_it_misbehaves_towards_all_of_them(rehearsal):
    with serving(rehearsal, "--hostile", "hostile-names") as mailbox:
        for la in (HACKNEY, KENT):
            assert mailbox.list(f"las/{la}/inbound").skipped == {"name": 11}


@pytest.mark.parametrize("words", [["--hostile", "kind"], ["--hostile", "gone", "--partner", "E1"], ["--partner", HACKNEY]])
def test_f74_a_behaviour_or_a_partner_that_there_is_not_is_named_and_nothing_served(rehearsal, words):
    done = CliRunner().invoke(cli, ["--home", str(rehearsal), "sandbox", "serve", *words])
    assert isinstance(done.exception, UsageFault)


def test_every_behaviour_is_listed_with_what_comes_of_it_and_has_a_name_of_its_own():
    done = CliRunner().invoke(cli, ["sandbox", "hostile", "--json"])
    listed = json.loads(done.stdout)["hostile"]
    assert [one["name"] for one in listed] == [one.name for one in CATALOGUE]
    assert len({one.name for one in CATALOGUE}) == len(CATALOGUE)
    assert all(one["story"] and one["comes_of_it"] for one in listed)
    page = CliRunner().invoke(cli, ["sandbox", "hostile"]).stdout
    assert all(one.story in page for one in CATALOGUE)
