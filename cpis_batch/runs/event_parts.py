"""Access events as the register keeps them: by month of the access (UTC), in parts that a night adds to and that stay of a size.

A month's first part is named for it, `2026-11`, the others `2026-11.001` and so on. A night writes the newest of them anew, or
begins another: so it costs what it brings, however many events a month has. Within a part events are in order of time and id.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access.lines import WORDS
from cpis_batch.catalogue.records import EventPart
from cpis_batch.register.store import PartStore

MOST = 500_000  # events in a part: 10 MB on the disk


def month_of(part: EventPart) -> str | None:
    """`2026-11`; None for what is kept of events for another reason (runs.reports)."""
    return part.month[:7] if part.month[:1].isdigit() else None


def with_more(store: PartStore, held: Mapping[str, EventPart], events: pa.Table) -> list[EventPart]:
    """The parts that change, or are new, when `events` (EVENTS) are added to those that are `held` by name."""
    changed: list[EventPart] = []
    months = pc.strftime(events["accessed_at"], "%Y-%m")
    for month in sorted(set(months.to_pylist())):
        added = events.filter(pc.equal(months, month))
        names = sorted(name for name, part in held.items() if month_of(part) == month)
        number = len(names)
        if names and held[names[-1]].row_count + added.num_rows <= MOST:
            number -= 1
            added = pa.concat_tables([store.read(held[names[-1]].part), added])
        added = added.sort_by([("accessed_at", "ascending"), ("event_id", "ascending")])  # as the monthly reports tell them
        for first in range(0, added.num_rows, MOST):
            some = added.slice(first, MOST)
            name = f"{month}.{number:03}" if number else month
            changed.append(EventPart(month=name, part=store.write(some, WORDS).digest, row_count=some.num_rows))
            number += 1
    return changed
