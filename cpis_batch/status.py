"""What stands, how old it is, and what needs a person: from the catalogue alone, without a key.

The JSON form is specs/status/1.0/status.json-schema.json; it is versioned and only ever added to.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cpis_batch.business_time import business_date, days_between, text_of
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.ledger import imbalance
from cpis_batch.catalogue.records import LaVersion
from cpis_batch.config import Settings, Warnings
from cpis_batch.partners import Partner, PartnerKind

VERSION = "1.0"
_RETENTION_GRACE = 35  # days: the retention job is monthly


class Light(StrEnum):
    """How an age stands against what is expected."""

    GREEN = "GREEN"
    AMBER = "AMBER"
    RED = "RED"


def light(days: float, amber: float, red: float) -> Light:
    """Amber from `amber` days on, red from `red` days on."""
    return Light.RED if days >= red else Light.AMBER if days >= amber else Light.GREEN


def status(catalogue: Catalogue, settings: Settings, partners: dict[str, Partner], now: datetime) -> dict[str, Any]:
    """The whole status as one document."""
    head = catalogue.head()
    versions = catalogue.las()
    las = [_la(version, partners.get(version.la_code), settings.warnings, now) for version in versions]
    oldest = min((version.missing_since for version in versions if version.missing_since), default=None)
    seen = {version.la_code for version in versions}
    never = sorted(code for code, partner in partners.items() if partner.kind is PartnerKind.LA and code not in seen)
    las += [_never(partners[code]) for code in never]
    uncollected = catalogue.deliveries("delivered_at IS NOT NULL AND collected_at IS NULL")
    last_run = catalogue.table("SELECT kind, business_date, started_at, ended_at, exit_code FROM runs ORDER BY id DESC LIMIT 1")
    return {
        "version": VERSION,
        "at": text_of(now),
        "environment": settings.service.environment,
        "commit": head.id if head else None,
        "committed_at": text_of(head.made_at) if head else None,
        "business_date": head.business_date if head else None,
        "register_digest": head.register_digest if head else None,
        "rows": sum(version.row_count for version in versions),
        "children": head.children if head else 0,
        "active": {
            "CPP": sum(version.active_cpp for version in versions),
            "LAC": sum(version.active_lac for version in versions),
            "UCPP": sum(version.active_ucpp for version in versions),
        },
        "missing": sum(version.missing for version in versions),
        "oldest_missing_since": oldest,
        "oldest_missing_days": (business_date(now) - oldest).days if oldest else None,
        "las": sorted(las, key=lambda la: la["code"]),
        "files": {row["state"]: row["n"] for row in catalogue.table("SELECT state, count(*) AS n FROM arrivals GROUP BY state")},
        "waiting": len(catalogue.waiting()),
        "holds": len(catalogue.holds()),
        "open_holds": [
            {"id": hold.id, "partner": hold.partner, "reason": hold.reason, "since": text_of(hold.made_at), "detail": hold.detail}
            for hold in catalogue.holds()
        ],
        "undelivered": int(catalogue.one("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL")),
        "uncollected": len(uncollected),
        "uncollected_late": _late(catalogue, settings.warnings, partners, now),
        "imbalance": imbalance(catalogue),
        "last_release": catalogue.one("SELECT printf('%04dF%02d', year, number) FROM release_current"),
        "unroutable": int(catalogue.one("SELECT unroutable FROM release_current") or 0),
        "last_run": last_run[0] if last_run else None,
        "retention": _retention(catalogue, settings, versions, now),
    }


def _retention(catalogue: Catalogue, settings: Settings, versions: list[LaVersion], now: datetime) -> dict[str, Any]:
    """When what is past retention was last erased, and of how many authorities something is due: from end dates alone."""
    last_due_end = business_date(now) - timedelta(days=settings.retention.days + 1)
    ends = [version.oldest_end for version in versions if version.oldest_end and version.oldest_end <= last_due_end]
    return {
        "last_run_at": catalogue.one("SELECT max(ended_at) FROM runs WHERE kind = 'retention' AND ended_at IS NOT NULL"),
        "authorities_due": len(ends),
        "days_past": max(((last_due_end - end).days + 1 for end in ends), default=0),
    }


def _la(version: LaVersion, partner: Partner | None, warnings: Warnings, now: datetime) -> dict[str, Any]:
    age = days_between(version.last_extracted_at, now)
    cadence = partner.cadence_days if partner else 1
    return {
        "code": version.la_code,
        "name": partner.name if partner else None,
        "last_file_at": text_of(version.last_extracted_at),
        "age_days": age,
        "lateness": light(age, cadence * warnings.late_amber, cadence * warnings.late_red),
        "sequence": version.last_sequence,
        "rows": version.row_count,
        "active": {"CPP": version.active_cpp, "LAC": version.active_lac, "UCPP": version.active_ucpp},
        "missing": version.missing,
        "missing_since": version.missing_since,
    }


def _never(partner: Partner) -> dict[str, Any]:
    """An LA that we have an agreement with and no file of."""
    none = {"CPP": 0, "LAC": 0, "UCPP": 0}
    return {
        "code": partner.code,
        "name": partner.name,
        "last_file_at": None,
        "age_days": None,
        "lateness": Light.RED,
        "sequence": None,
        "rows": 0,
        "active": none,
        "missing": 0,
        "missing_since": None,
    }


def _late(catalogue: Catalogue, warnings: Warnings, partners: dict[str, Partner], now: datetime) -> list[dict[str, Any]]:
    """CHIS units that have not collected what was delivered days ago (FAULTS F18)."""
    lying = catalogue.deliveries(
        "delivered_at IS NOT NULL AND collected_at IS NULL AND kind IN ('CHIS_EXTRACT', 'CHIS_SUMMARY', 'CHIS_MANIFEST')"
    )
    found = []
    for delivery in lying:
        assert delivery.delivered_at is not None
        days = days_between(delivery.delivered_at, now)
        colour = light(days, warnings.uncollected_amber_days, warnings.uncollected_red_days)
        if colour is not Light.GREEN:
            name = partners[delivery.partner].name if delivery.partner in partners else delivery.partner
            found.append({"partner": delivery.partner, "name": name, "file": delivery.name, "days": days, "light": colour})
    return found


def needs_a_person(document: dict[str, Any]) -> list[str]:
    """What in a status somebody has to look at, in words; empty where all is well."""
    words = []
    if document["imbalance"]:
        words.append(f"IMBALANCE: {document['imbalance']} rows are unaccounted for. Nothing is sent: cpis-batch ledger show")
    if document["commit"] and document["children"] is None:
        words.append("a part of the register cannot be read: cpis-batch register verify")
    if document["holds"]:
        words.append(f"{document['holds']} held: cpis-batch holds list")
    if red := [la["code"] for la in document["las"] if la["lateness"] == Light.RED]:
        words.append(f"{len(red)} authorities late (red): {', '.join(red[:8])}{' ...' if len(red) > 8 else ''}")
    if document["undelivered"]:
        words.append(f"{document['undelivered']} not delivered: cpis-batch deliveries --undelivered")
    if nowhere := document["unroutable"]:
        words.append(f"{nowhere} plans lead to no CHIS unit and were sent to none: the log of the release says whose and why")
    if (past := document["retention"]["days_past"]) > _RETENTION_GRACE:
        due = document["retention"]["authorities_due"]
        words.append(f"plans of {due} authorities are {past} days past retention: cpis-batch retention plan")
    if late := document["uncollected_late"]:
        words.append(f"{len(late)} CHIS files not collected: cpis-batch deliveries --uncollected")
    return words
