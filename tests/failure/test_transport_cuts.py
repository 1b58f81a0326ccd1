"""The line breaks at a given byte (F15, F19): whatever was being done is done in the end, once, with the same result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cpis_batch.errors import DeliveryUnknown, PartnerUnreachable
from cpis_batch.exchange.mailbox import Mailbox
from cpis_batch.exchange.patience import TRIES
from cpis_batch.sandbox.broken_line import Break, BrokenLine
from cpis_batch.sandbox.server import SftpServer
from tests.integration.places import INBOUND, OUTBOUND, PROCESSED, Client, Pauses, make_tree
from tests.integration.sshd import start_sshd

DATA = hashlib.shake_128(b"sealed").digest(150_000)
DIGEST = hashlib.sha256(DATA).hexdigest()

# In the greeting, the key exchange, the login, the first packets, the file, its end, and what is asked afterwards.
PORTIONS = [0.0, 0.0001, 0.003, 0.01, 0.018, 0.02, 0.022, 0.025, 0.1, 0.5, 0.9, 0.98, 0.99, 0.994, 0.997, 0.9995]


def collect(mailbox: Mailbox, tmp_path: Path) -> str:
    """All that is done with a partner's file."""
    (entry,) = mailbox.list(INBOUND).entries
    fetched = mailbox.fetch(INBOUND, entry, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == DATA
    (tmp_path / "got").unlink()
    mailbox.move(INBOUND, entry.name, PROCESSED)
    return fetched.digest


def deliver(mailbox: Mailbox, _tmp_path: Path) -> str:
    return mailbox.put(OUTBOUND, "ack.pgp", DATA)


@dataclass
class Served:
    """The rehearsal server with one file in it, and a mailbox that reaches it over a line."""

    root: Path
    port: int
    client: Client
    server: SftpServer

    def over(self, line: BrokenLine, sleep: Pauses | None = None) -> AbstractContextManager[Mailbox]:
        # One session, so that what happens at a byte is the same every time.
        settings = self.client.settings(self.server, port=line.port, connections=1, channels=1)
        return self.client.mailbox(settings, sleep=sleep)

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.root / folder).iterdir())


def served_in(folder: Path, use: Callable[[Served], None]) -> None:
    root, client = make_tree(folder / "served"), Client(folder)
    (root / INBOUND / "a.pgp").write_bytes(DATA)
    with SftpServer(root, authorized_keys=[client.line]) as server:
        use(Served(root, server.port, client, server))


@pytest.fixture(scope="module")
def lengths(tmp_path_factory) -> dict[tuple[str, str], int]:
    """The bytes that pass in each direction where nothing breaks."""
    found = {}

    def measure(served: Served) -> None:
        for action in (collect, deliver):
            with BrokenLine(served.port) as line:
                with served.over(line) as mailbox:
                    assert action(mailbox, served.client.home) == DIGEST
                found[action.__name__, "sent"], found[action.__name__, "received"] = line.sent, line.received

    served_in(tmp_path_factory.mktemp("whole"), measure)
    return found


@pytest.mark.parametrize("direction", ["sent", "received"])
@pytest.mark.parametrize("portion", PORTIONS)
def test_f15_a_file_is_collected_whole_wherever_the_line_breaks(lengths, tmp_path, direction, portion):
    at = int(portion * lengths["collect", direction])

    def check(served: Served) -> None:
        with BrokenLine(served.port, [Break(**{direction: at})]) as line, served.over(line) as mailbox:
            assert collect(mailbox, tmp_path) == DIGEST
            assert line.broken == 1
        assert (served.names(INBOUND), served.names(PROCESSED)) == ([], ["a.pgp"])
        assert (served.root / PROCESSED / "a.pgp").read_bytes() == DATA

    served_in(tmp_path, check)


@pytest.mark.parametrize("direction", ["sent", "received"])
@pytest.mark.parametrize("portion", PORTIONS)
def test_f19_a_delivery_is_there_whole_or_not_at_all_wherever_the_line_breaks(lengths, tmp_path, direction, portion):
    at = int(portion * lengths["deliver", direction])

    def check(served: Served) -> None:
        path = served.root / OUTBOUND / "ack.pgp"
        between = []
        pauses = Pauses(then=lambda: between.append(path.read_bytes() if path.exists() else None))
        with BrokenLine(served.port, [Break(**{direction: at})]) as line, served.over(line, pauses) as mailbox:
            assert deliver(mailbox, tmp_path) == DIGEST
            assert line.broken == 1
        assert set(between) <= {None, DATA}
        assert path.read_bytes() == DATA
        assert served.names(OUTBOUND) == ["ack.pgp"]

    served_in(tmp_path, check)


def test_f15_a_line_that_breaks_every_time_is_given_up_and_leaves_nothing_half_done(tmp_path):
    def check(served: Served) -> None:
        breaks = [Break(received=60_000)] * TRIES
        with BrokenLine(served.port, breaks) as line, served.over(line) as mailbox:
            (entry,) = mailbox.list(INBOUND).entries
            with pytest.raises(PartnerUnreachable):
                mailbox.fetch(INBOUND, entry, tmp_path / "got")
            assert line.broken == TRIES
            assert not (tmp_path / "got").exists()
            assert mailbox.fetch(INBOUND, entry, tmp_path / "got").digest == DIGEST

    served_in(tmp_path, check)


@pytest.mark.parametrize("direction", ["sent", "received"])
def test_f15_f19_the_same_over_a_line_to_a_real_server(tmp_path, direction):
    """A coarser walk through the bytes, against OpenSSH."""
    root = make_tree(tmp_path / "served")
    with start_sshd(root, tmp_path / "sshd") as sshd:
        client = Client(tmp_path)
        (sshd.state / "authorized_keys").write_text(client.line)
        for at in (0, 30, 1_500, 3_000, 4_000, 5_500, 90_000, 152_000, 155_000):
            (root / INBOUND / "a.pgp").write_bytes(DATA)
            with BrokenLine(sshd.port, [Break(**{direction: at})]) as line:
                settings = sshd.settings(port=line.port, connections=1, channels=1, key="client")
                with client.mailbox(settings) as mailbox:
                    assert collect(mailbox, tmp_path) == DIGEST
                    try:
                        assert deliver(mailbox, tmp_path) == DIGEST
                    except DeliveryUnknown:  # sshd may still have been renaming while we looked
                        assert deliver(mailbox, tmp_path) == DIGEST
            (root / PROCESSED / "a.pgp").unlink()
            (root / OUTBOUND / "ack.pgp").unlink()
        assert list(root.rglob("*.pgp")) == []
