"""SSH keys: our own client key for the partners' servers, and the pinned host keys that we compare theirs with."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cpis_batch import files
from cpis_batch.errors import ConfigFault, UsageFault

FILE_NAME = "keys/ssh/id_ed25519"


def make_client_key(path: Path, comment: str, before: Callable[[str], None] = lambda _: None) -> str:
    """Make an ed25519 key: OpenSSH format at `path` (mode 600), the public line beside it (600 too) and returned.

    `before` is given that line when all is ready, and may still refuse. UsageFault where something stands at `path`: partners
    have that key registered.
    """
    if path.exists():
        raise UsageFault(
            f"There is an SSH key at {path}.",
            "Move it away first if it is to be replaced; every server needs the new public line before the next run.",
        )
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    line = f"{public.decode()} {comment}"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    before(line)
    files.write(path.with_name(path.name + ".pub"), line.encode() + b"\n")
    files.write(path, private, mode=0o600)
    return line


def fingerprint(line: str) -> str:
    """The `SHA256:...` fingerprint of a public key line, as ssh-keygen prints it. ConfigFault where it is no such line."""
    try:
        kind, encoded, *_ = line.split()
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        kind, blob = "", b""
    if not kind or not blob[4:].startswith(kind.encode()):
        raise ConfigFault("This is not an SSH public key line.", "It reads like: ssh-ed25519 AAAA...")
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
