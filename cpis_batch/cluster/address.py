"""Where a scheduler is, and whether a run may speak to it: over TLS, or on this machine alone."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cpis_batch.config import Cluster, private_bytes
from cpis_batch.errors import ConfigFault, UsageFault

_FORM = "Write --cluster tls://HOST:PORT."


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: who certifies the cluster, and what the run proves itself with."""

    ca: Path
    certificate: Path
    key: Path


def tls_of(address: str, settings: Cluster, home: Path) -> Tls | None:
    """The TLS files for a scheduler's address; None for one on this machine that is asked for without TLS.

    UsageFault for what is no such address; ConfigFault where keys would cross a network without TLS, or a file of [cluster] is
    missing; KeyFault where the key can be read by others.
    """
    scheme, host = _parts(address)
    if scheme == "tcp":
        if not on_this_machine(host):
            raise ConfigFault(
                f"{address} is on another machine, and tcp:// does not encrypt: whoever listens would see who works for whom,"
                " and could take a worker's place.",
                "Start the scheduler and its workers with TLS and write tls://; [cluster] in config.toml names the files.",
            )
        return None
    named = {"ca": settings.ca, "certificate": settings.certificate, "key": settings.key}
    if lacking := [name for name, value in named.items() if not value]:
        raise ConfigFault(
            f"[cluster] in config.toml does not name {', '.join(lacking)}: without TLS files no run speaks to {address}.",
            "Make them as docs/cluster.md shows, and name them.",
        )
    files = {name: home / str(value) for name, value in named.items()}
    for name in ("ca", "certificate"):
        if not files[name].is_file():
            raise ConfigFault(f"There is no {files[name]}.", f"[cluster] {name} in config.toml names it.")
    private_bytes(files["key"])
    return Tls(**files)


def _parts(address: str) -> tuple[str, str]:
    try:
        split = urlsplit(address)
        whole = split.scheme in ("tcp", "tls") and split.hostname and split.port and not split.path.strip("/")
    except ValueError:
        whole = None
    if not whole:
        raise UsageFault(f"{address} is no address of a scheduler.", _FORM)
    return split.scheme, str(split.hostname)


def on_this_machine(host: str) -> bool:
    """Whether a host, a name or an address, is this machine for certain: what another name stands for a name server decides."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def fit(address: str, *, encrypted: bool) -> bool:
    """Whether the address of a worker is as safe as that of its scheduler has to be."""
    try:
        scheme, host = _parts(address)
    except UsageFault:
        return False
    return scheme == "tls" if encrypted else on_this_machine(host)
