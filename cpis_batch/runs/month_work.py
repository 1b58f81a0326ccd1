"""What workers do for the monthly reports: put aside each authority's accesses, then make the months of some authorities.

However many events there were, a worker holds a part of them, or the lines of one authority. `gather` reads each part once and
puts the accesses that some authority may be told of aside, by authority; `make` takes up those of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cpis_batch import engine, files
from cpis_batch.access import held, lines, month_render, reference, withheld
from cpis_batch.access.month import NOTHING, Month, Seen, seen
from cpis_batch.access.reference import AccessReference
from cpis_batch.access.schema import EVENTS
from cpis_batch.business_time import start_of
from cpis_batch.catalogue.records import Delivery, EventPart
from cpis_batch.delivery import outbox
from cpis_batch.engine import query
from cpis_batch.envelope.sealing import seal
from cpis_batch.intake import acknowledge
from cpis_batch.keystore import MasterKey
from cpis_batch.partners import Partner
from cpis_batch.register.schema import PLANS as PLANS_SCHEMA
from cpis_batch.register.store import PartStore
from cpis_batch.runs.event_parts import month_of
from cpis_batch.runs.task import Keys, Rehearsed
from cpis_batch.runs.worker import given, kept_for_the_run
from cpis_batch.spool import Spooled, spool

KIND = "MONTHLY_ACCESS_REPORT"
PURPOSE = "Monthly summary of who in the NHS looked at the recipient's own children"
PLANS = ["la_code", "nhs_number", "plan_type", "start_date", "end_date", "child_id", "date_of_birth"]
TOGETHER = 200_000  # accesses matched at a time
_PARTS = 8  # of events, in a task: 4 million
_SHELF = 4_000_000  # ids that are looked through together for one that stands twice
_GROUP = 20_000  # accesses of the small authorities that are made together
_LARGE = 1_000_000  # accesses of one task
_IDS = "ids"  # the label of what is put aside of every event, to find ids that stand twice


@dataclass(frozen=True, slots=True)
class Gather:
    """Some parts of events, and all authorities' plans. `whole`: the parts of which every column is wanted."""

    parts: tuple[str, ...]
    whole: frozenset[str]
    plans: tuple[tuple[str, str], ...]  # authority and part
    shelves: int  # by how many labels the ids are put aside


@dataclass(frozen=True, slots=True)
class Recipient:
    """One authority that is sent its month. `plans` is the part of its plans; None where it has sent none yet."""

    partner: Partner
    recipients: tuple[bytes, ...] = field(repr=False)
    name: str
    plans: str | None


@dataclass(frozen=True, slots=True)
class Make:
    """The month of some authorities, and where their accesses were put aside.

    `again` are accesses (`looks`) that take the place of those put aside whose ids (by `hashes`) are `doubled`.
    """

    month: Month
    authorities: tuple[Recipient, ...]
    aside: tuple[Spooled, ...]
    doubled: npt.NDArray[np.uint64]
    again: pa.Table = field(repr=False)


def gathers(
    held_parts: Sequence[EventPart], plans: tuple[tuple[str, str], ...], month: Month, workers: int, *, lines: bool = True
) -> list[Gather]:
    """The parts of events up to a month's end, in tasks. Of those before the month only what its views need is read.

    Likewise of all where no `lines` of the month are wanted.
    """
    begins = f"{start_of(month.first):%Y-%m}"
    parts = [part for part in held_parts if (month_of(part) or "~") <= str(month)]
    whole = frozenset(part.part for part in parts if lines and (month_of(part) or "") >= begins)
    shelves = 1 + sum(part.row_count for part in parts) // _SHELF
    size = max(1, min(_PARTS, -(-len(parts) // workers)))
    digests = [part.part for part in parts]
    return [Gather(tuple(digests[first : first + size]), whole, plans, shelves) for first in range(0, len(digests), size)]


def groups(codes: Sequence[str], aside: Sequence[Spooled], workers: int) -> list[list[str]]:
    """Authorities that are made in one task: those with most first, each by itself, and small ones together."""
    sizes = dict.fromkeys(codes, 0)
    for frame in (frame for one in aside for frame in one.frames):
        if frame.label in sizes:
            sizes[frame.label] += frame.rows
    most = -(-len(codes) // (2 * workers))
    found: list[list[str]] = []
    room = 0
    for code in sorted(codes, key=lambda code: (-sizes[code], code)):
        if not found or sizes[code] > room or len(found[-1]) >= most:
            found.append([])
            room = _GROUP
        found[-1].append(code)
        room -= sizes[code]
    return found


def gather(task: Gather) -> Spooled:
    """In a worker: put aside what each authority may have to be told of, and what shows whether an id stands twice."""
    common, keys = given()
    return spool(common.home / "register", _put_aside(task, reference_of(common.home), common, keys))


def _put_aside(task: Gather, known: AccessReference, common: Rehearsed, keys: Keys) -> Iterator[tuple[str, pa.Table]]:
    store, holders = store_of(common, keys), _holders(common.home, keys.master, task.plans)
    for part in task.parts:
        names = lines.WIDE if part in task.whole else lines.NARROW
        events = store.read(part, names, [name for name in lines.WORDS if name in names])
        found = hashes(events)
        shelf = (found % np.uint64(task.shelves)).astype(np.uint16)
        on_shelves = pa.table({"hash": found[np.argsort(shelf, kind="stable")]})
        ends = np.cumsum(np.bincount(shelf, minlength=task.shelves))
        for number, (first, end) in enumerate(pairwise([0, *ends.tolist()])):
            yield f"{_IDS}{number}", on_shelves.slice(first, end - first)
        yield from of_authorities(withheld.notifying(events, known), holders)


def of_authorities(events: pa.Table, holders: held.Holders) -> Iterator[tuple[str, pa.Table]]:
    """The events of each authority that has or had a plan for their person, without the flag; words as text."""
    row, place = holders.of(events["nhs_number"])
    kept = [name for name in events.column_names if name != "notifies_la"]
    sorted_out = events.select(kept).take(pa.array(row))
    plain = pa.table([sorted_out[name].cast(EVENTS.field(name).type) for name in kept], names=kept).combine_chunks()
    ends = np.searchsorted(place, np.arange(len(holders.codes) + 1))
    for number, code in enumerate(holders.codes):
        if ends[number] < ends[number + 1]:
            yield code, plain.slice(ends[number], ends[number + 1] - ends[number])


def hashes(events: pa.Table) -> npt.NDArray[np.uint64]:
    """A number for each event's id."""
    found = query("SELECT hash(event_id) AS hash FROM events", {"events": events.select(["event_id"])})
    numbered: npt.NDArray[np.uint64] = found["hash"].to_numpy()
    return numbered


def doubled(task: tuple[tuple[Spooled, ...], int]) -> npt.NDArray[np.uint64]:
    """In a worker: the hashes, of those put aside under a number, that more than one event has."""
    aside, number = task
    tables = [table["hash"] for one in aside for table in one.read(f"{_IDS}{number}")]
    found = np.sort(np.concatenate([np.empty(0, np.uint64), *(column.to_numpy() for column in tables)]))
    return np.unique(found[1:][found[1:] == found[:-1]])


def make(task: Make) -> list[Delivery]:
    """In a worker: the reports of some authorities, sealed and durable, in their order."""
    common, keys = given()
    known = reference_of(common.home)
    found = months(task, known, store_of(common, keys))
    with files.names_together():
        return [_delivery(one, task.month, found.pop(one.partner.code, NOTHING), known, common, keys) for one in task.authorities]


def months(task: Make, known: AccessReference, store: PartStore) -> dict[str, Seen]:
    """The month of each of the task's authorities that has something in it."""
    _holders.cache_clear()  # nothing is gathered any more
    parts = [store.read(one.plans, PLANS) for one in task.authorities if one.plans]
    plans = pa.concat_tables([PLANS_SCHEMA.empty_table().select(PLANS), *parts])
    periods = held.Periods(plans)
    told = [lines.told(looks, periods, known) for looks in _together(_looks(task))]
    if sum(one.num_rows for one in told) > _LARGE:
        engine.close()  # of a large authority it keeps 0.1 GB, and the pool below 0.2 GB, that nothing after this needs
    in_order = lines.ordered(told)
    pa.default_memory_pool().release_unused()
    return seen(in_order, plans, task.month, known.care_settings)


def _looks(task: Make) -> Iterator[pa.Table]:
    """What was put aside for the task's authorities, with its `la_code`."""
    for one in task.authorities:
        code = one.partner.code
        tables = (table for aside in task.aside for table in aside.read(code))
        for table in tables:
            once = table.filter(pa.array(~np.isin(hashes(table), task.doubled))) if len(task.doubled) else table
            yield once.append_column("la_code", pa.array([code] * once.num_rows, pa.string()))
    if task.again.num_rows:
        yield task.again


def _together(looks: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, some TOGETHER or more at a time; what one table lacks is null."""
    waiting: list[pa.Table] = []
    for table in looks:
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= TOGETHER:
            yield pa.concat_tables(waiting, promote_options="default")
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting, promote_options="default")


def _delivery(one: Recipient, month: Month, found: Seen, known: AccessReference, common: Rehearsed, keys: Keys) -> Delivery:
    code = one.partner.code
    count = found.lines.num_rows
    rendered = month_render.render(found, month, known, la_code=code, la_name=one.name, made_at=common.now)
    del found  # what is sealed is held three times meanwhile: the lines are not to be held too
    bundled = acknowledge.bundle(rendered)
    del rendered
    pa.default_memory_pool().release_unused()
    return outbox.prepare(
        common.home / "outbox",
        one.partner,
        kind=KIND,
        purpose=PURPOSE,
        name=f"CPIS_ACCESS_MONTH_{code}_{month}.zip.pgp",
        sealed=seal(bundled, recipients=one.recipients, signer=keys.signer),
        record_count=count,
        made_at=common.now,
    )


def store_of(common: Rehearsed, keys: Keys) -> PartStore:
    """The register's parts, as a worker opens them."""
    return PartStore(common.home / "register", MasterKey(keys.master))


@kept_for_the_run
def reference_of(home: Path) -> AccessReference:
    """What is known of settings, roles and organisations; read once a worker."""
    return reference.load(home / "reference")


@kept_for_the_run
def _holders(home: Path, master: bytes, plans: tuple[tuple[str, str], ...]) -> held.Holders:
    """Who has or had a plan for whom; read once a worker."""
    return holders(PartStore(home / "register", MasterKey(master)), plans)


def holders(store: PartStore, plans: Sequence[tuple[str, str]]) -> held.Holders:
    """Of authorities and the parts of their plans."""
    return held.Holders((code, store.read(part, ["nhs_number"])["nhs_number"]) for code, part in plans)
