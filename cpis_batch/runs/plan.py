"""What a run would do, for `--dry-run`: from the catalogue and the servers' listings, changing nothing."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from cpis_batch import catalogue, config, partners
from cpis_batch.catalogue import Catalogue
from cpis_batch.errors import CpisError
from cpis_batch.exchange.connect import open_mailbox
from cpis_batch.extracts import schedule
from cpis_batch.intake.collect import inbound
from cpis_batch.partners import PartnerKind
from cpis_batch.runs.intake import wanted


def plan(home: Path, *, kind: str, business_date: date, now: datetime) -> dict[str, Any]:
    """The run's date, the files that lie ready by partner, what is due to be delivered, and the release that is due."""
    settings, known = config.load(home), partners.load(home)
    ready: dict[str, int] = {}
    down: dict[str, str] = {}
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        releases = opened.releases()
        due = schedule.due(business_date, settings.extracts.fortnight_anchor, releases[-1].starts if releases else None)
        undelivered = int(opened.one("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL"))
        age_outs = int(opened.one("SELECT count(*) FROM la_current WHERE next_age_out <= ?", (business_date.isoformat(),)))
    if kind != "fortnightly":
        for name, server in settings.mailboxes.items():
            try:
                with open_mailbox(home, server, settings.limits) as mailbox:
                    for partner in known.values():
                        if partner.kind is PartnerKind.LA and partner.mailbox == name and partner.agreement.covers(business_date):
                            names = [entry.name for entry in mailbox.list(inbound(partner)).entries]
                            if count := sum(wanted(partner, one) for one in names):
                                ready[partner.code] = count
            except CpisError as fault:
                down[name] = fault.message
    return {
        "version": "1.0",
        "kind": kind,
        "business_date": business_date,
        "now": now,
        "files_ready": ready,
        "servers_down": down,
        "las_with_an_18th_birthday": age_outs,
        "undelivered": undelivered,
        "release_due": due.fortnight.label if due and kind != "intake" else None,
        "release_catches_up": [fortnight.label for fortnight in due.missed] if due and kind != "intake" else [],
    }


def words(planned: dict[str, Any]) -> str:
    """The plan for people."""
    lines = [f"Would run {planned['kind']} for the business date {planned['business_date']}. Nothing is changed now."]
    if planned["kind"] != "fortnightly":
        lines.append(f"  files ready: {sum(planned['files_ready'].values())} of {len(planned['files_ready'])} authorities")
    lines += [f"  server {name}: {fault}" for name, fault in planned["servers_down"].items()]
    lines.append(f"  still to deliver from before: {planned['undelivered']}")
    if planned["release_due"]:
        lines.append(f"  release due: {planned['release_due']}")
    return "\n".join(lines)
