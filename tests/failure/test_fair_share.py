"""F12, F63: what one partner's folder costs is one partner's share; a server that answers nobody is given up for all."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from cpis_batch import config, ssh_keys
from cpis_batch.config import Limits
from cpis_batch.errors import PartnerUnreachable
from cpis_batch.exchange.patience import TRIES
from cpis_batch.intake.collect import Collection, collect
from cpis_batch.partners import Agreement, Partner, PartnerKind
from cpis_batch.sandbox.faulty_server import Faults, FaultyServer
from cpis_batch.sandbox.server import SftpServer
from tests.builders import HACKNEY, KENT
from tests.hub import Hub, plan_row
from tests.integration.places import Client
from tests.small_england import NORTH_EAST_LONDON, UNITS, small_england

SESSIONS = 2
MOST_TRIES = 4 * TRIES + SESSIONS  # four files tried as often as one may be, and what is on its way by then


def partner(code: str) -> Partner:
    agreement = Agreement(reference="DSA", starts=date(2020, 1, 1), ends=date(2035, 1, 1))
    return Partner(code=code, kind=PartnerKind.LA, name=code, mailbox="central", folder=code, agreement=agreement, keys=())


@pytest.fixture
def collected(tmp_path):
    """What collecting from so many partners with files on a server with faults comes to, and the server."""

    def done(
        faults: Faults, files: dict[str, int], *, limits: Limits | None = None, **settings: object
    ) -> tuple[Collection, FaultyServer]:
        client, root = Client(tmp_path), tmp_path / "served"
        for code, count in files.items():
            (root / code / "inbound").mkdir(parents=True)
            for number in range(count):
                (root / code / "inbound" / f"{number:03}.pgp").write_bytes(b"%s %d" % (code.encode(), number))
        with (
            FaultyServer(root, authorized_keys=[client.line], faults=faults) as server,
            client.mailbox(client.settings(server, channels=SESSIONS, **settings), limits) as mailbox,
            ThreadPoolExecutor(SESSIONS) as threads,
        ):
            found = collect(
                mailbox,
                "central",
                [partner(code) for code in files],
                wanted=lambda *_: True,
                taken={},
                archive=tmp_path / "archive",
                limits=limits or Limits(),
                threads=threads,
            )
        return found, server

    return done


def brought(found: Collection) -> dict[str, int]:
    return {code: sum(file.partner == code for file in found.files) for code in {file.partner for file in found.files}}


def test_f12_of_a_folder_full_of_files_that_drip_one_is_tried_and_the_others_folders_are_read(collected, tmp_path):
    began = time.monotonic()
    found, server = collected(Faults(folder="A", drip_seconds=0.5), {"A": 40, "B": 3, "C": 3}, fetch_seconds=2.0)
    assert time.monotonic() - began < 15, "and not forty times two seconds"
    assert brought(found) == {"B": 3, "C": 3}
    assert server.asked("open") == 1
    assert [(trouble.partner, type(trouble.fault)) for trouble in found.troubles] == [("A", PartnerUnreachable)]
    assert len(list((tmp_path / "archive").iterdir())) == 6


def test_f12_files_that_are_each_in_time_do_not_take_for_ever_together(collected):
    """Four bytes a file, each after a moment: none breaks a deadline of its own."""
    found, _ = collected(Faults(folder="A", drip_seconds=0.05), {"A": 40, "B": 3}, limits=Limits(partner_seconds=0.5))
    taken = brought(found)
    assert taken["B"] == 3
    assert 0 < taken["A"] < 12
    assert found.skipped == {"A": {"left for the next run: those before took too long": 40 - taken["A"]}}
    assert found.troubles == []


def test_f12_a_file_that_is_refused_keeps_no_other_file_of_its_folder_back(collected):
    found, _ = collected(Faults(folder="A/inbound/001.pgp", codes={"open": 4}), {"A": 3})
    assert brought(found) == {"A": 2}
    assert len(found.troubles) == 1


def test_f63_a_server_that_answers_nobody_is_given_up_after_a_few_deadlines_and_not_after_everybody_s(collected):
    everybody = {f"LA{number}": 1 for number in range(40)}
    found, server = collected(Faults(silent_on=frozenset({"readdir"})), everybody, read_seconds=0.2)
    assert {trouble.partner for trouble in found.troubles} == set(everybody)
    assert server.asked("opendir") <= MOST_TRIES
    assert "times one after the other" in found.troubles[-1].fault.message


def test_f63_a_server_that_answers_some_is_never_given_up_for_those_that_it_does_not(collected):
    files = {f"LA{number}": 1 for number in range(30)}
    found, _ = collected(Faults(folder="LA3", silent_on=frozenset({"readdir"})), files, read_seconds=0.2)
    assert [trouble.partner for trouble in found.troubles] == ["LA3"]
    assert len(found.files) == 29


def served(hub: Hub, server: SftpServer, more: str = "") -> None:
    (hub.home / config.FILE_NAME).write_text(
        f'[service]\nenvironment = "TEST"\n[mailboxes.central]\nkind = "sftp"\nhost = "127.0.0.1"\nport = {server.port}\n'
        f'user = "hub"\nhost_keys = ["{server.host_key}"]\n{more}'
    )


def public(home: Path) -> str:
    return ssh_keys.make_client_key(home / ssh_keys.FILE_NAME, "hub")


def test_f12_the_only_authority_of_a_server_is_not_the_server(tmp_path):
    """Its folder may not be listed: the units on the same server get their extracts all the same."""
    hub = small_england(tmp_path, las=(HACKNEY,))
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run()
    hub.next_night()
    faults = Faults(folder=f"{HACKNEY}/inbound", refuse=frozenset({"opendir"}))
    with FaultyServer(hub.root, authorized_keys=[public(hub.home)], faults=faults) as server:
        served(hub, server)
        night = hub.run("nightly")
    assert night.exit_code == 3
    assert night.servers_down == {}
    assert set(night.document["partners_in_trouble"]) == {HACKNEY}
    assert len(hub.outbound(NORTH_EAST_LONDON)) == 3


def test_f63_a_server_that_falls_silent_for_all_deliveries_ends_the_night_in_bounded_time_and_is_named(tmp_path):
    hub = small_england(tmp_path, las=(HACKNEY, KENT))
    for la in (HACKNEY, KENT):
        hub.drop(la, [plan_row(1)])
    with FaultyServer(hub.root, authorized_keys=[public(hub.home)], faults=Faults(silent_on=frozenset({"write"}))) as server:
        served(hub, server, "read_seconds = 0.3\nchannels = 2\n")
        began = time.monotonic()
        night = hub.run("nightly")
        assert time.monotonic() - began < 60
    assert len(night.undelivered) == 2 + 3 * len(UNITS)
    assert night.servers_down.keys() == {"central"}
    assert server.asked("write") <= MOST_TRIES
