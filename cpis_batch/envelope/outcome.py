"""What opening a message can come to. Outside, every decryption failure is one and the same."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """Why a message was not opened, as the sender is told."""

    UNREADABLE = "UNREADABLE"  # any decryption failure, cut short, not OpenPGP, over a limit: no cause is ever given
    UNSIGNED = "UNSIGNED"
    NOT_YOUR_KEY = "NOT_YOUR_KEY"  # a signature, but not by a key registered and valid for this sender now
    BAD_SIGNATURE = "BAD_SIGNATURE"


@dataclass(frozen=True, slots=True)
class Opened:
    """The plaintext, in memory only, and who signed it (fingerprint of the certificate's primary key, upper case)."""

    plaintext: bytes
    signer: str
    sealed_to: str  # fingerprint of the hub certificate it was sealed to

    def __repr__(self) -> str:
        return f"Opened({len(self.plaintext)} bytes, signer={self.signer})"


@dataclass(frozen=True, slots=True)
class Unopened:
    """No plaintext. `operator_detail` is for our own log only and never leaves the hub."""

    refusal: Refusal
    operator_detail: str
