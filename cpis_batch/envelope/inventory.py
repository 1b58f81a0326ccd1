"""Every key and agreement of a home, until when each is good, and which of them need a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from cpis_batch import audit_key, catalogue, config, keystore, partners
from cpis_batch.catalogue import Catalogue
from cpis_batch.config import Settings, SftpServer
from cpis_batch.envelope import certificates, hub
from cpis_batch.errors import CpisError, KeyFault
from cpis_batch.partners import Partner


class State(StrEnum):
    """GOOD; DUE: ends within the furthest warning; PAST: no longer used; BROKEN: cannot be used and should be."""

    GOOD = "GOOD"
    DUE = "DUE"
    PAST = "PAST"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Item:
    """One key, certificate or agreement. `name` is a fingerprint, a path in the home or a reference; days are both included."""

    kind: str
    owner: str
    name: str
    state: State
    starts: date | None = None
    ends: date | None = None
    days_left: int | None = None
    text: str = ""
    advice: str = ""


def inventory(home: Path, settings: Settings, today: date, known: Mapping[str, Partner] | None = None) -> list[Item]:
    """All items of the home on `today`: the hub's own, then each partner's; `known` are these where they have been read.

    ConfigFault where a partner's data is wrong.
    """
    furthest = max(settings.warnings.key_expiry_days, default=0)
    items = list(_own(home, settings, today, furthest))
    for partner in (partners.load(home) if known is None else known).values():
        items += _of_partner(home, partner, today, furthest)
    return items


def _own(home: Path, settings: Settings, today: date, furthest: int) -> Iterator[Item]:
    where = settings.secrets.master_key
    try:
        master = keystore.load_master_key(home, settings)
    except CpisError as fault:
        yield _broken("MASTER", "hub", where, fault)
    else:
        yield Item("MASTER", "hub", where, State.GOOD)
        yield _audit_key(home, master)
        yield from _hub_keys(home, master, today, furthest)
    for path in sorted({server.key for server in settings.mailboxes.values() if isinstance(server, SftpServer)}):
        try:
            config.private_bytes(home / path)
        except CpisError as fault:
            yield _broken("SSH", "hub", path, fault)
        else:
            yield Item("SSH", "hub", path, State.GOOD)


def _audit_key(home: Path, master: keystore.MasterKey) -> Item:
    """The key that the audit log names: it has no end, since it is replaced at any time."""
    public = None
    try:
        with Catalogue(home / catalogue.FILE_NAME) as opened:
            public = opened.audit_key()
        signer = audit_key.load(home, master, public)
        if wrong := audit_key.faults(home, signer):
            raise KeyFault(f"{wrong[0]}.", "Restore it from the backup of the home.")
    except CpisError as fault:
        return _broken("AUDIT", "hub", public or audit_key.FOLDER, fault)
    return Item("AUDIT", "hub", signer.public, State.GOOD)


def _hub_keys(home: Path, master: keystore.MasterKey, today: date, furthest: int) -> Iterator[Item]:
    advice = "Make the next one and give it to every partner: keys make hub, keys export"
    try:
        found = hub.load(home, master)
        for key in found.keys:
            # that a key ends is no matter where a later one stands ready
            warned = furthest if key is found.keys[-1] else -1
            yield _dated("HUB", "hub", key.fingerprint, key.starts, key.ends, today, warned, advice)
        found.current(today)
    except CpisError as fault:
        yield _broken("HUB", "hub", hub.FOLDER, fault)


def _of_partner(home: Path, partner: Partner, today: date, furthest: int) -> Iterator[Item]:
    agreement = partner.agreement
    covered = agreement.covers(today)
    if covered or today < agreement.starts:
        advice = "Renew it, then correct [agreement] in its partner.toml."
        yield _dated("AGREEMENT", partner.code, agreement.reference, agreement.starts, agreement.ends, today, furthest, advice)
    else:
        fault = KeyFault(
            f"The agreement ended on {agreement.ends}: nothing is taken or sent.",
            "Renew it, then correct [agreement] in its partner.toml; or move the partner's folder away.",
        )
        yield _broken("AGREEMENT", partner.code, agreement.reference, fault)
    items = [_certificate(home, partner, key, today, furthest) for key in partner.keys]
    usable = [item for item in items if item.state in (State.GOOD, State.DUE)]
    lasting = max((item.ends for item in usable if item.ends), default=None)
    for item in items:
        replaced = item.state is State.DUE and item.ends != lasting
        yield Item("CERTIFICATE", item.owner, item.name, State.GOOD, item.starts, item.ends, item.days_left) if replaced else item
    if covered and not any(item.starts and item.starts <= today for item in usable):
        fault = KeyFault("No certificate of it is allowed today.", f"Run: cpis-batch keys import --party {partner.code} FILE")
        yield _broken("CERTIFICATE", partner.code, "", fault)


def _certificate(home: Path, partner: Partner, key: partners.Key, today: date, furthest: int) -> Item:
    fingerprint = key.fingerprint.upper()
    if key.ends < today:
        return Item("CERTIFICATE", partner.code, fingerprint, State.PAST, key.starts, key.ends)
    advice = f"Ask the partner for the next one, then: keys import --party {partner.code} FILE"
    try:
        path = home / "partners" / partner.code / f"{fingerprint}.asc"
        if not path.exists():
            raise KeyFault(f"There is no {path.relative_to(home)}.", advice)
        found = certificates.inspect(path.read_bytes())
        if found.fingerprint != fingerprint:
            raise KeyFault(f"The file {path.relative_to(home)} holds {found.fingerprint}.", "Find out who put it there.")
        if found.revoked:
            raise KeyFault("It is revoked.", advice)
    except CpisError as fault:
        return _broken("CERTIFICATE", partner.code, fingerprint, fault)
    ends = min(key.ends, found.expires.date()) if found.expires else key.ends
    return _dated("CERTIFICATE", partner.code, fingerprint, key.starts, ends, today, furthest, advice)


def _dated(kind: str, owner: str, name: str, starts: date, ends: date, today: date, furthest: int, advice: str) -> Item:
    left = (ends - today).days
    if left < 0:
        return Item(kind, owner, name, State.PAST, starts, ends, left, f"ended on {ends}")
    if left <= furthest:
        return Item(kind, owner, name, State.DUE, starts, ends, left, f"ends in {left} days", advice)
    return Item(kind, owner, name, State.GOOD, starts, ends, left)


def _broken(kind: str, owner: str, name: str, fault: CpisError) -> Item:
    return Item(kind, owner, name, State.BROKEN, text=fault.message, advice=fault.advice)
