"""A mailbox on a folder tree: a mounted share, or the drop of a managed file transfer product.

It keeps the promises of the SFTP mailbox, except deadlines: a share that hangs hangs its reader in the kernel, so mount it
with a timeout of its own (`soft` for NFS).
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpis_batch import files
from cpis_batch.config import Limits
from cpis_batch.errors import ChangedWhileRead, CpisError, DeliveryUnknown, DiskFault, PartnerRefused, PartnerUnreachable
from cpis_batch.exchange.mailbox import Entry, Fetched, Listing
from cpis_batch.exchange.naming import entry_of, new_upload, numbered, path_of, sorted_out, upload_path

_PIECE = 256 * 1024
_SHARED = 0o660  # less the umask: the recipient, who owns the share or is of its group, reads what is sealed to them
_GONE_AWAY = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV, errno.ENXIO})


class FolderMailbox:
    """`Mailbox` on the folder tree under `root`."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root
        self._limits = limits

    @property
    def down(self) -> CpisError | None:
        """See `Mailbox`: the share has gone away, or holds nothing, as a place where nothing is mounted does."""
        try:
            with _refusals("The share"), os.scandir(self._root) as scan:
                empty = next(scan, None) is None
        except CpisError as fault:
            return fault
        return PartnerUnreachable("The share holds nothing, not even folders.", "Is the share mounted?") if empty else None

    def list(self, folder: str) -> Listing:
        """See `Mailbox`. PartnerRefused over `listing_entries`."""
        with _refusals(folder), os.scandir(os.fsencode(self._root / folder)) as scan:
            found = ((item.name, _entry(item.name, status)) for item in scan if (status := _status(item.path)) is not None)
            return sorted_out(found, most=self._limits.listing_entries, where=folder)

    def fetch(self, folder: str, entry: Entry, into: Path) -> Fetched:
        """See `Mailbox`. PartnerRefused over `ciphertext_bytes`, DiskFault where `into` cannot be written."""
        if entry.size > self._limits.ciphertext_bytes:
            raise self._too_large(folder)
        with files.new_file(into, needed=entry.size) as stream:
            sha256 = hashlib.sha256()
            for piece in self._unchanging(folder, entry):
                sha256.update(piece)
                stream.write(piece)
        return Fetched(sha256.hexdigest(), entry.size)

    def put(self, folder: str, name: str, data: bytes) -> str:
        """See `Mailbox`. DeliveryUnknown where it cannot be read back."""
        path, digest = self._root / path_of(folder, name), files.digest_of(data)
        with _refusals(folder):
            standing = _status(path)
            if standing is not None and standing.st_size == len(data) and self._digest(folder, name, len(data)) == digest:
                return digest
            temporary = path.with_name(new_upload())
            try:
                with files.new_file(temporary, mode=_SHARED, needed=len(data)) as stream:
                    stream.write(data)
                temporary.replace(path)
            except DiskFault as fault:
                raise PartnerRefused(f"A delivery to {folder} cannot be written.", fault.message) from None
            finally:
                temporary.unlink(missing_ok=True)
        try:
            with _refusals(folder):
                files.sync_folder(path.parent)
            delivered = self._digest(folder, name, len(data)) == digest
        except (ChangedWhileRead, PartnerRefused, PartnerUnreachable):
            delivered = False
        if not delivered:
            raise DeliveryUnknown(
                f"A delivery to {folder} has its name, and cannot be read back or has other bytes.",
                "Look whether it stands there, or ask the recipient, before anything is sent again.",
            )
        return digest

    def digest(self, folder: str, name: str) -> str | None:
        """See `Mailbox`. PartnerRefused over `ciphertext_bytes`, and where something stands there that is not a file."""
        return self._digest(folder, name, self._limits.ciphertext_bytes)

    def move(self, folder: str, name: str, to_folder: str) -> None:
        """See `Mailbox`."""
        path = self._root / path_of(folder, name)
        with _refusals(f"{folder} or {to_folder}"):
            for candidate in numbered(name):
                target = self._root / path_of(to_folder, candidate)
                if _status(path) is None:
                    return
                if _status(target) is None:
                    path.rename(target)
                    # Else a power loss could put it back, after the catalogue has written down where it went (F61).
                    files.sync_folder(target.parent)
                    files.sync_folder(path.parent)
                    return
        raise PartnerRefused(f"{to_folder} holds too many files of one name.", f"Clear {to_folder}.")

    def clear(self, folder: str, upload: str) -> None:
        """See `Mailbox`."""
        with _refusals(folder):
            (self._root / upload_path(folder, upload)).unlink(missing_ok=True)

    def _digest(self, folder: str, name: str, most: int) -> str | None:
        path = self._root / path_of(folder, name)
        with _refusals(folder):
            status = _status(path)
        if status is None:
            return None
        entry = _entry(name.encode(), status)
        if isinstance(entry, str):
            raise PartnerRefused(f"What stands in {folder} under a name asked for is no file: {entry}.", "Tell the partner.")
        if entry.size > most:
            raise self._too_large(folder)
        sha256 = hashlib.sha256()
        for piece in self._unchanging(folder, entry):
            sha256.update(piece)
        return sha256.hexdigest()

    def _unchanging(self, folder: str, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file, in pieces. ChangedWhileRead unless it is `entry` before, meanwhile and after (F02)."""
        changed = ChangedWhileRead(f"A file in {folder} changed while it was read.", "It is taken at the next poll.")
        path, raw = self._root / path_of(folder, entry.name), entry.name.encode()
        with _refusals(folder):
            try:
                # Not through a symlink, and a FIFO must not keep us waiting for its writer.
                handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                raise changed from None
            except OSError as fault:
                if fault.errno == errno.ELOOP:
                    raise changed from None
                raise
        try:
            opened, count = os.fstat(handle), 0
            if _entry(raw, opened) != entry:
                raise changed
            while piece := self._read(handle, folder, min(_PIECE, entry.size + 1 - count)):
                if (count := count + len(piece)) > entry.size:
                    raise changed
                yield piece
            after, standing = os.fstat(handle), _status(path)
            same = standing is not None and (standing.st_dev, standing.st_ino) == (opened.st_dev, opened.st_ino)
            if not same or count != entry.size or _entry(raw, after) != entry:
                raise changed
        finally:
            os.close(handle)

    @staticmethod
    def _read(handle: int, folder: str, most: int) -> bytes:
        with _refusals(folder):
            return os.read(handle, most)

    def _too_large(self, folder: str) -> PartnerRefused:
        return PartnerRefused(
            f"A file in {folder} has more than {self._limits.ciphertext_bytes:,} bytes.",
            "Ask the partner about it, or raise ciphertext_bytes under [limits].",
        )


def _status(path: Path | bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _entry(raw: bytes, status: os.stat_result) -> Entry | str:
    return entry_of(raw, status.st_mode, status.st_size, status.st_mtime)


@contextmanager
def _refusals(folder: str) -> Iterator[None]:
    """The share's refusals under this block as errors of ours, without the path, in which there may be a partner's name."""
    try:
        yield
    except OSError as fault:
        said = os.strerror(fault.errno) if fault.errno else "no reason given"
        if fault.errno in _GONE_AWAY:
            raise PartnerUnreachable(f"{folder} cannot be reached: {said}.", "Is the share mounted?") from None
        raise PartnerRefused(
            f"{folder} is refused to us: {said}.", "Ask for the folder and the rights in it; `folder` in partner.toml names it."
        ) from None
