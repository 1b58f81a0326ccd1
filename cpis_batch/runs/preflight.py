"""Whether tonight's run can work: each look is independent, changes nothing, and says what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path

from cpis_batch import audit_key, catalogue, config, partners
from cpis_batch.business_time import text_of
from cpis_batch.catalogue import Catalogue
from cpis_batch.config import Settings
from cpis_batch.envelope import hub as hub_keys
from cpis_batch.envelope.certificates import inspect
from cpis_batch.errors import ConfigFault, CpisError, KeyFault
from cpis_batch.exchange.connect import open_mailbox
from cpis_batch.intake.collect import inbound
from cpis_batch.keystore import load_master_key
from cpis_batch.operations import ping
from cpis_batch.organisations import load as load_organisations
from cpis_batch.partners import PartnerKind

Finding = tuple[str, str, CpisError | str]  # severity, about, what
_ROOM = 1024**3


def configuration(home: Path, today: date) -> list[Finding]:
    """What is wrong with config.toml and the partners."""
    try:
        settings, known = config.load(home), partners.load(home)
    except CpisError as fault:
        return [("ERROR", "configuration", fault)]
    found: list[Finding] = list(_addresses(home, settings))
    if not settings.mailboxes:
        found.append(
            ("ERROR", "configuration", ConfigFault("No server is configured.", "Add a [mailboxes.NAME] table to config.toml."))
        )
    try:
        units = {unit.code for unit in load_organisations(home / "reference").units_on(today)}
    except CpisError as fault:
        return [*found, ("ERROR", "reference", fault)]
    for code, partner in known.items():
        if partner.mailbox not in settings.mailboxes:
            lacking = ConfigFault(f"There is no mailbox {partner.mailbox}.", "Name one of [mailboxes] in its partner.toml.")
            found.append(("ERROR", code, lacking))
        found += _agreement_and_keys(home, settings, partner, today)
    unserved = sorted(units - {code for code, partner in known.items() if partner.kind is PartnerKind.CHIS})
    if unserved:
        listed = f"{', '.join(unserved[:8])}{' ...' if len(unserved) > 8 else ''}"
        found.append(("WARNING", "CHIS units", f"no partner for {listed}: no release can be made"))
    return found


def _agreement_and_keys(home: Path, settings: Settings, partner: partners.Partner, today: date) -> list[Finding]:
    found: list[Finding] = []
    furthest = max(settings.warnings.key_expiry_days, default=0)
    if not partner.agreement.covers(today):
        what = f"its data sharing agreement {partner.agreement.reference} does not cover today: nothing is taken or sent"
        found.append(("ERROR", partner.code, ConfigFault(what, "Renew it, then correct [agreement] in its partner.toml.")))
    elif (left := (partner.agreement.ends - today).days) <= furthest:
        found.append(("WARNING", partner.code, f"its data sharing agreement {partner.agreement.reference} ends in {left} days"))
    try:
        held = partners.certificates(home, partner, today)
        ends = [found_end.date() for data in held.values() if (found_end := inspect(data).expires)]
    except CpisError as fault:
        return [*found, ("ERROR", partner.code, fault)]
    if not held:
        none = KeyFault("no certificate of it is allowed today", "Run: cpis-batch keys import --party CODE FILE")
        found.append(("ERROR", partner.code, none))
    elif len(ends) == len(held) and (left := (max(ends) - today).days) <= furthest:
        found.append(("WARNING", partner.code, f"its last certificate expires in {left} days"))
    return found


def everything(home: Path, today: date, now: datetime) -> list[Finding]:
    """All looks."""
    found = configuration(home, today)
    if found and found[0][0] == "ERROR" and found[0][1] == "configuration":
        return found
    settings = config.load(home)
    looks: list[tuple[str, Callable[[], str | None]]] = [
        ("gpg", _gpg),
        ("keys", lambda: _keys(home, settings, today)),
        ("audit", lambda: _audit(home, settings)),
        ("disk", lambda: _disk(home)),
        ("catalogue", lambda: _clock(home, now)),
        ("operations", lambda: _told(home, settings)),
    ]
    for about, look in looks:
        try:
            if warning := look():
                found.append(("WARNING", about, warning))
        except CpisError as fault:
            found.append(("ERROR", about, fault))
    return found + _servers(home, settings, today)


def _gpg() -> None:
    if shutil.which("gpg") is None:
        raise ConfigFault("There is no gpg program.", "Install it: sudo apt-get install gnupg")


def _keys(home: Path, settings: Settings, today: date) -> str | None:
    current = hub_keys.load(home, load_master_key(home, settings)).current(today)
    left = (current.ends - today).days
    return (
        f"the hub's key is accepted for {left} more days: keys make hub"
        if left <= max(settings.warnings.key_expiry_days)
        else None
    )


def _audit(home: Path, settings: Settings) -> str | None:
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        signer = audit_key.load(home, load_master_key(home, settings), opened.audit_key())
    return next(iter(audit_key.faults(home, signer)), None)


def _disk(home: Path) -> str | None:
    free = shutil.disk_usage(home).free
    return f"{free / _ROOM:.1f} GiB free" if free < _ROOM else None


def _told(home: Path, settings: Settings) -> str | None:
    """Whether runs could tell those who watch of themselves: a run goes on without, so it is no error."""
    wanted = settings.operations
    for path in (home / told for told in (wanted.page, wanted.metrics) if told):
        above = next(folder for folder in path.parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            return f"{path} cannot be written: {above} is no folder that this user can write in"
    if wanted.metrics and not wanted.metrics.endswith(".prom"):
        return f"the metrics in {wanted.metrics} would be passed over: a node exporter reads files named .prom"
    return None


def _addresses(home: Path, settings: Settings) -> Iterator[Finding]:
    """What is wrong with the addresses of the dead-man's switch, none of which is quoted."""
    wanted = settings.operations.ping
    for name, reference in (("start", wanted.start), ("done", wanted.done), ("failed", wanted.failed)):
        if reference is not None:
            try:
                if why := ping.unfit(config.secret(home, reference).decode("utf-8", "replace")):
                    raise ConfigFault(f"The address of [operations.ping] {name} is not called: {why}.", "Correct the secret.")
            except CpisError as fault:
                yield ("ERROR", "operations", fault)


def _clock(home: Path, now: datetime) -> None:
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        head = opened.head()
    if head and now < head.made_at:
        raise ConfigFault(
            f"The clock says {text_of(now)}; the last commit was made at {text_of(head.made_at)}.", "Set the clock right."
        )


def _servers(home: Path, settings: Settings, today: date) -> list[Finding]:
    found: list[Finding] = []
    for name, server in settings.mailboxes.items():
        mine = [one for one in partners.load(home).values() if one.mailbox == name and one.agreement.covers(today)]
        try:
            with open_mailbox(home, server, settings.limits) as mailbox:
                for partner in mine:
                    try:
                        mailbox.list(inbound(partner) if partner.kind is not PartnerKind.CHIS else f"{partner.folder}/outbound")
                    except CpisError as fault:
                        found.append(("ERROR", f"{name}: {partner.code}", fault))
        except CpisError as fault:
            found.append(("ERROR", name, fault))
    return found
