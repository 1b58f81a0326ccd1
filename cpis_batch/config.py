"""`config.toml` of a home, as frozen settings. Unknown keys are refused; a secret is named (`file:`, `env:`), never written."""

from __future__ import annotations

import os
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from cpis_batch.errors import ConfigFault, KeyFault
from cpis_batch.register.brake import Brake
from cpis_batch.vocabulary import Environment

FILE_NAME = "config.toml"


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which hub this is. `environment` decides which NHS numbers are real, and must stand in every header."""

    environment: Environment
    name: str = "CP-IS batch exchange"


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where secrets are, by reference: `file:PATH` (relative to the home, mode 600) or `env:NAME`."""

    master_key: str = "file:keys/master.key"


class SftpServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="sftp"):
    """A partner server. `host_keys` are pinned, in the form of known_hosts (`ssh-ed25519 AAAA...`); none is ever learnt."""

    host: str
    user: str
    host_keys: tuple[str, ...]
    port: int = 22
    key: str = "keys/ssh/id_ed25519"
    connections: int = 2
    channels: int = 8
    connect_seconds: float = 15.0
    read_seconds: float = 60.0
    fetch_seconds: float = 900.0


class FolderServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="folder"):
    """A folder tree (a mounted share, a managed file transfer product's drop) with the same layout."""

    path: str


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Caps on what a partner can make us do. Bytes unless the name says otherwise."""

    ciphertext_bytes: int = 64 * 1024 * 1024
    plaintext_bytes: int = 256 * 1024 * 1024
    compression_ratio: int = 200  # a CSV of ours compresses 4 to 8 times
    line_bytes: int = 4096
    open_seconds: float = 120.0
    open_memory_bytes: int = 1024 * 1024 * 1024
    listing_entries: int = 10_000
    files_per_partner: int = 200
    partner_seconds: float = 1800.0  # of one partner's files no more are begun after so long


class Intake(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long an unreadable file may still be growing; how many worker processes (0: one a core)."""

    partial_wait_minutes: int = 120
    workers: int = 0


class Extracts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Fortnights count from `fortnight_anchor` (a day on which one begins). Policy `first` or `all` bases apply."""

    fortnight_anchor: date = date(2026, 1, 5)
    policy: Literal["first", "all"] = "first"


class Demographics(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Days for which a trace counts as current, and for which a question to the trace service stays open.

    `ask_after_end`: whether a child whose last plan is over is asked about once more, for a move of practice.
    A service that has answered nothing for `unavailable_nights` is unavailable: files then load with their rows provisional,
    or `wait` for it, held whole and told so with CPF05.
    """

    current_days: int = 90
    answer_days: int = 7
    ask_after_end: bool = True
    unavailable: Literal["provisional", "wait"] = "provisional"
    unavailable_nights: int = 3


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Days after the end date for which a plan is kept; days for which a delivered message is kept to be sent again."""

    days: int = 365
    outbox_days: int = 30


class Warnings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When `status` turns amber and red. A file is amber `late_amber` cadences after the last one, a delivery in days."""

    late_amber: int = 2
    late_red: int = 5
    uncollected_amber_days: int = 2
    uncollected_red_days: int = 5
    key_expiry_days: tuple[int, ...] = (60, 30, 7)


class Ping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A dead-man's switch: addresses that runs of these kinds call, each a secret by reference, since whoever knows one can
    silence the alarm. Nobody is waited for longer than `seconds`.
    """

    start: str | None = None
    done: str | None = None
    failed: str | None = None
    runs: tuple[Literal["intake", "nightly", "fortnightly", "national"], ...] = ("nightly",)
    seconds: float = 5.0


class Operations(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is told after each run to those who watch: a page and metrics, files in the home or elsewhere; none where empty."""

    page: str = "operations/index.html"
    page_mode: Annotated[int, msgspec.Meta(ge=0o400, le=0o666)] = 0o600
    metrics: str = ""
    metrics_mode: Annotated[int, msgspec.Meta(ge=0o400, le=0o666)] = 0o644  # whoever collects metrics is another user
    ping: Ping = Ping()


class Cluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """TLS files (PEM; relative to the home, or absolute) with which a run speaks to a Dask scheduler: who certifies all of
    the cluster, and the run's own certificate and key. Workers forget keys `lease_seconds` after a run fell silent.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    connect_seconds: Annotated[float, msgspec.Meta(gt=0)] = 15.0
    lease_seconds: Annotated[float, msgspec.Meta(ge=1)] = 120.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of `config.toml`."""

    service: Service
    mailboxes: dict[str, SftpServer | FolderServer]
    secrets: Secrets = Secrets()
    limits: Limits = Limits()
    intake: Intake = Intake()
    brake: Brake = Brake()
    extracts: Extracts = Extracts()
    demographics: Demographics = Demographics()
    retention: Retention = Retention()
    warnings: Warnings = Warnings()
    operations: Operations = Operations()
    cluster: Cluster = Cluster()


_T = TypeVar("_T")


def read_toml(path: Path, kind: type[_T]) -> _T:
    """Read a TOML file into `kind`; ConfigFault names the file and the key at fault."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), kind)
    except FileNotFoundError as fault:
        raise ConfigFault(
            f"There is no {path}.", "Name the home with --home or CPIS_HOME, or make one: cpis-batch --home DIR init"
        ) from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as fault:
        raise ConfigFault(f"{path}: {fault}", "Mend that key and run: cpis-batch config check") from fault


def load(home: Path) -> Settings:
    """The settings of a home."""
    return read_toml(home / FILE_NAME, Settings)


def private_bytes(path: Path) -> bytes:
    """Read a key file. KeyFault where it is missing or anyone but its owner may read it."""
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077 and os.name != "nt":  # where a mode says nothing; an access list of the folder does
            raise KeyFault(
                f"{path} can be read by others (mode {mode:o}).",
                f"Run: chmod 600 {path}; then think about whether the key has leaked.",
            )
        return path.read_bytes()
    except OSError as fault:
        raise KeyFault(
            f"Cannot read the key file {path}: {fault.strerror}.",
            "Put it back from your safe, or make keys anew: cpis-batch keys --help",
        ) from fault


def secret(home: Path, reference: str) -> bytes:
    """The bytes that a reference of `config.toml` names, stripped of white space."""
    kind, _, where = reference.partition(":")
    if kind == "file":
        return private_bytes(home / where).strip()
    if kind == "env":
        if (value := os.environ.get(where)) is None:
            raise KeyFault(f"The environment variable {where} is not set.", "config.toml names it: env:NAME.")
        return value.encode().strip()
    raise ConfigFault(
        "A secret in config.toml is not a reference.",
        "Write file:PATH or env:NAME, and keep the secret itself out of config.toml.",
    )
