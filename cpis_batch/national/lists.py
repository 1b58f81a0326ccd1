"""The lists to authorities: what is news of its own children to each, told once until it changes (specs/national-lists/1.0).

An authority is told of rows of its own, by its own child id. Of another it may learn that it holds an active plan, its name and
its two telephone numbers, and no more: no date, no type, no id of another's row is in these tables at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from cpis_batch import csv_text
from cpis_batch.engine import query
from cpis_batch.errors import Bug
from cpis_batch.national.schema import ENTRIES, UNTOLD, Standing
from cpis_batch.spec import table_schema

VERSION = "1.0"

# What is news to an authority. `news` is NEW, CHANGED (told with another standing or end date) or CLOSED (it stands no more).
NEWS = pa.schema(
    [*ENTRIES, pa.field("working_days", pa.int64()), pa.field("news", pa.string(), nullable=False)]
)  # fmt: skip

# Whom an authority may ring, a row for each that has sent an extract.
CONTACTS = pa.schema(
    [
        pa.field("other_la_code", pa.string(), nullable=False),
        pa.field("other_la_name", pa.string(), nullable=False),
        pa.field("other_office_phone", pa.string(), nullable=False),
        pa.field("other_emergency_phone", pa.string(), nullable=False),
    ]
)

WHAT_TO_DO = {
    Standing.DOUBTFUL: "You and another authority have held a plan of the same type for over 30 days. Agree with it who holds the"
    " child now; the other one ends its plan. Where both are right, nothing is to be done.",
    Standing.HANDOVER: "Another authority holds a plan of the same type too. While a child moves this is normal. End yours once"
    " it has taken over.",
    Standing.OTHER_PLAN: "Another authority holds a plan of another type for this person. Both stay; know of each other.",
    Standing.OVERDUE: "Your plan ended, the child has been seen since, and for 15 working days no authority has held a plan. If"
    " you handed the child over, ask the authority that was to take over. If the plan ended because it was not needed, nothing"
    " is to be done.",
    Standing.ENDED: "This plan for an unborn child ended, and you hold no plan of any child born since. If a child was born that"
    " needs one, send it; it may be with an authority to which the family moved. The pregnancy may have ended otherwise: look"
    " into your own record before you speak to anybody.",
    Standing.RAN_PAST: "This plan for an unborn child is open longer than any pregnancy lasts, and is still shown. End it; if a"
    " child was born that needs a plan, send that under the child's own number.",
    Standing.SAME_AUTHORITY: "A plan of the same type ended with you within the year before this one began.",
    Standing.ELSEWHERE: "Your plan ended, and within a year another authority began one of the same type, which is active. It may"
    " want to hear from you.",
}
_CLOSED = "This stands no more. Nothing is to be done."
_KEY = "la_code, matter, child_id, plan_type, start_date, other_la_code"


@dataclass(frozen=True, slots=True, repr=False)
class News:
    """`fresh`: NEWS by authority; `told`: ENTRIES once it is sent."""

    fresh: pa.Table
    told: pa.Table


def news(found: pa.Table, told: pa.Table, known: pa.Table) -> News:
    """What is news in FOUND against what has been `told` (ENTRIES). Of a plan no longer `known` (KNOWN) nothing is said.

    Where another authority was named and may be no longer (FAULTS F49), the new entry without it stands for both.
    """
    spoken = query(
        f"SELECT * FROM found WHERE standing NOT IN ({', '.join(f'{chr(39)}{one}{chr(39)}' for one in UNTOLD)})", {"found": found}
    )
    now = query(f"SELECT DISTINCT {', '.join(ENTRIES.names)} FROM spoken ORDER BY ALL", {"spoken": spoken}).cast(ENTRIES)
    same = " AND ".join(f"now.{name} IS NOT DISTINCT FROM before.{name}" for name in _KEY.split(", "))
    mine = "now.la_code = before.la_code AND now.matter = before.matter AND now.child_id = before.child_id"
    fresh = query(
        f"""
        WITH said AS (SELECT {_KEY}, max(working_days) AS working_days FROM spoken GROUP BY ALL)
        SELECT now.*, working_days, CASE WHEN before.la_code IS NULL THEN 'NEW' ELSE 'CHANGED' END AS news
        FROM now LEFT JOIN before ON {same}
        JOIN said ON {same.replace("before.", "said.")}
        WHERE before.la_code IS NULL OR before.standing <> now.standing OR before.end_date IS DISTINCT FROM now.end_date
        UNION ALL
        SELECT before.*, NULL, 'CLOSED'
        FROM before SEMI JOIN known USING (la_code, child_id, plan_type, start_date)
        WHERE NOT EXISTS (SELECT 1 FROM now WHERE {same})
            AND NOT EXISTS (SELECT 1 FROM now WHERE {mine} AND before.other_la_code IS NOT NULL AND now.other_la_code IS NULL)
        ORDER BY ALL
        """,
        {"now": now, "before": told, "spoken": spoken, "known": known},
    ).cast(NEWS)
    return News(fresh, now)


def kept(told: pa.Table, before: pa.Table, owing: pa.Table, known: pa.Table) -> pa.Table:
    """ENTRIES to be remembered where some authorities cannot be sent anything now.

    Those of `owing` (column la_code) stay as they were `before`, of plans that are still KNOWN; all others are as `told`.
    """
    return query(
        """
        SELECT * FROM told ANTI JOIN owing USING (la_code)
        UNION ALL
        SELECT * FROM before SEMI JOIN owing USING (la_code)
            SEMI JOIN known USING (la_code, child_id, plan_type, start_date)
        ORDER BY ALL
        """,
        {"told": told, "before": before, "owing": owing, "known": known},
    ).cast(ENTRIES)


def to_csv(rows: pa.Table, contacts: pa.Table, *, la_code: str, on: date) -> bytes:
    """One authority's NEWS as a list. Bug where a row is another's, or names the authority itself."""
    if any(row != la_code for row in rows["la_code"].to_pylist()) or la_code in rows["other_la_code"].to_pylist():
        raise Bug(f"A list for {la_code} holds rows of another authority.", "Report it with the run's log.")
    words = pa.Table.from_pylist([{"standing": str(standing), "advice": text} for standing, text in WHAT_TO_DO.items()])
    columns = ", ".join(table_schema("national-lists", VERSION, "list").names)
    return csv_text.to_csv(
        query(
            f"""
            SELECT {columns} FROM (
                SELECT rows.*, other_la_name, other_office_phone, other_emergency_phone, $on AS noticed_on,
                    CASE WHEN news = 'CLOSED' THEN $closed ELSE advice END AS what_to_do
                FROM rows LEFT JOIN contacts USING (other_la_code) LEFT JOIN words USING (standing))
            ORDER BY matter, standing, child_id, plan_type, start_date, other_la_code, news
            """,
            {"rows": rows, "contacts": contacts, "words": words},
            {"on": on, "closed": _CLOSED},
        )
    )


def counts(found: pa.Table) -> pa.Table:
    """la_code, standing, plan_type and how many `persons`: for operators, without identifiers."""
    return query(
        """SELECT la_code, standing, plan_type, count(DISTINCT nhs_number) AS persons FROM found
           GROUP BY la_code, standing, plan_type ORDER BY ALL""",
        {"found": found},
    )


def persons(found: pa.Table) -> dict[str, int]:
    """How many persons there are of each standing that occurs; one person may have several."""
    sql = "SELECT standing, count(DISTINCT nhs_number) AS persons FROM found GROUP BY standing ORDER BY standing"
    return {row["standing"]: row["persons"] for row in query(sql, {"found": found}).to_pylist()}
