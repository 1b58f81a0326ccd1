"""Read an LA extract 1.0: from bytes to its header, its trailer and its rows as text."""

from __future__ import annotations

from typing import TypeAlias

from cpis_batch.intake.lines import Refused
from cpis_batch.intake.records import Form, Records, read_records
from cpis_batch.spec import table_schema

NAME, VERSION = "la-extract", "1.0"
FORMAT = "CPIS-LA-EXTRACT"  # as its header names it
LINE_BYTES = 4096  # what config.Limits has by default; a record of the longest names seen is under 200

Reading: TypeAlias = Records | Refused  # taken apart, or the one reason why it cannot be


def form() -> Form:
    """The three Table Schemas of the LA extract."""
    return Form(*(table_schema(NAME, VERSION, part) for part in ("header", "detail", "trailer")))


def read_extract(data: bytes, *, line_bytes: int = LINE_BYTES) -> Reading:
    """The plaintext of an extract, taken apart. `line_bytes` caps the length of a line. Never raises, whatever the bytes."""
    return read_records(data, form(), line_bytes=line_bytes)
