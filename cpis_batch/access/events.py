"""Access events from the national service: one file taken apart, judged, and each event counted once.

The format is specs/access-events/1.0, of the same family as the LA extract. Pure: bytes and tables in, tables out; bad
data is a value. A row with an ERROR is not an event of ours and its id is not taken as seen, so that the sender can mend
it and send it again; every row is named in the answer, none is lost silently.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from cpis_batch.access.event_rules import RULES, VERSION, judge
from cpis_batch.access.reference import AccessReference
from cpis_batch.access.schema import EVENTS
from cpis_batch.engine import query
from cpis_batch.intake.frame import FAULTS, Format, Header, Unframed, outcome_of, read_frame, row_faults, rows_rejected
from cpis_batch.intake.records import Form
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Environment, FileOutcome

FORMAT = Format(
    "CPIS-ACCESS-EVENTS",
    (VERSION,),
    "CPE",
    Form(*(table_schema("access-events", VERSION, part) for part in ("header", "detail", "trailer"))),
)


@dataclass(frozen=True, slots=True)
class EventsReading:
    """What a file of events came to. `events`: EVENTS, each event id once; `faults`: FAULTS, by line.

    `rows` are the lines between header and trailer that are not blank, whatever they hold; `rejected` ones are kept out by
    an ERROR, `repeated` ones are there again with the same content. They add up, rows = events + rejected + repeated,
    and all are nought where the file is refused whole.
    """

    outcome: FileOutcome
    header: Header | None = None
    events: pa.Table = field(default_factory=EVENTS.empty_table)
    faults: pa.Table = field(default_factory=FAULTS.empty_table)
    rows: int = 0
    rejected: int = 0
    repeated: int = 0

    @property
    def loaded(self) -> int:
        """How many rows are events of ours."""
        return int(self.events.num_rows)


def read_events(data: bytes, reference: AccessReference, *, environment: Environment, line_bytes: int) -> EventsReading:
    """Read the plaintext of one events file. `environment` is the hub's; `line_bytes` caps a line. Never raises on content."""
    framed = read_frame(data, FORMAT, environment=environment, line_bytes=line_bytes)
    if isinstance(framed, Unframed):
        return EventsReading(framed.outcome, framed.header, faults=framed.faults)
    found, events = judge(framed.rows, reference, environment, framed.header.extracted_at)
    faults = row_faults(framed.rows, found, FORMAT, RULES)
    rows, rejected = framed.rows.num_rows, rows_rejected(faults)
    return EventsReading(
        outcome=outcome_of(rows, rejected),
        header=framed.header,
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
