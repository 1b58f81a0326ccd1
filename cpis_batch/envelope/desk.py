"""Open on a partner's desk what the hub has sealed: nothing but this package is needed, no gpg."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pysequoia import Cert, Tsk, decrypt
from pysequoia.packet import PacketPile, Tag

from cpis_batch.envelope.outcome import Opened, Refusal, Unopened
from cpis_batch.errors import KeyFault

_KEYS = (Tag.PublicKey, Tag.PublicSubkey)


def open_at_desk(
    ciphertext: bytes, *, secret: bytes, senders: Mapping[str, bytes], password: str | None = None
) -> Opened | Unopened:
    """Decrypt with the desk's own `secret` key and hold the message to exactly one valid signature by one of `senders`.

    `senders`: certificates by upper-case fingerprint. `password` unlocks the secret key. Compressed messages are not
    read: the hub makes none, and so no message can swell. KeyFault where the secret key or its password is wrong.
    """
    try:
        key = Tsk.from_bytes(secret)
        own = key.extract_certificate()
        decryptor = key.decryptor(password)
    except Exception:  # noqa: BLE001  the library knows only RuntimeError
        raise KeyFault(
            "The secret key cannot be used: it is not one, or its password is another.",
            "Export it with: gpg --export-secret-keys FINGERPRINT > own.key; mind who can read that file.",
        ) from None
    if not _is_encrypted(ciphertext):
        return Unopened(Refusal.UNREADABLE, "not an encrypted OpenPGP message")
    asked: list[list[str]] = []

    def issuers(ids: list[str]) -> list[Cert]:
        asked.append(ids)
        return [Cert.from_bytes(data) for data in senders.values()]

    try:
        result = decrypt(ciphertext, decryptor=decryptor, store=issuers)
    except Exception as fault:  # noqa: BLE001
        detail = str(fault).partition("\n")[0][:200]
        return Unopened(_refusal(asked, senders.values()), detail)
    signers = [signature.certificate.upper() for signature in result.valid_sigs]
    if len(signers) != 1 or [len(ids) for ids in asked] != [1]:
        return Unopened(Refusal.BAD_SIGNATURE, "more than one signature; exactly one is wanted")
    if signers[0] not in senders:
        return Unopened(Refusal.NOT_YOUR_KEY, f"signed by {signers[0]}")
    return Opened(result.bytes or b"", signers[0], own.fingerprint.upper())


def _is_encrypted(message: bytes) -> bool:
    """Whether it begins as an encrypted message does. The library's decrypt also takes one that is only signed."""
    try:
        return bool(next(iter(PacketPile.from_bytes(message))).tag == Tag.PKESK)
    except Exception:  # noqa: BLE001  RuntimeError where it is no OpenPGP, StopIteration where it is empty
        return False


def _refusal(asked: list[list[str]], senders: Iterable[bytes]) -> Refusal:
    """Why, by what the library asked for: it asks for certificates only once the whole message is decrypted and found intact."""
    if not asked:
        return Refusal.UNREADABLE
    issuers = {handle for ids in asked for handle in ids}
    if not issuers:
        return Refusal.UNSIGNED
    keys = [packet for data in senders for packet in PacketPile.from_bytes(data) if packet.tag in _KEYS]
    if issuers & {handle for packet in keys for handle in (packet.fingerprint, packet.key_id)}:
        return Refusal.BAD_SIGNATURE
    return Refusal.NOT_YOUR_KEY
