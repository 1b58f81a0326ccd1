"""A CHIS extract at its unit's desk: a workbook of it, for whoever has no program to load a CSV with."""

from __future__ import annotations

import csv
import io
from datetime import datetime

from cpis_batch.errors import InputRefused
from cpis_batch.extracts.chis import FORMAT, VERSION
from cpis_batch.spec import table_schema
from cpis_batch.workbook import MOST_ROWS, Sheet, text, workbook


def to_workbook(extract: bytes, *, made_at: datetime) -> bytes:
    """The extract's rows (specs/chis-extract/1.0) as a workbook with one sheet, every cell text as it was sent.

    InputRefused where the file is no extract of that version, or has more rows than a sheet can hold.
    """
    names = table_schema(FORMAT, VERSION, "extract").names
    try:
        records = list(csv.reader(io.StringIO(extract.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        records = []
    if not records or tuple(records[0]) != names or any(len(record) != len(names) for record in records):
        raise InputRefused(
            "What was opened is no CHIS extract of this version.", "Collect it again; use this program in its newest version."
        )
    if len(records) - 1 > MOST_ROWS:
        raise InputRefused(f"{len(records) - 1:,} rows are more than a workbook can hold.", "Take it as CSV: --format csv.")
    return workbook([Sheet("Extract", text(*names), records[1:])], title="CHIS extract", made_at=made_at)
