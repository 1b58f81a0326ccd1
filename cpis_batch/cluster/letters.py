"""Sealing between a run and its workers, so that a scheduler carries what it cannot read.

A worker makes an X25519 key in memory; the run seals a key of the session to it, once for each worker. With that, whatever is
asked and answered goes as AES-256-GCM, bound to what it is for, so that no message can stand in for another.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cpis_batch.errors import Bug

_PUBLIC, _NONCE = 32, 12  # bytes
_PURPOSE = b"cpis-batch cluster letter 1"


class Letterbox:
    """A worker's key, which lives and dies with its process."""

    def __init__(self) -> None:
        self._key = X25519PrivateKey.generate()
        self.public = self._key.public_key().public_bytes_raw()

    def open(self, letter: bytes) -> bytes:
        """What was sealed to this letterbox. Bug where it was not, or was altered."""
        sender, sealed = letter[:_PUBLIC], letter[_PUBLIC:]
        shared = self._key.exchange(X25519PublicKey.from_public_bytes(sender))
        return Channel(_derived(shared, sender, self.public)).open(sealed, _PURPOSE)


def letter_to(public: bytes, plaintext: bytes) -> bytes:
    """`plaintext` sealed to the letterbox with this public key (32 bytes)."""
    sender = X25519PrivateKey.generate()
    ours = sender.public_key().public_bytes_raw()
    shared = sender.exchange(X25519PublicKey.from_public_bytes(public))
    return ours + Channel(_derived(shared, ours, public)).seal(plaintext, _PURPOSE)


def _derived(shared: bytes, sender: bytes, recipient: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE + sender + recipient).derive(shared)


class Channel:
    """Messages under one key of 32 bytes. `purpose` is not sent: who opens has to know what the message is for."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @staticmethod
    def new_key() -> bytes:
        """A key for one session."""
        return AESGCM.generate_key(256)

    def seal(self, plaintext: bytes, purpose: bytes) -> bytes:
        """Sealed and proof against change; at most 2^31 bytes."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plaintext, purpose)

    def open(self, sealed: bytes, purpose: bytes) -> bytes:
        """The plaintext. Bug where it was altered, or was meant for something else."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose)
        except (InvalidTag, ValueError):
            raise Bug(
                "A message between the run and a worker was altered on its way.", "Look who else is on the cluster."
            ) from None
