"""From a mailbox's settings to the mailbox: the one place that knows which kinds there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpis_batch.config import FolderServer, Limits, SftpServer, private_bytes
from cpis_batch.exchange.folder import FolderMailbox
from cpis_batch.exchange.mailbox import Mailbox


@contextmanager
def open_mailbox(home: Path, settings: SftpServer | FolderServer, limits: Limits) -> Iterator[Mailbox]:
    """The mailbox of `settings` for the block; paths in them are relative to `home`. It connects when it is first used.

    KeyFault where the SSH key is missing, damaged or open to others.
    """
    if isinstance(settings, FolderServer):
        yield FolderMailbox(home / settings.path, limits)
        return
    # paramiko takes a quarter of a second to import, and a hub of folders alone does without
    from cpis_batch.exchange.sftp import SftpMailbox
    from cpis_batch.exchange.ssh import private_key

    mailbox = SftpMailbox(settings, private_key(private_bytes(home / settings.key)), limits)
    try:
        yield mailbox
    finally:
        mailbox.close()
