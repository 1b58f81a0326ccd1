"""The audit log in the catalogue: written in the transaction that makes true what it tells, read from its first entry on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime

from cpis_batch.audit.chain import ANNOUNCES, BEGINS
from cpis_batch.audit.entry import NOTHING, Deed, Entry, Head, Kind, linked
from cpis_batch.audit.signing import Signer
from cpis_batch.business_time import text_of
from cpis_batch.catalogue.deeds import deeds_of, deeds_of_rows
from cpis_batch.catalogue.reading import Reading
from cpis_batch.catalogue.seal import seal_of
from cpis_batch.errors import KeyFault

_TEXTS = ("at", "kind", "what", "before", "hash")


class Log(Reading):
    """Entries are only ever added, by who holds the key that the log names."""

    _signer: Signer | None = None

    def sign_with(self, signer: Signer) -> None:
        """Let what is made true from now on be told and signed."""
        self._signer = signer

    def audit_key(self) -> str | None:
        """The public half of the key in force; None where the log has not begun. StateFault where it cannot be told."""
        newest = "SELECT json_extract(what, ?) FROM audit WHERE kind = 'AUDIT_KEY' ORDER BY number DESC LIMIT 1"
        found = self.one(newest, (f"$.{BEGINS}",))
        return None if found is None else str(found)

    def audit_head(self) -> Head:
        """Where the log stands."""
        with self._faults():
            row = self._db.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
        return Head(*row) if row else Head(0, NOTHING)

    def entries(self) -> Iterator[Entry]:
        """Every entry, the oldest first. What is no text any more has its bytes escaped, so that the entry can be named."""
        columns = ", ".join(f"CAST({name} AS BLOB) AS {name}" for name in (*_TEXTS, "signature"))
        with self._faults(), closing(self._db.execute(f"SELECT number, {columns} FROM audit ORDER BY number")) as cursor:
            for row in cursor:
                at, kind, what, before, digest = (row[name].decode(errors="backslashreplace") for name in _TEXTS)
                signature = row["signature"] and row["signature"].decode(errors="backslashreplace")
                yield Entry(number=row["number"], at=at, kind=kind, what=what, before=before, hash=digest, signature=signature)

    def deeds(self) -> Iterator[Deed]:
        """What the log must tell of the catalogue as its rows now stand, each commit's seal computed anew."""
        with self._faults():
            seals = dict(self._db.execute("SELECT commit_id, seal FROM seals").fetchall())
            before = ""
            for commit in self.commits():
                yield from deeds_of(self._db, commit.id, seal_of(self._db, commit.id, before))
                before = seals.get(commit.id, "")
            yield from deeds_of_rows(self._db)

    def tell(self, deed: Deed, at: datetime) -> None:
        """Write an entry of its own: for what becomes true outside the catalogue, such as a key."""
        with self._transaction():
            self._tell([deed], at)

    def begin_key(self, signer: Signer, at: datetime, deeds: Iterable[Deed] = ()) -> None:
        """Sign with another key from now on, announced by the one before, if any. `deeds` are told in the same transaction."""
        with self._transaction():
            if self.audit_key() is not None:
                self._tell([Deed(Kind.AUDIT_KEY, {ANNOUNCES: signer.public})], at)
            self._write([Deed(Kind.AUDIT_KEY, {BEGINS: signer.public})], at, signer)
            self._write(list(deeds), at, signer)
        self._signer = signer

    def _tell(self, deeds: list[Deed], at: datetime) -> None:
        """Tell what a transaction makes true; its last entry is signed. KeyFault without a key, or where it was replaced."""
        if self._signer is None:
            raise KeyFault("The audit log cannot be written without its key.", "Run: cpis-batch keys check")
        if self.audit_key() != self._signer.public:
            raise KeyFault("The audit key was replaced in the meantime.", "Nothing was changed. Run the same command again.")
        self._write(deeds, at, self._signer)

    def _write(self, deeds: list[Deed], at: datetime, signer: Signer) -> None:
        head = self.audit_head()
        for deed in deeds:
            entry = linked(head, deed, text_of(at), signer if deed is deeds[-1] else None)
            self._insert("audit", entry)
            head = entry.head
