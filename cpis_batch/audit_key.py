"""The key that signs the audit log: Ed25519, at rest wrapped by the master key.

    keys/audit/<public key>.key    the secret half, wrapped
    keys/audit/<public key>.pub    the public half (PEM), for whoever checks the log with tools of their own

The log itself says which key signs. So a new key stands durable before the log names it, and a kill in between leaves
a file that nobody names; `keep` removes it.
"""

from __future__ import annotations

import os
from pathlib import Path

from cpis_batch import config, files
from cpis_batch.audit.signing import SECRET_BYTES, Signer
from cpis_batch.errors import KeyFault
from cpis_batch.keystore import MasterKey

FOLDER = "keys/audit"


def make(home: Path, master: MasterKey) -> Signer:
    """Make a key, its files durable. Nothing is signed by it before the log begins it."""
    secret = os.urandom(SECRET_BYTES)
    signer = Signer(secret)
    files.write(home / FOLDER / f"{signer.public}.pub", signer.public_pem)
    files.write(home / FOLDER / f"{signer.public}.key", master.wrap(secret, _label(signer.public)), mode=0o600)
    return signer


def load(home: Path, master: MasterKey, public: str | None) -> Signer:
    """The key that the log names. KeyFault where it names none yet, or the key is missing, open to others, altered or another."""
    if public is None:
        raise KeyFault("This home has no audit key.", "Make one: cpis-batch keys make audit")
    path = home / FOLDER / f"{public}.key"
    if not path.exists():
        raise KeyFault(f"The audit key {FOLDER}/{path.name} is missing.", "Restore it from the backup of the home.")
    secret = master.unwrap(config.private_bytes(path), _label(public))
    signer = Signer(secret)
    if signer.public != public:
        raise KeyFault(f"{FOLDER}/{path.name} holds another key than its name says.", "Restore it from the backup of the home.")
    return signer


def held(home: Path) -> list[str]:
    """The public halves of the keys that lie in the home: one, but for what a killed command leaves."""
    return sorted(path.stem for path in (home / FOLDER).glob("*.key"))


def faults(home: Path, signer: Signer) -> list[str]:
    """What is wrong with the public half beside a key."""
    path = home / FOLDER / f"{signer.public}.pub"
    if not path.exists():
        return [f"{FOLDER}/{path.name} is missing"]
    return [] if path.read_bytes() == signer.public_pem else [f"{FOLDER}/{path.name} is not the public half of the audit key"]


def keep(home: Path, public: str) -> None:
    """Remove every secret half but that of the key in force: an old one is of use to nobody but a forger."""
    for other in held(home):
        if other != public:
            (home / FOLDER / f"{other}.key").unlink(missing_ok=True)


def _label(public: str) -> str:
    return f"audit-key/{public}"
