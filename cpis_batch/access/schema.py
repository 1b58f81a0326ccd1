"""The columns of the tables that pass between the rooms of `access`.

EVENTS, one row an event that the reader let through. `accessed_at` is UTC; `notifies_la` is false for a silent read
alone (a missing flag means unscheduled care, which notifies); `line` is its physical line in the file it came in. What
the sender left out and may leave out is null.

REPORT, one row an authority and event: specs/access-report/1.0 in Arrow.

EVENT_IDS, what is kept of an event once its person was erased.
"""

from __future__ import annotations

import pyarrow as pa

INSTANT = pa.timestamp("us", tz="UTC")

EVENTS = pa.schema(
    [
        pa.field("line", pa.int32(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("accessed_at", INSTANT, nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("author_kind", pa.string(), nullable=False),
        pa.field("author_name", pa.string()),
        pa.field("job_role", pa.string()),
        pa.field("responsible_person", pa.string()),
        pa.field("organisation_code", pa.string(), nullable=False),
        pa.field("organisation_name", pa.string()),
        pa.field("care_setting", pa.string(), nullable=False),
        pa.field("notifies_la", pa.bool_(), nullable=False),
    ]
)

EVENT_IDS = pa.schema([EVENTS.field("event_id")])

REPORT = pa.schema(
    [
        pa.field("report_id", pa.string(), nullable=False),
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("accessed_at", INSTANT, nullable=False),
        pa.field("accessed_at_local", pa.string(), nullable=False),
        pa.field("author_kind", pa.string(), nullable=False),
        pa.field("author_name", pa.string()),
        pa.field("job_role", pa.string()),
        pa.field("responsible_person", pa.string()),
        pa.field("organisation_code", pa.string(), nullable=False),
        pa.field("organisation_name", pa.string()),
        pa.field("care_setting_code", pa.string(), nullable=False),
        pa.field("care_setting", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("plan_types", pa.string(), nullable=False),
        pa.field("out_of_area", pa.string()),
    ]
)
