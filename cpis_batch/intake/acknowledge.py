"""The answer to one file: what happened in a sentence, counts, every fault, every row's outcome, how it stands with the trace,
what is missing.

Pure: values and tables. Its forms are made in `answer_forms`. Rows are named by line and by the LA's own child id; no NHS
number, name or date of birth is in an answer.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.audit.entry import Head
from cpis_batch.demographics.rate import LINE
from cpis_batch.register.schema import CHANGES
from cpis_batch.vocabulary import Change, ExtractKind, FileOutcome, FileState, Severity

FORMAT, VERSION = "CPIS-ACKNOWLEDGEMENT", "1.0"
_ZIP_LEVEL = 2  # of 9: an answer takes a third of the time of the usual 6, and becomes a fifth larger

FAULTS = pa.schema(
    [
        pa.field("line", pa.int32()),
        pa.field("child_id", pa.string()),
        pa.field("field", pa.string()),
        pa.field("code", pa.string(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("cure", pa.string(), nullable=False),
    ]
)
OUTCOMES = pa.schema(
    [
        pa.field("line", pa.int32(), nullable=False),
        pa.field("child_id", pa.string()),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("loaded", pa.bool_(), nullable=False),
        pa.field("nhs_number_status", pa.string()),
        pa.field("provisional", pa.bool_(), nullable=False),
    ]
)
TO_CHECK = pa.schema(
    [
        pa.field("line", pa.int32(), nullable=False),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("check", pa.string()),
        pa.field("what_to_check", pa.string(), nullable=False),
    ]
)
MISSING = pa.schema(
    [
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("start_date", pa.date32(), nullable=False),
        pa.field("missing_since", pa.date32(), nullable=False),
    ]
)


class Notice(msgspec.Struct, frozen=True):
    """Something the LA should know that is not a fault of one row: a gap, a heartbeat, a key about to expire."""

    code: str
    text: str
    cure: str = ""


class Rated(msgspec.Struct, frozen=True):
    """A match rate of an earlier day, in hundredths of a percent."""

    counted_on: date
    rate: int


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """How well the authority's people match PDS (rate.RATES), as last counted. `rate` and `change` in hundredths of a percent.

    `trend`: the last count of each week before and of this one, the oldest first; those without a rate are left out.
    """

    counted_on: date
    people: int
    answered: int
    matched: int
    rate: int | None
    below_line: bool
    change: int | None
    trend: tuple[Rated, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an answer says. Tables have the schemas above; `changes` is register.schema.CHANGES."""

    reference: str
    la_code: str
    la_name: str
    file_name: str
    file_digest: str
    received_at: datetime
    answered_at: datetime
    state: FileState
    outcome: FileOutcome | None  # None: held, there will be an acknowledgement later
    audit: Head  # where our audit log stood when the run began that answers
    code: str | None = None
    sequence: int = -1
    kind: ExtractKind | None = None
    extracted_at: datetime | None = None
    faults: pa.Table = FAULTS.empty_table()
    outcomes: pa.Table = OUTCOMES.empty_table()
    changes: pa.Table = CHANGES.empty_table()
    missing: pa.Table = MISSING.empty_table()
    match: Match | None = None  # None before the first trace
    to_check: pa.Table = TO_CHECK.empty_table()
    notices: tuple[Notice, ...] = ()
    holds: tuple[str, ...] = ()


def counts(answer: Answer) -> dict[str, int]:
    """The counts of an answer: rows, by outcome, loaded, provisional, warned, changes by kind, missing. Never capped."""
    found = {"rows": answer.outcomes.num_rows}
    for name in ("loaded", "provisional"):
        found[f"rows_{name}"] = pc.sum(answer.outcomes[name]).as_py() or 0
    for value in answer.outcomes["outcome"].value_counts().to_pylist():
        found[value["values"]] = value["counts"]
    warned = answer.faults.filter(pc.equal(answer.faults["severity"], Severity.WARNING))
    found["rows_with_warning"] = pc.count_distinct(warned["line"]).as_py()
    for value in answer.changes["change"].value_counts().to_pylist():
        found[value["values"]] = value["counts"]
    found[Change.MISSING] = answer.missing.num_rows
    return found


def sentence(answer: Answer, tally: Mapping[str, int]) -> str:
    """What happened, in one or two plain sentences."""
    loaded, rejected = tally["rows_loaded"], tally["rows"] - tally["rows_loaded"]
    match answer.state, answer.outcome:
        case FileState.HELD, _:
            return "We have this file and have not used it yet. Nothing has changed. " + " ".join(answer.holds)
        case FileState.DUPLICATE, _:
            return "We already have this very file. Nothing has changed, and you need do nothing."
        case FileState.STALE, _:
            return "This file is older than one that we have already used. It was kept and not used; nothing has changed."
        case FileState.REFUSED, FileOutcome.UNREADABLE if not answer.faults.num_rows:
            return "We could not read this file. Nothing has changed. Please make the file again and send it again."
        case FileState.REFUSED, FileOutcome.VERSION_NOT_SUPPORTED:
            return "This file is in a version of the format that we do not take. Nothing has changed."
        case FileState.REFUSED, _:
            return "We did not use this file. Nothing has changed. See below for what is wrong and how to mend it."
        case _, FileOutcome.ALL_LOADED if not tally["rows"]:
            return "We read this file and it holds no rows. Nothing has changed."
        case _, FileOutcome.ALL_LOADED:
            return f"We loaded every row of this file: {loaded:,}."
        case _, FileOutcome.NONE_LOADED:
            return f"We read this file and could load none of its {rejected:,} rows. What we held before still stands."
        case _:
            return (
                f"We loaded {loaded:,} rows of this file. {rejected:,} did not get in; what we held of them before still stands."
            )


def match_sentence(match: Match) -> str:
    """The rate against the line, and where it is going."""
    if match.rate is None:
        return "None of your people has been answered for yet."
    trend = f" {abs(match.change) / 100:.2f} points {'up' if match.change > 0 else 'down'} in four weeks." if match.change else ""
    side = "below" if match.below_line else "not below"
    return f"{match.rate / 100:.2f}% of those answered for match PDS, {side} the line of {LINE}%.{trend}"


def bundle(members: Mapping[str, bytes | Iterator[bytes]]) -> bytes:
    """A zip of the given files with fixed times, so that the same content is the same bytes; of a large file its pieces are taken
    one after the other, so that it need not be held."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            if isinstance(data, bytes):
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED, _ZIP_LEVEL)
                continue
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry._compresslevel = _ZIP_LEVEL  # type: ignore[attr-defined]  # no public name before Python 3.13
            with archive.open(entry, "w", force_zip64=True) as stream:
                for piece in data:
                    stream.write(piece)
    return buffer.getvalue()


def told(table: pa.Table) -> list[dict[str, Any]]:
    """Rows with their dates as text: Arrow prints a date in a tenth of the time that it takes to make Python's of it."""
    for place, field in enumerate(table.schema):
        if pa.types.is_date(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
