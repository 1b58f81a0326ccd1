"""Seal what we send: one OpenPGP message, signed and then encrypted, not compressed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pysequoia import Tsk, encrypt

from cpis_batch.envelope import certificates
from cpis_batch.errors import KeyFault


def seal(plaintext: bytes, *, recipients: Sequence[bytes], signer: bytes, password: str | None = None) -> bytes:
    """Sign with the secret key `signer`, encrypt to every certificate of `recipients`; the message in binary.

    80 kB take about a millisecond, in which the library holds the interpreter's lock: seal in worker processes. KeyFault where
    there is no recipient, or one is expired, revoked or has no key to encrypt to; then nothing is sealed to any of them. Expiry
    is judged by the clock, not by a business date: the reader's tools will do the same.
    """
    if not recipients:
        raise KeyFault("There is no certificate to seal to.", "Run: cpis-batch keys check")
    now = datetime.now(UTC)
    certs = [certificates.recipient(data, now) for data in recipients]
    try:
        return encrypt(plaintext, recipients=certs, signer=Tsk.from_bytes(signer).signer(password), armor=False)
    except Exception:  # noqa: BLE001  the library knows only RuntimeError
        raise KeyFault(
            "The key that is to sign cannot: it is expired, unreadable, or its password is another.",
            "At the hub run: cpis-batch keys check. At a desk look at --key, and give --password where the key has one.",
        ) from None
