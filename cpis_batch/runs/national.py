"""The national view: what only the register of all England can see, told to the authorities concerned, once until it changes.

A run of its own, after the night and as often as one likes: all that it tells is in one commit with what is remembered of it, or
in none where there is no news. It changes no plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import catalogue, config, organisations
from cpis_batch.access import reference, withheld
from cpis_batch.access.schema import EVENTS
from cpis_batch.business_time import text_of
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.records import Delivery, TracePart
from cpis_batch.delivery import outbox
from cpis_batch.demographics.schema import PERSONS
from cpis_batch.engine import query
from cpis_batch.intake import acknowledge
from cpis_batch.keystore import load_master_key
from cpis_batch.national import lists
from cpis_batch.national.conflicts import conflicts
from cpis_batch.national.gaps import gaps
from cpis_batch.national.known import known
from cpis_batch.national.returns import returns
from cpis_batch.national.schema import ENTRIES, PLAN_COLUMNS, TAIL_DAYS, Matter
from cpis_batch.national.unborn import unborn
from cpis_batch.organisations import Organisations
from cpis_batch.register.schema import PLANS
from cpis_batch.register.store import PartStore
from cpis_batch.runs import event_parts, log
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.intake import Progress
from cpis_batch.runs.services import sealed, sendable

TOLD = "NATIONAL"  # the part with what each authority has been told
TABLES = {TOLD: ENTRIES}
VERSION = "1.0"
PURPOSE = "National view: the recipient's own children whom another authority holds too, or nobody any more"


@dataclass(slots=True)
class Lists:
    """What a run came to. `counts`: entries told by their news, lists sent, and authorities owed one, being out of reach."""

    counts: dict[str, int] = field(default_factory=dict)

    @property
    def needs_a_person(self) -> bool:
        """Whether a list is owed: its authority has no agreement or certificate today."""
        return bool(self.counts.get("owed"))


@dataclass(frozen=True, slots=True, repr=False)
class View:
    """England on a day: KNOWN, and FOUND by matter."""

    known: pa.Table
    found: dict[Matter, pa.Table]

    @property
    def everything(self) -> pa.Table:
        """FOUND of all matters."""
        return pa.concat_tables(self.found.values())


def look(opened: Catalogue, store: PartStore, england: Organisations, home: Path, *, on: date) -> View:
    """The national view on the day `on`. ConfigFault where the reference lacks a year, StateFault for a damaged part."""
    parts = [store.read(version.plans_part, list(PLAN_COLUMNS)) for version in opened.las()]
    plans = pa.concat_tables(parts) if parts else PLANS.empty_table().select(list(PLAN_COLUMNS))
    persons = _part(opened, store, "PERSONS", PERSONS)
    everybody = known(plans, persons)
    return View(
        everybody,
        {
            Matter.CONFLICT: conflicts(everybody, on=on),
            Matter.GAP: gaps(everybody, _accesses(opened, store, home, everybody, on), persons, england.working_days, on=on),
            Matter.UNBORN: unborn(everybody, england.working_days, on=on),
            Matter.RETURN: returns(everybody, on=on),
        },
    )


def look_in(home: Path, *, on: date) -> View:
    """As `look`, for a reader: what the last commit has, under no lock."""
    store = PartStore(home / "register", load_master_key(home, config.load(home)))
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        return look(opened, store, organisations.load(home / "reference"), home, on=on)


def run(hub: Hub, progress: Progress = lambda *_: None) -> Lists:
    """Look at England and tell each authority what is news of its own children. Bug while the ledger does not balance."""
    result = Lists()
    if hub.catalogue.head() is None:
        return result
    hub.hold_to_the_ledger()
    progress("national view", 0, 0)
    view = look(hub.catalogue, hub.store, hub.organisations, hub.home, on=hub.business_date)
    before = _part(hub.catalogue, hub.store, TOLD, ENTRIES)
    news = lists.news(view.everything, before, view.known)
    concerned = set(news.fresh["la_code"].to_pylist())
    able = sendable(hub, concerned)
    deliveries = _lists(hub, news.fresh, sorted(able), progress)
    owing = pa.table({"la_code": pa.array(sorted(concerned - able), pa.string())})
    told = lists.kept(news.told, before, owing, view.known)
    sent = news.fresh.filter(pc.is_in(news.fresh["la_code"], pa.array(sorted(able), pa.string())))
    result.counts = {
        **{str(kind).lower(): count for kind, count in sorted(_by_news(sent).items())},
        "lists": len(deliveries),
        "owed": owing.num_rows,
    }
    if not deliveries and told.equals(before):
        return result
    part = TracePart(name=TOLD, part=hub.store.write(told).digest, row_count=told.num_rows)
    head = hub.commit("NATIONAL", deliveries=tuple(deliveries), trace_parts=(part,))
    log.event("national view", commit=head.id, **result.counts)
    return result


def plan(home: Path, *, on: date) -> dict[str, Any]:
    """What a run would tell, as counts by matter and news; nothing is changed and nothing is locked."""
    store = PartStore(home / "register", load_master_key(home, config.load(home)))
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        view = look(opened, store, organisations.load(home / "reference"), home, on=on)
        fresh = lists.news(view.everything, _part(opened, store, TOLD, ENTRIES), view.known).fresh
    counted = query("SELECT matter, news, count(*) AS entries FROM fresh GROUP BY ALL ORDER BY ALL", {"fresh": fresh})
    return {
        "version": VERSION,
        "kind": "national",
        "business_date": on,
        "authorities": pc.count_distinct(fresh["la_code"]).as_py(),
        "news": counted.to_pylist(),
    }


def words(planned: dict[str, Any]) -> str:
    """The plan for people."""
    lines = [f"Would tell {planned['authorities']} authorities of the national view. Nothing is changed now."]
    lines += [f"  {one['matter']:8} {one['news']:7} {one['entries']:,}" for one in planned["news"]]
    return "\n".join(lines)


def _by_news(rows: pa.Table) -> dict[str, int]:
    return {row["values"]: row["counts"] for row in pc.value_counts(rows["news"]).to_pylist()}


def _part(opened: Catalogue, store: PartStore, name: str, schema: pa.Schema) -> pa.Table:
    held = {part.name: part.part for part in opened.trace_parts()}
    return store.read(held[name]) if name in held else schema.empty_table()


def _accesses(opened: Catalogue, store: PartStore, home: Path, everybody: pa.Table, on: date) -> pa.Table:
    """The notifying events of the months that matter on people whose plan has ended, and of none that is withheld or waits."""
    ended = everybody.filter(pc.is_valid(everybody["end_date"]))
    numbers = pa.chunked_array([*ended["nhs_number"].chunks, *ended["person"].chunks], pa.string()).unique()
    first, last = f"{on - timedelta(days=TAIL_DAYS):%Y-%m}", f"{on:%Y-%m}"
    months = [
        table.filter(pc.is_in(table["nhs_number"], numbers))
        for part in opened.event_parts()
        if first <= (event_parts.month_of(part) or "") <= last  # which leaves out the parts that are no month
        for table in (store.read(part.part),)
    ]
    return withheld.sift(pa.concat_tables([EVENTS.empty_table(), *months]), reference.load(home / "reference")).notifying


def _lists(hub: Hub, fresh: pa.Table, codes: list[str], progress: Progress) -> list[Delivery]:
    """One list for each authority, sealed to it alone."""
    contacts = pa.Table.from_pylist(
        [
            {
                "other_la_code": version.la_code,
                "other_la_name": hub.la_name(version.la_code),
                "other_office_phone": version.office_phone,
                "other_emergency_phone": version.emergency_phone,
            }
            for version in hub.catalogue.las()
        ],
        schema=lists.CONTACTS,
    )
    deliveries = []
    for done, code in enumerate(codes, 1):
        partner, rows = hub.partners[code], fresh.filter(pc.equal(fresh["la_code"], code))
        content = lists.to_csv(rows, contacts, la_code=code, on=hub.business_date)
        deliveries.append(
            outbox.prepare(
                hub.home / "outbox",
                partner,
                kind="NATIONAL_LIST",
                purpose=PURPOSE,
                name=f"CPIS_NATIONAL_{code}_{text_of(hub.now).replace('-', '').replace(':', '')}.zip.pgp",
                sealed=sealed(hub, partner, acknowledge.bundle({"national-list.csv": content})),
                record_count=rows.num_rows,
                made_at=hub.now,
            )
        )
        progress("national lists", done, len(codes))
    return deliveries
