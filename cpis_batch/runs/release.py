"""A fortnight's release to the CHIS units: one sealed extract and manifest each, empty ones too, all in one commit or none.

Nothing is sealed before every row of every file has been held against the register anew, and the balance holds.
"""

from __future__ import annotations

import msgspec
import pyarrow as pa

from cpis_batch import accounts
from cpis_batch.catalogue.records import Release as Released
from cpis_batch.catalogue.records import ReleaseBalance
from cpis_batch.demographics import places
from cpis_batch.errors import ConfigFault
from cpis_batch.extracts import chis, routing, schedule
from cpis_batch.extracts.recipients import check_recipients, read_back, release_balance
from cpis_batch.extracts.schedule import Release
from cpis_batch.partners import Partner, PartnerKind
from cpis_batch.register import view
from cpis_batch.runs import demographics, log
from cpis_batch.runs.emit import UnitExtract, side_by_side
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.intake import Progress, certificates_of, recipients

_LOOKED_AT = ["la_code", "nhs_number", "plan_type", "start_date", "end_date", "date_of_birth"]  # no name passes through here


def run(hub: Hub, progress: Progress = lambda *_: None) -> Released | None:
    """Make the release that is due on the business date, if one is; what was committed, to be delivered from the outbox."""
    before = hub.catalogue.releases()
    due = schedule.due(hub.business_date, hub.settings.extracts.fortnight_anchor, before[-1].starts if before else None)
    if due is None or hub.catalogue.head() is None:
        return None
    hub.hold_to_the_ledger()
    return _release(hub, due, before[-1] if before else None, progress)


def _release(hub: Hub, due: Release, last: Released | None, progress: Progress) -> Released:
    plans = hub.plans(columns=_LOOKED_AT)
    active = view.active(plans, hub.business_date)
    persons = _places(hub)
    reference, policy = hub.organisations.routing_reference(), hub.settings.extracts.policy
    previous = hub.store.read(last.rows_part) if last else None
    routed = routing.route(active, persons, reference, on=hub.business_date, policy=policy)
    la_state = _la_state(hub)
    extract = chis.build(routed.rows, previous, la_state)

    units = {unit.code: unit for unit in hub.organisations.units_on(hub.business_date)}
    tables = chis.by_unit(extract, units)
    extracts = {unit: chis.unit_csv(table) for unit, table in tables.items()}
    sent = read_back(extracts)
    check_recipients(sent, active, persons, reference, previous, on=hub.business_date, policy=policy)
    rows = release_balance(plans, sent, routed.unroutable, on=hub.business_date).to_pylist()
    balances = tuple(msgspec.convert(row, ReleaseBalance) for row in rows)

    parties = {partner.code: partner for partner in hub.under_agreement(PartnerKind.CHIS)}
    without = sorted(unit for unit in extracts if unit not in parties and (tables[unit].num_rows or unit in units))
    if without:
        raise ConfigFault(
            f"No agreement covers these CHIS units on {hub.business_date}: {', '.join(without[:8])}; the whole release waits.",
            "Add each as a partner with its certificate, or correct reference/la_chis.csv.",
        )
    sequence = (last.sequence if last else 0) + 1
    deliveries = side_by_side(
        hub,
        [_outgoing(hub, parties[unit], due, sequence, data, tables[unit], la_state) for unit, data in extracts.items()],
        lambda done: progress("sealing extracts", done, len(extracts)),
    )
    release = Released(
        year=due.fortnight.year,
        number=due.fortnight.number,
        sequence=sequence,
        starts=due.fortnight.starts,
        caught_up=" ".join(missed.label for missed in due.missed),
        rows_part=_written(hub, extract, "The part of the extracts' rows"),
        unroutable_part=_written(hub, routed.unroutable, "The part of the unroutable rows"),
        active=sum(line.active for line in balances),
        sent=sum(line.sent for line in balances),
        unroutable=sum(line.unroutable for line in balances),
    )
    hub.commit("RELEASE", deliveries=tuple(deliveries), release=release, release_balances=balances)
    nowhere = routed.unroutable.group_by(["la_code", "reason"]).aggregate([([], "count_all")]).sort_by("la_code")
    for row in nowhere.to_pylist():
        log.event("plans that lead to no CHIS unit", la=row["la_code"], reason=row["reason"], plans=row["count_all"])
    return release


def _places(hub: Hub) -> pa.Table:
    """Where the trace says that people belong (routing.PERSONS). Names are read to tell identities apart, and go no further."""
    known = demographics.known_persons(hub)
    if not known.num_rows:
        return routing.PERSONS.empty_table()
    named = hub.plans(columns=[*_LOOKED_AT, "family_name", "given_name"])
    return places.places(known, view.active(named, hub.business_date))


def _written(hub: Hub, table: pa.Table, what: str) -> str:
    part = hub.store.write(table)
    accounts.check_count(what, table.num_rows, part.rows)
    return part.digest


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


def _outgoing(
    hub: Hub, unit: Partner, due: Release, sequence: int, data: bytes, table: pa.Table, la_state: pa.Table
) -> UnitExtract:
    certificates = certificates_of(hub, unit)
    if isinstance(certificates, ConfigFault):
        raise ConfigFault(f"{certificates.message} The whole release waits.", certificates.advice)
    return UnitExtract(
        unit=unit,
        recipients=recipients(hub, certificates),
        release=due,
        sequence=sequence,
        data=data,
        rows=table,
        la_state=la_state,
        las=hub.organisations.las_of_unit(unit.code, hub.business_date),
    )
