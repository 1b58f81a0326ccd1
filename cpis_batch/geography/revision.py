"""A dated table as it stands after a newer list: what has changed begins on a day, what it replaces ends the day before.

History is kept: a row is closed, never overwritten, but for one that begins on that very day. What the list leaves out stays as
it was and is told (absence ends nothing); what it names as closed ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from cpis_batch.errors import UsageFault
from cpis_batch.geography.public_list import Listed


@dataclass(frozen=True, slots=True)
class Revised:
    """The whole table after the list, and how many codes: `counts` has new, changed, ended, unchanged, not_in_list."""

    table: pa.Table
    counts: dict[str, int]


def revise(
    table: pa.Table,
    listed: Listed,
    *,
    on: date,
    names: tuple[str, str] | None = None,
    until: Mapping[str, date | None] = MappingProxyType({}),
) -> Revised:
    """`table`: its first column is the code, the next one that ends in `_code` what it leads to; then valid_from and valid_to.

    `names`: the columns for what the list calls the code and what it leads to. `until`: the last day of what ends by itself (a
    unit), with which its new rows end. UsageFault where rows that begin after `on` say
    otherwise: a list is taken in for the newest day that is known.
    """
    key = table.column_names[0]
    value = next(name for name in table.column_names[1:] if name.endswith("_code"))
    counts = dict.fromkeys(("new", "changed", "ended", "unchanged", "not_in_list"), 0)
    by_code: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        by_code.setdefault(row[key], []).append(row)
    for code, leads_to in listed.leads_to.items():
        rows = by_code.setdefault(code, [])
        later = [row for row in rows if row["valid_from"] > on]
        standing = next((row for row in rows if row["valid_from"] <= on and (row["valid_to"] or on) >= on), None)
        if (standing and standing[value] == leads_to) or (not standing and leads_to is None):
            counts["unchanged"] += 1
            continue
        if later:
            raise UsageFault(
                f"{code}: the table has a row from {later[0]['valid_from']} on, after {on}.",
                "Take the list in for that day or a later one: --on DATE.",
            )
        if standing:
            rows.remove(standing)
            if standing["valid_from"] < on:
                rows.append(standing | {"valid_to": on - timedelta(days=1)})
        if leads_to is not None:
            called = {names[0]: listed.names[code], names[1]: listed.names[leads_to]} if names else {}
            rows.append({key: code, value: leads_to, **called, "valid_from": on, "valid_to": until.get(leads_to)})
        counts["ended" if leads_to is None else "changed" if standing else "new"] += 1
    stand = {code for code, rows in by_code.items() if any(row["valid_from"] <= on <= (row["valid_to"] or on) for row in rows)}
    counts["not_in_list"] = len(stand - listed.leads_to.keys())
    whole = sorted((row for rows in by_code.values() for row in rows), key=lambda row: (row[key], row["valid_from"]))
    return Revised(pa.Table.from_pylist(whole, schema=table.schema), counts)


def replaced(table: pa.Table, rows: pa.Table) -> Revised:
    """`table` (a dated one) with `rows` of the same columns put in.

    One that begins on the same day for the same code is replaced.
    """
    key = table.column_names[0]

    def place(row: dict[str, Any]) -> tuple[str, date]:
        return row[key], row["valid_from"]

    before = {place(row): row for row in table.to_pylist()}
    given = {place(row): row for row in rows.to_pylist()}
    if len(given) != rows.num_rows:
        raise UsageFault("The rows say two things of one code from one day on.", "Leave one of them out.")
    counts = {
        "new": len(given.keys() - before.keys()),
        "changed": sum(before[one] != row for one, row in given.items() if one in before),
        "unchanged": sum(before[one] == row for one, row in given.items() if one in before),
    }
    whole = sorted((before | given).values(), key=place)
    return Revised(pa.Table.from_pylist(whole, schema=table.schema), counts)
