"""The master key of a home: it wraps every other key that lies at rest (the hub's OpenPGP keys, the register's data keys).

AES-256-GCM with a random nonce. The label says what a wrapped thing is and is authenticated, so that one wrapped key
cannot be put in the place of another. A wrapped thing is: the four bytes `CPW1`, 12 bytes of nonce, the ciphertext with its
16-byte tag.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cpis_batch import config, files
from cpis_batch.errors import KeyFault, UsageFault

FOLDER = "keys"
FILE_NAME = f"{FOLDER}/master.key"
KEY_BYTES = 32
_FORMAT = b"CPW1"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class MasterKey:
    """Wraps and unwraps keys. KeyFault where the key has not 32 bytes."""

    __slots__ = ("_cipher", "key")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise KeyFault(
                f"The master key must have {KEY_BYTES} bytes.", "It is written as 64 hexadecimal digits: keys make master"
            )
        self.key = key  # for worker processes, which are given it over their pipe
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return "MasterKey(**********)"

    def wrap(self, data: bytes, label: str) -> bytes:
        """Encrypt `data`; only `unwrap` with the same key and `label` gives it back."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, data, _authenticated(label))

    def unwrap(self, data: bytes, label: str) -> bytes:
        """What `wrap` was given. KeyFault where the key or the label is another, or a bit has changed."""
        start = len(_FORMAT) + _NONCE_BYTES
        if not data.startswith(_FORMAT) or len(data) < start + _TAG_BYTES:
            raise KeyFault(f"The wrapped key '{label}' has no known format.", "Restore it from the backup of the home.")
        try:
            return self._cipher.decrypt(data[len(_FORMAT) : start], data[start:], _authenticated(label))
        except InvalidTag:
            raise KeyFault(
                f"The master key does not open '{label}'.",
                "It was wrapped with another master key, or the file was altered: restore both from one backup.",
            ) from None


def _authenticated(label: str) -> bytes:
    return _FORMAT + label.encode()


def load_master_key(home: Path, settings: config.Settings) -> MasterKey:
    """The master key that `[secrets] master_key` names. KeyFault where it is missing, open to others or not hexadecimal.

    Whoever needs it works with the other keys too: KeyFault where anything under keys/ is open to others.
    """
    hold_private(home / FOLDER)
    try:
        key = bytes.fromhex(config.secret(home, settings.secrets.master_key).decode("ascii"))
    except ValueError:
        # from None: the message of the cause would quote the secret
        raise KeyFault("The master key is not written in hexadecimal.", "Restore it from your safe.") from None
    return MasterKey(key)


def hold_private(folder: Path) -> None:
    """KeyFault where `folder` or anything in it can be read, entered or changed by anybody but its owner.

    The public halves too: who can write beside a key can put another in its place, and one rule is easier kept than two.
    """
    for path in (folder, *sorted(folder.rglob("*"))):
        if path.exists() and (mode := path.stat().st_mode & 0o777) & 0o077:
            wanted = 700 if path.is_dir() else 600
            raise KeyFault(
                f"{path} can be read by others (mode {mode:o}).",
                f"Run: chmod {wanted} {path}; then think about whether a key has leaked.",
            )


def make_master_key(path: Path) -> MasterKey:
    """Make a key and write it to `path`, as 64 hexadecimal digits, mode 600. UsageFault where something stands there."""
    if path.exists():
        raise UsageFault(
            f"There is a master key at {path}; without it nothing in this home can be read.",
            "It is never replaced. For a new home, name another --home.",
        )
    key = os.urandom(KEY_BYTES)
    files.write(path, key.hex().encode() + b"\n", mode=0o600)
    return MasterKey(key)
