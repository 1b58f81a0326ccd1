"""The monthly access report of each authority, once a month has ended and its last days' events are in.

Due from the third of the next month on, by the business date; a month that no run has reported is caught up with the next one.
All of a run's reports are in one commit, and a delivery's name says which month it is of, so that none is made twice.
"""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from cpis_batch.access import month_render, reference, report, withheld
from cpis_batch.access.month import NOTHING, Month, Seen, seen
from cpis_batch.access.schema import EVENTS
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.records import Delivery
from cpis_batch.delivery import outbox
from cpis_batch.intake import acknowledge
from cpis_batch.runs import log
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.intake import Progress
from cpis_batch.runs.services import sealed, sendable

KIND = "MONTHLY_ACCESS_REPORT"
PURPOSE = "Monthly summary of who in the NHS looked at the recipient's own children"
FROM_DAY = 3  # of the next month: events of a month's last days reach us in the two nights after
MOST_MONTHS = 12  # that are caught up: older plans are erased
PLANS = ["la_code", "nhs_number", "plan_type", "start_date", "end_date", "child_id", "date_of_birth"]


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
    parts = [hub.store.read(part.part) for part in hub.catalogue.event_parts() if part.month[:1].isdigit()]
    return report.report(withheld.sift(pa.concat_tables([EVENTS.empty_table(), *parts]), known), plans, known)


def run(hub: Hub, progress: Progress = lambda *_: None) -> int:
    """Make what is due; how many reports were made. An authority that nothing can be sent to gets none."""
    months = due(hub.catalogue, hub.business_date)
    if not months:
        return 0
    progress("monthly access reports", 0, 0)
    codes = sorted(sendable(hub, {version.la_code for version in hub.catalogue.las()}))
    plans = hub.plans(columns=PLANS)
    rows = lines(hub, plans)
    deliveries: list[Delivery] = []
    for month in months:
        found = seen(rows, plans, month)
        for code in codes:
            deliveries.append(_delivery(hub, code, month, found.get(code, NOTHING)))
            progress("monthly access reports", len(deliveries), len(codes) * len(months))
    if deliveries:
        head = hub.commit("MONTHLY", deliveries=tuple(deliveries))
        log.event("monthly access reports", commit=head.id, months=[str(month) for month in months], sent=len(deliveries))
    return len(deliveries)


def _delivery(hub: Hub, code: str, month: Month, found: Seen) -> Delivery:
    partner = hub.partners[code]
    files = month_render.render(found, month, la_code=code, la_name=hub.la_name(code), made_at=hub.now)
    return outbox.prepare(
        hub.home / "outbox",
        partner,
        kind=KIND,
        purpose=PURPOSE,
        name=f"CPIS_ACCESS_MONTH_{code}_{month}.zip.pgp",
        sealed=sealed(hub, partner, acknowledge.bundle(files)),
        record_count=found.rows.num_rows,
        made_at=hub.now,
    )
