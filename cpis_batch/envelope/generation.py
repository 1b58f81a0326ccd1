"""Make OpenPGP keys, by gpg: ed25519 to sign and cv25519 to encrypt to.

By gpg, because keys that PySequoia makes say that they take the newest form of encryption; PySequoia then uses it, and
GnuPG 2.2 and 2.4, which partners have, cannot read it. Many keys in one process cost 14 ms each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from pysequoia import Tsk
from pysequoia.packet import Packet, PacketPile, Tag

from cpis_batch.envelope import certificates, gnupg
from cpis_batch.envelope.gpg_home import GpgHome
from cpis_batch.errors import KeyFault, UsageFault

_BLOCK = """\
Key-Type: eddsa
Key-Curve: ed25519
Key-Usage: sign
Subkey-Type: ecdh
Subkey-Curve: cv25519
Subkey-Usage: encrypt
Name-Real: {name}
Name-Email: {email}
Expire-Date: {expires:%Y%m%d}T235959
%commit
"""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new key without a password: fingerprint in upper case, certificate and secret key in binary."""

    fingerprint: str
    certificate: bytes = field(repr=False)
    secret: bytes = field(repr=False)


def generate(people: Sequence[tuple[str, str]], *, expires: date) -> list[KeyPair]:
    """One key for each (name, e-mail) of `people`, in their order, good until the end of `expires` (UTC).

    UsageFault where a name cannot stand in a user id; KeyFault where gpg fails.
    """
    for name, email in people:
        if not name.strip() or not (name + email).isprintable() or any(mark in name + email for mark in "<>()"):
            raise UsageFault("A key's name and e-mail address are printable text without < > ( ).", "")
    order = "%no-protection\n" + "".join(_BLOCK.format(name=n, email=e, expires=expires) for n, e in people)
    with GpgHome() as home:
        gnupg.run(home, "--gen-key", given=order.encode())
        secrets = [_pair(packets) for packets in _split(gnupg.run(home, "--export-secret-keys"))]
    if len(secrets) != len(people):
        raise KeyFault("gpg did not make every key.", "Is there room in the temporary folder?")
    return secrets


def _split(exported: bytes) -> list[list[Packet]]:
    """The packets of several secret keys, key by key."""
    keys: list[list[Packet]] = []
    for packet in PacketPile.from_bytes(exported):
        if packet.tag == Tag.SecretKey:
            keys.append([])
        keys[-1].append(packet)
    return keys


def _pair(packets: list[Packet]) -> KeyPair:
    secret = Tsk.from_packets(packets)
    certificate = certificates.read(bytes(secret.extract_certificate()))
    return KeyPair(certificate.fingerprint, certificate.data, bytes(secret))
