"""The outbox: sealed messages wait here, named by digest, until their recipient's server holds the same bytes.

Delivery is safe to repeat: the same bytes under the same name are found and recorded, not sent twice. Where the line broke at
the renaming, the file may stand, or stand no more since its recipient took it: the next run looks, and a person decides.
What goes to one folder goes in the order in which it was made; folders are served side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from threading import Condition

from cpis_batch import files
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.records import Delivery
from cpis_batch.errors import CpisError, DeliveryUnknown, DiskFault, PartnerUnreachable, StateFault
from cpis_batch.exchange.mailbox import Mailbox
from cpis_batch.partners import Partner

SUFFIX = ".pgp"
# Kinds of delivery, in their order: who finds the last is to find the others.
PACK = EXTRACT, SUMMARY, MANIFEST = "CHIS_EXTRACT", "CHIS_SUMMARY", "CHIS_MANIFEST"
MOST_HELD = 64 * 1024 * 1024  # bytes of sealed messages in memory at a time, on their way: those of one mailbox
UNKNOWN = "UNKNOWN"  # begins the recorded fault of an upload that may or may not stand: it is looked for, not sent again


def outbound(partner: Partner) -> str:
    """Where we put files for the partner."""
    return f"{partner.folder}/outbound"


def prepare(
    outbox: Path,
    partner: Partner,
    *,
    kind: str,
    purpose: str,
    name: str,
    sealed: bytes,
    record_count: int,
    made_at: datetime,
    arrival_id: int | None = None,
) -> Delivery:
    """Make a sealed message durable in the outbox; the line that a commit will name it by."""
    digest = files.write_named_by_content(outbox, sealed, SUFFIX)
    return Delivery(
        arrival_id=arrival_id,
        partner=partner.code,
        kind=kind,
        purpose=purpose,
        agreement=partner.agreement.reference,
        mailbox=partner.mailbox,
        folder=outbound(partner),
        name=name,
        digest=digest,
        size=len(sealed),
        record_count=record_count,
        made_at=made_at,
    )


@dataclass(frozen=True, slots=True)
class Published:
    """What one round of delivery came to."""

    delivered: int
    failed: tuple[tuple[Delivery, str], ...]


class Room:
    """Memory for what is on its way: who comes waits until there is room. What is larger than all there is goes alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0
        self._left = Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Have so much for the block."""
        with self._left:
            self._left.wait_for(lambda: not self._held or self._held + size <= self._size)
            self._held += size
        try:
            yield
        finally:
            with self._left:
                self._held -= size
                self._left.notify_all()


def publish(
    catalogue: Catalogue,
    mailbox: Mailbox,
    due: Iterable[Delivery],
    partners: Mapping[str, Partner],
    *,
    outbox: Path,
    business_date: date,
    now: datetime,
    threads: Executor,
    progress: Callable[[], None] = lambda: None,
) -> Published:
    """Deliver what is due in one mailbox; every success is recorded as it happens, every failure with its cause."""
    room = Room(MOST_HELD)

    def put(delivery: Delivery) -> None:
        partner = partners.get(delivery.partner)
        if partner is None or not partner.agreement.covers(business_date):
            raise StateFault(
                f"No data sharing agreement covers {delivery.partner} on {business_date}.", "Nothing is sent without one."
            )
        with room.hold(delivery.size):
            send(delivery)

    def send(delivery: Delivery) -> None:
        with files.disk_faults(outbox):
            data = (outbox / f"{delivery.digest}{SUFFIX}").read_bytes()
        if files.digest_of(data) != delivery.digest:
            raise StateFault(f"The outbox file {delivery.digest} is altered.", "Run: cpis-batch register verify")
        if _unknown(delivery):
            _look(mailbox, delivery)
        elif mailbox.put(delivery.folder, delivery.name, data) != delivery.digest:
            raise StateFault(f"{delivery.name} was read back with other bytes.", "The next run tries again.")

    def put_all(folder: list[Delivery]) -> list[str | None]:
        """Why each of one folder's deliveries failed, None where it stands."""
        told: list[str | None] = []
        unreachable = ""
        for place, delivery in enumerate(folder):
            before = folder[place - 1] if place else None
            waits = before and told[-1] and before.kind in PACK and delivery.kind in (SUMMARY, MANIFEST)
            if unreachable:
                told.append(_words(delivery, unreachable))  # not tried: it would wait as long as the one before
            elif before and waits and before.made_at == delivery.made_at:
                told.append(_words(delivery, "it waits for its extract"))
            else:
                try:
                    put(delivery)
                    told.append(None)
                except DiskFault:
                    raise  # our own disk, no trouble of this recipient's
                except CpisError as fault:
                    told.append(_words(delivery, fault.message, unknown=isinstance(fault, DeliveryUnknown)))
                    unreachable = fault.message if isinstance(fault, PartnerUnreachable) else ""
                except FileNotFoundError:
                    told.append(_words(delivery, "its sealed file is missing from the outbox"))
        return told

    by_folder: dict[str, list[Delivery]] = {}
    for delivery in due:
        by_folder.setdefault(delivery.folder, []).append(delivery)
    delivered = 0
    failed: list[tuple[Delivery, str]] = []
    putting = {threads.submit(put_all, folder): folder for folder in by_folder.values()}
    while putting:
        done, _ = wait(putting, return_when=FIRST_COMPLETED)
        standing: list[int] = []
        try:
            for future in done:
                for delivery, fault in zip(putting.pop(future), future.result(), strict=True):
                    if fault is None:
                        standing.append(delivery.id)
                    else:
                        catalogue.not_delivered(delivery.id, fault)
                        failed.append((delivery, fault))
                    progress()
        finally:
            catalogue.delivered(standing, now)  # what ended while the last ones were recorded, in one transaction
        delivered += len(standing)
    return Published(delivered, tuple(sorted(failed, key=lambda one: one[0].id)))


def _unknown(delivery: Delivery) -> bool:
    """Whether it may have been delivered by a run before."""
    return (delivery.last_fault or "").startswith(UNKNOWN)


def _words(delivery: Delivery, fault: str, *, unknown: bool = False) -> str:
    """Why a delivery failed, as it is recorded. What was unknown stays so until somebody could look: it is not sent blindly."""
    return f"{UNKNOWN}: {fault}" if unknown or _unknown(delivery) else fault


def _look(mailbox: Mailbox, delivery: Delivery) -> None:
    """Whether a delivery of unknown outcome stands. DeliveryUnknown where not: it may have been collected."""
    if mailbox.digest(delivery.folder, delivery.name) != delivery.digest:
        raise DeliveryUnknown(
            f"{delivery.name} may have been delivered and collected, or not have arrived.",
            f"Ask {delivery.partner}. If it has not arrived: cpis-batch deliveries resend {delivery.id}",
        )


def look_for_collected(catalogue: Catalogue, mailbox: Mailbox, mailbox_name: str, *, now: datetime, threads: Executor) -> int:
    """Record which delivered files are no longer in their recipients' folders: they have been collected (FAULTS F18).

    What a run that was killed has left there of an upload is cleared away: no upload of ours is under way now.
    """
    lying = catalogue.deliveries("mailbox = ? AND delivered_at IS NOT NULL AND collected_at IS NULL", (mailbox_name,))
    by_folder: dict[str, list[Delivery]] = {}
    for delivery in lying:
        by_folder.setdefault(delivery.folder, []).append(delivery)

    def taken(folder: str, deliveries: list[Delivery]) -> list[int]:
        try:
            listing = mailbox.list(folder)
            for upload in listing.abandoned:
                mailbox.clear(folder, upload)
        except CpisError:
            return []  # not known: the next run looks again
        present = {entry.name for entry in listing.entries}
        return [delivery.id for delivery in deliveries if delivery.name not in present]

    looking = [threads.submit(taken, folder, deliveries) for folder, deliveries in by_folder.items()]
    gone = [one for found in looking for one in found.result()]
    if gone:
        catalogue.collected(gone, now)
    return len(gone)
