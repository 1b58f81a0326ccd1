"""The hub's own OpenPGP keys: which signs today, and which are still accepted for opening.

    keys/hub/hub.toml        [[keys]] fingerprint, from, to
    keys/hub/<FPR>.key       the secret key, wrapped by the master key
    keys/hub/<FPR>.asc       the certificate to give to partners

A key signs from its `from` on, until a later one takes over. It is accepted for opening until its `to`, also before its
`from`: partners may seal to a new certificate from the day that they have it, and to the old one while the overlap lasts (F21).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import msgspec

from cpis_batch import config, files
from cpis_batch.envelope import certificates
from cpis_batch.errors import KeyFault, UsageFault
from cpis_batch.keystore import MasterKey

FOLDER = "keys/hub"
LIST = "hub.toml"


class _Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fingerprint: str
    starts: date = msgspec.field(name="from")
    ends: date = msgspec.field(name="to")


class _Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[_Listed, ...] = ()


@dataclass(frozen=True, slots=True)
class HubKey:
    """One key of the hub, its days both included. `certificate` and `secret` are binary, without a password."""

    fingerprint: str
    starts: date
    ends: date
    certificate: bytes = field(repr=False)
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class HubKeys:
    """The hub's keys, the oldest first."""

    keys: tuple[HubKey, ...]

    def current(self, day: date) -> HubKey:
        """The key that signs on `day`: of those that have begun and not run out, the latest. KeyFault where there is none."""
        begun = [key for key in self.keys if key.starts <= day <= key.ends]
        if not begun:
            raise KeyFault(f"The hub has no OpenPGP key for {day}.", "Run: cpis-batch keys make hub")
        return begun[-1]

    def accepted(self, day: date) -> tuple[HubKey, ...]:
        """The keys that messages may be sealed to on `day`."""
        return tuple(key for key in self.keys if day <= key.ends)


def load(home: Path, master: MasterKey) -> HubKeys:
    """All keys that `hub.toml` lists, unwrapped. KeyFault where a file is missing, open to others, altered or of another key."""
    keys = []
    for listed in _listed(home):
        path = home / FOLDER / f"{listed.fingerprint}.key"
        secret = master.unwrap(config.private_bytes(path), _label(listed.fingerprint))
        try:
            data = path.with_suffix(".asc").read_bytes()
        except OSError as fault:
            raise KeyFault(
                f"Cannot read the hub's certificate {listed.fingerprint}: {fault.strerror}.", "Restore it from the backup."
            ) from fault
        certificate = certificates.keyring({listed.fingerprint: data})
        keys.append(HubKey(listed.fingerprint, listed.starts, listed.ends, certificate, secret))
    return HubKeys(tuple(keys))


def make(home: Path, master: MasterKey, *, user_id: str, starts: date, ends: date, overlap_days: int = 60) -> HubKey:
    """Make a key for the days `starts` to `ends`; those before it are accepted for `overlap_days` after `starts`, no longer.

    The files of the key are durable before `hub.toml` names it. UsageFault where the days make no sense or a key already
    begins on that day or later.
    """
    listed = _listed(home)
    if not starts < ends:
        raise UsageFault(f"A key from {starts} to {ends} is never good.", "Name a later --to.")
    if listed and listed[-1].starts >= starts:
        raise UsageFault(f"The hub has a key that begins on {listed[-1].starts}; a new one begins later.", "Name a later --from.")
    (pair,) = certificates.generate([user_id], expires=ends)
    certificate = certificates.inspect(pair.certificate)
    fingerprint = certificate.fingerprint
    folder = home / FOLDER
    files.write(folder / f"{fingerprint}.key", master.wrap(pair.secret, _label(fingerprint)), mode=0o600)
    files.write(folder / f"{fingerprint}.asc", certificate.armored, mode=0o644)
    last = starts + timedelta(days=overlap_days)
    kept = [_Listed(key.fingerprint, key.starts, min(key.ends, last)) for key in listed]
    text = "".join(_entry(key) for key in [*kept, _Listed(fingerprint, starts, ends)])
    files.write(folder / LIST, f"# The hub's OpenPGP keys: keys make hub\n{text}".encode())
    return HubKey(fingerprint, starts, ends, pair.certificate, pair.secret)


def _listed(home: Path) -> list[_Listed]:
    path = home / FOLDER / LIST
    if not path.exists():
        return []
    return sorted(config.read_toml(path, _Listing).keys, key=lambda key: key.starts)


def _entry(key: _Listed) -> str:
    return f'\n[[keys]]\nfingerprint = "{key.fingerprint}"\nfrom = {key.starts}\nto = {key.ends}\n'


def _label(fingerprint: str) -> str:
    return f"hub-key/{fingerprint}"
