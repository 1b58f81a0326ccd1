"""Cutting a release between units, which know nothing of each other."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


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
