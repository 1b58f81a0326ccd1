"""A fortnight's release to the CHIS units: one sealed extract and manifest each, empty ones too, all in one commit or none.

Some authorities at a time are routed (`release_las`), then the extracts of some units at a time made (`release_units`), side by
side where there is enough to do. No file is sealed before every row of it has been held against the register anew, and nothing is
sent before the balance of all holds and is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field

import msgspec
import pyarrow as pa

from cpis_batch import accounts
from cpis_batch.catalogue.records import Delivery, ReleaseBalance
from cpis_batch.catalogue.records import Release as Released
from cpis_batch.demographics import places
from cpis_batch.errors import ConfigFault
from cpis_batch.extracts import chis, recipients, routing, schedule
from cpis_batch.extracts.schedule import Release
from cpis_batch.partners import Partner, PartnerKind
from cpis_batch.register import view
from cpis_batch.register.schema import PLANS
from cpis_batch.runs import demographics, intake, log, spool
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.in_order import in_batches, in_order, rows_of_a_task
from cpis_batch.runs.intake import Progress
from cpis_batch.runs.pool import workers
from cpis_batch.runs.release_las import LOOKED_AT, LaPlans, LasTask, RoutedLas, route_las
from cpis_batch.runs.release_units import ReleaseFacts, Unit, UnitsTask, make_units
from cpis_batch.runs.spool import Spooled
from cpis_batch.vocabulary import ExtractChange


@dataclass(slots=True)
class _Making:
    """A release while it is made: what is kept of it grows by a few lines a unit and authority, and by no row."""

    hub: Hub
    due: Release
    last: Released | None
    spooled: list[str] = field(default_factory=list)  # parts that no commit names
    counts: list[pa.Table] = field(default_factory=list)  # recipients.COUNTS
    deliveries: list[Delivery] = field(default_factory=list)


def run(hub: Hub, progress: Progress = lambda *_: None) -> Released | None:
    """Make the release that is due on the business date, if one is; what was committed, to be delivered from the outbox."""
    before = hub.catalogue.releases()
    due = schedule.due(hub.business_date, hub.settings.extracts.fortnight_anchor, before[-1].starts if before else None)
    if due is None or hub.catalogue.head() is None:
        return None
    hub.hold_to_the_ledger()
    making = _Making(hub, due, before[-1] if before else None)
    try:
        return _release(making, progress)
    finally:
        for part in making.spooled:
            hub.store.remove(part)


def _release(making: _Making, progress: Progress) -> Released:
    hub, due, last = making.hub, making.due, making.last
    las = [LaPlans(version.la_code, version.plans_part, version.row_count) for version in hub.catalogue.las()]
    batches = in_batches(las, lambda la: la.rows, rows_of_a_task(hub, sum(la.rows for la in las)))
    with workers(hub, len(batches), opens=False) as executor:
        routed = _routed(making, executor, batches, progress)
        previous, showing = _before(making)
        facts = ReleaseFacts(due, (last.sequence if last else 0) + 1, _la_state(hub), previous)
        rows_part = _written(making, executor, _tasks(making, routed, facts, showing), progress)
    unroutable_part, nowhere = _unroutable(making, routed)
    balances = tuple(msgspec.convert(row, ReleaseBalance) for row in recipients.release_balance(making.counts).to_pylist())
    release = Released(
        year=due.fortnight.year,
        number=due.fortnight.number,
        sequence=facts.sequence,
        starts=due.fortnight.starts,
        caught_up=" ".join(missed.label for missed in due.missed),
        rows_part=rows_part,
        unroutable_part=unroutable_part,
        active=sum(line.active for line in balances),
        sent=sum(line.sent for line in balances),
        unroutable=sum(line.unroutable for line in balances),
    )
    hub.commit("RELEASE", deliveries=tuple(making.deliveries), release=release, release_balances=balances)
    for row in nowhere.to_pylist():
        log.event("plans that lead to no CHIS unit", la=row["la_code"], reason=row["reason"], plans=row["count_all"])
    return release


def _routed(making: _Making, executor: Executor, batches: list[list[LaPlans]], progress: Progress) -> list[RoutedLas]:
    """All authorities' plans, routed and spooled."""
    hub = making.hub
    reference, policy = hub.organisations.routing_reference(), hub.settings.extracts.policy
    where = _places(making)
    found: list[RoutedLas] = []
    tasks = [LasTask(tuple(batch), where, reference, policy) for batch in batches]
    for done, one in enumerate(in_order(hub, executor, route_las, tasks), 1):
        found.append(one)
        making.spooled += [one.routed.digest, one.due.digest, one.unroutable]
        making.counts.append(one.active)
        progress("routing", done, len(tasks))
    return found


def _places(making: _Making) -> str | None:
    """The part with where the trace says that people belong (routing.PERSONS), None where nobody is traced.

    Names are read to tell identities apart, of those alone whose details the trace did not confirm, and go no further.
    """
    hub = making.hub
    known = demographics.known_persons(hub)
    if not known.num_rows:
        return None
    doubted, columns = places.doubted(known), [*LOOKED_AT, "family_name", "given_name"]
    named = hub.plans(columns=columns, of=doubted) if len(doubted) else PLANS.empty_table().select(columns)
    found = places.places(known, view.active(named, hub.business_date))
    part = spool.write(hub.store, [found], routing.PERSONS, "The places of persons", found.num_rows)
    making.spooled.append(part)
    return part


def _before(making: _Making) -> tuple[Spooled | None, set[str]]:
    """The part of the release before with its rows of each unit, and the units that it shows any plan to.

    Its bytes are proven here, once for all who read it.
    """
    if making.last is None:
        return None, set()
    store, part = making.hub.store, making.last.rows_part
    store.prove(part)
    rows: dict[str, int] = {}
    showing: set[str] = set()
    for group in store.groups(part, ["chis_code", "change"]):
        for one in group.group_by(["chis_code", "change"]).aggregate([([], "count_all")]).to_pylist():
            rows[one["chis_code"]] = rows.get(one["chis_code"], 0) + one["count_all"]
            if one["change"] != ExtractChange.CEASED:
                showing.add(one["chis_code"])
    return Spooled(part, rows), showing


def _tasks(making: _Making, routed: list[RoutedLas], facts: ReleaseFacts, showing: set[str]) -> list[UnitsTask]:
    """The units that have a file, some at a time: those open, and others that have plans now or are to take some down.

    ConfigFault where one of them cannot be sent anything.
    """
    hub = making.hub
    spooled = [part for one in routed for part in (one.routed, one.due)]
    opened = {unit.code for unit in hub.organisations.units_on(hub.business_date)}
    codes = sorted(opened.union(showing, *(part.rows for part in spooled)))
    parties = {partner.code: partner for partner in hub.under_agreement(PartnerKind.CHIS)}
    if without := [code for code in codes if code not in parties]:
        raise ConfigFault(
            f"No agreement covers these CHIS units on {hub.business_date}: {', '.join(without[:8])}; the whole release waits.",
            "Add each as a partner with its certificate, or correct reference/la_chis.csv.",
        )
    units = [_unit(hub, parties[code], opened=code in opened) for code in codes]
    rows = {code: _rows_of(code, (one.routed for one in routed), facts.previous) for code in codes}
    batches = in_batches(units, lambda unit: rows[unit.code], rows_of_a_task(hub, sum(rows.values())))
    return [
        UnitsTask(
            tuple(batch),
            facts,
            routed=tuple(one.routed for one in routed if any(unit.code in one.routed.rows for unit in batch)),
            due=tuple(one.due for one in routed if any(unit.code in one.due.rows for unit in batch)),
        )
        for batch in batches
    ]


def _rows_of(code: str, routed: Iterable[Spooled], previous: Spooled | None) -> int:
    """How many rows making the extract of a unit takes in."""
    return sum(part.rows.get(code, 0) for part in (*routed, *([previous] if previous else [])))


def _unit(hub: Hub, partner: Partner, *, opened: bool) -> Unit:
    certificates = intake.certificates_of(hub, partner)
    if isinstance(certificates, ConfigFault):
        raise ConfigFault(f"{certificates.message} The whole release waits.", certificates.advice)
    las = hub.organisations.las_of_unit(partner.code, hub.business_date)
    return Unit(partner, intake.recipients(hub, certificates), las, opened)


def _written(making: _Making, executor: Executor, tasks: list[UnitsTask], progress: Progress) -> str:
    """The units' extracts made, and the part of all their rows written beside: its digest."""
    hub = making.hub
    units, told = sum(len(task.units) for task in tasks), 0
    rows = 0

    def groups() -> Iterator[pa.Table]:
        nonlocal rows, told
        for task, made in zip(tasks, in_order(hub, executor, make_units, tasks), strict=True):
            making.spooled.append(made.rows.digest)
            making.counts.append(made.sent)
            making.deliveries += made.deliveries
            rows += sum(made.rows.rows.values())
            told += len(task.units)
            progress("sealing extracts", told, units)
            yield from hub.store.groups(made.rows.digest)

    part = hub.store.write_groups(groups(), chis.EXTRACT, spool.REPEATED.intersection(chis.EXTRACT.names))
    accounts.check_count("The part of the extracts' rows", rows, part.rows)
    return part.digest


def _unroutable(making: _Making, routed: list[RoutedLas]) -> tuple[str, pa.Table]:
    """The part of the plans that lead to no unit; and how many they are, by la_code and reason."""
    store, nowhere = making.hub.store, [routing.UNROUTABLE.empty_table().select(["la_code", "reason"])]

    def groups() -> Iterator[pa.Table]:
        for one in routed:
            for group in store.groups(one.unroutable):
                making.counts.append(recipients.count_unroutable(group))
                nowhere.append(group.select(["la_code", "reason"]))
                yield group

    written = sum(one.nowhere for one in routed)
    part = spool.write(store, groups(), routing.UNROUTABLE, "The part of the unroutable rows", written)
    counted = pa.concat_tables(nowhere).group_by(["la_code", "reason"]).aggregate([([], "count_all")])
    return part, counted.sort_by("la_code")


def _la_state(hub: Hub) -> pa.Table:
    rows = [
        {
            "la_code": version.la_code,
            "la_name": hub.la_name(version.la_code),
            "office_phone": version.office_phone,
            "emergency_phone": version.emergency_phone,
            "data_as_at": version.last_extracted_at,
        }
        for version in hub.catalogue.las()
    ]
    return pa.Table.from_pylist(rows, schema=chis.LA_STATE)
