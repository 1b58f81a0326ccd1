"""Verify: hold every file that the state stands on against the catalogue, and the catalogue against itself (FAULTS F71).

Nothing is changed and nothing is mended. Each look goes on past what it finds, so that one call names all that is damaged.
What goes on changing in the catalogue and no file bears witness to (whether a message was collected, the log of runs) is not
sealed, and cannot be proven here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from cpis_batch import audit_key, catalogue, config, files
from cpis_batch.access.schema import EVENT_IDS, EVENTS, REPORT
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.ledger import imbalance
from cpis_batch.catalogue.records import CommitHead, LaVersion
from cpis_batch.delivery import outbox
from cpis_batch.errors import Exit, KeyFault, StateFault
from cpis_batch.extracts.chis import EXTRACT
from cpis_batch.extracts.routing import UNROUTABLE
from cpis_batch.intake import collect
from cpis_batch.keystore import MasterKey, load_master_key
from cpis_batch.register import view
from cpis_batch.register.digest import logical_digest, register_digest
from cpis_batch.register.store import SUFFIX, PartStore
from cpis_batch.register.verify import faults_of_history, faults_of_plans
from cpis_batch.runs import audit, demographics, la_part, lock, national, reports

Progress = Callable[[str, int, int], None]  # stage, done, of

_CATALOGUE_ADVICE = (
    "Stop the timers, keep a copy of the home, and restore the catalogue with the rest of the home from one backup."
)
_REBUILD_ADVICE = "Run: cpis-batch register rebuild --replace; or restore the file from a backup."
_BACKUP_ADVICE = "Restore the file from a backup of the home."
_ARCHIVE_ADVICE = "Restore the file from a backup; the sender's processed/ or refused/ folder may still hold the same bytes."
_OUTBOX_ADVICE = "Restore the file from a backup; of a delivered one the recipient may hold the same bytes."


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was written. `about` is a file of the home, `what` is wrong with it, `advice` what to do."""

    about: str
    what: str
    advice: str


@dataclass(slots=True)
class Verified:
    """What verify looked at, and what it found."""

    head: CommitHead | None = None
    commits: int = 0
    las: int = 0
    plans: int = 0
    files: dict[str, int] = field(default_factory=dict)  # folder -> how many were looked at
    unnamed: dict[str, int] = field(default_factory=dict)  # folder -> how many lie there that are not in use
    damages: list[Damage] = field(default_factory=list)
    imbalance: int = 0

    @property
    def exit_code(self) -> Exit:
        """DISK where something is damaged, BUG where the balance does not hold, else DONE."""
        return Exit.DISK if self.damages else Exit.BUG if self.imbalance else Exit.DONE

    def damaged(self, about: str, what: str, advice: str) -> None:
        """Note a damage."""
        self.damages.append(Damage(about, what, advice))


def verify(home: Path, progress: Progress = lambda *_: None) -> Verified:
    """Look at everything. Locked where a run is on; ConfigFault and KeyFault where the home cannot be read at all."""
    master = load_master_key(home, config.load(home))
    found = Verified()
    with lock.exclusive(home, "register verify"):
        try:
            with Catalogue(home / catalogue.FILE_NAME) as opened:
                _look(opened, home, PartStore(home / "register", master), found, progress)
                _log(opened, home, master, found)
        except StateFault as fault:
            found.damaged(catalogue.FILE_NAME, fault.message, _CATALOGUE_ADVICE)
    return found


def _look(opened: Catalogue, home: Path, store: PartStore, found: Verified, progress: Progress) -> None:
    for what in _inner_faults(opened):
        found.damaged(catalogue.FILE_NAME, what, _CATALOGUE_ADVICE)
    commits = {head.id: head for head in opened.commits()}
    found.head, found.commits = opened.head(), len(commits)
    for what in _line_faults(opened, list(commits.values())):
        found.damaged(catalogue.FILE_NAME, what, _CATALOGUE_ADVICE)
    _parts(opened, store, commits, found, progress)
    found.imbalance = imbalance(opened)

    archived, checkpoints, sent = opened.archived(), opened.checkpoint_parts(), opened.outgoing()
    waiting = {row["digest"] for row in opened.table("SELECT digest FROM waiting")}
    _files(home / "archive", archived, collect.SUFFIX, _ARCHIVE_ADVICE, found, progress)
    _files(home / "archive", checkpoints, SUFFIX, _BACKUP_ADVICE, found, progress)
    _files(home / "outbox", sent, outbox.SUFFIX, _OUTBOX_ADVICE, found, progress)
    named = {f"register/*{SUFFIX}": opened.parts_in_use().keys(), f"archive/*{collect.SUFFIX}": archived | waiting}
    named |= {f"archive/*{SUFFIX}": checkpoints, f"outbox/*{outbox.SUFFIX}": sent}
    for pattern, digests in named.items():
        unnamed = sum(path.stem not in digests for path in home.glob(pattern))
        folder = pattern.partition("/")[0]
        found.unnamed[folder] = found.unnamed.get(folder, 0) + unnamed


def _log(opened: Catalogue, home: Path, master: MasterKey, found: Verified) -> None:
    """The audit log, and the key that signs it."""
    try:
        for fault in audit.faults_of(opened, home, master):
            found.damaged(catalogue.FILE_NAME, f"audit log: {fault.what}", audit.ADVICE)
    except KeyFault as fault:
        found.damaged(audit_key.FOLDER, fault.message, fault.advice)


def _inner_faults(opened: Catalogue) -> Iterator[str]:
    """What SQLite finds wrong with its own pages, indexes and references."""
    for row in opened.table("PRAGMA integrity_check"):
        if row["integrity_check"] != "ok":
            yield f"SQLite finds: {row['integrity_check']}"
    for row in opened.table("PRAGMA foreign_key_check"):
        yield f"a row of {row['table']} refers to one of {row['parent']} that is not there"


def _line_faults(opened: Catalogue, commits: list[CommitHead]) -> Iterator[str]:
    """What is wrong with the line of commits: parents, instants, and the register's digest of each from those of its LAs."""
    made: dict[int, dict[str, str]] = {}
    for number, version in opened.versions():
        made.setdefault(number, {})[version.la_code] = version.logical_digest
    for number in opened.broken_seals():
        yield f"commit {number} is not as it was written: its rows do not come to its seal"
    standing: dict[str, str] = {}
    before: CommitHead | None = None
    for commit in commits:
        if commit.parent != (before.id if before else None):
            yield f"commit {commit.id} does not follow on the one before it"
        if before and commit.made_at < before.made_at:
            yield f"commit {commit.id} is older than the one before it"
        standing |= made.get(commit.id, {})
        if register_digest(standing) != commit.register_digest:
            yield f"the register digest of commit {commit.id} is not that of its authorities' parts"
        before = commit


def _parts(opened: Catalogue, store: PartStore, commits: dict[int, CommitHead], found: Verified, progress: Progress) -> None:
    """The parts in use: bytes, columns, order, and all that the catalogue says of them."""
    made_in = {version.la_code: number for number, version in opened.versions()}
    sources = _sources(opened)
    versions = opened.las()
    active = []
    for done, version in enumerate(versions, 1):
        progress("reading the register", done, len(versions))
        plans = _read(store, version.plans_part, f"plans of {version.la_code}", _REBUILD_ADVICE, found)
        if plans is not None:
            commit = commits.get(made_in.get(version.la_code, 0))
            wrong = faults_of_plans(plans, version.la_code)
            if not wrong and logical_digest(plans) != version.logical_digest:
                wrong = ["its plans do not come to the logical digest that the catalogue has"]
            elif not wrong and commit:
                for words in _miscounted(version, plans, commit):
                    found.damaged(catalogue.FILE_NAME, f"plans of {version.la_code}: {words}", _CATALOGUE_ADVICE)
            if not wrong and not set(plans["source_file"].unique().to_pylist()) <= sources.get(version.la_code, set()):
                wrong = ["it names a source file that was not merged"]
            _tell(wrong, version.plans_part, f"plans of {version.la_code}", found)
            found.plans += plans.num_rows
            if not wrong and found.head:
                active.append(view.active(plans, found.head.business_date).select(["nhs_number", "plan_type"]))
        if version.history_part:
            history = _read(store, version.history_part, f"history of {version.la_code}", _REBUILD_ADVICE, found)
            if history is not None:
                wrong = faults_of_history(history, version.la_code)
                _tell(wrong, version.history_part, f"history of {version.la_code}", found)
    found.las, found.files["register"] = len(versions), len(opened.parts_in_use())
    if found.head and len(active) == len(versions):
        children = view.children(active)
        if children != found.head.children:
            what = f"commit {found.head.id} counts {found.head.children} children; the parts hold {children}"
            found.damaged(catalogue.FILE_NAME, what, _CATALOGUE_ADVICE)
    _other_parts(opened, store, found)


def _miscounted(version: LaVersion, plans: pa.Table, commit: CommitHead) -> list[str]:
    """The columns of the LA's line that are not what its plans come to on the business date of its commit."""
    counted = la_part.recounted(version, plans, commit.business_date)
    return [
        f"the catalogue has {name} {getattr(version, name)}, the part {getattr(counted, name)}"
        for name in version.__struct_fields__
        if getattr(version, name) != getattr(counted, name)
    ]


def _sources(opened: Catalogue) -> dict[str, set[str]]:
    """The digests of the files merged, by LA."""
    found: dict[str, set[str]] = {}
    for row in opened.table("SELECT partner, digest FROM arrivals WHERE state = 'MERGED'"):
        found.setdefault(row["partner"], set()).add(row["digest"])
    return found


def _other_parts(opened: Catalogue, store: PartStore, found: Verified) -> None:
    """The access events held, what the trace tells of persons, what was told of them, and the newest release."""
    for events in opened.event_parts():
        what = f"access events of {events.month}"
        schema = {reports.OWED: REPORT, reports.KNOWN: EVENT_IDS}.get(events.month, EVENTS)
        _read_as(store, events.part, what, schema, events.row_count, found)
    kinds = {**demographics.TABLES, **national.TABLES}
    for table in opened.trace_parts():
        _read_as(store, table.part, f"trace, {table.name.lower()}", kinds[table.name], table.row_count, found)
    for release in opened.releases()[-1:]:
        label = f"{release.year:04}F{release.number:02}"
        _read_as(store, release.rows_part, f"CHIS rows of {label}", EXTRACT, None, found)
        _read_as(store, release.unroutable_part, f"unroutable rows of {label}", UNROUTABLE, release.unroutable, found)


def _read_as(store: PartStore, digest: str, what: str, schema: pa.Schema, rows: int | None, found: Verified) -> None:
    table = _read(store, digest, what, _BACKUP_ADVICE, found)
    if table is None:
        return
    if not table.schema.equals(schema):
        found.damaged(f"register/{digest}{SUFFIX}", f"{what}: its columns are not those of its kind", _BACKUP_ADVICE)
    if rows is not None and rows != table.num_rows:
        words = f"{what}: the catalogue has {rows} rows, the part {table.num_rows}"
        found.damaged(f"register/{digest}{SUFFIX}", words, _BACKUP_ADVICE)


def _read(store: PartStore, digest: str, what: str, advice: str, found: Verified) -> pa.Table | None:
    try:
        return store.read(digest)
    except StateFault as fault:
        found.damaged(f"register/{digest}{SUFFIX}", f"{what}: {fault.message}", advice)
        return None


def _tell(wrong: Iterable[str], digest: str, what: str, found: Verified) -> None:
    for words in wrong:
        found.damaged(f"register/{digest}{SUFFIX}", f"{what}: {words}", _REBUILD_ADVICE)


def _files(folder: Path, digests: set[str], suffix: str, advice: str, found: Verified, progress: Progress) -> None:
    """That every file which the catalogue names lies in the folder with its bytes."""
    for done, digest in enumerate(sorted(digests), 1):
        progress(f"reading the {folder.name}", done, len(digests))
        about = f"{folder.name}/{digest}{suffix}"
        try:
            whole = files.digest_of_file(folder / f"{digest}{suffix}") == digest
        except FileNotFoundError:
            found.damaged(about, f"{about} is missing.", advice)
        except OSError as fault:
            found.damaged(about, f"{about} cannot be read: {fault.strerror}.", advice)
        else:
            if not whole:
                found.damaged(about, f"{about} was altered: its bytes are not those that were written.", advice)
    found.files[folder.name] = found.files.get(folder.name, 0) + len(digests)
