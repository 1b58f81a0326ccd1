"""What goes out of the trace, but for the request: the answer to a response, and an authority's match report.

The answer names lines, fields and codes, and no value of a row: what became of a person is not the service's to learn from us.
"""

from __future__ import annotations

import pyarrow as pa

from cpis_batch import csv_text
from cpis_batch.audit.entry import Head
from cpis_batch.audit.witness import WITNESS
from cpis_batch.demographics.response import ResponseReading
from cpis_batch.errors import Bug
from cpis_batch.spec import table_schema

VERSION = "1.0"


def answer(reading: ResponseReading, audit: Head) -> dict[str, bytes]:
    """The answer to a response (specs/trace-response/1.0, answer), by name of the file. `audit`: where the audit log stands."""
    counts = {
        "rows": reading.rows,
        "accepted": reading.loaded,
        "rejected": reading.rejected,
        "repeated": reading.repeated,
    }
    schema = pa.schema(
        [
            pa.field(field.name, pa.int64() if field.type == "integer" else pa.string())
            for field in table_schema("trace-response", VERSION, "answer").fields
        ]
    )
    said = [
        {"kind": "FILE", "code": reading.outcome},
        *({"kind": "COUNT", "code": name, "count": number} for name, number in counts.items()),
        {"kind": "AUDIT", "code": str(audit), "text": WITNESS},
        *(
            {"kind": "FAULT"} | {("text" if name == "cause" else name): value for name, value in fault.items()}
            for fault in reading.faults.to_pylist()
        ),
    ]
    return {"answer.csv": csv_text.to_csv(pa.Table.from_pylist(said, schema=schema))}


def match_report(rates: pa.Table, listed: pa.Table, *, la_code: str) -> dict[str, bytes]:
    """One authority's match report (specs/match-report/1.0) from its row of rate.RATES and its rows of rate.TO_CHECK.

    Bug where a row is another authority's.
    """
    if set(rates["la_code"].to_pylist()) | set(listed["la_code"].to_pylist()) - {la_code} != {la_code}:
        raise Bug(f"A match report for {la_code} holds rows of another authority.", "Report it with the run's log.")
    parts = {"match-rate.csv": (rates, "rate"), "to-check.csv": (listed, "to-check")}
    return {
        name: csv_text.to_csv(table.select(table_schema("match-report", VERSION, part).names))
        for name, (table, part) in parts.items()
    }
