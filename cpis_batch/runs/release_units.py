"""The second half of a release, in a worker: the extracts of some units built, written, read back, held to the register, sealed.

Nothing of a unit is sealed before every row of its very text has been held to what the register routes to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from cpis_batch import engine, files
from cpis_batch.catalogue.records import Delivery
from cpis_batch.delivery import outbox
from cpis_batch.envelope.sealing import seal
from cpis_batch.extracts import chis, manifest, recipients, routing, summary
from cpis_batch.extracts.schedule import Release
from cpis_batch.keystore import MasterKey
from cpis_batch.organisations import ChisUnit, LocalAuthority
from cpis_batch.partners import Partner
from cpis_batch.register.store import PartStore
from cpis_batch.runs import spool
from cpis_batch.runs.spool import Spooled
from cpis_batch.runs.task import Keys, Rehearsed
from cpis_batch.runs.worker import given

PURPOSE = "0-19 services of the recipient's area: which of its children have an active plan"


@dataclass(frozen=True, slots=True)
class Unit:
    """A recipient, its certificates, the authorities that it serves, and whether it is open: then it has a file in any case."""

    partner: Partner
    recipients: tuple[bytes, ...] = field(repr=False)
    las: tuple[LocalAuthority, ...]
    open: bool

    @property
    def code(self) -> str:
        """Its code."""
        return self.partner.code


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What is the same for all units: the release, authorities' states (chis.LA_STATE), the part of the release before."""

    release: Release
    sequence: int
    la_state: pa.Table = field(repr=False)
    previous: Spooled | None


@dataclass(frozen=True, slots=True)
class UnitsTask:
    """Some units, and the parts in which their rows lie."""

    units: tuple[Unit, ...]
    facts: ReleaseFacts
    routed: tuple[Spooled, ...]
    due: tuple[Spooled, ...]


@dataclass(frozen=True, slots=True)
class MadeUnits:
    """What is in the outbox, in order; the part with the rows of these units (chis.EXTRACT); COUNTS of what was read back."""

    deliveries: tuple[Delivery, ...]
    rows: Spooled
    sent: pa.Table = field(repr=False)


def make_units(task: UnitsTask) -> MadeUnits:
    """Make the extracts of some units. Bug where a row of one is amiss; StateFault, KeyFault, DiskFault."""
    common, keys = given()
    store = PartStore(common.home / "register", MasterKey(keys.master))
    tables, texts, sent = _extracts(store, task)
    with files.names_together():
        rows = spool.spool(store, tables, chis.EXTRACT, "The extracts' rows")
        units = {unit.code: unit for unit in task.units}
        deliveries = [
            delivery
            for code in list(tables)
            for delivery in _deliveries(units[code], task.facts, tables.pop(code), texts.pop(code), common, keys)
        ]
    return MadeUnits(tuple(deliveries), rows, sent)


def _extracts(store: PartStore, task: UnitsTask) -> tuple[dict[str, pa.Table], dict[str, bytes], pa.Table]:
    """The rows (chis.EXTRACT) and the text of each unit that has a file, checked; COUNTS of them."""
    codes = [unit.code for unit in task.units]
    routed = spool.of_units(store, task.routed, codes, routing.ROUTED, "The routed rows as they were read")
    before = [task.facts.previous] if task.facts.previous else []
    previous = spool.of_units(store, before, codes, chis.EXTRACT, "The rows of the release before")
    extract = chis.build(routed, previous, task.facts.la_state)
    del routed
    engine.close()  # which keeps 140 MB of what it took to join and sort 240,000 rows; to open it anew takes 12 ms
    tables = chis.by_unit(extract, [unit.code for unit in task.units if unit.open])
    texts = {code: chis.unit_csv(table) for code, table in tables.items()}
    sent = recipients.read_back(texts)
    due = spool.of_units(store, task.due, codes, recipients.DUE, "The rows to check with as they were read")
    recipients.check_recipients(sent, due, previous)
    return tables, texts, recipients.count_sent(sent, due)


def _deliveries(unit: Unit, facts: ReleaseFacts, rows: pa.Table, text: bytes, common: Rehearsed, keys: Keys) -> list[Delivery]:
    """The extract first, then its page, its manifest last: who finds the manifest finds the whole."""
    told = manifest.manifest(
        unit=ChisUnit(unit.code, unit.partner.name, ""),
        environment=common.environment,
        release=facts.release,
        sequence=facts.sequence,
        rows=rows,
        csv=text,
        la_state=facts.la_state,
        las=unit.las,
        released_at=common.now,
    )
    named = (unit.code, facts.release.fortnight, facts.sequence)
    common_to_all: dict[str, Any] = {"purpose": PURPOSE, "record_count": rows.num_rows, "made_at": common.now}
    return [
        outbox.prepare(
            common.home / "outbox",
            unit.partner,
            kind=kind,
            name=name(*named),
            sealed=seal(plaintext, recipients=unit.recipients, signer=keys.signer),
            **common_to_all,
        )
        for kind, name, plaintext in (
            (outbox.EXTRACT, chis.file_name, text),
            (outbox.SUMMARY, chis.summary_name, summary.to_page(told)),
            (outbox.MANIFEST, chis.manifest_name, told),
        )
    ]
