"""Keyboxes kept from night to night: a sender's certificates as gpg has read and checked them once.

Out of a keyring file gpg checks every signature in a certificate anew for each message; in a keybox it has noted that they are
good, and takes half the processor time (measured: 3.3 ms a message, and 6 to 8). A keybox is a copy, named by the SHA-256 of the
certificates that it was made of. It may be removed at any time, and nobody is refused because of one (`opening`).
"""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Collection
from pathlib import Path

from cpis_batch import files
from cpis_batch.envelope import bounded, gnupg

FOLDER = "keyboxes"  # of the home; in a GpgHome the link to it
SUFFIX = ".kbx"
_OLD = 4
_WALLS = bounded.Walls(memory_bytes=512 * 1024 * 1024, seconds=20, stdout_bytes=64 * 1024)


def kept(gpg_home: Path, keyring: bytes, fingerprints: Collection[str]) -> Path | None:
    """The keybox of the certificates in `keyring` (binary, one after the other), made where there is none yet.

    None where this gpg home keeps none, or gpg does not take every one of the certificates (`fingerprints`).
    """
    path = gpg_home / FOLDER / f"{hashlib.sha256(keyring).hexdigest()}{SUFFIX}"
    if path.exists():
        return path
    if not fingerprints or not path.parent.is_dir() or (made := _made(gpg_home, keyring, fingerprints)) is None:
        return None
    path = path.resolve()  # the home's own folder: what is written there is made durable there
    files.write(path, made)
    return path


def tidy(folder: Path, partners: int) -> None:
    """Remove the keyboxes once there are `_OLD` times as many as partners: most are of certificates that were replaced."""
    found = list(folder.glob(f"*{SUFFIX}"))
    if len(found) > _OLD * (partners + 1):
        for path in found:
            path.unlink(missing_ok=True)


def _made(gpg_home: Path, keyring: bytes, fingerprints: Collection[str]) -> bytes | None:
    target = gpg_home / f"made-{secrets.token_hex(8)}{SUFFIX}"
    arguments = ("--no-default-keyring", f"--keyring=gnupg-kbx:{target}", "--lock-never", "--no-autostart", "--import")
    try:
        finished = bounded.run(
            lambda status_fd: gnupg.command(gpg_home, f"--status-fd={status_fd}", *arguments),
            stdin=io.BytesIO(keyring),
            env=gnupg.environment(),
            walls=_WALLS,
        )
        # IMPORT_OK <flags> <fingerprint>
        taken = {line.split()[3].decode() for line in finished.status.split(b"\n") if line.startswith(b"[GNUPG:] IMPORT_OK ")}
        return target.read_bytes() if finished.returncode == 0 and taken == set(fingerprints) else None
    finally:
        target.unlink(missing_ok=True)
        target.with_name(f"{target.name}~").unlink(missing_ok=True)
