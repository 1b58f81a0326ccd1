"""From the register and the accesses to the counts of one month, with all the sums in which they take part.

| measure | of | by |
|---|---|---|
| PLANS | plans active on the last day | plan type and all; England, region, ICB, authority |
| CHILDREN | people with an active plan on that day, each once in each area | England, region, ICB, authority |
| ACCESSES | accesses of the month that authorities were told of, each once in each area | England by setting; region by setting |
| AUTHORITIES | authorities with a file in the last 35 days | England, region |
| ORGANISATIONS | organisations in which somebody looked | England by setting |

A region is that of the authority. An authority that several ICBs share counts in its principal one. Who has plans at two
authorities counts once in England and in each of their areas; the parts then come to more than the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.statistics.cells import ALL, ICB, LA, NATIONAL, REGION, Cell, Counts, Relation
from cpis_batch.vocabulary import PlanType

ENGLAND = "E92000001"
PLANS, CHILDREN, ACCESSES, AUTHORITIES, ORGANISATIONS = "PLANS", "CHILDREN", "ACCESSES", "AUTHORITIES", "ORGANISATIONS"
LIVE_DAYS = 35  # an authority that sends monthly is live too


@dataclass(frozen=True, slots=True)
class Area:
    """An authority, and the areas in which it counts: GSS codes; `icb` may be absent."""

    code: str
    name: str
    region: str
    region_name: str
    icb: str | None
    icb_name: str | None


@dataclass(frozen=True, slots=True)
class Month:
    """What a month's counts are made of. `plans`: active ones (la_code, nhs_number, plan_type); `accesses`: la_code, event_id,
    care_setting, organisation_code (access REPORT); `live`: the authorities with a recent file."""

    plans: pa.Table
    accesses: pa.Table
    live: frozenset[str]


def count(month: Month, areas: Iterable[Area]) -> Counts:
    """Counts of every area, those without anything too, and their relations."""
    known = {area.code: area for area in areas}
    settings = sorted(set(month.accesses["care_setting"].to_pylist()))
    values: dict[Cell, int] = {}
    relations: list[Relation] = []
    for item in PlanType:
        _zeros(values, PLANS, item, known, (NATIONAL, REGION, ICB, LA))
        relations += _tree(PLANS, item, known, overlapping=False)
    for measure in (PLANS, CHILDREN):
        _zeros(values, measure, ALL, known, (NATIONAL, REGION, ICB, LA))
        relations += _tree(measure, ALL, known, overlapping=measure == CHILDREN)
    for place in [cell for cell in values if cell.measure == PLANS and cell.item == ALL]:
        of_types = tuple(place._replace(item=item) for item in PlanType)
        people = place._replace(measure=CHILDREN)
        relations.append(Relation(place, of_types))
        relations.append(_at_most(people, place))  # whoever has a plan has one at least
        if place.geography == LA:
            relations += [_at_most(one, people) for one in of_types]  # and of one type at one authority no more than one
    for item in (*settings, ALL):
        _zeros(values, ACCESSES, item, known, (NATIONAL, REGION))
        relations += _summed(Cell(ACCESSES, NATIONAL, ENGLAND, item), _regions(ACCESSES, item, known), overlapping=True)
    for place in [cell for cell in values if cell.measure == ACCESSES and cell.item == ALL]:
        relations.append(Relation(place, tuple(place._replace(item=item) for item in settings)))
    organisations = _organisations(month, settings)
    values |= organisations
    relations += [_at_most(place, place._replace(measure=ACCESSES)) for place in organisations]  # somebody looked in each
    whole = Cell(ORGANISATIONS, NATIONAL, ENGLAND, ALL)
    relations += _summed(whole, tuple(whole._replace(item=item) for item in settings), overlapping=True)
    for measure, table in ((PLANS, month.plans), (CHILDREN, month.plans), (ACCESSES, month.accesses)):
        values |= _counted(measure, table, known)
    harmless = _live(month, known)
    return Counts(values | harmless, tuple(one for one in relations if one.parts), frozenset(harmless))


_OF = {
    PLANS: ("la_code, nhs_number, plan_type", "plan_type"),
    CHILDREN: ("nhs_number", None),
    ACCESSES: ("event_id", "care_setting"),
}


def _counted(measure: str, table: pa.Table, known: Mapping[str, Area]) -> dict[Cell, int]:
    what, item = _OF[measure]
    places = pa.Table.from_pylist(
        [
            {"la_code": area.code, "geography": geography, "code": code}
            for area in known.values()
            for geography, code in ((NATIONAL, ENGLAND), (REGION, area.region), (ICB, area.icb), (LA, area.code))
            if code is not None
        ],
        pa.schema([("la_code", pa.string()), ("geography", pa.string()), ("code", pa.string())]),
    )
    by_item = f", {item}" if item else ""
    grouping = f"GROUPING SETS ((geography, code{by_item}), (geography, code))" if item else "(geography, code)"
    found = query(
        f"""SELECT geography, code, {f"coalesce({item}, '{ALL}')" if item else f"'{ALL}'"} AS item,
                count(DISTINCT ({what})) AS times
            FROM rows JOIN places USING (la_code) GROUP BY {grouping}""",
        {"rows": table, "places": places},
    )
    wanted = (NATIONAL, REGION) if measure == ACCESSES else (NATIONAL, REGION, ICB, LA)
    return {
        Cell(measure, row["geography"], row["code"], row["item"]): row["times"]
        for row in found.to_pylist()
        if row["geography"] in wanted
    }


def _zeros(values: dict[Cell, int], measure: str, item: str, known: Mapping[str, Area], geographies: tuple[str, ...]) -> None:
    of = {
        NATIONAL: [ENGLAND],
        REGION: sorted({area.region for area in known.values()}),
        ICB: sorted({area.icb for area in known.values() if area.icb}),
        LA: sorted(known),
    }
    for geography in geographies:
        for code in of[geography]:
            values.setdefault(Cell(measure, geography, code, str(item)), 0)


def _at_most(less: Cell, more: Cell) -> Relation:
    return Relation(less, (more,), overlapping=True)


def _summed(whole: Cell, parts: tuple[Cell, ...], *, overlapping: bool) -> list[Relation]:
    """All that an attacker knows of a sum whose parts may overlap: it is at most their sum, and at least each of them."""
    if not overlapping or len(parts) == 1:
        return [Relation(whole, parts)]
    return [Relation(whole, parts, overlapping=True), *(_at_most(part, whole) for part in parts)]


def _tree(measure: str, item: str, known: Mapping[str, Area], *, overlapping: bool) -> list[Relation]:
    england = Cell(measure, NATIONAL, ENGLAND, str(item))
    found = _summed(england, _regions(measure, item, known), overlapping=overlapping)
    for geography in (REGION, ICB):
        inside: dict[str, list[str]] = {}
        for area in known.values():
            if code := area.region if geography == REGION else area.icb:
                inside.setdefault(code, []).append(area.code)
        for code, las in sorted(inside.items()):
            parts = tuple(Cell(measure, LA, la, str(item)) for la in sorted(las))
            found += _summed(Cell(measure, geography, code, str(item)), parts, overlapping=overlapping)
    if all(area.icb for area in known.values()):
        icbs = sorted({area.icb for area in known.values() if area.icb})
        found += _summed(england, tuple(Cell(measure, ICB, icb, str(item)) for icb in icbs), overlapping=overlapping)
    return found


def _regions(measure: str, item: str, known: Mapping[str, Area]) -> tuple[Cell, ...]:
    return tuple(Cell(measure, REGION, code, str(item)) for code in sorted({area.region for area in known.values()}))


def _live(month: Month, known: Mapping[str, Area]) -> dict[Cell, int]:
    """Authorities with a recent file: nobody is in such a count, and nothing of a person follows from it."""
    live = [known[code] for code in sorted(month.live) if code in known]
    found = {Cell(AUTHORITIES, NATIONAL, ENGLAND, ALL): len(live)}
    for region in sorted({area.region for area in known.values()}):
        found[Cell(AUTHORITIES, REGION, region, ALL)] = sum(area.region == region for area in live)
    return found


def _organisations(month: Month, settings: list[str]) -> dict[Cell, int]:
    """Hidden like accesses where they are few: one access at least was made at each, so that they would tell of accesses."""
    pairs = set(zip(*(month.accesses[name].to_pylist() for name in ("care_setting", "organisation_code")), strict=True))
    found = {Cell(ORGANISATIONS, NATIONAL, ENGLAND, setting): sum(one == setting for one, _ in pairs) for setting in settings}
    found[Cell(ORGANISATIONS, NATIONAL, ENGLAND, ALL)] = len({organisation for _, organisation in pairs})
    return found
