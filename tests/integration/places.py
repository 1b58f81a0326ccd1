"""Mailboxes to test with, and the folder tree that each of them shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cpis_batch.config import FolderServer, Limits, SftpServer
from cpis_batch.exchange.connect import open_mailbox
from cpis_batch.exchange.mailbox import Mailbox
from cpis_batch.exchange.sftp import SftpMailbox
from cpis_batch.exchange.ssh import private_key
from cpis_batch.sandbox import server as sandbox
from cpis_batch.ssh_keys import make_client_key

LA = "E09000012"
INBOUND, OUTBOUND, PROCESSED = f"{LA}/inbound", f"{LA}/outbound", f"{LA}/processed"


@dataclass
class Place:
    """A mailbox under test; `root` is what stands behind it."""

    mailbox: Mailbox
    root: Path

    def file(self, name: str | bytes, data: bytes = b"sealed", folder: str = INBOUND) -> Path:
        path = self.root / folder / (name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
        path.write_bytes(data)
        return path

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.root / folder).iterdir())


def make_tree(root: Path) -> Path:
    for folder in (INBOUND, OUTBOUND, PROCESSED):
        (root / folder).mkdir(parents=True)
    return root


@dataclass
class Pauses:
    """What stands in for sleeping: it keeps how long it was to be, and calls `then`."""

    then: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.then()


@dataclass
class Client:
    """The client's side of the rehearsal server: a key, and mailboxes that log in with it."""

    home: Path

    def __post_init__(self) -> None:
        self.line = make_client_key(self.home / "client", "client")

    def settings(self, server: sandbox.SftpServer | sandbox.Running, **changes: object) -> SftpServer:
        given = {
            "host": "127.0.0.1",
            "port": server.port,
            "user": "hub",
            "host_keys": (server.host_key,),
            "key": "client",
            "connect_seconds": 10.0,
            "read_seconds": 10.0,
        }
        return SftpServer(**{**given, **changes})

    @contextmanager
    def mailbox(
        self, settings: SftpServer, limits: Limits | None = None, sleep: Callable[[float], None] | None = None
    ) -> Iterator[SftpMailbox]:
        key = private_key((self.home / settings.key).read_bytes())
        mailbox = SftpMailbox(settings, key, limits or Limits(), sleep=sleep or Pauses())
        try:
            yield mailbox
        finally:
            mailbox.close()


@contextmanager
def folder_place(tmp_path: Path, limits: Limits) -> Iterator[Place]:
    root = make_tree(tmp_path / "share")
    with open_mailbox(tmp_path, FolderServer(path="share"), limits) as mailbox:
        yield Place(mailbox, root)


@contextmanager
def sandbox_place(tmp_path: Path, limits: Limits) -> Iterator[Place]:
    root, client = make_tree(tmp_path / "served"), Client(tmp_path)
    with (
        sandbox.SftpServer(root, authorized_keys=[client.line]) as server,
        open_mailbox(tmp_path, client.settings(server), limits) as mailbox,
    ):
        yield Place(mailbox, root)
