"""What the audit log tells of a commit, read from the rows that it wrote: alike when it is made and when it is verified."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from cpis_batch.audit.entry import Deed, Kind

_DECIDED = (
    "SELECT id AS hold, arrival_id AS arrival, partner, reason AS held_for, decision, decided_by AS 'by',"
    " decision_reason AS reason FROM holds WHERE decided_in = ? AND decision IN ('RELEASED', 'REFUSED') ORDER BY id"
)
_COMMIT = "SELECT id AS 'commit', kind, business_date, register_digest FROM commits WHERE id = ?"
_ANSWERS = (
    "SELECT d.arrival_id AS arrival, d.partner, a.digest AS file, a.state, a.file_outcome AS outcome, d.digest AS message"
    " FROM deliveries AS d JOIN arrivals AS a ON a.id = d.arrival_id"
    " WHERE d.commit_id = ? AND d.kind = 'ACKNOWLEDGEMENT' ORDER BY d.arrival_id"
)
_RELEASES = (
    "SELECT r.sequence, r.year || 'F' || printf('%02d', r.number) AS fortnight, r.active, r.sent, r.unroutable,"
    " (SELECT count(*) FROM deliveries AS d WHERE d.commit_id = r.commit_id) AS messages"
    " FROM releases AS r WHERE r.commit_id = ? ORDER BY r.sequence"
)
_ERASURE = (
    "SELECT c.id AS 'commit', (SELECT coalesce(sum(erased), 0) FROM balances AS b WHERE b.commit_id = c.id) AS plans,"
    " (SELECT count(*) FROM checkpoints AS p WHERE p.commit_id = c.id) AS authorities,"
    " (SELECT count(*) FROM arrivals AS a WHERE a.erased_in = c.id) AS archived_files,"
    " (SELECT count(*) FROM deliveries AS d WHERE d.erased_in = c.id) AS messages"
    " FROM commits AS c WHERE c.id = ? AND c.kind = 'ERASURE'"
)
_COMMANDS = {"RELEASED": "holds release", "REFUSED": "holds refuse"}


def deeds_of(database: sqlite3.Connection, commit_id: int, seal: str) -> Iterator[Deed]:
    """The decisions of persons that a commit carried out, the commit itself under its `seal`, its answers, release, erasure."""
    for row in database.execute(_DECIDED, (commit_id,)):
        facts = dict(row)
        yield Deed(Kind.COMMAND, {"command": _COMMANDS[facts.pop("decision")]} | facts)
    for row in database.execute(_COMMIT, (commit_id,)):
        yield Deed(Kind.COMMIT, dict(row) | {"seal": seal})
    for row in database.execute(_ANSWERS, (commit_id,)):
        yield Deed(Kind.ACKNOWLEDGEMENT, dict(row))
    for row in database.execute(_RELEASES, (commit_id,)):
        yield Deed(Kind.RELEASE, dict(row))
    for row in database.execute(_ERASURE, (commit_id,)):
        yield Deed(Kind.ERASURE, dict(row))


def deeds_of_rows(database: sqlite3.Connection) -> Iterator[Deed]:
    """The commands that leave a row of their own: a look at a person, and what was committed because somebody asked for it."""
    for row in database.execute("SELECT id AS run FROM runs WHERE kind = 'asof' ORDER BY id"):
        yield Deed(Kind.COMMAND, dict(row))
    for row in database.execute("SELECT id AS 'commit' FROM commits WHERE kind IN ('DECISION', 'ERASURE') ORDER BY id"):
        yield Deed(Kind.COMMAND, dict(row))
