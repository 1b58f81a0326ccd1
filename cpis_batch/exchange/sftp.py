"""A mailbox on an SFTP server.

Reading and moving can be done again, so they are, where the connection breaks. An upload is done again only while it is
certain that it did not happen: until the rename is asked for, and after it only if the temporary file is still there.
"""

from __future__ import annotations

import hashlib
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import paramiko

from cpis_batch import files
from cpis_batch.config import Limits, SftpServer
from cpis_batch.errors import ChangedWhileRead, CpisError, DeliveryUnknown, PartnerRefused, PartnerUnreachable
from cpis_batch.exchange.mailbox import Entry, Fetched, Listing
from cpis_batch.exchange.naming import entry_of, new_upload, numbered, path_of, sorted_out, upload_path
from cpis_batch.exchange.packets import MOST_AT_ONCE, NO_SUCH_FILE, PERMISSION_DENIED, POSIX_RENAME, Refusal
from cpis_batch.exchange.patience import Deadline, persist
from cpis_batch.exchange.pool import Pool
from cpis_batch.exchange.reader import Reader
from cpis_batch.exchange.ssh import Connection
from cpis_batch.exchange.wire import Wire

_T = TypeVar("_T")


class SftpMailbox:
    """`Mailbox` on the server of `settings`, logging in with `key`. `sleep` is what the pauses between tries are made of."""

    def __init__(
        self,
        settings: SftpServer,
        key: paramiko.PKey,
        limits: Limits,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._sleep = sleep
        self._pool = Pool(
            lambda: Connection(settings, key),
            connections=settings.connections,
            sessions=settings.channels,
            sleep=sleep,
        )

    @property
    def down(self) -> CpisError | None:
        """See `Mailbox`."""
        return self._pool.down

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def list(self, folder: str) -> Listing:
        """See `Mailbox`. PartnerRefused over `listing_entries`."""

        def listed(wire: Wire) -> Listing:
            found = ((name, entry_of(name, a.mode, a.size, a.modified)) for name, a in wire.listing(folder))
            return sorted_out(found, most=self._limits.listing_entries, where=folder)

        return self._persist(f"listing {folder}", folder, listed)

    def fetch(self, folder: str, entry: Entry, into: Path) -> Fetched:
        """See `Mailbox`. PartnerRefused over `ciphertext_bytes`."""
        path = path_of(folder, entry.name)
        if entry.size > self._limits.ciphertext_bytes:
            raise self._too_large(folder)

        def fetched(wire: Wire) -> Fetched:
            with files.new_file(into, needed=entry.size) as stream:
                sha256 = hashlib.sha256()
                for piece in _unchanging(wire, path, folder, entry):
                    sha256.update(piece)
                    stream.write(piece)
            return Fetched(sha256.hexdigest(), entry.size)

        return self._persist(f"fetching a file of {folder}", folder, fetched)

    def digest(self, folder: str, name: str) -> str | None:
        """See `Mailbox`. PartnerRefused over `ciphertext_bytes`, and where something stands there that is not a file."""
        path = path_of(folder, name)
        return self._persist(
            f"reading a file of {folder}", folder, lambda wire: self._digest(wire, path, folder, self._limits.ciphertext_bytes)
        )

    def put(self, folder: str, name: str, data: bytes) -> str:
        """See `Mailbox`. PartnerUnreachable: it did not happen; DeliveryUnknown: it may have."""
        upload = _Upload(folder, path_of(folder, name), len(data), files.digest_of(data))
        what = f"delivering to {folder}"
        deadline = self._deadline(what)

        def delivered() -> str:
            try:
                with self._session(deadline, folder) as wire:
                    self._upload(wire, upload, data)
            except PartnerUnreachable:
                if upload.renaming:
                    self._settle(upload)
                else:
                    raise
            return upload.digest

        return persist(delivered, sleep=self._sleep, give_up=lambda: self._pool.down is not None or deadline.passed())

    def move(self, folder: str, name: str, to_folder: str) -> None:
        """See `Mailbox`."""
        path = path_of(folder, name)

        def moved(wire: Wire) -> None:
            for candidate in numbered(name):
                target = path_of(to_folder, candidate)
                if wire.lstat(path) is None:
                    return
                if wire.lstat(target) is not None:
                    continue
                try:
                    wire.rename(path, target)
                except Refusal as refusal:
                    if refusal.code == NO_SUCH_FILE and wire.lstat(path) is None:
                        return
                    if wire.lstat(target) is not None:
                        continue  # somebody was faster
                    raise PartnerRefused(
                        f"A file of {folder} cannot be moved to {to_folder}: {_said(refusal)}.",
                        f"Ask the partner for {to_folder} and the right to rename into it. The next run tries again.",
                    ) from None
                if wire.lstat(path) is not None:
                    raise PartnerRefused(
                        f"A file of {folder} lies where it lay, though it was said to be moved to {to_folder}.",
                        "Tell the partner. The next run tries again.",
                    )
                return
            raise PartnerRefused(f"{to_folder} holds too many files of one name.", f"Clear {to_folder}.")

        self._persist(f"moving a file of {folder}", folder, moved)

    def clear(self, folder: str, upload: str) -> None:
        """See `Mailbox`."""
        path = upload_path(folder, upload)

        def cleared(wire: Wire) -> None:
            with suppress(Refusal):  # taken away by somebody else, or not ours to remove: nobody needs it
                wire.remove(path)

        self._persist(f"clearing an upload from {folder}", folder, cleared)

    # parts of an operation

    def _digest(self, wire: Wire, path: str, folder: str, most: int) -> str | None:
        found = wire.lstat(path)
        if found is None:
            return None
        entry = entry_of(path.rpartition("/")[2].encode(), found.mode, found.size, found.modified)
        if isinstance(entry, str):
            raise PartnerRefused(f"What stands in {folder} under a name asked for is no file: {entry}.", "Tell the partner.")
        if entry.size > most:
            raise self._too_large(folder)
        sha256 = hashlib.sha256()
        for piece in _unchanging(wire, path, folder, entry):
            sha256.update(piece)
        return sha256.hexdigest()

    def _upload(self, wire: Wire, upload: _Upload, data: bytes) -> None:
        """Every step of an upload, each leaving `upload` in the state that tells what a fault in the next one means."""
        if upload.abandoned:
            with suppress(Refusal):
                wire.remove(upload.abandoned)
        upload.abandoned = temporary = upload_path(upload.folder, new_upload())
        over = POSIX_RENAME in wire.extensions
        looking, creating = wire.ask_lstat(upload.path), wire.ask_to_create(temporary)
        standing = wire.attributes(looking)
        if standing is not None and (standing.size == upload.size or not over):
            wire.close_if_open(creating)
            with suppress(Refusal):
                wire.remove(temporary)
            if standing.size == upload.size and self._digest(wire, upload.path, upload.folder, upload.size) == upload.digest:
                return
            if not over:
                raise PartnerRefused(
                    f"Another file stands in {upload.folder} under the name of a delivery.",
                    "The server cannot replace it in one step: have the partner take it away. The next run tries again.",
                )
            creating = wire.ask_to_create(temporary)
        try:
            wire.write(creating, data)
        except Refusal:
            with suppress(Refusal):
                wire.remove(temporary)
            raise
        upload.renaming = True
        renaming = (wire.ask_to_replace if over else wire.ask_to_rename)(temporary, upload.path)
        reader = wire.open(upload.path)
        try:
            wire.done(renaming)
        except Refusal as refusal:
            upload.renaming = False
            reader.drop()
            with suppress(Refusal, ChangedWhileRead, PartnerRefused):
                if self._digest(wire, upload.path, upload.folder, upload.size) == upload.digest:
                    return  # it says no, and has done it
            with suppress(Refusal):
                wire.remove(temporary)
            raise PartnerRefused(
                f"A delivery cannot be given its name in {upload.folder}: {_said(refusal)}.",
                "Ask the partner for the right to rename there. The next run tries again.",
            ) from None
        self._read_back(wire, upload, reader)

    def _read_back(self, wire: Wire, upload: _Upload, reader: Reader) -> None:
        """Hold what stands there to what was sent."""
        if self._stands(upload, reader):
            return
        try:
            standing = self._digest(wire, upload.path, upload.folder, upload.size)  # what else there is, told apart
        except (Refusal, ChangedWhileRead, PartnerRefused):
            raise DeliveryUnknown(f"A delivery to {upload.folder} has its name and cannot be read back.", _LOOK) from None
        if standing != upload.digest:
            now = "is gone" if standing is None else "has other bytes"
            raise DeliveryUnknown(f"A delivery to {upload.folder} {now} when it is read back.", _LOOK)

    def _stands(self, upload: _Upload, reader: Reader) -> bool:
        """Whether the file that `reader` opens is, beyond doubt, what was sent: looked at in one round trip."""
        try:
            found = reader.before
            if found is None or found.size != upload.size or upload.size > MOST_AT_ONCE or not stat.S_ISREG(found.mode or 0):
                reader.drop()
                return False
            return files.digest_of(reader.whole(upload.size)) == upload.digest
        except Refusal:
            return False

    def _settle(self, upload: _Upload) -> None:
        """The connection broke while or after renaming: find out which. Returns if it is delivered.

        What decides is the removal of the temporary file: once we removed it, no rename of it can come to pass, and to
        try again is safe. If it is gone and our bytes do not stand there, the recipient may have taken them already.
        """

        def looked(wire: Wire) -> bool:
            if self._digest(wire, upload.path, upload.folder, upload.size) == upload.digest:
                return True
            with suppress(Refusal):
                wire.remove(upload.abandoned)
                upload.renaming = False
            return False

        try:
            delivered = self._persist(f"looking after a delivery to {upload.folder}", upload.folder, looked)
        except CpisError:
            raise self._unknown(upload) from None
        if delivered:
            return
        if upload.renaming:
            raise self._unknown(upload)
        raise PartnerUnreachable(
            f"The connection broke before a delivery to {upload.folder} had its name.", "The next run tries again."
        )

    def _unknown(self, upload: _Upload) -> DeliveryUnknown:
        return DeliveryUnknown(f"The connection broke while a delivery to {upload.folder} was given its name.", _LOOK)

    # sessions

    def _persist(self, what: str, folder: str, action: Callable[[Wire], _T]) -> _T:
        deadline = self._deadline(what)

        def tried() -> _T:
            with self._session(deadline, folder) as wire:
                return action(wire)

        return persist(tried, sleep=self._sleep, give_up=lambda: self._pool.down is not None or deadline.passed())

    def _deadline(self, what: str) -> Deadline:
        return Deadline(self._settings.fetch_seconds, f"{self._settings.host}: {what}")

    @contextmanager
    def _session(self, deadline: Deadline, folder: str) -> Iterator[Wire]:
        """A session; what the server refuses in the block without the block knowing better is PartnerRefused."""
        try:
            with self._pool.session(deadline) as wire:
                yield wire
        except Refusal as refusal:
            raise PartnerRefused(
                f"{self._settings.host} refused access to {folder}: {_said(refusal)}.",
                "Ask the partner for the folder and our rights in it; `folder` in partner.toml names it.",
            ) from None

    def _too_large(self, folder: str) -> PartnerRefused:
        return PartnerRefused(
            f"A file in {folder} has more than {self._limits.ciphertext_bytes:,} bytes.",
            "Ask the partner about it, or raise ciphertext_bytes under [limits].",
        )


@dataclass(slots=True)
class _Upload:
    """What is being delivered, and how far it got. `abandoned` is the temporary file of the last try, gone or not."""

    folder: str
    path: str
    size: int
    digest: str
    abandoned: str = ""
    renaming: bool = False


_LOOK = "It may have arrived. Look whether it stands there, or ask the recipient, before anything is sent again."


def _unchanging(wire: Wire, path: str, folder: str, entry: Entry) -> Iterator[bytes]:
    """The bytes of the file at `path`, in pieces. ChangedWhileRead unless it is `entry` before, meanwhile and after (F02)."""
    changed = ChangedWhileRead(f"A file in {folder} changed while it was read.", "It is taken at the next poll.")
    reader, raw = wire.open(path), entry.name.encode()
    if (before := reader.before) is None or entry_of(raw, before.mode, before.size, before.modified) != entry:
        raise changed
    count = 0
    try:
        for piece in reader.pieces(entry.size):
            if (count := count + len(piece)) > entry.size:
                raise changed
            yield piece
    except Refusal as refusal:
        if refusal.code == NO_SUCH_FILE:
            raise changed from None
        raise
    handle, standing = reader.close()
    if count != entry.size:
        raise changed
    for after in (handle, standing):
        if after is None or entry_of(raw, after.mode, after.size, after.modified) != entry:
            raise changed


def _said(refusal: Refusal) -> str:
    return {NO_SUCH_FILE: "there is no such thing", PERMISSION_DENIED: "permission denied"}.get(
        refusal.code, f"status {refusal.code}"
    )
