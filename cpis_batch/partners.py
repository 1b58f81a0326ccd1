"""Partners as data: one folder a partner under `partners/`, with `partner.toml` and its certificates.

    partners/E09000012/partner.toml
    partners/E09000012/<FINGERPRINT>.asc     one file a certificate, named by its fingerprint

Nothing of a partner is taken or sent on a day that its data sharing agreement does not cover. The fingerprints in
`partner.toml` with their dates are the allow-list: a certificate that lies in the folder and is not named there does
not count.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path

import msgspec

from cpis_batch.config import read_toml
from cpis_batch.errors import ConfigFault
from cpis_batch.register.brake import Brake

FILE_NAME = "partner.toml"


class PartnerKind(StrEnum):
    """Who a partner is."""

    LA = "LA"
    CHIS = "CHIS"
    NATIONAL = "NATIONAL"
    TRACE = "TRACE"


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data sharing agreement that covers the exchange, both days included."""

    reference: str
    starts: date = msgspec.field(name="from")
    ends: date = msgspec.field(name="to")

    def covers(self, day: date) -> bool:
        """Whether `day` lies within it."""
        return self.starts <= day <= self.ends


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A certificate of the partner that we accept, on the days from `from` to `to`, both included."""

    fingerprint: str
    starts: date = msgspec.field(name="from")
    ends: date = msgspec.field(name="to")

    def valid_on(self, day: date) -> bool:
        """Whether we accept it on `day`."""
        return self.starts <= day <= self.ends


class Partner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One partner. `code` is an LA's GSS code, a CHIS unit's code, or a service's name; `folder` is its place in the mailbox."""

    code: str
    kind: PartnerKind
    name: str
    mailbox: str
    folder: str
    agreement: Agreement
    cadence_days: int = 1
    keys: tuple[Key, ...] = ()
    brake: Brake | None = None

    def fingerprints_on(self, day: date) -> tuple[str, ...]:
        """The fingerprints allowed on `day`."""
        return tuple(key.fingerprint.upper() for key in self.keys if key.valid_on(day))


def load(home: Path) -> dict[str, Partner]:
    """All partners of a home, by code. ConfigFault where a file is wrong, a folder and its code disagree or two share a place."""
    found: dict[str, Partner] = {}
    places: dict[tuple[str, str], str] = {}
    for path in sorted((home / "partners").glob(f"*/{FILE_NAME}")):
        partner = read_toml(path, Partner)
        if partner.code != path.parent.name:
            raise ConfigFault(f"{path}: the code is not the name of the folder.", "Name the folder by the partner's code.")
        place = (partner.mailbox, partner.folder)
        if place in places:
            raise ConfigFault(
                f"{path}: {partner.code} and {places[place]} have the same mailbox folder.",
                "Give each partner a folder of its own.",
            )
        places[place] = partner.code
        found[partner.code] = partner
    return found


def certificates(home: Path, partner: Partner, day: date) -> dict[str, bytes]:
    """The partner's certificates that are allowed on `day`, by upper-case fingerprint. ConfigFault if one is missing."""
    held: dict[str, bytes] = {}
    for fingerprint in partner.fingerprints_on(day):
        path = home / "partners" / partner.code / f"{fingerprint}.asc"
        try:
            held[fingerprint] = path.read_bytes()
        except FileNotFoundError as fault:
            raise ConfigFault(
                f"The certificate {fingerprint} of {partner.code} is not at {path}.", "Run: cpis-batch keys import"
            ) from fault
    return held
