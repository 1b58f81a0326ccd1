"""The ledger of a night: where every plan, every row of every file and every file itself went, and whether it adds up.

The JSON form is specs/ledger/1.0/ledger.json-schema.json; it is versioned and only ever added to. It is read from the catalogue
alone: balances were taken from the tables as they stood when their commit was made, by `register.balance`, `accounts` and
`extracts.recipients`, and the catalogue lets nothing in that does not balance.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.ledger import differences
from cpis_batch.errors import UsageFault

VERSION = "1.0"

_MOVED = ("new", "reopened", "deleted", "erased")

# A line for every LA that the register held by then and every plan type; an LA that nothing happened to stands as it stood.
# Business dates never go back, so the last commit of a day ends it: joined by date, a year of nights took 0.26 s instead of 0.03.
_PLANS = """
WITH night AS (
    SELECT la_code, plan_type, min(commit_id) AS first, sum(new) AS new, sum(reopened) AS reopened, sum(deleted) AS deleted,
        sum(erased) AS erased
    FROM balances WHERE commit_id IN (SELECT id FROM commits WHERE business_date = :day) GROUP BY la_code, plan_type
), standing AS (
    SELECT la_code, plan_type, max(commit_id) AS last FROM balances
    WHERE commit_id <= (SELECT max(id) FROM commits WHERE business_date <= :day) GROUP BY la_code, plan_type
)
SELECT s.la_code, s.plan_type, coalesce(f.opening, l.closing) AS opening, coalesce(n.new, 0) AS new,
    coalesce(n.reopened, 0) AS reopened, coalesce(n.deleted, 0) AS deleted, coalesce(n.erased, 0) AS erased, l.closing,
    CASE s.plan_type WHEN 'CPP' THEN v.active_cpp WHEN 'LAC' THEN v.active_lac ELSE v.active_ucpp END AS active
FROM standing AS s
JOIN balances AS l ON (l.commit_id, l.la_code, l.plan_type) = (s.last, s.la_code, s.plan_type)
JOIN la_versions AS v ON (v.la_code, v.commit_id) = (s.la_code, s.last)
LEFT JOIN night AS n ON (n.la_code, n.plan_type) = (s.la_code, s.plan_type)
LEFT JOIN balances AS f ON (f.commit_id, f.la_code, f.plan_type) = (n.first, n.la_code, n.plan_type)
WHERE :la IS NULL OR s.la_code = :la
ORDER BY s.la_code, s.plan_type
"""

_FILES = """
SELECT a.partner, count(*) AS files, sum(a.state = 'MERGED') AS merged, sum(a.state = 'DUPLICATE') AS duplicate,
    sum(a.state = 'STALE') AS stale, sum(a.state = 'REFUSED') AS refused, sum(a.state = 'HELD') AS held,
    sum(EXISTS (FROM_ACKNOWLEDGEMENTS)) AS acknowledged,
    coalesce(sum(iif(a.records_loaded IS NULL, 0, a.records)), 0) AS rows, coalesce(sum(a.records_loaded), 0) AS loaded,
    coalesce(sum(a.records_rejected), 0) AS rejected
FROM arrivals AS a JOIN commits AS c ON c.id = a.commit_id
WHERE c.business_date = :day AND (:la IS NULL OR a.partner = :la)
GROUP BY a.partner ORDER BY a.partner
""".replace("FROM_ACKNOWLEDGEMENTS", "SELECT 1 FROM deliveries AS d WHERE d.arrival_id = a.id AND d.kind = 'ACKNOWLEDGEMENT'")

_RELEASE = """
SELECT printf('%04dF%02d', r.year, r.number) AS fortnight, b.la_code, b.plan_type, b.active, b.sent, b.unroutable
FROM release_balances AS b JOIN releases AS r USING (commit_id) JOIN commits AS c ON c.id = b.commit_id
WHERE c.business_date = :day AND (:la IS NULL OR b.la_code = :la)
ORDER BY r.commit_id, b.la_code, b.plan_type
"""


def ledger(catalogue: Catalogue, business_date: date | None = None, la_code: str | None = None) -> dict[str, Any]:
    """The ledger of a business date (that of the last commit, if none is given), of one LA or of all.

    `differences` are those of the whole catalogue, whatever is asked for. UsageFault where nothing is known of date or LA.
    """
    head = catalogue.head()
    if head is None:
        raise UsageFault("There is no ledger yet: nothing was ever committed.", "Run the first night: cpis-batch run nightly")
    day = business_date or head.business_date
    commits = [commit.id for commit in catalogue.commits() if commit.business_date == day]
    if not commits:
        raise UsageFault(f"Nothing was committed on {day}.", "See which dates there are: cpis-batch register log")
    asked = {"day": day.isoformat(), "la": la_code}
    plans = catalogue.table(_PLANS, asked)
    files = catalogue.table(_FILES, asked)
    if la_code and not plans and not files:
        raise UsageFault(f"The ledger of {day} holds nothing of {la_code}.", "See: cpis-batch register show")
    release = catalogue.table(_RELEASE, asked)
    return {
        "version": VERSION,
        "business_date": day,
        "la": la_code,
        "commits": commits,
        "plans": plans,
        "totals": _totals(plans),
        "files": files,
        "release": {
            "fortnight": release[0]["fortnight"],
            "lines": [{name: row[name] for name in row if name != "fortnight"} for row in release],
        }
        if release
        else None,
        "differences": differences(catalogue),
    }


def totals_of(catalogue: Catalogue, business_date: date) -> list[dict[str, Any]]:
    """The totals of a business date alone, as in the document; nothing else is asked of the catalogue."""
    return _totals(catalogue.table(_PLANS, {"day": business_date.isoformat(), "la": None}))


def _totals(plans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sums over all LAs, a line a plan type."""
    names = ("opening", *_MOVED, "closing", "active")
    found: dict[str, dict[str, Any]] = {}
    for line in plans:
        total = found.setdefault(line["plan_type"], {"plan_type": line["plan_type"]} | dict.fromkeys(names, 0))
        for name in names:
            total[name] += line[name]
    return [found[plan_type] for plan_type in sorted(found)]
