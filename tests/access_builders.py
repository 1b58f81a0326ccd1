"""Access events for tests: say what matters, the rest is a nurse in an emergency department who looks a child up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access import lines, reference
from cpis_batch.access.events import EventsReading, read_events
from cpis_batch.access.held import Holders, Periods
from cpis_batch.access.month import Month, Seen, seen
from cpis_batch.access.report import by_la, report
from cpis_batch.access.schema import EVENTS
from cpis_batch.access.withheld import sift
from cpis_batch.runs.month_work import of_authorities
from cpis_batch.vocabulary import Environment
from tests.builders import nhs

MORNING = datetime(2026, 11, 19, 8, 12, 44, tzinfo=UTC)
HEADER = "H,CPIS-ACCESS-EVENTS,1.0,TEST,7,2026-11-20T00:15:00+00:00"
LINE = f"D,e-1,2026-11-19T08:12:44Z,{nhs(1)},PERSON,A,R0050,,RX101,Seaside,EMERGENCY-DEPARTMENT,Y"


@cache
def packaged() -> reference.AccessReference:
    """The reference tables as they come with the program."""
    return reference.load()


def event(number: int = 1, at: datetime = MORNING, child: int = 1, **facts: Any) -> dict[str, Any]:
    """One event as the reader lets it through (EVENTS)."""
    return {
        "line": number + 1,
        "event_id": f"e-{number}",
        "accessed_at": at,
        "nhs_number": nhs(child),
        "author_kind": "PERSON",
        "author_name": "Jo Smith",
        "job_role": "R0050",
        "responsible_person": None,
        "organisation_code": "RX101",
        "organisation_name": "Seaside General Hospital",
        "care_setting": "EMERGENCY-DEPARTMENT",
        "notifies_la": True,
    } | facts


def events(rows: Iterable[Mapping[str, Any]] = ()) -> pa.Table:
    """Events as a table of EVENTS."""
    return pa.Table.from_pylist([dict(one) for one in rows], schema=EVENTS)


def reports(plans: pa.Table, *looks: Mapping[str, Any], using: reference.AccessReference | None = None) -> dict[str, pa.Table]:
    """Every authority's report on those events."""
    tables = using or packaged()
    return by_la(report(sift(events(looks), tables), plans, tables))


def told(plans: pa.Table, *looks: Mapping[str, Any], using: reference.AccessReference | None = None) -> list[dict[str, Any]]:
    """The rows of all those reports, by authority and time."""
    return [row for rows in reports(plans, *looks, using=using).values() for row in rows.to_pylist()]


def file_of(*lines: str, header: str = HEADER, count: int | None = None) -> bytes:
    """A file of events with these D lines and a right trailer (or one that says `count`)."""
    return "\n".join([header, *lines, f"T,{len(lines) if count is None else count}", ""]).encode()


def read(data: bytes, environment: Environment = Environment.TEST) -> EventsReading:
    """Read a file as the TEST hub does."""
    return read_events(data, packaged(), environment=environment, line_bytes=4096)


def codes(reading: EventsReading) -> list[tuple[int, str]]:
    """Line and code of every fault."""
    return [(fault["line"], fault["code"]) for fault in reading.faults.to_pylist()]


def seen_in(looks: Iterable[dict[str, Any]], held: pa.Table, month: Month) -> dict[str, Seen]:
    """Of each authority what `month` comes to: events (`event`) and plans, matched as a run matches them."""
    told = sift(events(looks), packaged()).notifying.select(lines.WIDE)
    codes = held["la_code"].unique().to_pylist()
    held_by = Holders((code, held.filter(pc.equal(held["la_code"], code))["nhs_number"]) for code in codes)
    found = [some.append_column("la_code", pa.array([code] * len(some))) for code, some in of_authorities(told, held_by)]
    in_order = lines.ordered([lines.told(some, Periods(held), packaged()) for some in found])
    return seen(in_order, held, month, packaged().care_settings)
