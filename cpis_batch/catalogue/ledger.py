"""What does not add up in the catalogue: plans, rows of files, answers and releases, each against its own balance.

Asked of a commit inside its transaction, so that what does not balance is never committed; and of everything, whenever somebody
wants to know. Nothing here was counted along the way: balances and counts were taken from the tables as they stood, and are held
against each other.
"""

from __future__ import annotations

import msgspec

from cpis_batch.catalogue.database import Database


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that does not add up: what, where, and by how many rows, plans or files."""

    what: str
    commit_id: int
    la_code: str | None
    plan_type: str | None
    rows: int


# Each gives commit_id, la_code (or another partner's code), plan_type and rows, for every difference that is not 0.
_QUESTIONS = {
    "opening + new + reopened - deleted - erased is not closing": """
        SELECT commit_id, la_code, plan_type, closing - (opening + new + reopened - deleted - erased) AS rows FROM balances""",
    "the opening is not the closing before": """
        SELECT b.commit_id, la_code, plan_type, opening - coalesce((
            SELECT p.closing FROM balances AS p
            WHERE p.la_code = b.la_code AND p.plan_type = b.plan_type AND p.commit_id < b.commit_id
            ORDER BY p.commit_id DESC LIMIT 1), 0) AS rows
        FROM balances AS b""",
    "the part does not hold what the balance closes with": """
        SELECT v.commit_id, la_code, NULL AS plan_type, row_count - coalesce((
            SELECT sum(closing) FROM balances AS b WHERE b.la_code = v.la_code AND b.commit_id = v.commit_id), 0) AS rows
        FROM la_versions AS v""",
    "rows of a file that have no outcome": """
        SELECT commit_id, partner AS la_code, NULL AS plan_type, records - records_loaded - records_rejected AS rows
        FROM arrivals WHERE state <> 'HELD' AND records IS NOT NULL AND records_loaded IS NOT NULL""",
    "a file in its final state without an acknowledgement": """
        SELECT commit_id, partner AS la_code, NULL AS plan_type, 1 AS rows FROM arrivals AS a
        WHERE state <> 'HELD' AND NOT EXISTS (
            SELECT 1 FROM deliveries AS d WHERE d.arrival_id = a.id AND d.kind = 'ACKNOWLEDGEMENT')""",
    "a file that is held and waits for nothing": """
        SELECT commit_id, partner AS la_code, NULL AS plan_type, 1 AS rows FROM arrivals AS a
        WHERE state = 'HELD' AND NOT EXISTS (SELECT 1 FROM holds AS h WHERE h.arrival_id = a.id AND decision IS NULL)""",
    "active plans that were neither sent nor listed as unroutable": """
        SELECT commit_id, la_code, plan_type, active - sent - unroutable AS rows FROM release_balances""",
    "a release that is not the sum of its authorities": """
        SELECT r.commit_id, NULL AS la_code, NULL AS plan_type,
            abs(r.active - coalesce(sum(b.active), 0)) + abs(r.sent - coalesce(sum(b.sent), 0))
            + abs(r.unroutable - coalesce(sum(b.unroutable), 0)) AS rows
        FROM releases AS r LEFT JOIN release_balances AS b USING (commit_id) GROUP BY r.commit_id""",
}


def differences(catalogue: Database, commit_id: int | None = None) -> list[Difference]:
    """All that does not add up, in one commit or in all; empty where everything does."""
    found = []
    for what, sql in _QUESTIONS.items():
        where, parameters = ("", ()) if commit_id is None else (" AND commit_id = ?", (commit_id,))
        rows = catalogue.table(f"SELECT * FROM ({sql}) WHERE rows <> 0{where} ORDER BY commit_id, la_code, plan_type", parameters)
        found += [Difference(what=what, **row) for row in rows]
    return found


def imbalance(catalogue: Database) -> int:
    """How many plans, rows and files are unaccounted for in all; 0 where all is well."""
    return sum(abs(one.rows) for one in differences(catalogue))
