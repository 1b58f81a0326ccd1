"""GP practices: the ODS list `epraccur` comes to the CHIS unit of each practice.

The list (27 columns, no headings) has each practice's ICB (column 4, "high level health geography") and commissioner (15); it
knows nothing of CHIS units. A practice leads to the unit that serves the authorities of its ICB on the day, where these have one
unit; where they have several, nobody can tell from the list, and the operator's own table says it: ICB or commissioner, and unit.
A practice that no unit is found for is left out and counted: its children go by their residence.

Taken are GP practices (prescribing setting 4) that are active, dormant or proposed. Closed ones end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.errors import InputRefused
from cpis_batch.geography.public_list import Listed, code, rows

_COLUMNS = 27
_CODE, _AREA, _CLOSED_ON, _STATUS, _COMMISSIONER, _SETTING = 0, 3, 11, 12, 14, 25  # from 0
_GP_PRACTICE = "4"
_OPEN, _CLOSED = ("A", "D", "P"), "C"


def units_of_areas(tables: Mapping[str, pa.Table], on: date) -> dict[str, str]:
    """ICB -> CHIS unit on the day `on`, of those ICBs whose authorities all have one and the same (organisations.TABLES).

    An authority that several ICBs share counts for its principal one.
    """
    found = query(
        """
        SELECT icb_ods_code, any_value(chis_code) AS chis_code
        FROM icbs JOIN links USING (la_gss_code)
        WHERE principal = 'Y' AND links.valid_from <= $on AND coalesce(links.valid_to, $on) >= $on
            AND icbs.valid_from <= $on AND coalesce(icbs.valid_to, $on) >= $on
        GROUP BY icb_ods_code HAVING count(DISTINCT chis_code) = 1
        """,
        {"icbs": tables["local_authority_icb"], "links": tables["la_chis"]},
        {"on": on},
    )
    return dict(zip(found["icb_ods_code"].to_pylist(), found["chis_code"].to_pylist(), strict=True))


def read(data: bytes, units: Mapping[str, str], *, on: date) -> Listed:
    """The list as it stands on the day `on`. `units`: the unit of an ICB or commissioner; a commissioner's goes first.

    InputRefused, by line and column, where it is not of that layout.
    """
    what = "The list of practices"
    leads_to: dict[str, str | None] = {}
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    for line, cells in rows(data, what):
        if len(cells) != _COLUMNS:
            raise InputRefused(
                f"{what}, line {line}: {len(cells)} columns and not {_COLUMNS}.", "Give epraccur.csv as the ODS publishes it."
            )
        practice = code(cells, _CODE, what=what, line=line)
        if practice in seen:
            raise InputRefused(f"{what}, line {line}: a practice that is there twice.", "Take the file as it is published.")
        seen.add(practice)
        if cells[_STATUS] not in (*_OPEN, _CLOSED):
            raise InputRefused(f"{what}, line {line}: column {_STATUS + 1} holds no status.", "A, C, D or P is meant.")
        unit = units.get(cells[_COMMISSIONER]) or units.get(cells[_AREA])
        if cells[_SETTING] != _GP_PRACTICE:
            left_out["no GP practice"] += 1
        elif _is_closed(cells, line, what, on):
            leads_to[practice] = None
        elif unit is None:
            left_out[f"no unit, or several, for {cells[_AREA] or 'an absent area'}"] += 1
        else:
            leads_to[practice] = unit
    return Listed(leads_to, left_out=left_out)


def _is_closed(cells: list[str], line: int, what: str, on: date) -> bool:
    if cells[_STATUS] != _CLOSED:
        return False
    if not cells[_CLOSED_ON]:
        return True
    try:
        return date.fromisoformat(cells[_CLOSED_ON]) <= on
    except ValueError:
        raise InputRefused(f"{what}, line {line}: column {_CLOSED_ON + 1} holds no date.", "YYYYMMDD is meant.") from None


def read_areas(data: bytes) -> dict[str, str]:
    """The operator's table `area_code,chis_code`: the unit of an ICB or commissioner. InputRefused where it is none."""
    what = "The table of areas"
    found: dict[str, str] = {}
    for place, (line, cells) in enumerate(rows(data, what)):
        if (place == 0 and cells != ["area_code", "chis_code"]) or len(cells) != 2:
            raise InputRefused(f"{what}, line {line}: not area_code and chis_code.", "Two columns, with that heading.")
        if place and cells[0] in found:
            raise InputRefused(f"{what}, line {line}: an area that is there twice.", "Leave one of them out.")
        if place:
            found[code(cells, 0, what=what, line=line)] = code(cells, 1, what=what, line=line)
    return found
