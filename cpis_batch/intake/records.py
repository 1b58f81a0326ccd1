"""From physical lines to records: one header, one trailer, and details as columns of text with their line numbers.

Made for every format of the H/D/T family. No field of them holds a line break, so a physical line is a record, its
quoting is judged by itself (RFC 4180), and an unclosed quote harms its own line only. Empty fields that a spreadsheet
pads a record with are passed over; fields with content beyond those declared never are.

Counting the commas finds the good details that have no quotes, one regular expression the others; only what neither finds is
looked into. The good ones go through pyarrow's CSV reader, all columns as text: NULL, NA and None are text, and an absent value
is the empty string.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from cpis_batch.intake.lines import Lines, Refused, split
from cpis_batch.intake.texts import COUNTED, Texts, number
from cpis_batch.spec import TableSchema

_FIELD = r'(?:[^",\r\n]*|"(?:[^"\r\n]|"")*")'
_END = r"\r?\n?$"
_PADDING = r'(?:,(?: *|""))*'
_KIND = r'^"?(?P<kind>[HDT])"?[ \t]*(?:[,\r\n]|$)'
_LINE_BREAK = r"\r[^\n]"
_BEFORE_DAMAGE = r'^"?D"?,"?(?P<first>[^",\r\n]*)"?,"?(?P<second>[^",\r\n]*)"?,'


_STEP = 32_768  # lines whose bytes are counted at a time: what fits a cache
_KINDS = ("H", "D", "T")  # and none of them: -1
_Codes = npt.NDArray[np.int8]


class Damage(StrEnum):
    """Why a line is not a record."""

    UNCLOSED_QUOTE = "UNCLOSED_QUOTE"
    STRAY_QUOTE = "STRAY_QUOTE"
    LINE_BREAK = "LINE_BREAK"
    TOO_FEW_FIELDS = "TOO_FEW_FIELDS"
    TOO_MANY_FIELDS = "TOO_MANY_FIELDS"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"


_SOUND = -1  # else the place of the damage in this tuple: text would take 80 bytes a line
_DAMAGES = tuple(Damage)


@dataclass(frozen=True, slots=True)
class Form:
    """The Table Schemas of a format's three record types; each begins with `record_type`."""

    header: TableSchema
    detail: TableSchema
    trailer: TableSchema


@dataclass(frozen=True, slots=True, repr=False)
class Single:
    """The record that a file has one of: where one stands, and of the first its damage and its values without the type.

    `values` is None where there is no such record or its quoting is damaged; with too few or too many fields it has those.
    """

    lines: tuple[int, ...]
    values: tuple[str, ...] | None
    damage: Damage | None


@dataclass(frozen=True, slots=True, repr=False)
class Records:
    """A file of the H/D/T family, taken apart. Line numbers are physical, from 1.

    `rows`, in the order of the file, one row a line that is neither header, trailer, heading nor blank: `line` (int32),
    `damage` (string, null where the line is a good D record), then the detail's columns without `record_type` (string).
    Of a damaged line the columns are null, save the first two where they stand whole before the damage.
    """

    header: Single
    trailer: Single
    rows: pa.Table
    first_line: int  # of the first and of the last record; 0 where there is none
    last_line: int
    heading_line: int | None  # of a first line that names the columns
    heading_fits: bool  # and names those of this format
    blank_line: int | None  # the first blank line that has a record after it
    extra_line: int | None  # the first D record with more content than columns, where most of them have


def read_records(data: bytes, form: Form, *, line_bytes: int) -> Records | Refused:
    """Take a file apart. `line_bytes` caps the length of a line. Never raises, whatever the bytes."""
    lines = split(data, line_bytes=line_bytes)
    return lines if isinstance(lines, Refused) else _take_apart(lines, form)


def _take_apart(lines: Lines, form: Form) -> Records:
    filled = np.flatnonzero(~lines.blank)
    heading_line, heading_fits = _heading(lines.text[int(filled[0])].as_py(), int(filled[0]) + 1, form)
    records = filled[1:] if heading_line else filled
    width = len(form.detail.fields)
    good = _good(lines.text, width)
    others = records[~good[records]]

    text = lines.text.take(pa.array(others))
    number = (others + 1).astype(np.int32)
    kind = _kinds(text)
    damage = _damages(text, kind, form)
    detail = kind == _KINDS.index("D")
    padded = detail & (damage == _SOUND)
    harmed = (detail | (kind < 0)) & ~padded

    names = form.detail.names[1:]
    rows = _columns(_those(lines.text, good), (np.flatnonzero(good) + 1).astype(np.int32), names)
    if padded.any() or harmed.any():
        unpadded = _columns(_unpadded(text.filter(pa.array(padded)), width), number[padded], names)
        damaged = _damaged(text.filter(pa.array(harmed)), number[harmed], damage[harmed], names)
        rows = pa.concat_tables([rows, unpadded, damaged]).sort_by("line")
    too_many = number[detail & (damage == _DAMAGES.index(Damage.TOO_MANY_FIELDS))]
    inner_blank = np.flatnonzero(lines.blank[: filled[-1]])
    return Records(
        header=_single("H", text, number, kind, damage, len(form.header.fields)),
        trailer=_single("T", text, number, kind, damage, len(form.trailer.fields)),
        rows=rows,
        first_line=int(records[0]) + 1 if len(records) else 0,
        last_line=int(records[-1]) + 1 if len(records) else 0,
        heading_line=heading_line,
        heading_fits=heading_fits,
        blank_line=int(inner_blank[0]) + 1 if len(inner_blank) else None,
        extra_line=int(too_many[0]) if 2 * len(too_many) > good.sum() + detail.sum() else None,
    )


def _good(text: pa.StringArray, width: int) -> npt.NDArray[np.bool_]:
    """Of each line, whether it is a D record of so many fields, neither damaged nor padded."""
    good = np.zeros(len(text), np.bool_)
    for at in range(0, len(text), _STEP):
        good[at : at + _STEP] = _without_quotes(Texts.of(text.slice(at, _STEP)), width)
    others = np.flatnonzero(~good)
    good[others] = _matches(text.take(pa.array(others)), _of_width("D", width) + _END)
    return good


def _without_quotes(lines: Texts, width: int) -> npt.NDArray[np.bool_]:
    """Of each line, whether it is a D record of so many fields, by its commas: it has no quotes, and only an end of its own.

    In a tenth of the time that the regular expression takes. Nothing is said of a line that is too long to be counted so.
    """
    if not lines.lengths.all():
        return np.zeros(len(lines.lengths), np.bool_)
    last, before = lines.data[lines.ends - 1][1:], lines.data[np.maximum(lines.ends - 2, 0)][1:]
    ends_so = (last == ord("\n")) & (before == ord("\r"))
    found: npt.NDArray[np.bool_] = (
        (lines.head() & 0xFFFF == number(b"D,"))
        & (lines.lengths <= COUNTED)
        & (lines.count(",") == width - 1)
        & ~lines.having('"')
        & (lines.count("\r") == ends_so)
    )
    return found


def _heading(line: str, number: int, form: Form) -> tuple[int | None, bool]:
    """A heading names the detail's columns or, as `UNION ALL` makes it, those of the header, which is selected first."""
    if not line.lower().startswith(("record_type,", '"record_type"')):
        return None, True
    names = tuple(name.strip(' "').lower() for name in line.rstrip(", \r\n").split(","))
    return number, names in (form.detail.names, form.header.names)


def _of_width(kind: str, width: int) -> str:
    return rf'^(?:{kind}|"{kind}")(?:,{_FIELD}){{{width - 1}}}'


def _kinds(text: pa.StringArray) -> _Codes:
    kinds: _Codes = (
        pc.fill_null(pc.index_in(pc.struct_field(pc.extract_regex(text, _KIND), "kind"), pa.array(_KINDS)), -1)
        .to_numpy(zero_copy_only=False)
        .astype(np.int8)
    )
    return kinds


def _damages(text: pa.StringArray, kind: _Codes, form: Form) -> _Codes:
    """What is wrong with each line."""
    damage = np.full(len(text), _DAMAGES.index(Damage.TOO_MANY_FIELDS), np.int8)
    for place, schema in enumerate((form.header, form.detail, form.trailer)):
        width, mine = len(schema.fields), kind == place
        few = _matches(text, rf"^{_FIELD}(?:,{_FIELD}){{0,{width - 2}}}{_END}")
        damage[few & mine] = _DAMAGES.index(Damage.TOO_FEW_FIELDS)
        damage[_matches(text, rf"^{_FIELD}(?:,{_FIELD}){{{width - 1}}}{_PADDING}{_END}") & mine] = _SOUND
    ill_quoted = ~_matches(text, rf"^{_FIELD}(?:,{_FIELD})*{_END}")
    odd = pc.bit_wise_and(pc.count_substring(text, '"'), 1).to_numpy(zero_copy_only=False) == 1
    damage[ill_quoted] = _DAMAGES.index(Damage.STRAY_QUOTE)
    damage[ill_quoted & odd] = _DAMAGES.index(Damage.UNCLOSED_QUOTE)
    damage[_matches(text, _LINE_BREAK)] = _DAMAGES.index(Damage.LINE_BREAK)
    damage[kind < 0] = _DAMAGES.index(Damage.UNKNOWN_TYPE)
    return damage


def _those(text: pa.StringArray, wanted: npt.NDArray[np.bool_]) -> pa.StringArray:
    """The wanted lines, without a copy where they follow each other."""
    first, last = int(np.argmax(wanted)), len(wanted) - int(np.argmax(wanted[::-1]))
    return text.slice(first, last - first) if wanted[first:last].all() else text.filter(pa.array(wanted))


def _unpadded(text: pa.StringArray, width: int) -> pa.StringArray:
    fields = rf"{_FIELD}(?:,{_FIELD}){{{width - 1}}}"  # the type may have a space after it
    return pc.replace_substring_regex(text, rf"^({fields}){_PADDING}{_END}", "\\1\n")


def _single(
    letter: str,
    text: pa.StringArray,
    number: npt.NDArray[np.int32],
    kind: _Codes,
    damage: _Codes,
    width: int,
) -> Single:
    found = np.flatnonzero(kind == _KINDS.index(letter))
    lines = tuple(number[found].tolist())
    if not lines:
        return Single((), None, None)
    harm = None if damage[found[0]] == _SOUND else _DAMAGES[damage[found[0]]]
    if harm not in (None, Damage.TOO_FEW_FIELDS, Damage.TOO_MANY_FIELDS):
        return Single(lines, None, harm)
    values = next(csv.reader([text[int(found[0])].as_py().rstrip("\r\n")]))
    return Single(lines, tuple(values[1:width]), harm)


def _columns(text: pa.StringArray, number: npt.NDArray[np.int32], names: tuple[str, ...]) -> pa.Table:
    """Good D lines as columns of text."""
    if not len(text):
        return _damaged(text, number, np.empty(0, np.int8), names)
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
    table = arrow_csv.read_csv(
        pa.BufferReader(text.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))),
        arrow_csv.ReadOptions(use_threads=False, column_names=["record_type", *names]),
        arrow_csv.ParseOptions(newlines_in_values=False),
        arrow_csv.ConvertOptions(
            check_utf8=False,  # known to be
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
            include_columns=list(names),
        ),
    )
    return table.add_column(0, "damage", pa.nulls(len(text), pa.string())).add_column(0, "line", pa.array(number))


def _damaged(text: pa.StringArray, number: npt.NDArray[np.int32], damage: _Codes, names: tuple[str, ...]) -> pa.Table:
    """Damaged lines: the first two columns where they can be read and stand in their places, the rest null."""
    before = pc.extract_regex(text, _BEFORE_DAMAGE)
    told = pa.DictionaryArray.from_arrays(pa.array(damage), pa.array([str(one) for one in _DAMAGES])).cast(pa.string())
    displaced = pc.is_in(told, pa.array([str(Damage.TOO_FEW_FIELDS), str(Damage.UNKNOWN_TYPE)]))
    columns = {"line": pa.array(number, pa.int32()), "damage": told}
    columns |= {name: pa.nulls(len(number), pa.string()) for name in names}
    for name, group in zip(names, ("first", "second"), strict=False):
        columns[name] = pc.if_else(displaced, pa.scalar(None, pa.string()), pc.struct_field(before, group))
    return pa.table(columns)


def _matches(text: pa.StringArray, pattern: str) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False)
    return found
