"""Inactive NHS Number Notifications (message type 06): whom to tell tonight that a number they hold is no longer current.

Each authority is told of its own rows, once: again only where there is news, another number in the place of the one that was
told. With SUPERSEDED the current number is told; the authority's key is not rewritten (FAULTS F47). With NO_REPLACEMENT
none is, ever, and should a number have been told before, it goes from what is kept of that too (F48).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import csv_text
from cpis_batch.engine import query
from cpis_batch.errors import Bug
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Inactive, MessageType

VERSION = "1.0"

# What has been told: a row an authority, local id, number and news.
TOLD = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("current_nhs_number", pa.string()),
    ]
)
NOTICES = pa.schema([*TOLD, pa.field("noticed_on", pa.date32(), nullable=False)])

WHAT_TO_DO = {
    Inactive.SUPERSEDED: "Put the current number into the child's record and send the plan under it, and the row of the old"
    " number once more with a delete date. Until then the plan is shown under the old number.",
    Inactive.NO_REPLACEMENT: "There is no number to put in its place, and none will be given. Do not look for one. The plan"
    " stays as it is until you end it. Any later plan for this person belongs to a new record with an id of its own.",
}


@dataclass(frozen=True, slots=True, repr=False)
class Told:
    """`fresh`: NOTICES to be sent tonight, by authority; `told`: TOLD once they are sent."""

    fresh: pa.Table
    told: pa.Table


def concerned(plans: pa.Table, persons: pa.Table, told: pa.Table) -> pa.Table:
    """Of `plans` (register.schema.PLANS) those of numbers that are inactive or that a notification has been sent of."""
    inactive = persons.filter(pc.is_valid(persons["inactive"]))["nhs_number"]
    numbers = pa.chunked_array([*inactive.chunks, *told["nhs_number"].chunks], pa.string())
    return plans.filter(pc.is_in(plans["nhs_number"], numbers.combine_chunks()))


def notices(standing: pa.Table, told: pa.Table, *, on: date) -> Told:
    """What is news in tonight's STANDING of all plans (ended ones of the tail too; at least of those `concerned`), against TOLD.

    What was told of a number that nobody holds any more is left out of the result.
    """
    now = query(
        """
        SELECT DISTINCT la_code, nhs_number, child_id, inactive AS reason, current_number AS current_nhs_number
        FROM standing WHERE inactive IS NOT NULL ORDER BY ALL
        """,
        {"standing": standing},
    ).cast(TOLD)
    fresh = query(
        """
        SELECT now.*, $on AS noticed_on FROM now ANTI JOIN told ON now.la_code = told.la_code AND now.nhs_number = told.nhs_number
            AND now.child_id = told.child_id AND now.reason = told.reason
            AND now.current_nhs_number IS NOT DISTINCT FROM told.current_nhs_number
        ORDER BY la_code, nhs_number, child_id
        """,
        {"now": now, "told": told},
        {"on": on},
    ).cast(NOTICES)
    kept = query(
        """
        SELECT * FROM (SELECT * FROM now UNION SELECT * FROM told)
        WHERE (la_code, nhs_number) IN (SELECT (la_code, nhs_number) FROM standing)
            AND (current_nhs_number IS NULL OR nhs_number NOT IN (SELECT nhs_number FROM now WHERE reason = $frozen))
        ORDER BY ALL
        """,
        {"now": now, "told": told, "standing": standing},
        {"frozen": Inactive.NO_REPLACEMENT},
    ).cast(TOLD)
    return Told(fresh, kept)


def to_csv(rows: pa.Table, *, la_code: str) -> bytes:
    """One authority's NOTICES as specs/inactive-number/1.0 has them. Bug where a row is another's, or tells what must not
    be told."""
    if any(row != la_code for row in rows["la_code"].to_pylist()):
        raise Bug(f"A notification for {la_code} holds rows of another authority.", "Report it with the run's log.")
    astray = "SELECT 1 AS n FROM rows WHERE (reason = $superseded) <> (current_nhs_number IS NOT NULL)"
    if query(astray, {"rows": rows}, {"superseded": Inactive.SUPERSEDED}).num_rows:
        raise Bug(
            "A notification tells a number and its reason does not, or the other way round.", "Report it with the run's log."
        )
    words = pa.Table.from_pylist([{"reason": str(reason), "what_to_do": text} for reason, text in WHAT_TO_DO.items()])
    columns = ", ".join(table_schema("inactive-number", VERSION, "notification").names)
    return csv_text.to_csv(
        query(
            f"""SELECT {columns} FROM (SELECT *, $type AS message_type FROM rows JOIN words USING (reason))
            ORDER BY nhs_number, child_id""",
            {"rows": rows, "words": words},
            {"type": MessageType.INACTIVE_NHS_NUMBER_NOTIFICATION},
        )
    )
