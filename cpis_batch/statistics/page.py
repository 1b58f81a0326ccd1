"""A release as a page: England's figures, charts, maps of tiles, each with its table."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cpis_batch import charts, pages
from cpis_batch.statistics.cells import ALL, ICB, LA, NATIONAL, REGION, Cell, Shown
from cpis_batch.statistics.count import ACCESSES, AUTHORITIES, CHILDREN, ENGLAND, ORGANISATIONS, PLANS, Area
from cpis_batch.statistics.release import HIDDEN, Release
from cpis_batch.vocabulary import PlanType

# Columns and rows of the regions' tiles, roughly as they lie. Of the authorities' map each region is a block of tiles.
_PLACES = {
    "E12000001": (1, 0),
    "E12000002": (0, 1),
    "E12000003": (1, 1),
    "E12000005": (0, 2),
    "E12000004": (1, 2),
    "E12000006": (2, 2),
    "E12000009": (0, 3),
    "E12000007": (1, 3),
    "E12000008": (2, 3),
}
_BLOCK = (7, 6)  # columns and rows of a region's block, with a free one of each
PLAN_WORDS = {PlanType.CPP: "Child protection plan", PlanType.LAC: "Looked after", PlanType.UCPP: "Unborn child's plan"}


def to_page(release: Release, areas: Sequence[Area], settings: dict[str, str]) -> bytes:
    """The page. `settings`: names of care settings by code."""
    shown = release.shown
    regions = sorted({(area.region, area.region_name) for area in areas}, key=lambda one: one[1])
    return pages.page(
        "statistics.html",
        month=pages.day(release.month.first).partition(" ")[2],
        as_at=release.as_at,
        made_at=release.made_at,
        public=release.profile.public,
        hidden=HIDDEN,
        england=[(words, _text(_of(shown, PLANS, NATIONAL, ENGLAND, kind))) for kind, words in PLAN_WORDS.items()],
        plans=_text(_of(shown, PLANS, NATIONAL, ENGLAND, ALL)),
        children=_text(_of(shown, CHILDREN, NATIONAL, ENGLAND, ALL)),
        accesses=_text(_of(shown, ACCESSES, NATIONAL, ENGLAND, ALL)),
        live=_text(_of(shown, AUTHORITIES, NATIONAL, ENGLAND, ALL)),
        organisations=_text(_of(shown, ORGANISATIONS, NATIONAL, ENGLAND, ALL)),
        region_map=_region_map(shown, regions),
        authority_map=_authority_map(shown, areas),
        by_region=[_line(shown, name, REGION, code) for code, name in regions],
        by_icb=[
            _line(shown, name, ICB, code)
            for code, name in sorted({(area.icb, area.icb_name) for area in areas if area.icb}, key=lambda one: str(one[1]))
        ],
        by_authority=[_line(shown, area.name, LA, area.code) for area in sorted(areas, key=lambda one: one.name)],
        setting_chart=charts.bars(
            "Accesses by care setting",
            "England, in the month.",
            [(settings.get(item, item), count) for item, count in _settings(shown) if count],
        ),
        by_setting=[
            (settings.get(item, item), _text(count), _text(_of(shown, ORGANISATIONS, NATIONAL, ENGLAND, item)))
            for item, count in _settings(shown)
        ],
        accesses_by_region=[(name, _text(_of(shown, ACCESSES, REGION, code, ALL))) for code, name in regions],
    )


def _of(shown: Shown, measure: str, geography: str, code: str | None, item: str) -> int | None:
    return shown.get(Cell(measure, geography, str(code), str(item)), 0)


def _text(value: int | None) -> str:
    return HIDDEN if value is None else f"{value:,}"


def _line(shown: Shown, name: str | None, geography: str, code: str | None) -> tuple[str, ...]:
    plans = (_text(_of(shown, PLANS, geography, code, item)) for item in (*PlanType, ALL))
    return (str(name), *plans, _text(_of(shown, CHILDREN, geography, code, ALL)))


def _settings(shown: Shown) -> list[tuple[str, int | None]]:
    found = [(cell.item, value) for cell, value in shown.items() if cell[:2] == (ACCESSES, NATIONAL) and cell.item != ALL]
    return sorted(found, key=lambda one: (-(one[1] or 0), one[0]))


def _region_map(shown: Shown, regions: Sequence[tuple[str, str]]) -> Markup:
    most = max((_of(shown, CHILDREN, REGION, code, ALL) or 0 for code, _ in regions), default=0)
    placed = {}
    for code, name in regions:
        value = _of(shown, CHILDREN, REGION, code, ALL)
        if code in _PLACES:
            placed[_PLACES[code]] = ("".join(word[0] for word in name.split() if word[0].isupper()), _shade(value, most))
    return charts.tiles("Children with an active plan by region", "The darker, the more.", placed)


def _authority_map(shown: Shown, areas: Sequence[Area]) -> Markup:
    most = max((_of(shown, CHILDREN, LA, area.code, ALL) or 0 for area in areas), default=0)
    across, down = _BLOCK
    placed = {}
    for region, (column, row) in _PLACES.items():
        inside = sorted((area for area in areas if area.region == region), key=lambda one: one.name)
        for number, area in enumerate(inside):
            place = (column * across + number % (across - 1), row * (down + 1) + number // (across - 1))
            letters = "".join(letter for letter in area.name if letter.isalpha())[:4]
            placed[place] = (letters, _shade(_of(shown, CHILDREN, LA, area.code, ALL), most))
    return charts.tiles("Children with an active plan by authority", "A tile an authority; the darker, the more.", placed)


def _shade(value: int | None, most: int) -> int | None:
    return None if value is None else charts.shade(value, most or 1)
