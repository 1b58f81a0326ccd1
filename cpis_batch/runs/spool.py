"""Rows on their way from one half of a release to the other: written by authority, read by unit.

They lie in the register's folder as encrypted parts that no commit names, a row group a unit: so no process holds more than it
works on, nothing is copied through a pipe, and what a killed run leaves is removed by the next (`hub.tidy`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from cpis_batch import accounts
from cpis_batch.register.store import PartStore

# Columns of few values, in whatever is spooled.
REPEATED = frozenset(
    {
        "chis_code", "la_code", "la_name", "plan_type", "start_date", "date_of_birth", "office_phone", "emergency_phone",
        "data_as_at", "routing_basis", "change", "reason",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spooled:
    """A part, and how many rows it has of each unit."""

    digest: str
    rows: Mapping[str, int]


def spool(store: PartStore, units: Mapping[str, pa.Table], schema: pa.Schema, what: str) -> Spooled:
    """Write the rows of each unit, in order of the units. Bug where one is not in the part."""
    counts = {unit: rows.num_rows for unit, rows in sorted(units.items()) if rows.num_rows}
    digest = write(store, (units[unit] for unit in counts), schema, what, sum(counts.values()))
    return Spooled(digest, counts)


def write(store: PartStore, groups: Iterable[pa.Table], schema: pa.Schema, what: str, rows: int) -> str:
    """Write tables as row groups of one part; its digest. Bug where it has not as many `rows`."""
    part = store.write_groups(groups, schema, REPEATED.intersection(schema.names))
    accounts.check_count(what, rows, part.rows)
    return part.digest


def of_units(store: PartStore, spooled: Iterable[Spooled], units: Collection[str], schema: pa.Schema, what: str) -> pa.Table:
    """The rows of some units, in the order of the parts. Bug where they are not as many as were written."""
    having = [one for one in spooled if not one.rows.keys().isdisjoint(units)]
    found = pa.concat_tables(
        [schema.empty_table(), *(store.rows_of(one.digest, "chis_code", units).cast(schema) for one in having)]
    )
    accounts.check_count(what, sum(one.rows.get(unit, 0) for one in having for unit in units), found.num_rows)
    return found
