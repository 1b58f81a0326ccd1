"""Integrated care boards: an ONS lookup of areas to ICBs and districts comes to the boards of each authority.

Its headings name the year and the kind of area: ICB25CD, ICB25CDH and ICB25NM for the board's GSS code, ODS code and name,
LAD25CD (or LTLA25CD) for the district; where it has NHSER25CDH, that is the ODS code of the board's NHS region. Each row may be
of a small area (LSOA) or of a district: the board that most rows of an authority name is its principal one. Other columns are
passed over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from cpis_batch.errors import InputRefused
from cpis_batch.geography.public_list import code, rows
from cpis_batch.geography.revision import Revised

_WHAT, _ADVICE = "The lookup", "Give an ONS lookup of areas to integrated care boards and districts, as it publishes it, as CSV."
_KINDS = {
    "gss_code": re.compile(r"ICB[0-9]{2}CD"),
    "ods_code": re.compile(r"ICB[0-9]{2}CDH"),
    "name": re.compile(r"ICB[0-9]{2}NM"),
    "district": re.compile(r"(LAD|LTLA)[0-9]{2}CD"),
}
_REGION = re.compile(r"NHSER[0-9]{2}CDH")
_ENGLAND = re.compile(r"E(06|07|08|09)[0-9]{6}")
_BOARD = re.compile(r"E54[0-9]{6}")


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a lookup says: its boards by ODS code (gss_code, name, the region's ODS code or None), rows by district and board."""

    boards: dict[str, tuple[str, str, str | None]]
    rows: dict[str, Counter[str]]
    left_out: Counter[str] = field(default_factory=Counter)


def read(data: bytes) -> Lookup:
    """The lookup. InputRefused, by line, where it is not of that layout or says two things of one board."""
    records = rows(data, _WHAT)
    first = next(records, None)
    if first is None:
        raise InputRefused(f"{_WHAT} is empty.", _ADVICE)
    at = {name: place for name, kind in _KINDS.items() for place, heading in enumerate(first[1]) if kind.fullmatch(heading)}
    if missing := [name for name in _KINDS if name not in at]:
        raise InputRefused(f"{_WHAT} has no column for: {', '.join(missing)}.", _ADVICE)
    region = next((place for place, heading in enumerate(first[1]) if _REGION.fullmatch(heading)), None)
    boards: dict[str, tuple[str, str, str | None]] = {}
    counted: dict[str, Counter[str]] = {}
    for line, cells in records:
        if len(cells) != len(first[1]):
            raise InputRefused(f"{_WHAT}, line {line}: {len(cells)} columns and not {len(first[1])}.", _ADVICE)
        board, district = code(cells, at["ods_code"], what=_WHAT, line=line), cells[at["district"]]
        if not _ENGLAND.fullmatch(district) or not _BOARD.fullmatch(cells[at["gss_code"]]):
            raise InputRefused(f"{_WHAT}, line {line}: no GSS code of a district and of a board in England.", _ADVICE)
        said = (cells[at["gss_code"]], cells[at["name"]], None if region is None else cells[region] or None)
        if boards.setdefault(board, said) != said:
            raise InputRefused(f"{_WHAT}, line {line}: a board that is called otherwise in a line before.", _ADVICE)
        counted.setdefault(district, Counter())[board] += 1
    if not counted:
        raise InputRefused(f"{_WHAT} has headings and no rows.", _ADVICE)
    return Lookup(boards, counted)


def revised_boards(table: pa.Table, lookup: Lookup, *, on: date) -> Revised:
    """integrated_care_boards with the lookup's boards, from `on` on where they are new or renamed; a board it leaves out stays.

    InputRefused where a new one comes without its region.
    """
    counts = dict.fromkeys(("new", "changed", "unchanged"), 0)
    kept: list[dict[str, Any]] = table.to_pylist()
    for board, (gss_code, name, region) in sorted(lookup.boards.items()):
        standing = next((row for row in kept if row["ods_code"] == board and _stands(row, on)), None)
        if standing and (standing["gss_code"], standing["name"].casefold()) == (gss_code, name.casefold()):
            counts["unchanged"] += 1
            continue
        known = region or (standing["nhs_region_ods_code"] if standing else None)
        if known is None:
            raise InputRefused(
                f"{_WHAT} names the board {board}, which is new, without its NHS region.",
                "Take a lookup that has the region (NHSER..CDH), or put the board in first: cpis-batch reference import rows.",
            )
        _close(kept, standing, on)
        kept.append(dict(zip(table.column_names, (board, gss_code, name, known, on, None), strict=True)))
        counts["changed" if standing else "new"] += 1
    kept.sort(key=lambda row: (row["ods_code"], row["valid_from"]))
    return Revised(pa.Table.from_pylist(kept, schema=table.schema), counts)


def revised_links(
    table: pa.Table, lookup: Lookup, boards: pa.Table, tiers: pa.Table, *, on: date
) -> tuple[Revised, Counter[str]]:
    """local_authority_icb from `on` on, and what was passed over, by reason. `boards`, `tiers`: the tables as they stand then.

    An authority that the lookup does not have stays as it was; so does a county of which a district is not in it.
    """
    county = {row["lower_tier_gss_code"]: row["upper_tier_gss_code"] for row in tiers.to_pylist() if _stands(row, on)}
    region = {row["ods_code"]: row["nhs_region_ods_code"] for row in boards.to_pylist() if _stands(row, on)}
    left_out: Counter[str] = Counter()
    by_la: dict[str, Counter[str]] = {}
    for district, counted in lookup.rows.items():
        if district in county:
            by_la.setdefault(county[district], Counter()).update(counted)
        else:
            left_out["a district that leads to no authority on that day"] += 1
    kept: list[dict[str, Any]] = table.to_pylist()
    counts = dict.fromkeys(("new", "changed", "unchanged", "not_in_list"), 0)
    for la, counted in sorted(by_la.items()):
        if any(upper == la and lower not in lookup.rows for lower, upper in county.items()):
            left_out["an authority of which a district is not in the list"] += 1
            continue
        first = min(counted, key=lambda board: (-counted[board], board))
        wanted = {board: "Y" if board == first else "N" for board in counted}
        standing = [row for row in kept if row["la_gss_code"] == la and _stands(row, on)]
        if _as_dict(standing) == wanted:
            counts["unchanged"] += 1
            continue
        for row in standing:
            _close(kept, row, on)
        kept += [
            dict(zip(table.column_names, (la, board, region[board], principal, on, None), strict=True))
            for board, principal in sorted(wanted.items())
        ]
        counts["changed" if standing else "new"] += 1
    counts["not_in_list"] = len({row["la_gss_code"] for row in kept if _stands(row, on)} - by_la.keys())
    kept.sort(key=lambda row: (row["la_gss_code"], row["icb_ods_code"], row["valid_from"]))
    return Revised(pa.Table.from_pylist(kept, schema=table.schema), counts), left_out


def _as_dict(links: list[dict[str, Any]]) -> Mapping[str, str]:
    return {row["icb_ods_code"]: row["principal"] for row in links}


def _stands(row: Mapping[str, Any], on: date) -> bool:
    return bool(row["valid_from"] <= on and (row["valid_to"] is None or on <= row["valid_to"]))


def _close(kept: list[dict[str, Any]], row: dict[str, Any] | None, on: date) -> None:
    """End a row the day before, or take it out where it began on that very day."""
    if row is None:
        return
    kept.remove(row)
    if row["valid_from"] < on:
        kept.append(row | {"valid_to": on - timedelta(days=1)})
