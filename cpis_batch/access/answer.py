"""The answer to one file of access events, for the national service: counts, and every fault by line.

CSV and JSON of one content (specs/access-events/1.0, answer). It names lines, fields and codes; no value of a row, and
nothing of what became of an event further on: whether a person has a plan is not the sender's to learn from us.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import pyarrow as pa

from cpis_batch import csv_text
from cpis_batch.access.events import EventsReading
from cpis_batch.audit.entry import Head
from cpis_batch.audit.witness import WITNESS
from cpis_batch.business_time import text_of
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import FileOutcome

FORMAT, VERSION = "CPIS-ACCESS-EVENTS-ANSWER", "1.0"


class EventsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered. `already_known`: how many of the accepted events an earlier file brought, so that they count no more."""

    file_name: str
    file_digest: str
    received_at: datetime
    answered_at: datetime
    reading: EventsReading
    audit: Head  # where our audit log stood when the run began that answers
    already_known: int = 0


def counts(answer: EventsAnswer) -> dict[str, int]:
    """Rows by what became of them, rows = accepted + rejected + repeated; how many of the accepted are new; faults, uncapped."""
    reading = answer.reading
    severities = reading.faults["severity"].to_pylist()
    return {
        "rows": reading.rows,
        "accepted": reading.events.num_rows,
        "new": reading.events.num_rows - answer.already_known,
        "rejected": reading.rejected,
        "repeated": reading.repeated,
        "errors": severities.count("ERROR"),
        "warnings": severities.count("WARNING"),
    }


def sentence(answer: EventsAnswer) -> str:
    """What happened, in plain words."""
    reading = answer.reading
    match reading.outcome:
        case FileOutcome.ALL_LOADED:
            return f"We took every event of this file: {reading.events.num_rows:,}."
        case FileOutcome.PARTIAL:
            return f"We took {reading.events.num_rows:,} events of this file. Rows that did not get in: {reading.rejected:,}."
        case FileOutcome.NONE_LOADED if reading.rows:
            return f"We could take no row of this file. Rows: {reading.rows:,}."
        case _:
            return "We did not use this file. Nothing has changed."


def to_json(answer: EventsAnswer) -> bytes:
    """The answer as one JSON document. Versions are only ever added to."""
    header = answer.reading.header
    document = {
        "format": FORMAT,
        "version": VERSION,
        "answered_at": text_of(answer.answered_at),
        "file": {
            "name": answer.file_name,
            "digest": answer.file_digest,
            "received_at": text_of(answer.received_at),
            "sequence": header.sequence if header else -1,
            "outcome": answer.reading.outcome,
        },
        "sentence": sentence(answer),
        "counts": counts(answer),
        "faults": answer.reading.faults.to_pylist(),
        "audit": answer.audit,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def to_csv(answer: EventsAnswer) -> bytes:
    """The answer as CSV: a FILE row, the COUNT rows, the AUDIT row, the FAULT rows by line."""
    schema = pa.schema(
        [
            pa.field(field.name, pa.int64() if field.type == "integer" else pa.string())
            for field in table_schema("access-events", VERSION, "answer").fields
        ]
    )
    said = [
        {"kind": "FILE", "code": answer.reading.outcome, "text": sentence(answer)},
        *({"kind": "COUNT", "code": name, "count": number} for name, number in counts(answer).items()),
        {"kind": "AUDIT", "code": str(answer.audit), "text": WITNESS},
    ]
    faults = answer.reading.faults.rename_columns({"cause": "text"}).append_column(
        "kind", pa.array(["FAULT"] * answer.reading.faults.num_rows, pa.string())
    )
    tables = [pa.Table.from_pylist(said, schema=schema), faults]
    return csv_text.to_csv(pa.concat_tables(tables, promote_options="permissive").select(schema.names).cast(schema))
