"""OpenPGP certificates: what is in one, whether it can be sealed to, the keyring file that gpg reads, and new keys.

Keys are made by gpg, because those that PySequoia makes say that they take the newest form of encryption; PySequoia then
uses it, and GnuPG 2.2 and 2.4, which partners have, cannot read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple

from pysequoia import ArmorKind, Cert, Tsk, armor, encrypt
from pysequoia.packet import Packet, PacketPile, SignatureType, Tag

from cpis_batch.errors import InputRefused, KeyFault, UsageFault

_SECRET = (Tag.SecretKey, Tag.SecretSubkey)
_USER_ID = re.compile(r"(?P<name>[^<>()]+) <(?P<email>[^<>()\s]+@[^<>()\s]+)>")
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
class Certificate:
    """One certificate. The fingerprint is that of the primary key, in upper case; `data` is binary."""

    fingerprint: str
    expires: datetime | None
    revoked: bool
    user_ids: tuple[str, ...]
    data: bytes = field(repr=False)

    def expired(self, now: datetime) -> bool:
        """Whether it has run out at `now`."""
        return self.expires is not None and self.expires <= now

    def sealable(self, now: datetime) -> bool:
        """Whether a message can be sealed to it at `now`."""
        try:
            recipient(self.data, now)
        except KeyFault:
            return False
        return True

    def gnupg_can_read(self, now: datetime) -> bool:
        """Whether GnuPG 2.2 and 2.4 can read what is sealed to it: False where it asks for encryption of version 2 (RFC 9580)."""
        try:
            message = encrypt(b"", recipients=[recipient(self.data, now)], armor=False)
        except KeyFault:
            return False
        return any(packet.tag == Tag.SEIP and packet.body[:1] == b"\x01" for packet in PacketPile.from_bytes(message))

    @property
    def armored(self) -> bytes:
        """It as text, the form in which people pass it on."""
        return armor(self.data, ArmorKind.PublicKey).encode()


@lru_cache(maxsize=1024)
def inspect(data: bytes) -> Certificate:
    """The one public certificate in `data` (armored or binary). A night asks several times, at 0.3 ms an answer.

    InputRefused where it is none, is more than one, or holds a secret key: a partner's secret key must never be here.
    """
    try:
        packets = list(PacketPile.from_bytes(data))
        certs = Cert.split_bytes(data)
    except Exception:  # noqa: BLE001  the library knows only RuntimeError, and quotes what it read
        packets, certs = [], []
    if any(packet.tag in _SECRET for packet in packets):
        raise InputRefused(
            "This file holds a SECRET key.",
            "Delete it here, tell its owner that it was sent, and ask for the public certificate of a new key.",
        )
    if len(certs) != 1:
        raise InputRefused(
            "This is not one OpenPGP certificate.", "Export one public key: gpg --armor --export FINGERPRINT > key.asc"
        )
    (cert,) = certs
    return Certificate(
        fingerprint=cert.fingerprint.upper(),
        expires=cert.expiration.astimezone(UTC) if cert.expiration else None,
        revoked=cert.is_revoked,
        user_ids=tuple(str(user_id) for user_id in cert.user_ids),
        data=bytes(cert),
    )


def recipient(data: bytes, now: datetime) -> Cert:
    """The certificate in the form to encrypt to at `now`: without its expired subkeys.

    The library (0.1.35) encrypts to a revoked certificate, and where no live key is left to an expired one; so the judgement
    is here. KeyFault, naming the fingerprint, where it is revoked, expired or has no live key to encrypt to.
    """
    fingerprint = "that was given"
    try:
        known = _known(data)
        fingerprint = known.fingerprint
        if known.revoked:
            fault = "is revoked"
        elif known.expires is not None and known.expires <= now:
            fault = f"expired on {known.expires:%Y-%m-%d}"
        else:
            return _live(data, frozenset(expiry for expiry in known.subkeys_expire if expiry <= now))
    except Exception:  # noqa: BLE001  see `inspect`
        fault = "is unreadable or has no live key to encrypt to"
    raise KeyFault(
        f"Nothing can be sealed to the certificate {fingerprint}: it {fault}.",
        "Ask its owner for a new certificate, then: cpis-batch keys import",
    )


class _Known(NamedTuple):
    """What decides whether a certificate can be sealed to at some time."""

    fingerprint: str
    revoked: bool
    expires: datetime | None
    subkeys_expire: frozenset[datetime]


@lru_cache(maxsize=1024)
def _known(data: bytes) -> _Known:
    cert = Cert.from_bytes(data)
    expiries = (_expiry(block) for block in _blocks(bytes(cert)))
    return _Known(cert.fingerprint.upper(), cert.is_revoked, cert.expiration, frozenset(one for one in expiries if one))


@lru_cache(maxsize=1024)
def _live(data: bytes, expired: frozenset[datetime]) -> Cert:
    """The certificate without the subkeys that expired at these instants. A night asks several times, at 1 ms an answer."""
    blocks = (block for block in _blocks(bytes(Cert.from_bytes(data))) if _expiry(block) not in expired)
    live = Cert.from_packets([packet for block in blocks for packet in block])
    encrypt(b"", recipients=[live], armor=False)
    return live


def _blocks(data: bytes) -> Iterator[list[Packet]]:
    """The packets of a binary certificate: the primary key with what belongs to it, then each subkey with its signatures."""
    block: list[Packet] = []
    for packet in PacketPile.from_bytes(data):
        if packet.tag == Tag.PublicSubkey:
            yield block
            block = []
        block.append(packet)
    yield block


def _expiry(block: list[Packet]) -> datetime | None:
    """When a subkey expires, by its latest binding. None for one that does not, and for the primary key, judged by itself."""
    key = block[0]
    if key.tag != Tag.PublicSubkey or key.key_created is None:
        return None
    bindings = [
        (packet.signature_created, packet.key_validity_period)
        for packet in block[1:]
        if packet.signature_type == SignatureType.SubkeyBinding and packet.signature_created
    ]
    if not bindings:
        return None  # the library passes over a subkey that nothing binds
    _, valid_for = max(bindings, key=lambda binding: binding[0])
    return key.key_created + valid_for if valid_for is not None and valid_for.total_seconds() > 0 else None


def keyring(certificates: Mapping[str, bytes]) -> bytes:
    """A keyring file for gpg: the binary certificates one after the other. Keys are their fingerprints, upper case.

    KeyFault where one is unreadable or is not the one that its name says.
    """
    return b"".join(_binary(fingerprint, data) for fingerprint, data in certificates.items())


@lru_cache(maxsize=1024)  # a partner's certificates are asked for with each of its messages
def _binary(fingerprint: str, data: bytes) -> bytes:
    try:
        cert = Cert.from_bytes(data)
    except Exception:  # noqa: BLE001  see `inspect`
        raise KeyFault(f"The certificate {fingerprint} is unreadable.", "Run: cpis-batch keys check") from None
    if cert.fingerprint.upper() != fingerprint:
        raise KeyFault(
            f"The file of the certificate {fingerprint} holds {cert.fingerprint.upper()}.",
            "Find out who put it there; then run: cpis-batch keys import",
        )
    return bytes(cert)


class KeyPair(NamedTuple):
    """A new key without a password: the certificate and the secret key, both in binary."""

    certificate: bytes
    secret: bytes

    def __repr__(self) -> str:
        return "KeyPair(**********)"


def generate(user_ids: Sequence[str], *, expires: date) -> list[KeyPair]:
    """One key for each of `user_ids` (`Name <address>`), in their order, good until the end of `expires` in UTC.

    ed25519 to sign, cv25519 to encrypt to. Many in one call cost 14 ms each. UsageFault where a user id has another form;
    KeyFault where gpg fails.
    """
    # Here alone, since an authority's desk has neither gpg nor, on Windows, what a home for it is made with.
    from cpis_batch.envelope import gnupg
    from cpis_batch.envelope.gpg_home import GpgHome

    order = "%no-protection\n"
    for user_id in user_ids:
        if not (parts := _USER_ID.fullmatch(user_id)) or not user_id.isprintable():
            raise UsageFault("A key's user id has another form than: Name <address>.", "Name it so, in printable text.")
        order += _BLOCK.format(expires=expires, **parts.groupdict())
    with GpgHome() as home:
        gnupg.run(home.path, "--gen-key", given=order.encode())
        exported = list(PacketPile.from_bytes(gnupg.run(home.path, "--export-secret-keys")))
    starts = [place for place, packet in enumerate(exported) if packet.tag == Tag.SecretKey]
    pairs = []
    for start, end in zip(starts, [*starts[1:], len(exported)], strict=True):
        key = Tsk.from_packets(exported[start:end])
        pairs.append(KeyPair(bytes(key.extract_certificate()), bytes(key)))
    return pairs
