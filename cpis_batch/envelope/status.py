"""What gpg's status lines say of a message. They alone decide: gpg's exit code is 0 for a message that nobody signed, and its
plaintext is written before it knows that the message is cut short.

Source: doc/DETAILS of GnuPG, "Format of the --status-fd output". The lines looked at are those that GnuPG 2.2 and 2.4 write.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from cpis_batch.envelope.outcome import Refusal

_PREFIX = b"[GNUPG:] "
_ONCE = ("DECRYPTION_KEY", "BEGIN_DECRYPTION", "PLAINTEXT", "DECRYPTION_OKAY", "GOODMDC", "END_DECRYPTION")
_FATAL = frozenset({"DECRYPTION_FAILED", "NODATA", "UNEXPECTED", "BADARMOR", "BADMDC"})
_DOCUMENT = frozenset({"00", "01"})  # a signature over binary or text data, and none over a key
_HASHES = frozenset({"8", "9", "10", "11"})  # SHA-256, SHA-384, SHA-512, SHA-224
_NO_PUBLIC_KEY = "9"
_SIGNATURE_LINES = frozenset({"NEWSIG", "GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG", "VALIDSIG"})


@dataclass(frozen=True, slots=True)
class Sound:
    """A whole message with one good signature: primary fingerprints of the signer and of the key it was sealed to."""

    signer: str
    sealed_to: str


@dataclass(frozen=True, slots=True)
class Unsound:
    """Why not. `reason` is for the operator and holds no text of the partner's."""

    refusal: Refusal
    reason: str


def parse(status: bytes) -> list[list[str]]:
    """Keyword and arguments of each status line. Notations put raw bytes into them, hence `replace` and no `splitlines`."""
    lines = [line[len(_PREFIX) :] for line in status.split(b"\n") if line.startswith(_PREFIX)]
    return [line.decode("utf-8", errors="replace").split(" ") for line in lines]


def judge(status: bytes, allowed: Container[str]) -> Sound | Unsound:
    """Hold the status lines of one message against what a sound one says, exactly once each and in its order.

    `allowed`: the primary fingerprints, upper case, that may sign it. Plaintext and signature must lie inside the encryption.
    """
    lines = parse(status)
    keywords = [line[0] for line in lines]
    if fatal := _FATAL.intersection(keywords):
        return Unsound(Refusal.UNREADABLE, f"gpg says {', '.join(sorted(fatal))}")
    if wrong := [keyword for keyword in _ONCE if keywords.count(keyword) != 1]:
        return Unsound(Refusal.UNREADABLE, f"not one encrypted message: {', '.join(wrong)} not exactly once")
    begin, plaintext, end = (keywords.index(keyword) for keyword in ("BEGIN_DECRYPTION", "PLAINTEXT", "END_DECRYPTION"))
    if not begin < plaintext < end:
        return Unsound(Refusal.UNREADABLE, "the plaintext lies outside the encryption")
    by_keyword = {line[0]: (place, line[1:]) for place, line in enumerate(lines)}
    key_words = by_keyword["DECRYPTION_KEY"][1]
    if (fault := _signature_fault(keywords, by_keyword)) is not None:
        return fault
    place, words = by_keyword["VALIDSIG"]
    # VALIDSIG fpr date time expires version reserved pubkey-algo hash-algo class primary-fpr
    if len(words) < 10 or len(key_words) < 2 or not begin < place < end:
        return Unsound(Refusal.BAD_SIGNATURE, "the signature lies outside the encryption")
    if words[7] not in _HASHES or words[8] not in _DOCUMENT:
        return Unsound(Refusal.BAD_SIGNATURE, f"signature of class {words[8]} with hash {words[7]}, which we do not take")
    if words[9] not in allowed:
        return Unsound(Refusal.NOT_YOUR_KEY, f"signed by {words[9]}, which is not allowed here")
    return Sound(words[9], key_words[1])


def _signature_fault(keywords: list[str], by_keyword: dict[str, tuple[int, list[str]]]) -> Unsound | None:
    """What is wrong with the signatures, if anything: none, more than one, not verified, or by a key that is not good now."""
    found = [keyword for keyword in keywords if keyword in _SIGNATURE_LINES]
    if not found:
        return Unsound(Refusal.UNSIGNED, "no signature")
    if found.count("NEWSIG") > 1 or len(found) != len(set(found)):
        return Unsound(Refusal.BAD_SIGNATURE, "more than one signature")
    if "ERRSIG" in found:
        # ERRSIG keyid pubkey-algo hash-algo class time rc fpr
        _, words = by_keyword["ERRSIG"]
        code = words[5] if len(words) > 5 else "?"
        if code == _NO_PUBLIC_KEY:
            return Unsound(Refusal.NOT_YOUR_KEY, f"signed by {words[-1]}, of which there is no certificate")
        return Unsound(Refusal.BAD_SIGNATURE, f"gpg cannot check the signature, code {code}")
    for keyword in ("EXPKEYSIG", "REVKEYSIG"):
        if keyword in found:
            return Unsound(Refusal.NOT_YOUR_KEY, f"gpg says {keyword}: signed by a key that is no longer good")
    if sorted(found) != ["GOODSIG", "NEWSIG", "VALIDSIG"]:
        return Unsound(Refusal.BAD_SIGNATURE, f"gpg says {', '.join(found)}")
    return None
