"""The national view in tests: plans of several authorities, what the trace says of people, accesses, and what is found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from cpis_batch import organisations
from cpis_batch.access.schema import EVENTS
from cpis_batch.demographics.schema import PERSONS
from cpis_batch.national import lists
from cpis_batch.national.known import known
from tests.builders import HACKNEY, KENT, TODAY, nhs, plan, plans

ESSEX = "E10000012"
NEWHAM = "E09000025"
WORKING_DAYS = organisations.load().working_days
Row = Mapping[str, Any]
CONTACTS = pa.Table.from_pylist(
    [
        {
            "other_la_code": code,
            "other_la_name": name,
            "other_office_phone": "020 7946 0100",
            "other_emergency_phone": "020 7946 0199",
        }
        for code, name in ((HACKNEY, "Hackney"), (KENT, "Kent"))
    ],
    schema=lists.CONTACTS,
)


def person(child: int = 1, **facts: Any) -> dict[str, Any]:
    """What the trace says of a child's number (PERSONS): found and verified, unless told."""
    return {
        "nhs_number": nhs(child),
        "identity": f"identity {child}",
        "traced_on": TODAY,
        "outcome": "CPR06",
        "status": "01",
        "check": None,
        "inactive": None,
        "current_number": None,
        "sensitive": False,
        "practice_code": None,
        "residence_code": None,
        "date_of_death": None,
        "practice_since": None,
    } | facts


def traced(*rows: Row) -> pa.Table:
    """Rows of `person` as PERSONS."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=PERSONS)


def england(rows: Iterable[Row], *persons: Row) -> pa.Table:
    """KNOWN of plans (`builders.plan`) and of what the trace says."""
    return known(plans(rows), traced(*persons))


def accesses(*of: tuple[int, date | datetime]) -> pa.Table:
    """Notifying events (EVENTS): a child and the day, at noon, or the instant."""
    return pa.Table.from_pylist(
        [
            {
                "line": place + 2,
                "event_id": f"event-{place}",
                "accessed_at": when if isinstance(when, datetime) else datetime(when.year, when.month, when.day, 12, tzinfo=UTC),
                "nhs_number": nhs(child),
                "author_kind": "PERSON",
                "organisation_code": "ZZ999",
                "care_setting": "1",
                "notifies_la": True,
            }
            for place, (child, when) in enumerate(of)
        ],
        schema=EVENTS,
    )


def short(found: pa.Table) -> list[tuple[str, int, str, str | None]]:
    """Each row found as authority, child, standing and the other authority."""
    return sorted(
        (
            (row["la_code"], int(row["child_id"].rpartition("-")[2]), row["standing"], row["other_la_code"])
            for row in found.to_pylist()
        ),
        key=str,
    )


__all__ = [
    "CONTACTS",
    "ESSEX",
    "HACKNEY",
    "KENT",
    "NEWHAM",
    "TODAY",
    "WORKING_DAYS",
    "accesses",
    "england",
    "nhs",
    "person",
    "plan",
    "short",
]
