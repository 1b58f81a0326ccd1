"""An Arrow table as RFC 4180 CSV: what every machine-readable file of ours is made with.

Text is written exactly as it is (no spreadsheet's formula is defused here: machine files are never altered), dates as
ISO 8601, instants as UTC to the second with Z, and an absent value as nothing between the commas.
"""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv


def to_csv(table: pa.Table, *, heading: bool = True) -> bytes:
    """`table` with a header row, UTF-8, CRLF. Columns may be text, whole numbers, booleans, dates and instants with a zone.

    Without `heading`, the rows alone: to be joined to others of the same columns.
    """
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, _instants(table.column(place)))
    written = io.BytesIO()
    csv.write_csv(table, written, csv.WriteOptions(include_header=heading, quoting_style="needed", eol="\r\n"))
    return written.getvalue()


def _instants(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Instants as `business_time.text_of` writes one."""
    seconds = pc.floor_temporal(column, unit="second").cast(pa.timestamp("s", tz="UTC"))
    return pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%SZ")
