"""Parties with keys for the tests of the envelope, and GnuPG as a council uses it: its default settings, its own home."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pysequoia import Tsk

from cpis_batch.config import Limits
from cpis_batch.envelope.certificates import generate, inspect
from cpis_batch.envelope.opening import open_message
from cpis_batch.envelope.outcome import Opened, Unopened

EXPIRES = date(2090, 1, 1)
PLAINTEXT = b"H,CPIS-LA-EXTRACT,1.0,TEST,E09000012,FULL,118,2026-11-19T23:40:00+00:00,020 7946 0100,020 7946 0199\r\nT,0,0\r\n"


@dataclass(frozen=True)
class Party:
    """Somebody with a key."""

    name: str
    fingerprint: str
    certificate: bytes = field(repr=False)
    secret: bytes = field(repr=False)

    @property
    def allowed(self) -> dict[str, bytes]:
        return {self.fingerprint: self.certificate}


def parties(*names: str, expires: date = EXPIRES) -> list[Party]:
    """Parties with keys as `keys make` makes them."""
    pairs = generate([f"{name} <{name.lower().replace(' ', '-')}@example.org>" for name in names], expires=expires)
    return [party(name, pair.secret) for name, pair in zip(names, pairs, strict=True)]


def party(name: str, secret: bytes) -> Party:
    """A party with this secret key."""
    certificate = bytes(Tsk.from_bytes(secret).extract_certificate())
    return Party(name, inspect(certificate).fingerprint, certificate, secret)


class Council:
    """A council's desktop: gpg with its own home and without any setting; keys are named by their fingerprint or user id."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="la-"))
        (self.home / "gpg-agent.conf").write_text("s2k-count 65536\n")  # or a password costs seconds

    def gpg(self, *arguments: str, given: bytes = b"", fails: bool = False) -> bytes:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--pinentry-mode=loopback", "--passphrase=", *arguments]
        done = subprocess.run(argv, input=given, capture_output=True, check=False, timeout=60)
        assert fails or done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def has(self, *keys: bytes) -> Council:
        self.gpg("--import", given=b"".join(keys))
        return self

    def makes_key(self, user_id: str, *, rsa: bool = False, password: str = "", at: str | None = None) -> Party:
        """A key made here, good for a year from `at` (an instant as gpg writes it; without it, now)."""
        options = [f"--passphrase={password}", *([f"--faked-system-time={at}!"] if at else [])]
        if rsa:
            self.gpg(*options, "--quick-gen-key", user_id, "rsa2048", "cert,sign", "1y")
            self.gpg(*options, "--quick-add-key", self.fingerprint(user_id), "rsa2048", "encrypt", "1y")
        else:
            self.gpg(*options, "--quick-gen-key", user_id, "future-default", "default", "1y")
        return party(user_id, self.gpg(*options, "--export-secret-keys", user_id))

    def fingerprint(self, user_id: str) -> str:
        lines = self.gpg("--with-colons", "--list-keys", user_id).decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def seals(self, plaintext: bytes, *, to: Sequence[Party], by: Party | None, options: Sequence[str] = ()) -> bytes:
        """Sign and encrypt in one go, as Kleopatra does it; certificates are trusted as after a click on Certify."""
        file = self.home / "extract of tonight.csv"
        file.write_bytes(plaintext)
        recipients = [f"--recipient={one.fingerprint}" for one in to]
        signer = [f"--local-user={by.fingerprint}", "--sign"] if by else []
        return self.gpg("--trust-model=always", *options, "--output=-", *signer, *recipients, "--encrypt", str(file))

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "gpg-agent"], check=False, capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)


def opens(
    message: bytes, *, gpg_home: Path, allowed: Mapping[str, bytes], folder: Path, limits: Limits | None = None
) -> Opened | Unopened:
    """Open `message` as the hub does, out of a file in `folder`."""
    file = folder / "message.pgp"
    file.write_bytes(message)
    return open_message(file, gpg_home=gpg_home, allowed=allowed, limits=limits or Limits())
