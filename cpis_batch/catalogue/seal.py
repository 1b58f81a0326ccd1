"""The seal of a commit: SHA-256 over every row that it wrote for good, and over the seal of the commit before.

SQLite keeps no checksum of its own, so a bit that flips in a phone number or a count would go unseen. What goes on changing
is left out: whether a message was delivered or collected, where a file was moved, what still waits, the log of runs. A file
that is held is sealed by the commit that settles it; a hold by the one that makes it, and the decision by that which decides;
that a file's bytes are gone, by the commit that erased them.
"""

from __future__ import annotations

import hashlib
import sqlite3

import msgspec

_OF_ARRIVAL = (
    "id, partner, mailbox, folder, name, digest, size, modified_at, seen_at, state, file_outcome, code, epoch, sequence, kind,"
    " extracted_at, signer, records, records_loaded, records_rejected, records_warned"
)
_OF_DELIVERY = "id, arrival_id, partner, kind, purpose, agreement, mailbox, folder, name, digest, size, record_count, made_at"
_WRITTEN = (
    "SELECT * FROM commits WHERE id = :commit",
    "SELECT * FROM la_versions WHERE commit_id = :commit ORDER BY la_code",
    "SELECT * FROM balances WHERE commit_id = :commit ORDER BY la_code, plan_type",
    "SELECT * FROM changes WHERE commit_id = :commit ORDER BY la_code, change",
    f"SELECT {_OF_ARRIVAL} FROM arrivals WHERE commit_id = :commit AND state <> 'HELD' ORDER BY id",
    f"SELECT {_OF_DELIVERY} FROM deliveries WHERE commit_id = :commit ORDER BY id",
    "SELECT id, arrival_id, partner, reason, detail, made_at, would FROM holds WHERE commit_id = :commit ORDER BY id",
    "SELECT id, decision, decided_at, decided_by, decision_reason FROM holds WHERE decided_in = :commit ORDER BY id",
    "SELECT * FROM event_parts WHERE commit_id = :commit ORDER BY month",
    "SELECT * FROM trace_parts WHERE commit_id = :commit ORDER BY name",
    "SELECT * FROM releases WHERE commit_id = :commit ORDER BY year, number",
    "SELECT * FROM release_balances WHERE commit_id = :commit ORDER BY la_code, plan_type",
    "SELECT * FROM release_erasures WHERE commit_id = :commit",
    "SELECT * FROM checkpoints WHERE commit_id = :commit ORDER BY la_code",
    "SELECT id FROM arrivals WHERE erased_in = :commit ORDER BY id",
    "SELECT id FROM deliveries WHERE erased_in = :commit ORDER BY id",
)


def seal_of(database: sqlite3.Connection, commit_id: int, before: str) -> str:
    """The seal of a commit as its rows now stand; `before` is the seal of the commit before it, empty for the first."""
    whole = hashlib.sha256(before.encode())
    for sql in _WRITTEN:
        rows = [tuple(row) for row in database.execute(sql, {"commit": commit_id})]
        whole.update(msgspec.json.encode(rows) + b"\n")
    return whole.hexdigest()
