"""The hub's own OpenPGP keys: which signs today, and which are still accepted for opening.

    keys/hub/hub.toml        [[keys]] fingerprint, from, to
    keys/hub/<FPR>.key       the secret key, wrapped by the master key
    keys/hub/<FPR>.asc       the certificate to give to partners

A key signs from its `from` on, until a later one takes over. It is accepted for opening until its `to`, also before its
`from`: partners may seal to a new certificate from the day that they have it, and to the old one while the overlap lasts (F21).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec

from cpis_batch import config, files
from cpis_batch.envelope import certificates
from cpis_batch.errors import KeyFault, UsageFault
from cpis_batch.keystore import MasterKey

FOLDER = "keys/hub"
LIST = "hub.toml"


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key of the hub as `hub.toml` has it, its days both included."""

    fingerprint: str
    starts: date = msgspec.field(name="from")
    ends: date = msgspec.field(name="to")


class _Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[Listed, ...] = ()


@dataclass(frozen=True, slots=True)
class HubKey:
    """One key of the hub, its days both included. `certificate` and `secret` are binary, without a password."""

    fingerprint: str
    starts: date
    ends: date
    certificate: bytes = field(repr=False)
    secret: bytes = field(repr=False)


_Dated = TypeVar("_Dated", Listed, HubKey)


@dataclass(frozen=True, slots=True)
class HubKeys:
    """The hub's keys, the oldest first."""

    keys: tuple[HubKey, ...]

    def current(self, day: date) -> HubKey:
        """The key that signs on `day`: of those that have begun and not run out, the latest. KeyFault where there is none."""
        return signing(self.keys, day)

    def accepted(self, day: date) -> tuple[HubKey, ...]:
        """The keys that messages may be sealed to on `day`."""
        return tuple(key for key in self.keys if day <= key.ends)


def signing(keys: Sequence[_Dated], day: date) -> _Dated:
    """Of keys, the oldest first, the one that signs on `day`. KeyFault where there is none."""
    begun = [key for key in keys if key.starts <= day <= key.ends]
    if not begun:
        raise KeyFault(f"The hub has no OpenPGP key for {day}.", "Run: cpis-batch keys make hub")
    return begun[-1]


def load(home: Path, master: MasterKey) -> HubKeys:
    """All keys that `hub.toml` lists, unwrapped. KeyFault where a file is missing, open to others, altered or of another key."""
    keys = []
    for entry in listed(home):
        path = home / FOLDER / f"{entry.fingerprint}.key"
        secret = master.unwrap(config.private_bytes(path), _label(entry.fingerprint))
        keys.append(HubKey(entry.fingerprint, entry.starts, entry.ends, certificate(home, entry), secret))
    return HubKeys(tuple(keys))


def certificate(home: Path, entry: Listed) -> bytes:
    """The certificate of a listed key, in binary. KeyFault where it is missing or of another key."""
    path = home / FOLDER / f"{entry.fingerprint}.asc"
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise KeyFault(
            f"Cannot read the hub's certificate {path}: {fault.strerror}.", "Restore it from the backup of the home."
        ) from fault
    return certificates.keyring({entry.fingerprint: data})


def make(
    home: Path,
    master: MasterKey,
    *,
    user_id: str,
    starts: date,
    ends: date,
    overlap_days: int = 60,
    before: Callable[[HubKey], None] = lambda _: None,
) -> HubKey:
    """Make a key for the days `starts` to `ends`; those before it are accepted for `overlap_days` after `starts`, no longer.

    The files of the key are durable before `hub.toml` names it; in between `before` is given it, and may still refuse. UsageFault
    where the days make no sense or a key already begins on that day or later.
    """
    known = listed(home)
    if not starts < ends:
        raise UsageFault(f"A key from {starts} to {ends} is never good.", "Name a later --to.")
    if known and known[-1].starts >= starts:
        raise UsageFault(f"The hub has a key that begins on {known[-1].starts}; a new one begins later.", "Name a later --from.")
    (pair,) = certificates.generate([user_id], expires=ends)
    made = certificates.inspect(pair.certificate)
    fingerprint = made.fingerprint
    folder = home / FOLDER
    files.write(folder / f"{fingerprint}.key", master.wrap(pair.secret, _label(fingerprint)), mode=0o600)
    files.write(folder / f"{fingerprint}.asc", made.armored)
    key = HubKey(fingerprint, starts, ends, pair.certificate, pair.secret)
    before(key)
    last = starts + timedelta(days=overlap_days)
    kept = [Listed(one.fingerprint, one.starts, min(one.ends, last)) for one in known]
    text = "".join(_entry(one) for one in [*kept, Listed(fingerprint, starts, ends)])
    files.write(folder / LIST, f"# The hub's OpenPGP keys: keys make hub\n{text}".encode())
    return key


def listed(home: Path) -> list[Listed]:
    """The keys that `hub.toml` lists, the oldest first; none where there is no such file."""
    path = home / FOLDER / LIST
    if not path.exists():
        return []
    return sorted(config.read_toml(path, _Listing).keys, key=lambda key: key.starts)


def _entry(key: Listed) -> str:
    return f'\n[[keys]]\nfingerprint = "{key.fingerprint}"\nfrom = {key.starts}\nto = {key.ends}\n'


def _label(fingerprint: str) -> str:
    return f"hub-key/{fingerprint}"
