"""Whether every authority, practice and district leads to a CHIS unit, on every day from one to the last that the tables know.

Between two days on which a row begins or has ended nothing changes, so those days are all that need looking at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.extracts import routing
from cpis_batch.extracts.routing import Reference, Unroutable


@dataclass(frozen=True, slots=True)
class Gap:
    """A code that leads nowhere from `since` to `until` (None: for good). `kind` is authority, practice or residence.

    `reason` is Unroutable for an authority; for the others ENDS: it led to a unit the day before.
    """

    kind: str
    code: str
    reason: str
    since: date
    until: date | None


def turning_days(reference: Reference, on: date) -> list[date]:
    """`on`, and every later day on which something begins or has ended."""
    found = {on}
    for table in (reference.local_authorities, reference.la_chis, reference.practice_chis, reference.residence_chis):
        found |= {day for day in table["valid_from"].to_pylist() if day}
        found |= {day + timedelta(days=1) for day in table["valid_to"].to_pylist() if day}
    return sorted(day for day in found if day >= on)


def gaps(reference: Reference, on: date) -> list[Gap]:
    """Every gap from the day `on`, by kind, code and day. None where all leads somewhere.

    An authority has one while it stands, and once it is abolished where its late files would lead nowhere: its successors have
    several units, and then each child goes by practice or residence or not at all. A practice or district has one where its last
    row ends; that an authority is a place of residence too is not told twice.
    """
    days = turning_days(reference, on)
    return sorted(
        [*_of_authorities(reference, days), *_of_places(reference, days)], key=lambda gap: (gap.kind, gap.code, gap.since)
    )


def _of_authorities(reference: Reference, days: list[date]) -> Iterator[Gap]:
    stands = {
        row["gss_code"]: (row["valid_from"], row["valid_to"] or date.max) for row in reference.local_authorities.to_pylist()
    }
    open_gaps: dict[str, Gap] = {}
    for day in days:
        now = {}
        for row in routing.units_of_authorities(reference, day).to_pylist():
            begins, ends = stands[row["la_code"]]
            late_file = row["reason"] == Unroutable.SUCCESSORS_DIFFER and days[0] <= ends < day
            if row["chis_code"] is None and (begins <= day <= ends or late_file):
                now[row["la_code"]] = row["reason"]
        for code in [code for code, gap in open_gaps.items() if now.get(code) != gap.reason]:
            gap = open_gaps.pop(code)
            yield Gap(gap.kind, gap.code, gap.reason, gap.since, day - timedelta(days=1))
        for code, reason in now.items():
            open_gaps.setdefault(code, Gap("authority", code, reason, day, None))
    yield from open_gaps.values()


def _of_places(reference: Reference, days: list[date]) -> Iterator[Gap]:
    for kind, table in (("practice", reference.practice_chis), ("residence", reference.residence_chis)):
        code = table.column_names[0]
        found = query(
            f"""
            SELECT {code} AS code, valid_to + 1 AS since, next_from - 1 AS until
            FROM (
                SELECT {code}, valid_to, lead(valid_from) OVER (PARTITION BY {code} ORDER BY valid_from) AS next_from FROM dated)
            WHERE valid_to >= $first AND coalesce(next_from > valid_to + 1, true)
                AND {code} NOT IN (SELECT gss_code FROM las)
            """,
            {"dated": table.cast(_dated(code)), "las": reference.local_authorities},
            {"first": days[0]},
        )
        for row in found.to_pylist():
            yield Gap(kind, row["code"], "ENDS", row["since"], row["until"])


def _dated(code: str) -> pa.Schema:
    text, day = pa.string(), pa.date32()
    return pa.schema([(code, text), ("chis_code", text), ("valid_from", day), ("valid_to", day)])
