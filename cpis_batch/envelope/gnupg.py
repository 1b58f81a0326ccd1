"""How gpg is run here: no terminal, no user's options, no network, and nothing secret in its environment or command line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cpis_batch.errors import ConfigFault, KeyFault

PATIENCE_SECONDS = 60.0


def command(home: Path, *arguments: str) -> list[str]:
    """The command line of a gpg that uses `home` alone: no terminal, no options file, no network."""
    return [
        "gpg", f"--homedir={home}", "--batch", "--no-tty", "--quiet", "--no-options", "--disable-dirmngr",
        "--no-permission-warning", "--trust-model=always", "--no-auto-check-trustdb", *arguments,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """What gpg and its agent are given: nothing of ours but where programs are; messages in English."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}


def no_gpg() -> ConfigFault:
    """GnuPG is not installed."""
    return ConfigFault("There is no gpg on this machine.", "Install GnuPG 2.2 or newer: apt-get install gnupg")


def run(home: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Run gpg on our own keys (never on what a partner sent: that is `bounded.run`); what it wrote. KeyFault where it fails."""
    try:
        done = subprocess.run(
            command(home, *arguments), input=given, capture_output=True, env=environment(), timeout=PATIENCE_SECONDS, check=False
        )
    except FileNotFoundError:
        raise no_gpg() from None
    except subprocess.TimeoutExpired:
        raise KeyFault("gpg does not end.", f"Look at the machine's load and at {home.parent}.") from None
    if done.returncode != 0:
        reason = printable(done.stderr)
        raise KeyFault(f"gpg failed on our own keys: {reason}", "Run: cpis-batch keys check")
    return done.stdout


def agent_lives(home: Path) -> bool:
    """Whether the agent of `home` answers. gpg-connect-agent ends with 0 either way; only an agent says OK."""
    return b"OK" in _ask_agent(["gpg-connect-agent", f"--homedir={home}", "--no-autostart", "GETINFO pid", "/bye"])


def stop_agent(home: Path) -> None:
    """End the agent of `home`. Should that fail, it ends by itself once its folder is gone."""
    _ask_agent(["gpgconf", f"--homedir={home}", "--kill", "gpg-agent"])


def _ask_agent(argv: list[str]) -> bytes:
    try:
        done = subprocess.run(
            argv, capture_output=True, stdin=subprocess.DEVNULL, env=environment(), timeout=PATIENCE_SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return b""
    return done.stdout


def printable(text: bytes) -> str:
    """Text of another program or a partner, in one line of at most 400 printable characters, fit for a log."""
    kept = text.decode("utf-8", errors="replace").encode("unicode_escape").decode("ascii")
    return kept.replace("\\n", " | ").strip(" |")[:400]
