"""What is read back from the catalogue: its rows as the values of `records`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from cpis_batch.catalogue.database import Database
from cpis_batch.catalogue.records import (
    Arrival,
    Balance,
    Checkpoint,
    CommitHead,
    Delivery,
    EventPart,
    Hold,
    LaVersion,
    Release,
    Run,
    TracePart,
    Waiting,
)
from cpis_batch.catalogue.seal import seal_of
from cpis_batch.vocabulary import FileOutcome


class Reading(Database):
    """The questions that runs and readers ask."""

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
        where = "WHERE decision IS NULL" if open_only else ""
        return self._rows(Hold, f"SELECT * FROM holds {where} ORDER BY id", json=["would"])

    def hold(self, hold_id: int) -> Hold | None:
        """One hold."""
        found = self._rows(Hold, "SELECT * FROM holds WHERE id = ?", (hold_id,), json=["would"])
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

    def trace_parts(self) -> list[TracePart]:
        """What the trace tells of persons, a part a table."""
        return self._rows(TracePart, "SELECT * FROM trace_current ORDER BY name")

    def releases(self) -> list[Release]:
        """Releases to the CHIS units, oldest first."""
        return self._rows(Release, "SELECT * FROM release_standing ORDER BY commit_id")

    def runs(self, since: date) -> list[Run]:
        """The runs of the business dates from `since` on, oldest first. Looked for from the end, past no older summary."""
        return self._rows(
            Run,
            "SELECT * FROM runs WHERE id >"
            " coalesce((SELECT id FROM runs WHERE business_date < ? ORDER BY id DESC LIMIT 1), 0) ORDER BY id",
            (since.isoformat(),),
        )

    def last_run(self, kind: str, *, well: bool = False) -> Run | None:
        """The last run of a kind that has ended; with `well`, the last that did its work."""
        codes = "exit_code IN (0, 3)" if well else "exit_code IS NOT NULL"
        found = self._rows(Run, f"SELECT * FROM runs WHERE kind = ? AND {codes} ORDER BY id DESC LIMIT 1", (kind,))
        return found[0] if found else None

    def checkpoints(self) -> list[tuple[int, Checkpoint]]:
        """The checkpoint from which each LA's archive begins, with the id of its commit, by LA; none before an erasure."""
        ids = [row["commit_id"] for row in self.table("SELECT commit_id FROM checkpoint_current ORDER BY la_code")]
        return list(zip(ids, self._rows(Checkpoint, "SELECT * FROM checkpoint_current ORDER BY la_code"), strict=True))

    def checkpoint_parts(self) -> set[str]:
        """The parts of these checkpoints: no other lies in the archive."""
        return {part for _, one in self.checkpoints() for part in (one.plans_part, one.history_part) if part}

    def archived(self) -> set[str]:
        """The digests of the files that the archive is to hold: those seen, but for those that were erased."""
        return {row["digest"] for row in self.table("SELECT digest FROM arrivals WHERE erased_in IS NULL")}

    def erased(self) -> set[str]:
        """The digests of files that were erased, and neither came again since nor are waited for."""
        rows = self.table("SELECT digest FROM arrivals WHERE erased_in IS NOT NULL EXCEPT SELECT digest FROM waiting")
        return {row["digest"] for row in rows} - self.archived()

    def outgoing(self) -> set[str]:
        """The digests of the sealed messages that the outbox is to hold: those made, but for those that were erased."""
        return {row["digest"] for row in self.table("SELECT digest FROM deliveries WHERE erased_in IS NULL")}

    def parts_in_use(self) -> dict[str, str]:
        """Every part of register/ that the state now stands on, and what it is: others may go, and `verify` looks at these."""
        rows = self.table(
            "SELECT plans_part AS part, 'plans of ' || la_code AS what FROM la_current"
            " UNION ALL SELECT history_part, 'history of ' || la_code FROM la_current WHERE history_part IS NOT NULL"
            " UNION ALL SELECT part, 'access events of ' || month FROM event_current"
            " UNION ALL SELECT part, 'trace, ' || lower(name) FROM trace_current"
            " UNION ALL SELECT rows_part, 'CHIS rows of ' || year || 'F' || number FROM release_current"
            " UNION ALL SELECT unroutable_part, 'unroutable rows of ' || year || 'F' || number FROM release_current"
        )
        return {row["part"]: row["what"] for row in rows}
