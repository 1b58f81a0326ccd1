"""Access events of one authority's children in any number, drawn in batches: what `events` makes of one day, for 100 million.

The kinds of looks and their shares are those of `events`. They are spread evenly over the DAYS that end with the day they are
made for, and come in the order of time; no event is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access.schema import EVENTS
from cpis_batch.business_time import text_of
from cpis_batch.sandbox import draws, extracts, people
from cpis_batch.sandbox.events import (
    BY_DEVICE,
    DEVICES,
    FIELDS,
    FORMAT,
    OUT_OF_AREA,
    ROLES,
    SETTINGS,
    organisation_code,
)
from cpis_batch.sandbox.volumes import volumes
from cpis_batch.vocabulary import Environment

DAYS = 30
BATCH = 250_000  # events drawn at a time: some 100 MB while they are
FILE = 500_000  # events in a file of the national service's, at most: 80 MB of text
_ENDED = 0.04  # how often a look is at a plan that has ended, for each that is at an open one


def shares(total: int, las: tuple[str, ...]) -> dict[str, int]:
    """How many of `total` events are on each authority's children, by the plans that it holds open; they add up."""
    stock = np.array([volumes()[code].looked_after + volumes()[code].plans for code in las], dtype=float)
    ends = np.rint(total * np.cumsum(stock) / max(1.0, stock.sum())).astype(np.int64)
    return dict(zip(las, np.diff(ends, prepend=0).tolist(), strict=True))


def drawn(la_code: str, plans: pa.Table, count: int, *, seed: int, now: datetime) -> Iterator[pa.Table]:
    """`count` events on the persons of `plans` (england.PLANS), all before `now`, a batch at a time.

    The columns of EVENTS, `line` from 2 on in each FILE, with the notify flag as it is sent, `flag`, in the place of the last.
    """
    rng = draws.stream(seed, la_code, "events")
    weights = np.cumsum(np.where(plans["end_date"].is_null().to_numpy(), 1.0, _ENDED))
    for first in range(0, count if plans.num_rows else 0, BATCH):
        yield _batch(la_code, plans, weights, first, min(BATCH, count - first), count, rng, now)


def _batch(
    la_code: str,
    plans: pa.Table,
    weights: npt.NDArray[np.float64],
    first: int,
    size: int,
    count: int,
    rng: np.random.Generator,
    now: datetime,
) -> pa.Table:
    """The events from the `first` on of `count`."""
    seen = np.searchsorted(weights, rng.random(size) * weights[-1], side="right")
    kinds = np.array([weight for _, _, weight, _ in SETTINGS], dtype=float)
    setting = rng.choice(len(SETTINGS), size, p=kinds / kinds.sum())
    codes = list(volumes())
    stock = np.array([volume.looked_after + volume.plans for volume in volumes().values()], dtype=float)
    far = rng.random(size) < OUT_OF_AREA
    area = np.where(far, rng.choice(len(codes), size, p=stock / stock.sum()), codes.index(la_code))
    organisation = pa.array(area * len(SETTINGS) + setting)
    device = pa.array(rng.random(size) < BY_DEVICE)
    family, given = people.names(rng, np.zeros(size, dtype=bool))
    staff = pc.binary_join_element_wise(given, family, " ")
    row = np.arange(first, first + size)
    spaced = (row + rng.random(size)) / count * DAYS * 86_400
    begins = np.datetime64((now - timedelta(days=DAYS)).replace(tzinfo=None), "s")
    instants = begins + spaced.astype("m8[s]")
    names, organisations = _organisations()
    flags, starts = _flags()
    serial = pc.utf8_lpad(pa.array(row).cast(pa.string()), 9, "0")
    absent = pa.nulls(size, pa.string())
    return pa.table(
        [
            pa.array(row % FILE + 2, pa.int32()),
            pc.binary_join_element_wise(f"EV-{now:%Y%m%d}-{la_code}", serial, "-"),
            pa.array(instants.astype("M8[us]")).cast(EVENTS.field("accessed_at").type),
            plans["nhs_number"].take(pa.array(seen)),
            pc.if_else(device, "DEVICE", "PERSON"),
            pc.if_else(device, pa.array(DEVICES).take(pa.array(row % len(DEVICES))), staff),
            pc.if_else(device, absent, pa.array(ROLES).take(pa.array(row % len(ROLES)))),
            pc.if_else(device, staff, absent),
            organisations.take(organisation),
            names.take(organisation),
            pa.array([name for name, *_ in SETTINGS]).take(pa.array(setting)),
            flags.take(pa.array(starts[setting] + row % np.diff(starts)[setting])),
        ],
        names=[*EVENTS.names[:-1], "flag"],
    )


@cache
def _organisations() -> tuple[pa.Array, pa.Array]:
    """Name and code of every place in England: areas in the order of their codes, and in each a place of each setting."""
    names = [f"Illustrative {title}, {volume.name}" for volume in volumes().values() for _, title, *_ in SETTINGS]
    return pa.array(names), pa.array([organisation_code(code, setting) for code in volumes() for setting, *_ in SETTINGS])


@cache
def _flags() -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """How the notify flag may be given, setting after setting, and where each setting begins."""
    given = [flags for *_, flags in SETTINGS]
    return pa.array([flag for flags in given for flag in flags]), np.cumsum([0, *map(len, given)])


def stored(batch: pa.Table) -> pa.Table:
    """A batch as the hub keeps events (EVENTS): a flag left out notifies."""
    notifies = pc.not_equal(batch["flag"], "N")
    return batch.drop_columns(["flag"]).append_column("notifies_la", notifies).cast(EVENTS)


def lines(batch: pa.Table) -> bytes:
    """A batch as D records of access events 1.0."""
    instants = pc.strftime(batch["accessed_at"].cast(pa.timestamp("s", tz="UTC")), "%Y-%m-%dT%H:%M:%SZ")
    text = batch.set_column(batch.column_names.index("accessed_at"), "accessed_at", instants).rename_columns(
        {"flag": "notifies_la"}
    )
    return extracts.records([text[name] for name in FIELDS])


def header(sequence: int, environment: Environment, made_at: datetime) -> bytes:
    """The H record of a file of events."""
    return f"H,{FORMAT},1.0,{environment},{sequence},{text_of(made_at)}\r\n".encode()


def file_name(sequence: int, made_at: datetime) -> str:
    """The name of a file of events, before it is sealed."""
    return f"CPIS_EVENTS_{sequence:08d}_{text_of(made_at).replace('-', '').replace(':', '')}.csv"
