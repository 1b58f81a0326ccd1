"""The monthly access report of each authority, once a month has ended and its last days' events are in.

Due from the third of the next month on, by the business date; a month that no run has reported is caught up with the next one.
All of a run's reports are in one commit, and a delivery's name says which month it is of, so that none is made twice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access import lines as access_lines
from cpis_batch.access import reference, report, withheld
from cpis_batch.access.month import Month
from cpis_batch.access.schema import EVENTS
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.records import Delivery
from cpis_batch.runs import log, month_work
from cpis_batch.runs.event_parts import month_of
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.in_order import in_order
from cpis_batch.runs.intake import Progress
from cpis_batch.runs.month_work import KIND, Make, Recipient
from cpis_batch.runs.pool import worker_count, workers
from cpis_batch.runs.services import sealable, sendable
from cpis_batch.spool import Spooled

FROM_DAY = 3  # of the next month: events of a month's last days reach us in the two nights after
MOST_MONTHS = 12  # that are caught up: older plans are erased


def due(catalogue: Catalogue, business_date: date) -> list[Month]:
    """The months to be reported, oldest first. None before a month has ended in which events were taken in."""
    began = catalogue.one("SELECT min(business_date) FROM commits WHERE kind = 'EVENTS'")
    if began is None:
        return []
    ended = Month.of(business_date).before
    last = ended if business_date.day >= FROM_DAY else ended.before
    made = catalogue.one("SELECT max(substr(name, -15, 7)) FROM deliveries WHERE kind = ?", (KIND,))
    month = Month.named(made).next if made else Month.of(date.fromisoformat(began))
    found = []
    while month.first <= last.first:
        found.append(month)
        month = month.next
    return found[-MOST_MONTHS:]


def lines(hub: Hub, plans: pa.Table) -> pa.Table:
    """REPORT of every access that is kept, as authorities are told of it. `plans` have the columns that `access.report` needs."""
    known = reference.load(hub.home / "reference")
    parts = [hub.store.read(part.part) for part in hub.catalogue.event_parts() if month_of(part)]
    return report.report(withheld.sift(pa.concat_tables([EVENTS.empty_table(), *parts]), known), plans, known)


def run(hub: Hub, progress: Progress = lambda *_: None) -> int:
    """Make what is due; how many reports were made. An authority that nothing can be sent to gets none."""
    months = due(hub.catalogue, hub.business_date)
    if not months:
        return 0
    progress("monthly access reports", 0, 0)
    codes = sorted(sendable(hub, {version.la_code for version in hub.catalogue.las()}))
    deliveries: list[Delivery] = []
    for month in months:
        before = len(deliveries)

        def told(done: int, before: int = before) -> None:
            progress("monthly access reports", before + done, len(codes) * len(months))

        deliveries += _month(hub, month, codes, told)
    if deliveries:
        head = hub.commit("MONTHLY", deliveries=tuple(deliveries))
        log.event("monthly access reports", commit=head.id, months=[str(month) for month in months], sent=len(deliveries))
    return len(deliveries)


def _month(hub: Hub, month: Month, codes: list[str], told: Callable[[int], None]) -> list[Delivery]:
    """The reports of a month, in the order of `codes`: the parts of events read once each, then an authority at a time."""
    gathers = month_work.gathers(hub.catalogue.event_parts(), _plans(hub), month, worker_count(hub))
    aside: list[Spooled] = []
    made: dict[str, Delivery] = {}
    with workers(hub, max(len(codes), len(gathers)), opens=False) as executor:
        try:
            aside += in_order(hub, executor, month_work.gather, gathers)
            shelves = gathers[0].shelves if gathers else 0
            found = in_order(hub, executor, month_work.doubled, [(tuple(aside), number) for number in range(shelves)])
            doubled = np.concatenate([np.empty(0, np.uint64), *found])
            tasks = _makes(hub, month, codes, aside, doubled)
            for done in in_order(hub, executor, month_work.make, tasks):
                made.update((one.partner, one) for one in done)
                told(len(made))
        finally:
            for one in aside:
                one.path.unlink(missing_ok=True)
    return [made[code] for code in codes]


def _makes(hub: Hub, month: Month, codes: list[str], aside: list[Spooled], doubled: npt.NDArray[np.uint64]) -> list[Make]:
    parts = dict(_plans(hub))
    again = _again(hub, month, doubled)
    return [
        Make(
            month=month,
            authorities=tuple(
                Recipient(hub.partners[code], sealable(hub, hub.partners[code]), hub.la_name(code), parts.get(code))
                for code in group
            ),
            aside=tuple(one.only(group) for one in aside),
            doubled=doubled,
            again=again.filter(pc.is_in(again["la_code"], value_set=pa.array(group))),
        )
        for group in month_work.groups(codes, aside, worker_count(hub))
    ]


def _again(hub: Hub, month: Month, doubled: npt.NDArray[np.uint64]) -> pa.Table:
    """The accesses whose id stands twice, judged side by side, as two files of one night can give one id to several events."""
    names = [*access_lines.WIDE[:-1], "la_code"]
    nothing = pa.table({name: pa.array([], EVENTS.field(name).type if name in EVENTS.names else pa.string()) for name in names})
    if not len(doubled):
        return nothing
    rows = [EVENTS.empty_table()]
    for part in hub.catalogue.event_parts():
        if (month_of(part) or "~") <= str(month):
            table = hub.store.read(part.part)
            rows.append(table.filter(pa.array(np.isin(month_work.hashes(table), doubled))))
    told = withheld.sift(pa.concat_tables(rows), reference.load(hub.home / "reference")).notifying.select(access_lines.WIDE)
    found = month_work.of_authorities(told, month_work.holders(hub.store, _plans(hub)))
    parts = [table.append_column("la_code", pa.array([code] * table.num_rows, pa.string())) for code, table in found]
    return pa.concat_tables([nothing, *(part.select(names) for part in parts)])


def _plans(hub: Hub) -> tuple[tuple[str, str], ...]:
    """Of each authority the part of its plans."""
    return tuple((version.la_code, version.plans_part) for version in hub.catalogue.las())
