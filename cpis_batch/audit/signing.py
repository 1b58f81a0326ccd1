"""Ed25519 signatures of the audit log, each over the 64 characters of an entry's hash, so that any tool can check it."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SECRET_BYTES = 32


class Signer:
    """A key that signs entries. ValueError where `secret` has not 32 bytes."""

    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"Signer({self.public})"

    @property
    def public_pem(self) -> bytes:
        """The public key as other tools read it: SubjectPublicKeyInfo, PEM."""
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, digest: str) -> str:
        """The signature of an entry's hash, in lower-case hexadecimal."""
        return self._key.sign(digest.encode()).hex()


def is_signed(digest: str, signature: str, public: str) -> bool:
    """Whether `signature` is that of `digest` by the key `public`, written as we write it: no other spelling counts."""
    try:
        raw = bytes.fromhex(signature)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(raw, digest.encode())
    except (InvalidSignature, ValueError):
        return False
    return raw.hex() == signature
