"""What the rules of a file as a whole can speak of, as one row of a table: its text, its columns, its H and T records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.intake.lines import Refused
from cpis_batch.intake.read import Reading, form
from cpis_batch.intake.records import Damage, Single
from cpis_batch.intake.texts import Texts, numbers_in
from cpis_batch.vocabulary import Environment, ExtractKind

_MODULUS = 10**10  # of the hash total
_DIGITS = "^[0-9]{1,18}$"
_INTEGERS = (
    "unreadable_line", "unreadable_byte", "first_line", "last_line", "heading_line", "blank_line", "extra_line", "header_line",
    "second_header_line", "trailer_line", "second_trailer_line", "detail_lines", "other_lines", "sequence_number",
    "declared_count", "declared_hash", "counted_hash",
)  # fmt: skip


class Header(msgspec.Struct, frozen=True):
    """The header of an extract whose every field could be read. `extracted_at` has a zone."""

    format: str
    version: str
    environment: Environment
    la_code: str
    kind: ExtractKind
    sequence: int
    extracted_at: datetime
    office_phone: str
    emergency_phone: str


def facts(reading: Reading) -> dict[str, Any]:
    """The facts by name; None where there is none or it could not be read.

    Beside the names in `_INTEGERS` and the fields of the header and the trailer as text: `unreadable` (lines.Unreadable),
    `heading_fits`, `header_damage`, `trailer_damage` (records.Damage) and `extracted_instant` (datetime, UTC).
    """
    found: dict[str, Any] = dict.fromkeys(SCHEMA.names)
    if isinstance(reading, Refused):
        return found | {"unreadable": reading.why, "unreadable_line": reading.line, "unreadable_byte": reading.byte}
    found |= {
        name: getattr(reading, name)
        for name in ("first_line", "last_line", "heading_line", "heading_fits", "blank_line", "extra_line")
    }
    found |= _single("header", reading.header, form().header.names)
    found |= _single("trailer", reading.trailer, form().trailer.names)
    found |= _counted(reading.rows)
    found["sequence_number"] = _whole(found["sequence"], "0*[1-9][0-9]{0,7}")
    found["declared_count"] = _whole(found["record_count"], "[0-9]{1,9}")
    found["declared_hash"] = _whole(found["hash_total"], "[0-9]{1,10}")
    found["extracted_instant"] = _instant(found["extracted_at"])
    return found


def as_table(found: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The facts of files as a table of a row a file, for the rules; each with `folder_la_code`, by whose folder it came."""
    return pa.Table.from_pylist(found, schema=SCHEMA.append(pa.field("folder_la_code", pa.string())))


def header_of(found: dict[str, Any]) -> Header | None:
    """The header, where all of it could be read."""
    values = {name: found[name] for name in form().header.names[1:]}
    values |= {"sequence": found["sequence_number"], "extracted_at": found["extracted_instant"]}
    if found["header_damage"] or None in values.values():
        return None
    try:
        return msgspec.convert(values, Header)
    except msgspec.ValidationError:  # an unknown environment or kind, which a rule has told
        return None


def _single(which: str, single: Single, names: tuple[str, ...]) -> dict[str, Any]:
    told: dict[str, Any] = dict(zip(names[1:], (value.strip(" ") for value in single.values or ()), strict=False))
    told[f"{which}_damage"] = single.damage
    told[f"{which}_line"], told[f"second_{which}_line"] = (*single.lines[:2], None, None)[:2]
    return told


def _counted(rows: pa.Table) -> dict[str, int | None]:
    """Details by count and the sum of their numbers, right or wrong; unknown where a damaged line hides its number."""
    others = pc.sum(pc.equal(rows["damage"], Damage.UNKNOWN_TYPE)).as_py() or 0
    numbers = rows["nhs_number"]
    total = sum(map(_sum, numbers.chunks)) % _MODULUS
    return {
        "detail_lines": rows.num_rows - others,
        "other_lines": others,
        "counted_hash": None if numbers.null_count else total,
    }


def _sum(numbers: pa.StringArray) -> int:
    """The sum of those that are whole numbers of up to 18 digits, spaces and hyphens aside; most have ten, and nothing else."""
    texts = Texts.of(numbers)
    places, digits = texts.of_length(10)
    values, are_numbers = numbers_in(digits)
    plain = np.zeros(len(numbers), np.bool_)
    plain[places] = are_numbers
    others = pc.replace_substring(pc.replace_substring(numbers.filter(pa.array(~plain)), " ", ""), "-", "")
    others = others.filter(pc.match_substring_regex(others, _DIGITS)).cast(pa.int64()).to_numpy() % _MODULUS
    return int(values[are_numbers].sum()) + int(others.sum())


def _whole(text: str | None, shape: str) -> int | None:
    return int(text) if text is not None and re.fullmatch(shape, text, re.ASCII) else None


def _instant(text: str | None) -> datetime | None:
    shape = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
    if text is None or not re.fullmatch(shape, text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


SCHEMA = pa.schema(
    [
        *((name, pa.int64()) for name in _INTEGERS),
        *((name, pa.string()) for name in (*form().header.names[1:], *form().trailer.names[1:])),
        *((name, pa.string()) for name in ("unreadable", "header_damage", "trailer_damage")),
        ("heading_fits", pa.bool_()),
        ("extracted_instant", pa.timestamp("us")),
    ]
)
