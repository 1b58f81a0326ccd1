"""A synthetic England of any size as files: every authority's extract, and access events; made in parallel, streamed.

An authority is the unit of work: its people are drawn, its files written, and it is forgotten. Each has a stream of chance of its
own, so neither how many processes there are nor who comes first shows in a byte. What lies in memory is one authority a process.

    <folder>/england.json   what was made of what, with the SHA-256 of every file
    <folder>/extracts/      an extract an authority (LA extract 1.0), or none where they were sealed and put down
    <folder>/events/        access events, as the national service sends them (.csv) or as the hub keeps them (.parquet)

Beyond TESTS.max_scale the numbers are those from 900 to 998 million, and the files say LIVE. So that none can be taken for a real
one, they are never written into a home of real partners, and sealed with the keys of a rehearsal alone.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from functools import partial
from itertools import chain, islice
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from cpis_batch import config
from cpis_batch.business_time import LONDON
from cpis_batch.errors import UsageFault
from cpis_batch.sandbox import extracts, scaled_events
from cpis_batch.sandbox.drops import Drop, Senders
from cpis_batch.sandbox.england import England, people_of, plans_of
from cpis_batch.sandbox.events import FIRST_SEQUENCE
from cpis_batch.sandbox.extracts import Header
from cpis_batch.sandbox.home import FOLDER as REHEARSAL
from cpis_batch.sandbox.nights import next_night
from cpis_batch.sandbox.numbers import TESTS, range_of
from cpis_batch.sandbox.volumes import volumes
from cpis_batch.vocabulary import Environment, ExtractKind

MANIFEST = "england.json"
VERSION = "1.0"
_SLICE = 50_000  # rows of an extract turned into text at a time


class EventsForm(StrEnum):
    """How access events are written."""

    CSV = "csv"  # access events 1.0, as the national service sends them
    PARQUET = "parquet"  # the columns that the hub keeps, not encrypted


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be made. `after`: an earlier day, whose England is carried on by a night; else it is drawn as of `on`."""

    seed: int
    scale: float
    on: date
    after: date | None = None
    las: tuple[str, ...] = ()  # none: all
    events: int = 0
    events_form: EventsForm = EventsForm.CSV
    sequence: int = 1  # of the extracts
    kind: ExtractKind = ExtractKind.FULL  # a DELTA has what changed on the day
    exported_at: time = time(20, 30)  # in England
    senders: Senders | None = None  # with whose keys extracts are sealed and put down, instead of being written in plain

    def __post_init__(self) -> None:
        range_of(self.scale)
        if self.after and self.after >= self.on:
            raise ValueError("the next night is a later one")

    @property
    def codes(self) -> tuple[str, ...]:
        """The authorities."""
        return tuple(sorted(self.las or volumes()))

    @property
    def environment(self) -> Environment:
        """What the files say: LIVE where the numbers of the range for tests do not suffice."""
        return environment_of(self.scale)

    @property
    def made_at(self) -> datetime:
        """When the files say they were made."""
        return datetime.combine(self.on, self.exported_at, LONDON).astimezone(UTC)


class WrittenFile(msgspec.Struct, frozen=True):
    """A file: its name in the folder, its rows, and the SHA-256 of its bytes (of what was sealed, where it was)."""

    name: str
    rows: int
    sha256: str


class Made(msgspec.Struct, frozen=True):
    """One authority: its extract, how many of its rows changed on the day, and its events."""

    la_code: str
    extract: WrittenFile
    changed: int
    events: tuple[WrittenFile, ...] = ()


def environment_of(scale: float) -> Environment:
    """The environment that an England of this scale is of."""
    return Environment.TEST if range_of(scale) is TESTS else Environment.LIVE


def write(
    folder: Path, wanted: Wanted, *, workers: int = 0, progress: Callable[[int, int], None] = lambda *_: None
) -> list[Made]:
    """Make it in `folder`, in so many processes (none: one a core); what was made, by code.

    UsageFault where the folder holds anything, or lies in a home that is no rehearsal's. What was written so far stays where
    this is interrupted; england.json is written last.
    """
    _hold_apart(folder)
    for name in ("extracts", "events"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    made = sorted(_all(folder, wanted, workers or os.cpu_count() or 1, progress), key=lambda one: one.la_code)
    document = {
        "version": VERSION,
        "seed": wanted.seed,
        "scale": wanted.scale,
        "on": wanted.on,
        "after": wanted.after,
        "environment": wanted.environment,
        "rows": sum(one.extract.rows for one in made),
        "changed": sum(one.changed for one in made),
        "events": sum(file.rows for one in made for file in one.events),
        "las": made,
    }
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    return made


def _hold_apart(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageFault(f"{folder} holds something already.", "Nothing was written. Name a new folder, or an empty one.")
    for around in folder.resolve().parents:
        if (around / config.FILE_NAME).exists() and not (around / REHEARSAL).is_dir():
            raise UsageFault(
                f"{folder} lies in {around}, a home that is no rehearsal's: invented children are kept apart from real ones.",
                "Nothing was written. Name a folder elsewhere.",
            )


def _all(folder: Path, wanted: Wanted, workers: int, progress: Callable[[int, int], None]) -> Iterator[Made]:
    """Every authority, the largest first, so that none is waited for at the end."""
    ordered = sorted(wanted.codes, key=lambda code: -volumes()[code].rows)
    events = scaled_events.shares(wanted.events, wanted.codes)
    files, sequences = 0, {}
    for code in wanted.codes:
        sequences[code] = FIRST_SEQUENCE + files
        files += -(-events[code] // scaled_events.FILE)
    one = partial(_authority, folder, wanted)
    tasks = [(code, events[code], sequences[code]) for code in ordered]
    if workers == 1 or len(tasks) == 1:
        for done, task in enumerate(tasks, 1):
            yield one(task)
            progress(done, len(tasks))
        return
    with ProcessPoolExecutor(min(workers, len(tasks)), multiprocessing.get_context("forkserver")) as pool:
        for done, found in enumerate(pool.map(one, tasks), 1):
            yield found
            progress(done, len(tasks))


def plans_at(la_code: str, wanted: Wanted) -> pa.Table:
    """The plans (england.PLANS) that one authority holds on the day."""
    begun = plans_of(la_code, seed=wanted.seed, on=wanted.after or wanted.on, scale=wanted.scale)
    if wanted.after is None:
        return begun
    before = England(wanted.seed, wanted.scale, wanted.after, begun, {la_code: people_of(la_code, wanted.scale)})
    return next_night(before, wanted.on).plans


def _authority(folder: Path, wanted: Wanted, task: tuple[str, int, int]) -> Made:
    code, events, sequence = task
    plans = plans_at(code, wanted)
    changed = extracts.changed_on(plans, wanted.on)
    extract = _extract(folder, wanted, code, plans if wanted.kind is ExtractKind.FULL else changed)
    return Made(code, extract, changed.num_rows, tuple(_events(folder, wanted, code, plans, events, sequence)))


def _extract(folder: Path, wanted: Wanted, code: str, plans: pa.Table) -> WrittenFile:
    header = Header(
        la_code=code,
        kind=wanted.kind,
        sequence=wanted.sequence,
        extracted_at=wanted.made_at,
        environment=wanted.environment,
    )
    slices = (extracts.body(plans.slice(first, _SLICE)) for first in range(0, plans.num_rows, _SLICE))
    text = chain([header.line()], slices, [extracts.trailer(plans)])
    if wanted.senders is None:
        name = f"extracts/{header.file_name.removesuffix('.pgp')}"
        return WrittenFile(name, plans.num_rows, _written(folder / name, text))
    content = b"".join(text)
    wanted.senders.put_down([Drop(sender=code, name=header.file_name, put_at=wanted.made_at, content=content)])
    return WrittenFile(header.file_name, plans.num_rows, hashlib.sha256(content).hexdigest())


def _events(folder: Path, wanted: Wanted, code: str, plans: pa.Table, count: int, sequence: int) -> Iterator[WrittenFile]:
    batches = scaled_events.drawn(code, plans, count, seed=wanted.seed, now=wanted.made_at)
    for first in range(0, count if plans.num_rows else 0, scaled_events.FILE):
        rows = min(scaled_events.FILE, count - first)
        mine = islice(batches, -(-rows // scaled_events.BATCH))
        number = sequence + first // scaled_events.FILE
        name = f"events/{scaled_events.file_name(number, wanted.made_at)}"
        if wanted.events_form is EventsForm.PARQUET:
            name = str(Path(name).with_suffix(".parquet"))
            yield WrittenFile(name, rows, _parquet(folder / name, (scaled_events.stored(batch) for batch in mine)))
            continue
        header = scaled_events.header(number, wanted.environment, wanted.made_at)
        text = chain([header], map(scaled_events.lines, mine), [b"T,%d\r\n" % rows])
        yield WrittenFile(name, rows, _written(folder / name, text))


def _written(path: Path, text: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for piece in text:
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _parquet(path: Path, batches: Iterable[pa.Table]) -> str:
    writer: pq.ParquetWriter | None = None
    for batch in batches:
        writer = writer or pq.ParquetWriter(path, batch.schema, compression="zstd", use_dictionary=False)
        writer.write_table(batch)
    if writer:
        writer.close()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
