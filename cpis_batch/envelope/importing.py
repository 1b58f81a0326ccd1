"""Take a partner's certificate into its folder and its allow-list: the moment at which we decide whom we believe."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec

from cpis_batch import business_time, files, partners
from cpis_batch.envelope import certificates
from cpis_batch.errors import ConfigFault, InputRefused, UsageFault
from cpis_batch.partners import Partner, PartnerKind


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken, for a person to compare with what the partner reads out."""

    party: str
    fingerprint: str
    user_ids: tuple[str, ...]
    starts: date
    ends: date
    renewed: bool  # it was on the list already: only the certificate is new
    gnupg_can_read: bool

    @property
    def spoken(self) -> str:
        """The fingerprint in groups of four, as people read it out."""
        return " ".join(self.fingerprint[place : place + 4] for place in range(0, len(self.fingerprint), 4))


def import_certificate(
    home: Path,
    party: str,
    data: bytes,
    *,
    now: datetime,
    starts: date | None = None,
    ends: date | None = None,
    shared: bool = False,
    dry_run: bool = False,
    before: Callable[[Imported], None] = lambda _: None,
) -> Imported:
    """Write `data` to the folder of `party` and its fingerprint and days behind the text of its partner.toml.

    The certificate is durable before the list names it; `before` is given what is about to be taken, and may still refuse.
    Without `starts`: from today; without `ends`: until it expires, or as long as the agreement. A certificate that is on the
    party's list already is replaced, its days stand. InputRefused where it is secret, revoked, expired, of no use, or allowed
    for another party without `shared`; UsageFault where the party is unknown or the days make no sense.
    """
    known = partners.load(home)
    if (partner := known.get(party)) is None:
        raise UsageFault(f"There is no partner {party}.", f"Make partners/{party}/partner.toml first.")
    found = _acceptable(certificates.inspect(data), partner, now)
    others = sorted(code for code, other in known.items() if code != party and _listed(other, found.fingerprint))
    if others and not shared:
        raise InputRefused(
            f"The certificate {found.fingerprint} is allowed for {', '.join(others)} already.",
            "Where one organisation serves both (a children's trust does), say so with --shared; else find out who sent it.",
        )
    if entry := _listed(partner, found.fingerprint):
        if starts or ends:
            raise UsageFault(
                f"The certificate is on the list of {party} already.",
                "Change its days in partner.toml, or leave --from and --to out.",
            )
        starts, ends = entry.starts, entry.ends
    first = starts or business_time.business_date(now)
    last = ends or partner.agreement.ends
    if found.expires is not None:
        # the day before: on its last day it may run out before the night does
        last = min(last, business_time.business_date(found.expires) - timedelta(days=1)) if not entry else last
    if first > last:
        raise UsageFault(
            f"From {first} to {last} is no day.", "The certificate or the agreement ends too soon; see --from and --to."
        )
    taken = Imported(party, found.fingerprint, found.user_ids, first, last, bool(entry), found.gnupg_can_read(now))
    if not dry_run:
        before(taken)
        _write(home, partner, found, None if entry else (first, last))
    return taken


def _acceptable(found: certificates.Certificate, partner: Partner, now: datetime) -> certificates.Certificate:
    if found.revoked:
        fault = "is revoked"
    elif found.expired(now):
        fault = "has expired"
    elif partner.kind is not PartnerKind.NATIONAL and not found.sealable(now):
        fault = "has no live key to encrypt to, so nothing could be sent to its owner"
    else:
        return found
    raise InputRefused(f"The certificate {found.fingerprint} {fault}.", "Ask its owner for a new one.")


def _listed(partner: Partner, fingerprint: str) -> partners.Key | None:
    return next((key for key in partner.keys if key.fingerprint.upper() == fingerprint), None)


def _write(home: Path, partner: Partner, found: certificates.Certificate, days: tuple[date, date] | None) -> None:
    folder = home / "partners" / partner.code
    listing = folder / partners.FILE_NAME
    text = listing.read_text(encoding="utf-8")
    if days:
        # appended as text, so that the comments of whoever wrote the file stay
        text = f'{text.rstrip()}\n\n[[keys]]\nfingerprint = "{found.fingerprint}"\nfrom = {days[0]}\nto = {days[1]}\n'
        try:
            msgspec.convert(tomllib.loads(text), Partner)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError):
            raise ConfigFault(
                f"Nothing can be put behind the text of {listing}.", "Write its keys as [[keys]] tables at the end of the file."
            ) from None
    files.write(folder / f"{found.fingerprint}.asc", found.armored, mode=0o644)
    if days:
        files.write(listing, text.encode(), mode=listing.stat().st_mode & 0o777)
