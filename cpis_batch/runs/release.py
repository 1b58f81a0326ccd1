"""A fortnight's release to the CHIS units: one sealed extract and manifest each, empty ones too, all in one commit or none.

Nothing is sealed before every row of every file has been held against the register anew, and the balance holds.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from cpis_batch.catalogue.records import Delivery
from cpis_batch.catalogue.records import Release as Released
from cpis_batch.delivery import outbox
from cpis_batch.envelope.sealing import seal
from cpis_batch.errors import Bug, ConfigFault
from cpis_batch.extracts import chis, manifest, routing, schedule
from cpis_batch.extracts.recipients import check_balance, check_recipients
from cpis_batch.extracts.schedule import Release
from cpis_batch.organisations import ChisUnit
from cpis_batch.partners import Partner, PartnerKind
from cpis_batch.register import view
from cpis_batch.runs import log
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.intake import Progress, certificates_of, recipients
from cpis_batch.status import imbalance

PURPOSE = "0-19 services of the recipient's area: which of its children have an active plan"


def run(hub: Hub, progress: Progress = lambda *_: None) -> Released | None:
    """Make the release that is due on the business date, if one is; what was committed, to be delivered from the outbox."""
    before = hub.catalogue.releases()
    due = schedule.due(hub.business_date, hub.settings.extracts.fortnight_anchor, before[-1].starts if before else None)
    if due is None or hub.catalogue.head() is None:
        return None
    if amiss := imbalance(hub.catalogue):
        raise Bug(f"The ledger does not balance by {amiss} rows. Nothing is released.", "Run: cpis-batch register verify")
    return _release(hub, due, before[-1] if before else None, progress)


def _release(hub: Hub, due: Release, last: Released | None, progress: Progress) -> Released:
    active = view.active(hub.plans(), hub.business_date)
    persons = routing.PERSONS.empty_table()  # demographics will fill it: practice and residence come from the trace
    reference, policy = hub.organisations.routing_reference(), hub.settings.extracts.policy
    previous = hub.store.read(last.rows_part) if last else None
    routed = routing.route(active, persons, reference, on=hub.business_date, policy=policy)
    la_state = _la_state(hub)
    extract = chis.build(routed.rows, previous, la_state)
    check_balance(active, extract, routed.unroutable)

    units = {unit.code: unit for unit in hub.organisations.units_on(hub.business_date)}
    tables = chis.by_unit(extract, units)
    files = {unit: chis.unit_csv(table) for unit, table in tables.items()}
    check_recipients(files, active, persons, reference, previous, on=hub.business_date, policy=policy)

    parties = {partner.code: partner for partner in hub.under_agreement(PartnerKind.CHIS)}
    without = sorted(unit for unit in files if unit not in parties and (tables[unit].num_rows or unit in units))
    if without:
        raise ConfigFault(
            f"No agreement covers these CHIS units on {hub.business_date}: {', '.join(without[:8])}; the whole release waits.",
            "Add each as a partner with its certificate, or correct reference/la_chis.csv.",
        )
    sequence = (last.sequence if last else 0) + 1
    deliveries: list[Delivery] = []
    for unit, data in files.items():
        deliveries += _deliveries(hub, parties[unit], due, sequence, data, tables[unit], la_state)
        progress("sealing extracts", len(deliveries) // 2, len(files))
    release = Released(
        year=due.fortnight.year,
        number=due.fortnight.number,
        sequence=sequence,
        starts=due.fortnight.starts,
        caught_up=" ".join(missed.label for missed in due.missed),
        rows_part=hub.store.write(extract).digest,
        unroutable_part=hub.store.write(routed.unroutable).digest,
        active=active.num_rows,
        sent=active.num_rows - routed.unroutable.num_rows,
        unroutable=routed.unroutable.num_rows,
    )
    hub.commit("RELEASE", deliveries=tuple(deliveries), release=release)
    nowhere = routed.unroutable.group_by(["la_code", "reason"]).aggregate([([], "count_all")]).sort_by("la_code")
    for row in nowhere.to_pylist():
        log.event("plans that lead to no CHIS unit", la=row["la_code"], reason=row["reason"], plans=row["count_all"])
    return release


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


def _deliveries(
    hub: Hub, unit: Partner, due: Release, sequence: int, data: bytes, table: pa.Table, la_state: pa.Table
) -> list[Delivery]:
    """The extract first, its manifest after it: who finds the manifest finds the whole extract."""
    certificates = certificates_of(hub, unit)
    if isinstance(certificates, ConfigFault):
        raise ConfigFault(f"{certificates.message} The whole release waits.", certificates.advice)
    sealable = recipients(hub, certificates)
    signer = hub.hub_keys.current(hub.business_date).secret
    sealed = seal(data, recipients=sealable, signer=signer)
    name = chis.file_name(unit.code, due.fortnight, sequence)
    told = manifest.manifest(
        unit=ChisUnit(unit.code, unit.name, ""),
        environment=hub.settings.service.environment,
        release=due,
        sequence=sequence,
        rows=table,
        csv=data,
        la_state=la_state,
        las=hub.organisations.las_of_unit(unit.code, hub.business_date),
        released_at=hub.now,
    )
    common: dict[str, Any] = {"purpose": PURPOSE, "record_count": table.num_rows, "made_at": hub.now}
    return [
        outbox.prepare(hub.home / "outbox", unit, kind=outbox.EXTRACT, name=name, sealed=sealed, **common),
        outbox.prepare(
            hub.home / "outbox",
            unit,
            kind=outbox.MANIFEST,
            name=chis.manifest_name(unit.code, due.fortnight, sequence),
            sealed=seal(told, recipients=sealable, signer=signer),
            **common,
        ),
    ]
