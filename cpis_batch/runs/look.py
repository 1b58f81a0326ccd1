"""What stands in the register and what each commit did, as counts: for `register show` and `log`. No identifiers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cpis_batch.business_time import days_between, text_of
from cpis_batch.catalogue import Catalogue
from cpis_batch.errors import UsageFault
from cpis_batch.vocabulary import PlanType

VERSION = "1.0"


def summary(opened: Catalogue, names: dict[str, str], now: datetime, la_code: str | None = None) -> dict[str, Any]:
    """Plans held and active by LA and type, with their parts and ages. UsageFault for an LA of which there is nothing."""
    head = opened.head()
    made_in = {version.la_code: number for number, version in opened.versions()}
    held = {
        (row["la_code"], row["plan_type"]): row["closing"]
        for row in opened.table(
            "SELECT b.la_code, plan_type, closing FROM balances AS b JOIN la_current AS v USING (la_code, commit_id)"
        )
    }
    las: list[dict[str, Any]] = [
        {
            "code": version.la_code,
            "name": names.get(version.la_code),
            "held": {kind: held.get((version.la_code, kind), 0) for kind in PlanType},
            "active": {PlanType.CPP: version.active_cpp, PlanType.LAC: version.active_lac, PlanType.UCPP: version.active_ucpp},
            "missing": version.missing,
            "missing_since": version.missing_since,
            "next_18th_birthday": version.next_age_out,
            "last_file_at": text_of(version.last_extracted_at),
            "age_days": days_between(version.last_extracted_at, now),
            "epoch": version.epoch,
            "sequence": version.last_sequence,
            "commit": made_in[version.la_code],
            "plans_part": version.plans_part,
            "history_part": version.history_part,
            "logical_digest": version.logical_digest,
        }
        for version in opened.las()
        if la_code in (None, version.la_code)
    ]
    if la_code and not las:
        raise nothing_of(la_code)
    return {
        "version": VERSION,
        "at": text_of(now),
        "commit": head.id if head else None,
        "business_date": head.business_date if head else None,
        "register_digest": head.register_digest if head else None,
        "held": {kind: sum(la["held"][kind] for la in las) for kind in PlanType},
        "active": {kind: sum(la["active"][kind] for la in las) for kind in PlanType},
        "las": las,
    }


def commits(opened: Catalogue, la_code: str | None = None) -> list[dict[str, Any]]:
    """Every commit with the files that it merged and what it did, by kind of change, the oldest first.

    With `la_code`, the commits that changed the LA's part, counted for it alone; `digest` is then its logical digest.
    UsageFault where there is none.
    """
    of_partner, of_its, given = ("AND partner = ?", "AND la_code = ?", (la_code,)) if la_code else ("", "", ())
    files = {
        row["commit_id"]: row["files"]
        for row in opened.table(
            f"SELECT commit_id, count(*) AS files FROM arrivals WHERE state = 'MERGED' {of_partner} GROUP BY commit_id", given
        )
    }
    changes: dict[int, dict[str, int]] = {}
    sql = f"SELECT commit_id, change, sum(plans) AS plans FROM changes WHERE TRUE {of_its} GROUP BY 1, 2 ORDER BY 1, 2"
    for row in opened.table(sql, given):
        changes.setdefault(row["commit_id"], {})[row["change"]] = row["plans"]
    of_la = {number: version.logical_digest for number, version in opened.versions() if version.la_code == la_code}
    if la_code and not of_la:
        raise nothing_of(la_code)
    return [
        {
            "id": commit.id,
            "made_at": text_of(commit.made_at),
            "business_date": commit.business_date,
            "kind": commit.kind,
            "files_merged": files.get(commit.id, 0),
            "changes": changes.get(commit.id, {}),
            "digest": of_la[commit.id] if la_code else commit.register_digest,
            "children": commit.children,
            "program": commit.program,
            "rules": commit.rules,
            "reference": commit.reference,
        }
        for commit in opened.commits()
        if la_code is None or commit.id in of_la
    ]


def nothing_of(la_code: str) -> UsageFault:
    """The fault of asking for an LA that has not sent anything yet, or is none."""
    return UsageFault(f"The register holds nothing of {la_code}.", "See: cpis-batch register show")
