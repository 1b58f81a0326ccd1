"""Cutting a release between units, which know nothing of each other.

All of England's rows joined at once do not fit into a worker's memory at five times today's register; one unit at a time
costs three times as long at today's (both measured). So units are taken together until they have some 200,000 rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

ROWS = 200_000


def split(table: pa.Table) -> dict[str, pa.Table]:
    """`table` by its `chis_code`: in order of the codes, each part in the order that it had."""
    ordered = table.take(pc.sort_indices(table, [("chis_code", "ascending")]))
    counts = {row["values"]: row["counts"] for row in pc.value_counts(ordered["chis_code"]).to_pylist()}
    parts: dict[str, pa.Table] = {}
    start = 0
    for code in sorted(counts):  # by code point, which is how Arrow sorts UTF-8
        parts[code] = ordered.slice(start, counts[code])
        start += counts[code]
    return parts


def batches(*tables: pa.Table, rows: int = ROWS) -> Iterator[list[pa.Table]]:
    """`tables` (each with a `chis_code`), some units of all of them at a time, in order of the codes."""
    parts = [split(table) for table in tables]
    units: list[str] = []
    held = 0
    for unit in sorted({code for part in parts for code in part}):
        units.append(unit)
        held += sum(part[unit].num_rows for part in parts if unit in part)
        if held >= rows:
            yield _pieces(tables, parts, units)
            units, held = [], 0
    if units:
        yield _pieces(tables, parts, units)


def _pieces(tables: tuple[pa.Table, ...], parts: list[dict[str, pa.Table]], units: list[str]) -> list[pa.Table]:
    return [
        pa.concat_tables([table.slice(0, 0), *(part[unit] for unit in units if unit in part)])
        for table, part in zip(tables, parts, strict=True)
    ]
