"""The one way to write a file: under a temporary name, fsynced, renamed, and the folder fsynced.

After a crash the final name holds the old bytes or the new ones, never a part. Temporary files start with
`.part-` and are swept by `sweep` when the next run holds the lock.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import local
from typing import BinaryIO, TypeVar

from cpis_batch.errors import DiskFault

TEMPORARY = ".part-"

T = TypeVar("T")


def digest_of(data: bytes) -> str:
    """SHA-256 of `data`, in lower-case hexadecimal: the identity of a file here."""
    return hashlib.sha256(data).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def disk_faults(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn the operating system's refusals under this block into `DiskFault`, saying where and how much is needed."""
    try:
        yield
    except OSError as fault:
        if fault.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG):
            raise
        need = f"; {needed:,} bytes are needed" if needed else ""
        raise DiskFault(
            f"Cannot write under {path}: {os.strerror(fault.errno)}{need}.",
            "The state before this run is intact. Make room or mend the disk, then run the same command again.",
        ) from fault


def make_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, for the owner alone: `mkdir(parents=True)` leaves those above to the umask."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Windows, where desks are, opens no folder: NTFS keeps names by itself."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_together = local()  # `folders`: those whose names are to become durable when the block of this thread ends


@contextmanager
def names_together() -> Iterator[None]:
    """Let the names of files that this thread writes in the block become durable as it ends: a folder once, not a file at a time.

    For many files that nothing names before the block has ended: to sync a folder costs as much as to sync a file in it.
    """
    folders: set[Path] = set()
    _together.folders = folders
    try:
        yield
    finally:
        del _together.folders
    for folder in sorted(folders):
        with disk_faults(folder):
            sync_folder(folder)


@contextmanager
def new_file(path: Path, *, mode: int = 0o600, needed: int | None = None) -> Iterator[BinaryIO]:
    """A stream into a file that must not exist yet: its bytes are durable when the block ends, it is gone if the block raises.

    Its name is not durable: the caller gives it a `.part-` name, renames it when it is known to be good and syncs the
    folder. DiskFault where the disk refuses; `needed` is how many bytes are to come, if known.
    """
    with disk_faults(path.parent, needed):
        stream = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")
        try:
            with stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def write(path: Path, data: bytes, *, mode: int = 0o600, umask: bool = True) -> None:
    """Write `data` to `path` so that it is whole and durable when this returns; in `names_together`, when that ends.

    Without `umask` it gets the very mode that is asked for. DiskFault where the disk refuses.
    """
    with disk_faults(path.parent, len(data)):
        make_folder(path.parent)
        temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
        with new_file(temporary, mode=mode, needed=len(data)) as stream:
            if not umask:
                os.fchmod(stream.fileno(), mode)
            stream.write(data)
        try:
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _name_durable(path.parent)


def write_named_by_content(folder: Path, data: bytes, suffix: str) -> str:
    """Write `data` into `folder` under its own SHA-256 and `suffix`; return the digest. Nothing is done where it stands."""
    digest = digest_of(data)
    path = folder / f"{digest}{suffix}"
    if not path.exists():
        write(path, data)
    return digest


def pour_named_by_content(
    folder: Path, suffix: str, pour: Callable[[BinaryIO], None], look: Callable[[Path], T]
) -> tuple[str, int, T]:
    """As `write_named_by_content`, what is too large to be held: `pour` writes it into a stream, and `look` looks at what stands.

    The digest, the size, and what `look` found; nothing stands where one of them raises.
    """
    make_folder(folder)
    temporary = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
    with disk_faults(folder):
        with new_file(temporary) as stream:
            pour(stream)
        try:
            found = look(temporary)
            digest, size = digest_of_file(temporary), temporary.stat().st_size
            temporary.replace(folder / f"{digest}{suffix}")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _name_durable(folder)
    return digest, size, found


def _name_durable(folder: Path) -> None:
    """Make a new name in the folder durable, or have it become so with others."""
    if hasattr(_together, "folders"):
        _together.folders.add(folder)
    else:
        sync_folder(folder)


def sweep(folder: Path) -> int:
    """Remove what a killed run left half-written under `folder`; return how many. Only for the holder of the lock."""
    count = 0
    for leftover in folder.rglob(f"{TEMPORARY}*"):
        leftover.unlink(missing_ok=True)
        count += 1
    return count
