"""The SQLite file under the catalogue: opened as it must be, its refusals as our errors, rows as values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from cpis_batch import files
from cpis_batch.business_time import text_of
from cpis_batch.errors import ConfigFault, DiskFault, StateFault

_VERSION = 2
_Row = TypeVar("_Row", bound=msgspec.Struct)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return text_of(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, msgspec.Struct):
        return msgspec.json.encode(value).decode()
    return value


def values_of(record: msgspec.Struct) -> dict[str, Any]:
    """A record as SQLite takes it: instants and dates as text, a record within it as JSON."""
    return {name: _plain(getattr(record, name)) for name in record.__struct_fields__}


def _named(fault: sqlite3.Error) -> str:
    """SQLite's name for a fault. Its text may quote what it refused."""
    return str(getattr(fault, "sqlite_errorname", type(fault).__name__))


class Database:
    """One open catalogue file. Use as a context manager; one writer at a time is the run lock's business."""

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

    def __enter__(self) -> Self:
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
                    f"The catalogue cannot be written: {fault}.",  # a fixed text of SQLite's own
                    "Nothing of this step became true. Make room or mend the disk, then run the same command again.",
                ) from None
            raise StateFault(f"The catalogue cannot be used: {_named(fault)}.", "Run: cpis-batch register verify") from None
        except sqlite3.DatabaseError as fault:
            raise StateFault(
                f"The catalogue is damaged or refuses a contradiction: {_named(fault)}.", "Run: cpis-batch register verify"
            ) from None
        except (msgspec.ValidationError, UnicodeDecodeError) as fault:
            where = str(fault).rpartition(" - at ")[2] if isinstance(fault, msgspec.ValidationError) else "text that is none"
            what = f"The catalogue holds what cannot stand there: {where}."  # where it is; what it is, the library would quote
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
        values = {**values_of(record), **more}
        if values.get("id") == 0:
            del values["id"]
        columns, places = ", ".join(values), ", ".join(f":{name}" for name in values)
        self._db.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", values)

    def _rows(
        self, kind: type[_Row], sql: str, parameters: Sequence[Any] | dict[str, Any] = (), *, json: Sequence[str] = ()
    ) -> list[_Row]:
        """The rows of a query as records of a kind; the columns named in `json` hold records as JSON."""
        with self._faults(), closing(self._db.execute(sql, parameters)) as cursor:
            names = [column[0] for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor]
            for row in found:
                row |= {name: msgspec.json.decode(row[name]) for name in json if row[name] is not None}
            return [msgspec.convert(row, kind) for row in found]

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The single value of a query, None where there is no row: for counts and heads."""
        with self._faults():
            row = self._db.execute(sql, parameters).fetchone()
        return row[0] if row else None

    def table(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query as dictionaries: for readers that show lists."""
        with self._faults():
            return [dict(row) for row in self._db.execute(sql, parameters)]
