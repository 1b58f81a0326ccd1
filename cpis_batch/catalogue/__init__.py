"""The SQLite catalogue: the one commit point, and what is read back from it.

A part or an outbox file is durable before a commit names it; what a commit does not name does not exist. One
transaction holds the new parts, the outcome of every file and the answers to send, so a kill leaves all or nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cpis_batch import files
from cpis_batch.business_time import text_of
from cpis_batch.catalogue.records import (
    Arrival,
    Balance,
    Commit,
    CommitHead,
    Delivery,
    EventPart,
    Hold,
    LaVersion,
    Release,
    Waiting,
)
from cpis_batch.catalogue.seal import seal_of
from cpis_batch.errors import ConfigFault, DiskFault, StateFault
from cpis_batch.register.digest import register_digest
from cpis_batch.vocabulary import FileOutcome

FILE_NAME = "catalogue.sqlite"
_VERSION = 1
_Row = TypeVar("_Row", bound=msgspec.Struct)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return text_of(value)
    if isinstance(value, date):
        return value.isoformat()
    return value


def _values(record: msgspec.Struct) -> dict[str, Any]:
    return {name: _plain(getattr(record, name)) for name in record.__struct_fields__}


class Catalogue:
    """One open catalogue. Use as a context manager; one writer at a time is the run lock's business."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.exists():
            raise ConfigFault(
                f"There is no catalogue at {path}.", "Name the home with --home or CPIS_HOME, or make one: cpis-batch init"
            )
        with self._faults(), ExitStack() as if_not_opened:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            if_not_opened.callback(self._db.close)
            self._db.row_factory = sqlite3.Row
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._prepare(create)
            with files.disk_faults(path):
                path.chmod(0o600)
            if_not_opened.pop_all()

    def _prepare(self, create: bool) -> None:
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found == 0 and create:
            schema = resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
            self._db.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif found != _VERSION:
            raise StateFault(
                f"The catalogue is of version {found}; this program writes version {_VERSION}.", "Use the program that made it."
            )

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as fault:
            if any(word in str(fault) for word in ("disk", "full", "readonly", "I/O")):
                raise DiskFault(
                    f"The catalogue cannot be written: {fault}.",
                    "Nothing of this step became true. Make room or mend the disk, then run the same command again.",
                ) from None
            raise StateFault(f"The catalogue cannot be used: {fault}.", "Run: cpis-batch register verify") from None
        except sqlite3.DatabaseError as fault:
            raise StateFault(
                f"The catalogue is damaged or refuses a contradiction: {fault}.", "Run: cpis-batch register verify"
            ) from None
        except (msgspec.ValidationError, UnicodeDecodeError) as fault:
            what = f"The catalogue holds what cannot stand there: {fault}."
            raise StateFault(what, "Run: cpis-batch register verify") from None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._faults():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _insert(self, table: str, record: msgspec.Struct, **more: Any) -> None:
        values = {**_values(record), **more}
        if values.get("id") == 0:
            del values["id"]
        columns, places = ", ".join(values), ", ".join(f":{name}" for name in values)
        self._db.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", values)

    def _rows(self, kind: type[_Row], sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[_Row]:
        with self._faults(), closing(self._db.execute(sql, parameters)) as cursor:
            names = [column[0] for column in cursor.description]
            return [msgspec.convert(dict(zip(names, row, strict=True)), kind) for row in cursor]

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The single value of a query, None where there is no row: for counts and heads."""
        with self._faults():
            row = self._db.execute(sql, parameters).fetchone()
        return row[0] if row else None

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query as dictionaries: for readers that show lists."""
        with self._faults():
            return [dict(row) for row in self._db.execute(sql, parameters)]

    # Writing

    def commit(self, commit: Commit, *, forget: Iterable[Waiting] = ()) -> CommitHead:
        """Make `commit` true, whole or not at all; its head. `forget` are files no longer waited for."""
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
                values = _values(arrival) | {"commit_id": head.id}
                changes = ", ".join(f"{name} = :{name}" for name in values if name not in ("id", "moved_to"))
                db.execute(f"UPDATE arrivals SET {changes} WHERE id = :id AND state = 'HELD'", values)
            for hold in commit.holds:
                self._insert("holds", hold)
            for hold in commit.decided:
                self._decide(hold)
            for delivery in commit.deliveries:
                self._insert("deliveries", delivery, commit_id=head.id)
            for part in commit.event_parts:
                self._insert("event_parts", part, commit_id=head.id)
            if commit.release:
                self._insert("releases", commit.release, commit_id=head.id)
            before = db.execute("SELECT seal FROM seals WHERE commit_id = ?", (parent,)).fetchone()
            seal = seal_of(db, head.id, before[0] if before else "")
            db.execute("INSERT INTO seals (commit_id, seal) VALUES (?, ?)", (head.id, seal))
            for file in forget:
                self._forget(file)
        return head

    def _decide(self, hold: Hold) -> None:
        self._db.execute(
            "UPDATE holds SET decision = :decision, decided_at = :decided_at, decided_by = :decided_by,"
            " decision_reason = :decision_reason WHERE id = :id AND decision IS NULL",
            _values(hold),
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

    def resend(self, delivery_ids: Iterable[int]) -> None:
        """Put deliveries back into the outbox: the same bytes under the same name."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE deliveries SET delivered_at = NULL, collected_at = NULL, last_fault = NULL WHERE id = ?",
                [(one,) for one in delivery_ids],
            )

    def start_run(self, kind: str, business_date: date, at: datetime) -> int:
        """Note that a run has begun; its number."""
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO runs (kind, business_date, started_at) VALUES (?, ?, ?)",
                (kind, business_date.isoformat(), text_of(at)),
            )
            return int(cursor.lastrowid or 0)

    def end_run(self, run_id: int, at: datetime, exit_code: int, summary: bytes) -> None:
        """Note how a run ended. A run without an end was killed."""
        with self._transaction() as db:
            db.execute(
                "UPDATE runs SET ended_at = ?, exit_code = ?, summary = ? WHERE id = ?",
                (text_of(at), exit_code, summary.decode(), run_id),
            )

    # Reading

    def head(self) -> CommitHead | None:
        """The newest commit."""
        found = self._rows(CommitHead, "SELECT * FROM commits ORDER BY id DESC LIMIT 1")
        return found[0] if found else None

    def commits(self) -> list[CommitHead]:
        """All commits, oldest first."""
        return self._rows(CommitHead, "SELECT * FROM commits ORDER BY id")

    def las(self, at_commit: int | None = None) -> list[LaVersion]:
        """Every LA's state, now or as a commit left it, by code."""
        if at_commit is None:
            return self._rows(LaVersion, "SELECT * FROM la_current ORDER BY la_code")
        return self._rows(
            LaVersion,
            "SELECT v.* FROM la_versions v WHERE v.commit_id ="
            " (SELECT max(w.commit_id) FROM la_versions w WHERE w.la_code = v.la_code AND w.commit_id <= ?) ORDER BY la_code",
            (at_commit,),
        )

    def broken_seals(self) -> list[int]:
        """The commits of which something is no longer as it was written, or whose seal is lost."""
        with self._faults():
            seals = dict(self._db.execute("SELECT commit_id, seal FROM seals").fetchall())
            found, before = [], ""
            for commit in self.commits():
                seal = seals.get(commit.id)
                if seal is None or seal != seal_of(self._db, commit.id, before):
                    found.append(commit.id)
                before = seal or ""
        return found

    def versions(self) -> list[tuple[int, LaVersion]]:
        """What every commit made of the LAs that it changed, with the commit's id, oldest first."""
        ids = [row["commit_id"] for row in self.table("SELECT commit_id FROM la_versions ORDER BY commit_id, la_code")]
        return list(zip(ids, self._rows(LaVersion, "SELECT * FROM la_versions ORDER BY commit_id, la_code"), strict=True))

    def la(self, la_code: str) -> LaVersion | None:
        """One LA's state, None before its first merge."""
        found = self._rows(LaVersion, "SELECT * FROM la_current WHERE la_code = ?", (la_code,))
        return found[0] if found else None

    def arrivals(self, where: str = "TRUE", parameters: Sequence[Any] = ()) -> list[Arrival]:
        """Arrivals in the order in which they were seen."""
        return self._rows(Arrival, f"SELECT * FROM arrivals WHERE {where} ORDER BY id", parameters)

    def next_arrival_id(self) -> int:
        """The number that the next arrival will have."""
        return int(self.one("SELECT coalesce(max(id), 0) + 1 FROM arrivals"))

    def merged_files(self, partner: str) -> dict[tuple[int, int], tuple[str, FileOutcome]]:
        """(epoch, sequence) -> digest and outcome of every file of a partner that was merged."""
        rows = self.table(
            "SELECT epoch, sequence, digest, file_outcome FROM arrivals WHERE partner = ? AND state = 'MERGED'", (partner,)
        )
        return {(row["epoch"], row["sequence"]): (row["digest"], FileOutcome(row["file_outcome"])) for row in rows}

    def waiting(self) -> list[Waiting]:
        """Files that may still be growing."""
        return self._rows(Waiting, "SELECT * FROM waiting ORDER BY mailbox, folder, name")

    def holds(self, *, open_only: bool = True) -> list[Hold]:
        """Holds, oldest first."""
        return self._rows(Hold, f"SELECT * FROM holds {'WHERE decision IS NULL' if open_only else ''} ORDER BY id")

    def hold(self, hold_id: int) -> Hold | None:
        """One hold."""
        found = self._rows(Hold, "SELECT * FROM holds WHERE id = ?", (hold_id,))
        return found[0] if found else None

    def deliveries(self, where: str = "TRUE", parameters: Sequence[Any] = ()) -> list[Delivery]:
        """Deliveries, oldest first."""
        return self._rows(Delivery, f"SELECT * FROM deliveries WHERE {where} ORDER BY id", parameters)

    def balances(self, commit_id: int) -> list[Balance]:
        """The balance that a commit was made with."""
        return self._rows(Balance, "SELECT * FROM balances WHERE commit_id = ? ORDER BY la_code, plan_type", (commit_id,))

    def event_parts(self) -> list[EventPart]:
        """The access events held, a part a month."""
        return self._rows(EventPart, "SELECT * FROM event_current ORDER BY month")

    def releases(self) -> list[Release]:
        """Releases to the CHIS units, oldest first."""
        return self._rows(Release, "SELECT * FROM releases ORDER BY commit_id")

    def parts_in_use(self) -> dict[str, str]:
        """Every part that the state now stands on, and what it is: all others may go, and `verify` looks at these."""
        rows = self.table(
            "SELECT plans_part AS part, 'plans of ' || la_code AS what FROM la_current"
            " UNION ALL SELECT history_part, 'history of ' || la_code FROM la_current WHERE history_part IS NOT NULL"
            " UNION ALL SELECT part, 'access events of ' || month FROM event_current"
            " UNION ALL SELECT rows_part, 'CHIS rows of ' || year || 'F' || number FROM release_current"
            " UNION ALL SELECT unroutable_part, 'unroutable rows of ' || year || 'F' || number FROM release_current"
        )
        return {row["part"]: row["what"] for row in rows}
