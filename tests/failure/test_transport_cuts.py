"""The line breaks at a given byte (F15, F19): whatever was being done is done in the end, once, with the same result.

At many more bytes, others each time, and in whole nights: test_crash and `make crash-sweep`.
"""

from __future__ import annotations

import pytest

from cpis_batch.errors import DeliveryUnknown, PartnerUnreachable
from cpis_batch.exchange.patience import TRIES
from cpis_batch.sandbox.broken_line import Break, BrokenLine
from tests.integration.places import INBOUND, OUTBOUND, PROCESSED, Client, make_tree
from tests.integration.sshd import start_sshd
from tests.sweep.lines import ACTIONS, DATA, DIGEST, DIRECTIONS, cut, lengths, served_in

# In the greeting, the key exchange, the login, the first packets, the file, its end, and what is asked afterwards.
PORTIONS = [0.0, 0.0001, 0.003, 0.01, 0.018, 0.02, 0.022, 0.025, 0.1, 0.5, 0.9, 0.98, 0.99, 0.994, 0.997, 0.9995]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> dict[tuple[str, str], int]:
    """The bytes that pass in each direction where nothing breaks."""
    return lengths(tmp_path_factory.mktemp("whole") / "lengths")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("portion", PORTIONS)
@pytest.mark.parametrize("action", ACTIONS)
def test_f15_f19_a_file_is_collected_and_delivered_whole_wherever_the_line_breaks(unbroken, tmp_path, action, direction, portion):
    cut(action, direction, int(portion * unbroken[action, direction]), tmp_path)


def test_f15_a_line_that_breaks_every_time_is_given_up_and_leaves_nothing_half_done(tmp_path):
    with served_in(tmp_path) as served, served.over(*[Break(received=60_000)] * TRIES) as (mailbox, line):
        (entry,) = mailbox.list(INBOUND).entries
        with pytest.raises(PartnerUnreachable):
            mailbox.fetch(INBOUND, entry, tmp_path / "got")
        assert line.broken == TRIES
        assert not (tmp_path / "got").exists()
        assert mailbox.fetch(INBOUND, entry, tmp_path / "got").digest == DIGEST


@pytest.mark.parametrize("direction", DIRECTIONS)
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
                    assert ACTIONS["collect"](mailbox, tmp_path) == DIGEST
                    try:
                        assert ACTIONS["deliver"](mailbox, tmp_path) == DIGEST
                    except DeliveryUnknown:  # sshd may still have been renaming while we looked
                        assert ACTIONS["deliver"](mailbox, tmp_path) == DIGEST
            (root / PROCESSED / "a.pgp").unlink()
            (root / OUTBOUND / "ack.pgp").unlink()
        assert list(root.rglob("*.pgp")) == []
