"""What files of the H/D/T family have in common, those of authorities apart: one whole header, one whole trailer, their rows.

The national service and the trace service are two parties with one sequence each, so a file of theirs that is not
whole is refused in few words; an authority's extract is held to many more rules (`intake.file_facts`). A fault has the
number told here behind the letters of its format: CPE-007 in a file of access events is CPT-007 in a trace response.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from cpis_batch import engine
from cpis_batch.engine import query
from cpis_batch.intake.lines import Refused
from cpis_batch.intake.records import Damage, Form, Records, read_records
from cpis_batch.intake.rules.rule import Rule
from cpis_batch.vocabulary import Environment, FileOutcome, Severity

# What is wrong with a file: `line` and `field` are null where it is the file as a whole.
FAULTS = pa.schema(
    [
        pa.field("line", pa.int32()),
        pa.field("field", pa.string()),
        pa.field("code", pa.string(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("cure", pa.string(), nullable=False),
    ]
)

FILE_CODES = tuple(f"00{number}" for number in range(1, 10))
_AGAIN = "Make the file again and send it again."
_DAMAGED = {
    Damage.UNCLOSED_QUOTE: (
        "101",
        "A quote is opened and not closed.",
        "Quote as RFC 4180 says; double a quote inside quotes.",
    ),
    Damage.STRAY_QUOTE: ("101", "A quote stands where none may be.", "Quote as RFC 4180 says; double a quote inside quotes."),
    Damage.LINE_BREAK: ("101", "A line break stands inside the record.", "No field of this format holds a line break."),
    Damage.TOO_FEW_FIELDS: ("102", "The record has too few fields.", "Send all fields of the format, empty ones too."),
    Damage.TOO_MANY_FIELDS: ("102", "The record has too many fields.", "Send the fields of the format and no other."),
    Damage.UNKNOWN_TYPE: ("103", "The line begins with none of H, D and T.", "Send records of these three types alone."),
}
LINE_CODES = tuple(sorted({code for code, _, _ in _DAMAGED.values()}))


@dataclass(frozen=True, slots=True)
class Format:
    """A format of the family: its name in the header, the versions taken, the letters of its codes, its records."""

    name: str
    versions: tuple[str, ...]
    letters: str
    form: Form


@dataclass(frozen=True, slots=True)
class Header:
    """What the first line says of the file. `extracted_at` is when its rows were taken from the sender's system."""

    environment: Environment
    sequence: int
    extracted_at: datetime


@dataclass(frozen=True, slots=True)
class Framed:
    """A whole file: what its header says, and `intake.records.Records.rows`, damaged ones too."""

    header: Header
    rows: pa.Table


@dataclass(frozen=True, slots=True)
class Unframed:
    """A file that is refused whole: its outcome, the one fault (FAULTS), and the header where that could be read."""

    outcome: FileOutcome
    faults: pa.Table
    header: Header | None = None


def read_frame(data: bytes, of: Format, *, environment: Environment, line_bytes: int) -> Framed | Unframed:
    """Take a file apart and hold header and trailer to the format. `environment` is the hub's. Never raises on content."""
    records = read_records(data, of.form, line_bytes=line_bytes)
    if isinstance(records, Refused):
        return _refuse(of, FileOutcome.UNREADABLE, records.line, None, "001", *_not_lines(records))
    header = _header(records, of, environment)
    if isinstance(header, Unframed):
        return header
    return _trailer(records, of, header) or Framed(header, records.rows)


def row_faults(rows: pa.Table, found: pa.Table, of: Format, rules: tuple[Rule, ...]) -> pa.Table:
    """FAULTS of damaged lines and of broken rules, by line and code. `found` has line and code of those broken."""
    damages = [
        {"damage": damage, "code": f"{of.letters}-{code}", "cause": cause, "cure": cure}
        for damage, (code, cause, cure) in _DAMAGED.items()
    ]
    told = [
        {"code": rule.code, "field": rule.fields[0], "severity": rule.severity, "cause": rule.cause, "cure": rule.cure}
        for rule in rules
    ]
    return query(
        """
        SELECT line, NULL AS field, code, 'ERROR' AS severity, cause, cure FROM rows JOIN damages USING (damage)
        UNION ALL
        SELECT line, field, code, severity, cause, cure FROM found JOIN rules USING (code)
        ORDER BY line, code
        """,
        {"rows": rows, "damages": pa.Table.from_pylist(damages), "found": found, "rules": pa.Table.from_pylist(told)},
    ).cast(FAULTS)


def rows_rejected(faults: pa.Table) -> int:
    """How many lines an ERROR keeps out."""
    ((rejected,),) = engine.values("SELECT count(DISTINCT line) FROM faults WHERE severity = 'ERROR'", {"faults": faults})
    return int(rejected)


def outcome_of(rows: int, rejected: int) -> FileOutcome:
    """The outcome of a whole file, by how many of its rows were kept out."""
    if not rejected:
        return FileOutcome.ALL_LOADED
    return FileOutcome.PARTIAL if rejected < rows else FileOutcome.NONE_LOADED


def _refuse(
    of: Format,
    outcome: FileOutcome,
    line: int | None,
    name: str | None,
    code: str,
    cause: str,
    cure: str,
    header: Header | None = None,
) -> Unframed:
    fault = {
        "line": line,
        "field": name,
        "code": f"{of.letters}-{code}",
        "severity": Severity.ERROR,
        "cause": cause,
        "cure": cure,
    }
    return Unframed(outcome, pa.Table.from_pylist([fault], schema=FAULTS), header)


def _not_lines(refused: Refused) -> tuple[str, str]:
    cause = f"This is not a file of lines in UTF-8 with commas: {refused.why.replace('_', ' ').lower()}."
    return cause, "Write it in UTF-8 as RFC 4180 says, lines ended by CRLF or LF. " + _AGAIN


def _header(records: Records, of: Format, environment: Environment) -> Header | Unframed:
    if not records.heading_fits:
        return _refuse(
            of, FileOutcome.UNREADABLE, records.heading_line, None, "009",
            "The heading names other columns than this format's.",
            "Name them as the specification does, in its order, or leave the heading out.",
        )  # fmt: skip
    values, at = records.header.values, records.first_line
    if values is None or records.header.lines != (at,):
        return _refuse(
            of, FileOutcome.UNREADABLE, at, None, "002", "The file does not begin with one whole H line.",
            "Begin with the header and have it once. " + _AGAIN,
        )  # fmt: skip
    given = dict(zip(of.form.header.names[1:], values, strict=False))  # another version may have other fields
    if given.get("format") != of.name:
        return _refuse(
            of, FileOutcome.UNREADABLE, at, "format", "003", "The header names another format.",
            f"Send {of.name} files alone here.",
        )  # fmt: skip
    if given.get("version") not in of.versions:
        return _refuse(
            of, FileOutcome.VERSION_NOT_SUPPORTED, at, "version", "004", "We do not take this version of the format.",
            f"Send one of: {', '.join(of.versions)}.",
        )  # fmt: skip
    if records.header.damage:
        return _refuse(of, FileOutcome.UNREADABLE, at, None, "002", "The H line has too few or too many fields.", _AGAIN)
    extracted_at = _instant(given["extracted_at"], of)
    if not re.fullmatch("[0-9]{1,8}", given["sequence"]) or not int(given["sequence"]) or extracted_at is None:
        wrong = "sequence" if extracted_at else "extracted_at"
        return _refuse(
            of, FileOutcome.UNREADABLE, at, wrong, "005", f"The header's {wrong} cannot be read.",
            "The sequence is a whole number from 1; the time is ISO 8601 with a zone, as 2026-11-19T23:40:00Z.",
        )  # fmt: skip
    if given["environment"] != environment:
        return _refuse(
            of, FileOutcome.NONE_LOADED, at, "environment", "006",
            f"This hub is {environment}, and the file is not made for it.",
            "Send TEST files to the test hub and LIVE files to the live one.",
        )  # fmt: skip
    return Header(environment, int(given["sequence"]), extracted_at)


def _instant(text: str, of: Format) -> datetime | None:
    pattern = {named.name: named.constraints.pattern for named in of.form.header.fields}["extracted_at"]
    if pattern is None or not re.fullmatch(pattern, text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # the 31st of February
        return None


def _trailer(records: Records, of: Format, header: Header) -> Unframed | None:
    values, lines = records.trailer.values, records.trailer.lines
    if values is None or records.trailer.damage or lines != (records.last_line,):
        return _refuse(
            of, FileOutcome.UNREADABLE, records.last_line, None, "007", "The file does not end with one whole T line.",
            "The file may have been cut short. " + _AGAIN, header,
        )  # fmt: skip
    ((details,),) = engine.values(
        "SELECT count(*) FROM rows WHERE damage IS DISTINCT FROM 'UNKNOWN_TYPE'", {"rows": records.rows}
    )
    if not re.fullmatch("[0-9]{1,9}", values[0]) or int(values[0]) != details:
        return _refuse(
            of, FileOutcome.UNREADABLE, lines[0], "record_count", "008", "The trailer's count is not the number of D lines.",
            "Rows were lost or added on the way. " + _AGAIN, header,
        )  # fmt: skip
    return None
