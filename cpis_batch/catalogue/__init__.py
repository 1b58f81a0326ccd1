"""The SQLite catalogue: the one commit point, and what is read back from it.

A part or an outbox file is durable before a commit names it; what a commit does not name does not exist. One
transaction holds the new parts, the outcome of every file, the answers to send and what the audit log tells of them, so a kill
leaves all or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from cpis_batch.audit.entry import Deed, Kind
from cpis_batch.business_time import text_of
from cpis_batch.catalogue import ledger
from cpis_batch.catalogue.database import values_of
from cpis_batch.catalogue.deeds import deeds_of
from cpis_batch.catalogue.log import Log
from cpis_batch.catalogue.records import Commit, CommitHead, Hold, Waiting
from cpis_batch.catalogue.seal import seal_of
from cpis_batch.errors import Bug
from cpis_batch.register.digest import register_digest

FILE_NAME = "catalogue.sqlite"


class Catalogue(Log):
    """The catalogue of a home: what is true, and the only way to make more of it true."""

    def commit(self, commit: Commit, *, forget: Iterable[Waiting] = ()) -> CommitHead:
        """Make `commit` true, whole or not at all; its head. Bug where it would not balance.

        `forget` are files no longer waited for.
        """
        with self._transaction() as db:
            parent = db.execute("SELECT max(id) FROM commits").fetchone()[0]
            digests = {v.la_code: v.logical_digest for v in (*self.las(), *commit.versions)}
            head = CommitHead(
                id=(parent or 0) + 1,
                parent=parent,
                made_at=commit.made_at,
                business_date=commit.business_date,
                kind=commit.kind,
                program=commit.program,
                rules=commit.rules,
                reference=commit.reference,
                register_digest=register_digest(digests),
                children=commit.children,
            )
            self._insert("commits", head)
            for version in commit.versions:
                self._insert("la_versions", version, commit_id=head.id)
            for balance in commit.balances:
                self._insert("balances", balance, commit_id=head.id)
            for change in commit.changes:
                self._insert("changes", change, commit_id=head.id)
            for arrival in commit.arrivals:
                self._insert("arrivals", arrival, commit_id=head.id)
            for arrival in commit.settled:
                values = values_of(arrival) | {"commit_id": head.id}
                changes = ", ".join(f"{name} = :{name}" for name in values if name not in ("id", "moved_to"))
                db.execute(f"UPDATE arrivals SET {changes} WHERE id = :id AND state = 'HELD'", values)
            for hold in commit.holds:
                self._insert("holds", hold, commit_id=head.id)
            for hold in commit.decided:
                self._decide(hold, head.id)
            for delivery in commit.deliveries:
                self._insert("deliveries", delivery, commit_id=head.id)
            for part in commit.event_parts:
                self._insert("event_parts", part, commit_id=head.id)
            for table in commit.trace_parts:
                self._insert("trace_parts", table, commit_id=head.id)
            if commit.release:
                self._insert("releases", commit.release, commit_id=head.id)
            for line in commit.release_balances:
                self._insert("release_balances", line, commit_id=head.id)
            if commit.release_erasure:
                self._insert("release_erasures", commit.release_erasure, commit_id=head.id)
            for checkpoint in commit.checkpoints:
                self._insert("checkpoints", checkpoint, commit_id=head.id)
            self._erase("arrivals", commit.erased_arrivals, head.id)
            self._erase("deliveries", commit.erased_deliveries, head.id)
            self._hold_to_the_ledger(head.id)
            before = db.execute("SELECT seal FROM seals WHERE commit_id = ?", (parent,)).fetchone()
            seal = seal_of(db, head.id, before[0] if before else "")
            db.execute("INSERT INTO seals (commit_id, seal) VALUES (?, ?)", (head.id, seal))
            asked = [Deed(deed.kind, {**deed.what, "commit": head.id}) for deed in commit.deeds]
            self._tell([*asked, *deeds_of(db, head.id, seal)], commit.made_at)
            for file in forget:
                self._forget(file)
        return head

    def _hold_to_the_ledger(self, commit_id: int) -> None:
        if amiss := ledger.differences(self, commit_id):
            one = amiss[0]
            of = " ".join(part for part in (one.la_code, one.plan_type) if part)
            raise Bug(
                f"The ledger would not balance: {one.what}, {of}: {one.rows:,}. {len(amiss):,} differences in all.",
                "Nothing was committed. Keep the home as it is and report this line as a fault of the program.",
            )

    def _erase(self, table: str, numbers: Iterable[int], commit_id: int) -> None:
        self._db.executemany(f"UPDATE {table} SET erased_in = ? WHERE id = ?", [(commit_id, number) for number in numbers])

    def _decide(self, hold: Hold, commit_id: int) -> None:
        self._db.execute(
            "UPDATE holds SET decision = :decision, decided_at = :decided_at, decided_by = :decided_by,"
            " decision_reason = :decision_reason, decided_in = :decided_in WHERE id = :id AND decision IS NULL",
            values_of(hold) | {"decided_in": commit_id},
        )

    def _forget(self, file: Waiting) -> None:
        self._db.execute(
            "DELETE FROM waiting WHERE mailbox = ? AND folder = ? AND name = ?", (file.mailbox, file.folder, file.name)
        )

    def wait_for(self, waiting: Iterable[Waiting], *, gone: Iterable[Waiting] = ()) -> None:
        """Remember files that may still be growing; a file whose bytes changed starts its time anew."""
        with self._transaction():
            for file in gone:
                self._forget(file)
            for file in waiting:
                self._insert("waiting", file)

    def moved(self, moves: Iterable[tuple[int, str]]) -> None:
        """Record to where the remote files of these arrivals were moved."""
        with self._transaction() as db:
            db.executemany("UPDATE arrivals SET moved_to = ? WHERE id = ?", [(folder, arrival) for arrival, folder in moves])

    def delivered(self, delivery_ids: Iterable[int], at: datetime) -> None:
        """Record that deliveries were written, read back and found equal."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE deliveries SET delivered_at = ?, attempts = attempts + 1, last_fault = NULL WHERE id = ?",
                [(text_of(at), one) for one in delivery_ids],
            )

    def not_delivered(self, delivery_id: int, fault: str) -> None:
        """Record an attempt that failed; the next run tries again."""
        with self._transaction() as db:
            db.execute("UPDATE deliveries SET attempts = attempts + 1, last_fault = ? WHERE id = ?", (fault, delivery_id))

    def collected(self, delivery_ids: Iterable[int], at: datetime) -> None:
        """Record that the recipient has taken these files away."""
        with self._transaction() as db:
            db.executemany("UPDATE deliveries SET collected_at = ? WHERE id = ?", [(text_of(at), one) for one in delivery_ids])

    def resend(self, delivery_ids: Iterable[int], at: datetime) -> None:
        """Put deliveries back into the outbox: the same bytes under the same name. Never one that was erased."""
        numbers = sorted(set(delivery_ids))
        with self._transaction() as db:
            db.executemany(
                "UPDATE deliveries SET delivered_at = NULL, collected_at = NULL, last_fault = NULL"
                " WHERE id = ? AND erased_in IS NULL",
                [(one,) for one in numbers],
            )
            self._tell([Deed(Kind.COMMAND, {"command": "deliveries resend", "deliveries": numbers})], at)

    def start_run(self, kind: str, business_date: date, at: datetime, *, command: Mapping[str, Any] | None = None) -> int:
        """Note that a run has begun; its number. Where it is itself to be told in the audit log, `command` says what it is."""
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO runs (kind, business_date, started_at) VALUES (?, ?, ?)",
                (kind, business_date.isoformat(), text_of(at)),
            )
            run = int(cursor.lastrowid or 0)
            if command:
                self._tell([Deed(Kind.COMMAND, {**command, "run": run})], at)
            return run

    def end_run(self, run_id: int, at: datetime, exit_code: int, summary: bytes) -> None:
        """Note how a run ended. A run without an end was killed."""
        with self._transaction() as db:
            db.execute(
                "UPDATE runs SET ended_at = ?, exit_code = ?, summary = ? WHERE id = ?",
                (text_of(at), exit_code, summary.decode(), run_id),
            )
