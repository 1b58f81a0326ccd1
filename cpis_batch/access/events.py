"""Access events from the national service: one file taken apart, judged, and each event counted once.

The format is specs/access-events/1.0, of the same family as the LA extract. Pure: bytes and tables in, tables out; bad
data is a value. A row with an ERROR is not an event of ours and its id is not taken as seen, so that the sender can mend
it and send it again; every row is named in the answer, none is lost silently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from cpis_batch.access.event_rules import RULES, VERSION, judge
from cpis_batch.access.reference import AccessReference
from cpis_batch.access.schema import EVENTS, FAULTS
from cpis_batch.engine import query
from cpis_batch.intake.lines import Refused
from cpis_batch.intake.records import Damage, Form, Records, read_records
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Environment, FileOutcome, Severity

FORMAT = "CPIS-ACCESS-EVENTS"
VERSIONS = (VERSION,)
_FORM = Form(*(table_schema("access-events", VERSION, part) for part in ("header", "detail", "trailer")))
_AGAIN = "Make the file again and send it again."
_DAMAGED = {
    Damage.UNCLOSED_QUOTE: (
        "CPE-101",
        "A quote is opened and not closed.",
        "Quote as RFC 4180 says; double a quote inside quotes.",
    ),
    Damage.STRAY_QUOTE: ("CPE-101", "A quote stands where none may be.", "Quote as RFC 4180 says; double a quote inside quotes."),
    Damage.LINE_BREAK: ("CPE-101", "A line break stands inside the record.", "No field of this format holds a line break."),
    Damage.TOO_FEW_FIELDS: ("CPE-102", "The record has too few fields.", "Send all fields of the format, empty ones too."),
    Damage.TOO_MANY_FIELDS: ("CPE-102", "The record has too many fields.", "Send the fields of the format and no other."),
    Damage.UNKNOWN_TYPE: ("CPE-103", "The line begins with none of H, D and T.", "Send records of these three types alone."),
}


@dataclass(frozen=True, slots=True)
class EventsHeader:
    """What the first line says of the file."""

    environment: Environment
    sequence: int
    extracted_at: datetime


@dataclass(frozen=True, slots=True)
class EventsReading:
    """What a file of events came to. `events`: EVENTS, each event id once; `faults`: FAULTS, by line.

    `rows` are the lines between header and trailer that are not blank, whatever they hold; `rejected` ones are kept out by
    an ERROR, `repeated` ones are there again with the same content. They add up, rows = events + rejected + repeated,
    and all are nought where the file is refused whole.
    """

    outcome: FileOutcome
    header: EventsHeader | None = None
    events: pa.Table = field(default_factory=EVENTS.empty_table)
    faults: pa.Table = field(default_factory=FAULTS.empty_table)
    rows: int = 0
    rejected: int = 0
    repeated: int = 0


def read_events(data: bytes, reference: AccessReference, *, environment: Environment, line_bytes: int) -> EventsReading:
    """Read the plaintext of one events file. `environment` is the hub's; `line_bytes` caps a line. Never raises on content."""
    records = read_records(data, _FORM, line_bytes=line_bytes)
    if isinstance(records, Refused):
        return _refuse(FileOutcome.UNREADABLE, records.line, None, "CPE-001", *_not_lines(records))
    header = _header(records, environment)
    if isinstance(header, EventsReading):
        return header
    if ill := _trailer(records, header):
        return ill
    found, events = judge(records.rows, reference, environment, header.extracted_at)
    faults = _faults(records.rows, found)
    rejected = query("SELECT count(DISTINCT line) AS n FROM faults WHERE severity = 'ERROR'", {"faults": faults})["n"][0].as_py()
    rows = records.rows.num_rows
    return EventsReading(
        outcome=_outcome(rows, rejected),
        header=header,
        events=events.cast(EVENTS),
        faults=faults,
        rows=rows,
        rejected=rejected,
        repeated=rows - rejected - events.num_rows,
    )


def unseen(events: pa.Table, seen_ids: pa.ChunkedArray | pa.Array, waiting: pa.Table | None = None) -> pa.Table:
    """EVENTS whose id is not in `seen_ids` (string), by time, each once; `events` are of any number of files.

    `waiting` is what `withheld.sift` left waiting in earlier runs: it is looked at again, and gives way to an event of
    the same id that was sent since. Seen is what is settled: told, untold, silent or withheld. Should two files of one
    run give one id to events that differ, both are in it, and `withheld.sift` takes the one that is told the least.
    """
    content = ", ".join(name for name in EVENTS.names if name != "line")
    return query(
        f"""
        SELECT * EXCLUDE (age)
        FROM (SELECT 0 AS age, * FROM events UNION ALL SELECT 1, * FROM waiting) ANTI JOIN seen USING (event_id)
        QUALIFY age = min(age) OVER (PARTITION BY event_id)
            AND row_number() OVER (PARTITION BY {content} ORDER BY age, line) = 1
        ORDER BY accessed_at, event_id, line
        """,
        {
            "events": events,
            "waiting": EVENTS.empty_table() if waiting is None else waiting,
            "seen": pa.table({"event_id": seen_ids.cast(pa.string())}),
        },
    ).cast(EVENTS)


def _outcome(rows: int, rejected: int) -> FileOutcome:
    if not rejected:
        return FileOutcome.ALL_LOADED
    return FileOutcome.PARTIAL if rejected < rows else FileOutcome.NONE_LOADED


def _refuse(
    outcome: FileOutcome, line: int | None, name: str | None, code: str, cause: str, cure: str, header: EventsHeader | None = None
) -> EventsReading:
    fault = {"line": line, "field": name, "code": code, "severity": Severity.ERROR, "cause": cause, "cure": cure}
    return EventsReading(outcome, header, faults=pa.Table.from_pylist([fault], schema=FAULTS))


def _not_lines(refused: Refused) -> tuple[str, str]:
    cause = f"This is not a file of lines in UTF-8 with commas: {refused.why.replace('_', ' ').lower()}."
    return cause, "Write it in UTF-8 as RFC 4180 says, lines ended by CRLF or LF. " + _AGAIN


def _header(records: Records, environment: Environment) -> EventsHeader | EventsReading:
    if not records.heading_fits:
        return _refuse(
            FileOutcome.UNREADABLE, records.heading_line, None, "CPE-009", "The heading names other columns than this format's.",
            "Name them as the specification does, in its order, or leave the heading out.",
        )  # fmt: skip
    values, at = records.header.values, records.first_line
    if values is None or records.header.lines != (at,):
        return _refuse(
            FileOutcome.UNREADABLE, at, None, "CPE-002", "The file does not begin with one whole H line.",
            "Begin with the header and have it once. " + _AGAIN,
        )  # fmt: skip
    given = dict(zip(_FORM.header.names[1:], values, strict=False))  # another version may have other fields
    if given.get("format") != FORMAT:
        return _refuse(
            FileOutcome.UNREADABLE,
            at,
            "format",
            "CPE-003",
            "The header names another format.",
            f"Send {FORMAT} files alone here.",
        )
    if given.get("version") not in VERSIONS:
        return _refuse(
            FileOutcome.VERSION_NOT_SUPPORTED, at, "version", "CPE-004", "We do not take this version of the format.",
            f"Send one of: {', '.join(VERSIONS)}.",
        )  # fmt: skip
    if records.header.damage:
        return _refuse(FileOutcome.UNREADABLE, at, None, "CPE-002", "The H line has too few or too many fields.", _AGAIN)
    extracted_at = _instant(given["extracted_at"])
    if not re.fullmatch("[0-9]{1,8}", given["sequence"]) or not int(given["sequence"]) or extracted_at is None:
        wrong = "sequence" if extracted_at else "extracted_at"
        return _refuse(
            FileOutcome.UNREADABLE, at, wrong, "CPE-005", f"The header's {wrong} cannot be read.",
            "The sequence is a whole number from 1; the time is ISO 8601 with a zone, as 2026-11-19T23:40:00Z.",
        )  # fmt: skip
    if given["environment"] != environment:
        return _refuse(
            FileOutcome.NONE_LOADED, at, "environment", "CPE-006", f"This hub is {environment}, and the file is not made for it.",
            "Send TEST files to the test hub and LIVE files to the live one.",
        )  # fmt: skip
    return EventsHeader(environment, int(given["sequence"]), extracted_at)


def _instant(text: str) -> datetime | None:
    pattern = {named.name: named.constraints.pattern for named in _FORM.header.fields}["extracted_at"]
    if pattern is None or not re.fullmatch(pattern, text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # the 31st of February
        return None


def _trailer(records: Records, header: EventsHeader) -> EventsReading | None:
    values, lines = records.trailer.values, records.trailer.lines
    if values is None or records.trailer.damage or lines != (records.last_line,):
        return _refuse(
            FileOutcome.UNREADABLE, records.last_line, None, "CPE-007", "The file does not end with one whole T line.",
            "The file may have been cut short. " + _AGAIN, header,
        )  # fmt: skip
    details = query("SELECT count(*) AS n FROM rows WHERE damage IS DISTINCT FROM 'UNKNOWN_TYPE'", {"rows": records.rows})
    if not re.fullmatch("[0-9]{1,9}", values[0]) or int(values[0]) != details["n"][0].as_py():
        return _refuse(
            FileOutcome.UNREADABLE, lines[0], "record_count", "CPE-008", "The trailer's count is not the number of D lines.",
            "Rows were lost or added on the way. " + _AGAIN, header,
        )  # fmt: skip
    return None


def _faults(rows: pa.Table, found: pa.Table) -> pa.Table:
    """FAULTS of damaged lines and of rules, by line and code."""
    damages = [{"damage": damage, "code": code, "cause": cause, "cure": cure} for damage, (code, cause, cure) in _DAMAGED.items()]
    rules = [
        {"code": rule.code, "field": rule.fields[0], "severity": rule.severity, "cause": rule.cause, "cure": rule.cure}
        for rule in RULES
    ]
    return query(
        """
        SELECT line, NULL AS field, code, 'ERROR' AS severity, cause, cure FROM rows JOIN damages USING (damage)
        UNION ALL
        SELECT line, field, code, severity, cause, cure FROM found JOIN rules USING (code)
        ORDER BY line, code
        """,
        {"rows": rows, "damages": pa.Table.from_pylist(damages), "found": found, "rules": pa.Table.from_pylist(rules)},
    ).cast(FAULTS)
