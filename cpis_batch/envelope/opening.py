"""Open what a partner has sealed: gpg reads it, its status lines decide, and the plaintext never leaves memory.

Nothing of a plaintext is given out before its sender is proven, and every failure to decrypt looks the same outside (F22).
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cpis_batch.config import Limits
from cpis_batch.envelope import bounded, certificates, gnupg, keyboxes, status
from cpis_batch.envelope.gpg_home import GpgHome
from cpis_batch.envelope.outcome import Opened, Refusal, Unopened
from cpis_batch.errors import KeyFault, Transient

__all__ = ["GpgHome", "open_message"]

_END = b"-----END PGP MESSAGE-----"
_FREE_BYTES = 16 * 1024 * 1024  # plaintext up to here may be compressed as hard as one likes


def open_message(
    ciphertext: Path,
    *,
    gpg_home: Path,
    allowed: Mapping[str, bytes],
    limits: Limits,
    judged_at: datetime | None = None,
) -> Opened | Unopened:
    """Decrypt the file and verify that exactly one signature stands in it, by one of `allowed`.

    `gpg_home`: the path of a `GpgHome`, in this process or another. `allowed`: the sender's certificates by upper-case
    fingerprint, as `partners.certificates` has them for the day. `judged_at`: the instant at which keys must have been good, for
    a message out of the archive; without it, now. An 80 kB message takes some 5 ms.

    Raises KeyFault (our own keys or agent) and Transient (gpg was killed from outside), which say nothing about the message.
    """
    if not _whole_if_armored(ciphertext):
        return Unopened(Refusal.UNREADABLE, "armored text that does not end with its last line")
    ring = certificates.keyring(allowed)
    try:
        keybox = keyboxes.kept(gpg_home, ring, allowed)
        if keybox:
            finished = _read(ciphertext, gpg_home, keybox, limits, judged_at)
            found = _outcome(finished, gpg_home, allowed)
            if isinstance(found, Opened) or finished.crossed:
                return found
        # who is refused is refused by the certificates themselves: a keybox is a copy of them, and may be damaged
        found = _outcome(_read_by(ring, ciphertext, gpg_home, limits, judged_at), gpg_home, allowed)
        if keybox and isinstance(found, Opened):
            keybox.unlink(missing_ok=True)  # to be made anew
    except FileNotFoundError as fault:
        if fault.filename == "gpg":
            raise gnupg.no_gpg() from None
        raise
    return found


def _read_by(ring: bytes, ciphertext: Path, home: Path, limits: Limits, judged_at: datetime | None) -> bounded.Finished:
    """What gpg makes of the message with the certificates as they are."""
    senders = home / f"senders-{secrets.token_hex(8)}.gpg"
    senders.write_bytes(ring)
    try:
        return _read(ciphertext, home, senders, limits, judged_at)
    finally:
        senders.unlink(missing_ok=True)


def _read(ciphertext: Path, home: Path, senders: Path, limits: Limits, judged_at: datetime | None) -> bounded.Finished:
    """What gpg makes of the message, with the hub's keys and those in the file `senders`."""
    with ciphertext.open("rb") as stream:
        size = ciphertext.stat().st_size
        walls = bounded.Walls(
            memory_bytes=limits.open_memory_bytes,
            seconds=limits.open_seconds,
            stdout_bytes=min(limits.plaintext_bytes, max(_FREE_BYTES, size * limits.compression_ratio)),
        )
        return bounded.run(
            lambda status_fd: _command(home, senders, judged_at, status_fd), stdin=stream, env=gnupg.environment(), walls=walls
        )


def _whole_if_armored(ciphertext: Path) -> bool:
    """Whether an armored message ends with its one END line. gpg reads it without: a part of an upload that lacks no more than
    that would be taken for the file (F01). The first byte of a binary message has its high bit set.
    """
    with ciphertext.open("rb") as stream:
        if stream.read(1) >= b"\x80":
            return True
        stream.seek(0)
        text = stream.read()
    return text.count(_END) == 1 and text.replace(b"\r\n", b"\n").endswith(_END + b"\n")


def _command(home: Path, senders: Path, judged_at: datetime | None, status_fd: int) -> list[str]:
    faked = () if judged_at is None else (f"--faked-system-time={judged_at.astimezone(UTC):%Y%m%dT%H%M%S}",)
    return gnupg.command(
        home,
        f"--keyring={senders}",  # beside the hub's own, which are in the home's keybox
        "--lock-never",
        "--no-autostart",  # an agent begun from here would stand behind the same walls
        *faked,
        f"--status-fd={status_fd}",
        "--decrypt",
    )


def _outcome(finished: bounded.Finished, home: Path, allowed: Mapping[str, bytes]) -> Opened | Unopened:
    if finished.crossed:
        return Unopened(Refusal.UNREADABLE, f"stopped at the limit of {finished.crossed}")
    if finished.returncode == -signal.SIGKILL:
        raise Transient("gpg was killed from outside, perhaps for want of memory.", "Run the same command again.")
    verdict = status.judge(finished.status, allowed)
    if finished.returncode != 0 and (isinstance(verdict, status.Sound) or verdict.refusal is Refusal.UNSIGNED):
        # gpg stumbled over something that no status line tells, and over no signature: this is not what a sender's tool made
        verdict = status.Unsound(Refusal.UNREADABLE, f"gpg ended with {finished.returncode}")
    if isinstance(verdict, status.Sound):
        return Opened(finished.stdout, verdict.signer, verdict.sealed_to)
    if verdict.refusal is Refusal.UNREADABLE and not gnupg.agent_lives(home):
        raise KeyFault("The agent that holds the hub's keys has ended.", "Run the same command again.")
    return Unopened(verdict.refusal, f"{verdict.reason}; {gnupg.printable(finished.stderr)}")
