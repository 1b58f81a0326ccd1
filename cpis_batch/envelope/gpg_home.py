"""A home for gpg that lives as long as a `with` block: the accepted secret keys, and the agent that holds them.

It lies on a memory file system where there is one, else in the temporary folder. Its path is short, because the agent's
sockets may have 108 bytes. While it lives its folder is locked, so that `GpgHome.sweep` can tell what a killed process left.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pysequoia import Tsk

from cpis_batch import files
from cpis_batch.envelope import gnupg, keyboxes
from cpis_batch.errors import KeyFault

PREFIX = "cpis-gpg-"
_MEMORY = Path("/dev/shm")  # noqa: S108  the folders in it are made with mode 700, and with no name that one could guess


class GpgHome:
    """A GNUPGHOME with `secret_keys` (binary or armored, without a password) in it; a context manager; `path` is for gpg.

    `kept` is where the senders' keyboxes stay from run to run (`keyboxes`); without it none are made. KeyFault where gpg does not
    take a key; ConfigFault where there is no gpg. What killed processes left is swept first.
    """

    def __init__(self, secret_keys: Sequence[bytes] = (), kept: Path | None = None) -> None:
        self._secret_keys = secret_keys
        self._kept = kept

    def __enter__(self) -> Self:
        self.sweep()
        self.path, self._lock = _make_locked()
        try:
            _import(self.path, self._secret_keys)
            if self._kept:
                files.make_folder(self._kept)
                (self.path / keyboxes.FOLDER).symlink_to(self._kept.absolute())
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        _remove(self.path)
        os.close(self._lock)

    @staticmethod
    def sweep() -> int:
        """Stop the agents and remove the homes of this user that no living process holds; how many there were."""
        count = 0
        for path in _folder().glob(f"{PREFIX}*"):
            try:
                handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except OSError:
                continue  # another user's, or gone
            try:
                if os.fstat(handle).st_uid == os.geteuid():
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(path)
                    count += 1
            except BlockingIOError:
                pass  # its owner lives
            finally:
                os.close(handle)
        return count


def _folder() -> Path:
    return _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _make_locked() -> tuple[Path, int]:
    """A new folder and its lock. Between making and locking it a sweep elsewhere may take it: then another is made."""
    while True:
        path = _folder() / f"{PREFIX}{secrets.token_hex(6)}"
        path.mkdir(mode=0o700)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():
            return path, handle
        os.close(handle)


def _import(home: Path, secret_keys: Sequence[bytes]) -> None:
    if not secret_keys:
        return
    done = gnupg.run(home, "--status-fd=1", "--import", given=b"".join(map(_binary, secret_keys)))
    # IMPORT_OK <flags> <fingerprint>; 16 among the flags: it holds a secret key
    flags = [int(line.split()[2]) for line in done.split(b"\n") if line.startswith(b"[GNUPG:] IMPORT_OK ")]
    if sum(bool(flag & 16) for flag in flags) != len(secret_keys):
        raise KeyFault("gpg did not take every secret key of the hub.", "Run: cpis-batch keys check")


def _binary(secret: bytes) -> bytes:
    try:
        return bytes(Tsk.from_bytes(secret))
    except Exception:  # noqa: BLE001  the library knows only RuntimeError, which may quote what it read
        raise KeyFault("A secret key of the hub is unreadable.", "Run: cpis-batch keys check") from None


def _remove(home: Path) -> None:
    """Stop the agent of `home`, which takes its sockets away, perhaps at the same moment as we do; remove the folder."""
    if (home / "private-keys-v1.d").exists() or any(home.glob("S.gpg-agent*")):
        gnupg.stop_agent(home)
    shutil.rmtree(home, ignore_errors=True)
    if home.exists():
        shutil.rmtree(home)
