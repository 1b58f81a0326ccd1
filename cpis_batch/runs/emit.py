"""What leaves for many recipients, made side by side: each rendered, sealed and put into the outbox by a worker.

The rows go to the worker in memory, by the pool's pipe or sealed to a cluster's; what comes back names sealed files by digest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

import pyarrow as pa

from cpis_batch import files
from cpis_batch.access import render
from cpis_batch.business_time import text_of
from cpis_batch.catalogue.records import Delivery
from cpis_batch.delivery import outbox
from cpis_batch.envelope.sealing import seal
from cpis_batch.intake import acknowledge
from cpis_batch.partners import Partner
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.pool import worker_count, workers
from cpis_batch.runs.task import Keys, Rehearsed
from cpis_batch.runs.worker import given

_BATCHES = 3  # for each worker
# To start processes here costs as much as to make forty small messages; many rows cost more to copy than to tell.
_MANY, _MOST_ROWS = 40, 20_000
ACCESS_PURPOSE = "Access to service notification: who in the NHS looked at the recipient's own children"


class Outgoing(Protocol):
    """What is to be made for one recipient."""

    @property
    def size(self) -> int:
        """How much it is, in rows."""

    def deliveries(self, common: Rehearsed, keys: Keys) -> list[Delivery]:
        """Make it, sealed and durable; its names in the outbox become so with those of the others."""


@dataclass(frozen=True, slots=True)
class AccessReport:
    """One LA's report of who looked at its own children."""

    partner: Partner
    recipients: tuple[bytes, ...] = field(repr=False)
    la_name: str
    rows: pa.Table = field(repr=False)

    @property
    def size(self) -> int:
        """In rows."""
        return int(self.rows.num_rows)

    def deliveries(self, common: Rehearsed, keys: Keys) -> list[Delivery]:
        """The one message that it is."""
        code = self.partner.code
        bundled = acknowledge.bundle(render.render(self.rows, la_code=code, la_name=self.la_name, made_at=common.now))
        return [
            outbox.prepare(
                common.home / "outbox",
                self.partner,
                kind="ACCESS_REPORT",
                purpose=ACCESS_PURPOSE,
                name=f"CPIS_ACCESS_{code}_{text_of(common.now).replace('-', '').replace(':', '')}.zip.pgp",
                sealed=seal(bundled, recipients=self.recipients, signer=keys.signer),
                record_count=self.size,
                made_at=common.now,
            )
        ]


def emit(outgoing: Sequence[Outgoing]) -> list[list[Delivery]]:
    """In a worker: the deliveries of each, in their order, durable when this returns."""
    common, keys = given()
    with files.names_together():
        return [one.deliveries(common, keys) for one in outgoing]


def side_by_side(hub: Hub, outgoing: Sequence[Outgoing], told: Callable[[int], None] = lambda _: None) -> list[Delivery]:
    """The deliveries of all, in their order; `told` hears how many recipients are done. Nothing of it is true before a commit.

    What a killed worker leaves undone is made in this process, and so is, without a cluster, what is little or large.
    """
    made: dict[int, list[Delivery]] = {}
    apart = hub.cluster or (len(outgoing) >= _MANY and sum(one.size for one in outgoing) <= _MOST_ROWS)
    with workers(hub, len(outgoing) if apart else 1, opens=False) as executor:
        running: dict[Future[list[list[Delivery]]], list[int]] = {}
        with suppress(BrokenExecutor):
            for batch in _batches(outgoing, _BATCHES * worker_count(hub)):
                running[executor.submit(emit, [outgoing[place] for place in batch])] = batch
        for done in as_completed(running):
            if not isinstance(done.exception(), BrokenExecutor):
                made.update(zip(running[done], done.result(), strict=True))
                told(len(made))
    if left := [place for place in range(len(outgoing)) if place not in made]:
        with workers(hub, 1, opens=False) as executor:
            made.update(zip(left, executor.submit(emit, [outgoing[place] for place in left]).result(), strict=True))
            told(len(made))
    return [delivery for place in range(len(outgoing)) for delivery in made[place]]


def _batches(outgoing: Sequence[Outgoing], count: int) -> list[list[int]]:
    """The places of all in at most `count` batches, two at least in each, the largest spread first."""
    by_size = sorted(range(len(outgoing)), key=lambda place: outgoing[place].size, reverse=True)
    batches = min(count, ceil(len(outgoing) / 2))
    return [by_size[start::batches] for start in range(batches)]
