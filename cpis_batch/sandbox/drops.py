"""What a partner puts down on a server: a file, sealed as it should be or as it should not.

The remote tree is that of the servers in a home for rehearsal: `<root>/<partner's folder>/{inbound,outbound,processed,refused}`.
Partners' secret keys are theirs: `Senders` reads them from the sandbox's own folder, which the hub never looks into.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from pysequoia import Cert, encrypt

from cpis_batch.envelope import gnupg
from cpis_batch.envelope.gpg_home import GpgHome
from cpis_batch.envelope.sealing import seal

BOMB_BYTES = 100 * 1024 * 1024


class Sealing(StrEnum):
    """How the content of a drop is made into the bytes that are put down."""

    PROPER = "PROPER"  # signed by its sender, sealed to the hub
    UNSIGNED = "UNSIGNED"
    STRANGER = "STRANGER"  # signed by another authority's key
    BOMB = "BOMB"  # in place of the content 100 MB of zeros, compressed to 100 kB, properly signed and sealed
    NONE = "NONE"  # the content as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """One file in one partner's inbound folder, at `put_at`.

    `keep` is the share of the sealed bytes that arrives. `same_as` names an earlier drop of the same sender whose very
    bytes are put down again; `content` is then not used.
    """

    sender: str
    name: str
    put_at: datetime
    content: bytes = b""
    sealing: Sealing = Sealing.PROPER
    keep: float = 1.0
    same_as: str | None = None


@dataclass(frozen=True)
class Senders:
    """The partners of a rehearsal, by code: where they drop, with which keys."""

    root: Path  # of the remote tree
    keys: Path  # <code>.key, the secret keys
    folders: Mapping[str, str]  # code -> folder in the tree
    hub_certificate: bytes

    def secret(self, code: str) -> bytes:
        """A partner's secret key."""
        return (self.keys / f"{code}.key").read_bytes()

    @cached_property
    def _stranger(self) -> dict[str, str]:
        """For each partner another one, with another key."""
        codes = sorted(self.folders)
        secrets = {code: self.secret(code) for code in codes}
        return {code: next(other for other in codes if secrets[other] != secrets[code]) for code in codes}

    def put_down(self, drops: Iterable[Drop]) -> int:
        """Seal and write the drops in their order; how many."""
        count = 0
        for drop in drops:
            path = self.root / self.folders[drop.sender] / "inbound" / drop.name
            path.write_bytes(self._bytes(drop))
            os.utime(path, (drop.put_at.timestamp(),) * 2)
            count += 1
        return count

    def _bytes(self, drop: Drop) -> bytes:
        if drop.same_as is not None:
            lying = (
                self.root / self.folders[drop.sender] / where / drop.same_as for where in ("inbound", "processed", "refused")
            )
            return next(path for path in lying if path.exists()).read_bytes()
        sealed = self._sealed(drop)
        return sealed[: int(len(sealed) * drop.keep)]

    def _sealed(self, drop: Drop) -> bytes:
        match drop.sealing:
            case Sealing.PROPER:
                return seal(drop.content, recipients=[self.hub_certificate], signer=self.secret(drop.sender))
            case Sealing.STRANGER:
                return seal(drop.content, recipients=[self.hub_certificate], signer=self.secret(self._stranger[drop.sender]))
            case Sealing.UNSIGNED:
                return encrypt(drop.content, recipients=[Cert.from_bytes(self.hub_certificate)], armor=False)
            case Sealing.BOMB:
                return bomb(self.hub_certificate, self.secret(drop.sender))
            case Sealing.NONE:
                return drop.content


def bomb(recipient: bytes, signer: bytes, size: int = BOMB_BYTES) -> bytes:
    """A proper message of `size` zeros, compressed. Made by gpg: the library that seals for us does not compress."""
    with GpgHome() as home, tempfile.TemporaryFile() as zeros:
        gnupg.run(home.path, "--import", given=recipient)
        gnupg.run(home.path, "--import", given=signer)
        zeros.truncate(size)
        arguments = ("--compress-algo=zlib", "-z", "9", "--recipient", fingerprint(recipient), "--sign", "--encrypt")
        done = subprocess.run(
            gnupg.command(home.path, *arguments), stdin=zeros, capture_output=True, env=gnupg.environment(), check=True
        )
    return done.stdout


def fingerprint(certificate: bytes) -> str:
    """The fingerprint of a certificate, in upper case."""
    return Cert.from_bytes(certificate).fingerprint.upper()
