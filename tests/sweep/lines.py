"""F15, F19: the line to a server breaks at a byte. What is done to one file is done in the end; a night comes to the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from cpis_batch import config, engine
from cpis_batch.exchange.mailbox import Mailbox
from cpis_batch.sandbox.broken_line import Break, BrokenLine
from cpis_batch.sandbox.server import SftpServer
from cpis_batch.ssh_keys import make_client_key
from tests.hub import Hub
from tests.integration.places import INBOUND, OUTBOUND, PROCESSED, Client, Pauses, make_tree
from tests.sweep import outcome, trial
from tests.sweep.evening import copy_of

DATA = hashlib.shake_128(b"sealed").digest(150_000)
DIGEST = hashlib.sha256(DATA).hexdigest()
DIRECTIONS = ("sent", "received")


def collect(mailbox: Mailbox, folder: Path) -> str:
    """All that is done with a partner's file: it is listed, fetched, moved away."""
    (entry,) = mailbox.list(INBOUND).entries
    fetched = mailbox.fetch(INBOUND, entry, folder / "got")
    assert (folder / "got").read_bytes() == DATA
    (folder / "got").unlink()
    mailbox.move(INBOUND, entry.name, PROCESSED)
    return fetched.digest


def deliver(mailbox: Mailbox, _folder: Path) -> str:
    """All that is done with a file for a partner: it is uploaded, renamed, read back."""
    return mailbox.put(OUTBOUND, "ack.pgp", DATA)


ACTIONS: dict[str, Callable[[Mailbox, Path], str]] = {"collect": collect, "deliver": deliver}


@dataclass
class Served:
    """The rehearsal server with one file in it, and a mailbox that reaches it over a line."""

    root: Path
    client: Client
    server: SftpServer

    @contextmanager
    def over(self, *breaks: Break, sleep: Pauses | None = None) -> Iterator[tuple[Mailbox, BrokenLine]]:
        """The mailbox, and the line. One session, so that what happens at a byte is the same every time."""
        with BrokenLine(self.server.port, breaks) as line:
            settings = self.client.settings(self.server, port=line.port, connections=1, channels=1)
            with self.client.mailbox(settings, sleep=sleep) as mailbox:
                yield mailbox, line

    def names(self, folder: str) -> list[str]:
        """What lies in a folder."""
        return sorted(path.name for path in (self.root / folder).iterdir())


@contextmanager
def served_in(folder: Path) -> Iterator[Served]:
    """A server of its own in `folder`, with a file that waits to be collected."""
    root, client = make_tree(folder / "served"), Client(folder)
    (root / INBOUND / "a.pgp").write_bytes(DATA)
    with SftpServer(root, authorized_keys=[client.line]) as server:
        yield Served(root, client, server)


def lengths(folder: Path) -> dict[tuple[str, str], int]:
    """The bytes that pass for each action in each direction where nothing breaks."""
    folder.mkdir()
    found = {}
    with served_in(folder) as served:
        for name, action in ACTIONS.items():
            with served.over() as (mailbox, line):
                assert action(mailbox, folder) == DIGEST
                found[name, "sent"], found[name, "received"] = line.sent, line.received
    return found


def cut(action: str, direction: str, at: int, folder: Path) -> None:
    """AssertionError unless an action comes to its end though the line breaks after `at` bytes of a direction."""
    with served_in(folder) as served:
        path = served.root / OUTBOUND / "ack.pgp"
        between: set[bytes | None] = set()
        pauses = Pauses(then=lambda: between.add(path.read_bytes() if path.exists() else None))
        with served.over(Break(**{direction: at}), sleep=pauses) as (mailbox, line):
            assert ACTIONS[action](mailbox, folder) == DIGEST
            assert line.broken == 1, "the line did not break"
        assert not (folder / "got").exists()
        if action == "collect":
            assert (served.names(INBOUND), served.names(PROCESSED)) == ([], ["a.pgp"])
            assert (served.root / PROCESSED / "a.pgp").read_bytes() == DATA
        else:
            assert between <= {None, DATA}, "a part of a delivery was to be seen"
            assert path.read_bytes() == DATA
            assert served.names(OUTBOUND) == ["ack.pgp"]


def over_a_line(evening: Hub, folder: Path) -> Hub:
    """A copy of the evening whose one server is not a folder but stands at the end of an SSH connection; see `reached`."""
    hub = copy_of(evening, folder)
    key = hub.home / "keys" / "ssh" / "client"
    key.parent.mkdir(mode=0o700, exist_ok=True)
    (folder / "authorized").write_text(make_client_key(key, "hub"))
    return hub


@contextmanager
def reached(hub: Hub, *breaks: Break) -> Iterator[BrokenLine]:
    """The server of `over_a_line` for a while, at the end of a line that breaks."""
    allowed = (hub.home.parent / "authorized").read_text()
    with SftpServer(hub.root, authorized_keys=[allowed]) as server, BrokenLine(server.port, breaks) as line:
        path = hub.home / config.FILE_NAME
        before = path.read_text()
        path.write_text(before.replace(
            f'[mailboxes.central]\nkind = "folder"\npath = "{hub.root}"\n',
            f'[mailboxes.central]\nkind = "sftp"\nhost = "127.0.0.1"\nport = {line.port}\nuser = "hub"\nkey = "keys/ssh/client"\n'
            f'host_keys = ["{server.host_key}"]\nconnections = 1\nchannels = 1\n',
        ))  # fmt: skip
        assert path.read_text() != before
        try:
            yield line
        finally:
            path.write_text(before)


def night_over_a_line(evening: Hub, folder: Path) -> tuple[dict[str, int], dict[str, Any]]:
    """The bytes that pass each way in a night over a line that holds, and what the night comes to."""
    hub = over_a_line(evening, folder)
    with reached(hub) as line:
        hub.run("nightly")
    whole = trial.judged(hub)
    engine.close()  # what comes next is forked from here
    return {"sent": line.sent, "received": line.received}, whole


def night_cut(evening: Hub, whole: dict[str, Any], direction: str, at: int, folder: Path) -> None:
    """AssertionError unless a night whose line breaks at a byte, and a run after it, come to the same as any other."""
    hub = over_a_line(evening, folder)
    with reached(hub, Break(**{direction: at})) as line:
        hub.run("nightly")
    assert line.broken == 1, "the line did not break"
    lying = outcome.delivered(hub)
    with reached(hub):
        hub.run("nightly")
    outcome.hold_to_what_was_delivered(lying, hub)
    trial.hold_to_the_same_end(trial.judged(hub), whole)


def offsets(length: int, count: int, seed: int) -> list[int]:
    """`count` places among `length` bytes, one in each of as many stretches.

    A third of the stretches lie in the first tenth, where the two sides agree on how to speak, and a third in the last, where
    files get their names: the bulk of a file is the same at every byte.
    """
    chance, third = Random(seed), max(1, count // 3)
    parts = [
        (0, length // 10, third),
        (length // 10, length - length // 10, max(1, count - 2 * third)),
        (length - length // 10, length, third),
    ]
    found = []
    for start, end, many in parts:
        edges = [start + (end - start) * step // many for step in range(many + 1)]
        found += [chance.randrange(low, max(low + 1, high)) for low, high in pairwise(edges)]
    return found
