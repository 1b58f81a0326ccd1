"""An upload whose end nobody saw is looked for, never sent again blindly (DESIGN, section 7)."""

from __future__ import annotations

from contextlib import contextmanager

import paramiko
import pytest

from cpis_batch import config, ssh_keys
from cpis_batch.delivery import outbox
from cpis_batch.sandbox.faulty_server import Cut, Faults, FaultyServer
from tests.builders import HACKNEY
from tests.hub import Hub, plan_row


class Vanishing(FaultyServer):
    """Offers no SFTP any more once something was written: nobody sees whether the renaming came to pass."""

    def offer(self, transport: paramiko.Transport) -> None:
        if self.asked("write") == 0:
            super().offer(transport)


@contextmanager
def faulty(hub: Hub, faults: Faults, kind: type[FaultyServer] = FaultyServer):
    """The hub's mailbox on a server with faults, for the block."""
    public = (hub.home / "keys" / "ssh" / "id_ed25519.pub").read_text().strip()
    with kind(hub.root, authorized_keys=[public], faults=faults) as server:
        text = (
            f'[service]\nenvironment = "TEST"\n[mailboxes.central]\nkind = "sftp"\nhost = "127.0.0.1"\nport = {server.port}\n'
            f'user = "hub"\nhost_keys = ["{server.host_key}"]\nconnect_seconds = 5.0\nread_seconds = 1.0\n'
        )
        (hub.home / config.FILE_NAME).write_text(text)
        yield server


@pytest.fixture
def hub(tmp_path):
    hub = Hub.make(tmp_path, las=(HACKNEY,))
    ssh_keys.make_client_key(hub.home / ssh_keys.FILE_NAME, "test")
    hub.drop(rows=[plan_row(1)])
    with faulty(hub, Faults(cuts=(Cut("extended", after=True),)), Vanishing):
        hub.run()
    return hub


def due(hub: Hub) -> list:
    with hub.catalogue() as catalogue:
        return catalogue.deliveries("delivered_at IS NULL")


def test_it_is_recorded_as_delivered_when_it_is_found_standing(hub):
    with faulty(hub, Faults()):
        hub.run()
    assert due(hub) == []
    assert len(hub.outbound(HACKNEY)) == 1


def test_when_it_stands_no_more_a_person_decides_and_nothing_is_sent_twice(hub):
    for path in hub.outbound(HACKNEY):
        path.unlink()  # its recipient was quick
    (delivery,) = due(hub)
    assert delivery.last_fault.startswith(outbox.UNKNOWN)
    with faulty(hub, Faults()):
        night = hub.run()
        assert hub.outbound(HACKNEY) == []
        assert night.exit_code == 3
        with hub.catalogue(signing=True) as catalogue:
            catalogue.resend([delivery.id], hub.now)
        hub.run()
    assert len(hub.outbound(HACKNEY)) == 1


def test_it_stays_unknown_while_nobody_can_look_and_is_not_sent_blindly_afterwards(hub):
    for path in hub.outbound(HACKNEY):
        path.unlink()  # its recipient was quick
    with faulty(hub, Faults(folder=f"{HACKNEY}/outbound", silent_on=frozenset({"lstat"}))):
        hub.run()
    (delivery,) = due(hub)
    assert delivery.last_fault.startswith(outbox.UNKNOWN)
    with faulty(hub, Faults()):
        assert hub.run().exit_code == 3
    assert hub.outbound(HACKNEY) == []
