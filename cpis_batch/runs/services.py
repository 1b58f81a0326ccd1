"""Files of the two services, national and trace: opened, read and settled one by one; one that may grow still is waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec
import pyarrow as pa

from cpis_batch.catalogue.records import Arrival
from cpis_batch.delivery import outbox
from cpis_batch.envelope.opening import open_message
from cpis_batch.envelope.outcome import Refusal, Unopened
from cpis_batch.envelope.sealing import seal
from cpis_batch.errors import ConfigFault
from cpis_batch.intake import findings
from cpis_batch.intake.collect import Collected
from cpis_batch.intake.findings import Finding
from cpis_batch.intake.frame import FAULTS, Header
from cpis_batch.partners import Partner
from cpis_batch.runs import log
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.intake import certificates_of, recipients, wait_for
from cpis_batch.runs.pool import gpg_home
from cpis_batch.vocabulary import FileOutcome, FileState


class Reading(Protocol):
    """What the reader of a service's format makes of a file."""

    @property
    def outcome(self) -> FileOutcome:
        """Of the file as a whole."""

    @property
    def header(self) -> Header | None:
        """None where it could not be read."""

    @property
    def rows(self) -> int:
        """How many there are."""

    @property
    def loaded(self) -> int:
        """How many are used."""

    @property
    def rejected(self) -> int:
        """How many are kept out."""


R = TypeVar("R", bound=Reading)


@dataclass(frozen=True, slots=True)
class Taken(Generic[R]):
    """One file and what became of it."""

    arrival: Arrival
    reading: R


def take(
    hub: Hub, files: list[Collected], read: Callable[[bytes], R], unread: Callable[[FileOutcome, pa.Table], R]
) -> list[Taken[R]]:
    """Open each file and `read` its plaintext; `unread` makes the reading of one that cannot be, or need not be, opened."""
    taken: list[Taken[R]] = []
    number = hub.catalogue.next_arrival_id()
    with gpg_home(hub) as opener:
        for file in files:
            partner = hub.partners[file.partner]
            arrival = Arrival(
                id=number, partner=file.partner, mailbox=file.mailbox, folder=file.folder, name=file.name, digest=file.digest,
                size=file.size, modified_at=file.modified_at, seen_at=hub.now, state=FileState.HELD,
            )  # fmt: skip
            if hub.catalogue.arrivals("partner = ? AND digest = ? AND state = 'MERGED'", (file.partner, file.digest)):
                known = unread(FileOutcome.ALL_LOADED, FAULTS.empty_table())
                taken.append(_settled(arrival, FileState.DUPLICATE, known, findings.ALREADY_HERE))
                number += 1
                continue
            certificates = certificates_of(hub, partner)
            assert not isinstance(certificates, ConfigFault)
            opened = open_message(
                hub.home / "archive" / f"{file.digest}{outbox.SUFFIX}",
                gpg_home=opener.path,
                allowed=certificates,
                limits=hub.settings.limits,
            )
            if isinstance(opened, Unopened):
                log.event("envelope not opened", partner=partner.code, detail=opened.operator_detail)
                if opened.refusal is Refusal.UNREADABLE and wait_for(hub, file):
                    continue
                outcome = FileOutcome.UNREADABLE if opened.refusal is Refusal.UNREADABLE else FileOutcome.NONE_LOADED
                finding = findings.OF_REFUSAL[opened.refusal]
                taken.append(_settled(arrival, FileState.REFUSED, unread(outcome, _fault(finding)), finding))
            else:
                reading = read(opened.plaintext)
                refused = reading.header is None or (reading.outcome is FileOutcome.NONE_LOADED and not reading.rows)
                state = FileState.REFUSED if refused else FileState.MERGED
                taken.append(_settled(arrival, state, reading, None, signer=opened.signer))
            number += 1
    return taken


def sealed(hub: Hub, partner: Partner, plaintext: bytes) -> bytes:
    """`plaintext` sealed to a partner. ConfigFault where it has no certificate that is allowed today."""
    return seal(plaintext, recipients=sealable(hub, partner), signer=hub.hub_keys.current(hub.business_date).secret)


def sealable(hub: Hub, partner: Partner) -> tuple[bytes, ...]:
    """A partner's certificates to seal to. ConfigFault where it has none that is allowed today."""
    certificates = certificates_of(hub, partner)
    if isinstance(certificates, ConfigFault):
        raise certificates
    return recipients(hub, certificates)


def sendable(hub: Hub, codes: set[str]) -> set[str]:
    """Those of the partners that may be sent something today and can be sealed to."""
    return {
        code
        for code in codes
        if (partner := hub.partners.get(code))
        and partner.agreement.covers(hub.business_date)
        and not isinstance(certificates_of(hub, partner), ConfigFault)
    }


def _fault(finding: Finding) -> pa.Table:
    fault = {
        "line": None,
        "field": None,
        "code": finding.code,
        "severity": "ERROR",
        "cause": finding.cause,
        "cure": finding.cure,
    }
    return pa.Table.from_pylist([fault], schema=FAULTS)


def _settled(arrival: Arrival, state: FileState, reading: R, finding: Finding | None, signer: str | None = None) -> Taken[R]:
    header = reading.header
    return Taken(
        msgspec.structs.replace(
            arrival,
            state=state,
            file_outcome=reading.outcome,
            code=finding.code if finding else None,
            sequence=header.sequence if header else -1,
            extracted_at=header.extracted_at if header else None,
            signer=signer,
            records_loaded=reading.loaded,
            records_rejected=reading.rejected,
        ),
        reading,
    )
