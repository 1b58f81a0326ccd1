"""A release as an OpenDocument workbook, after the Analysis Function's guidance on spreadsheets that anybody can use.

A cover and notes come first; then one table a sheet, that begins in column A under a title and a line that says what is there, is
named, has one heading row, no merged and no empty cells, and no formulas. What is not shown is marked, and the mark is explained.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from odfdo import Cell as OdsCell
from odfdo import Document, Row, Style, Table

from cpis_batch import pages
from cpis_batch.statistics.cells import ALL, LA, NATIONAL
from cpis_batch.statistics.count import ACCESSES, ORGANISATIONS
from cpis_batch.statistics.release import HIDDEN, Release
from cpis_batch.vocabulary import PlanType

Value = str | int | None
_GEOGRAPHIES = {"national": "England", "region": "Region", "icb": "Integrated care board", LA: "Local authority"}
_FIRST_ROW = 4  # of a table, counted from 1: title, what is there, the marks


def to_ods(release: Release, settings: dict[str, str]) -> bytes:
    """The workbook. `settings`: names of care settings by code."""
    document = Document("spreadsheet")
    document.body.clear()
    document.insert_style(Style("table-cell", name="heading", area="text", bold=True), automatic=True)
    document.insert_style(Style("table-cell", name="title", area="text", bold=True, size="16pt"), automatic=True)
    month = pages.day(release.month.first).partition(" ")[2]
    title = f"Child protection information sharing, {month}"
    _sheet_of_text(document, "Cover", [title, *_cover(release)])
    _sheet_of_text(document, "Notes", ["Notes", *_notes(release)])
    heads = ("Kind of area", "Code", "Area", *(str(kind) for kind in PlanType), "All plans", "Children and mothers")
    _sheet_of_table(document, "Plans", f"Active plans on {pages.day(release.as_at)}", heads, _plans(release))
    rows = _accesses(release, settings)
    heads = ("Kind of area", "Code", "Area", "Care setting", "Accesses", "Organisations")
    _sheet_of_table(document, "Accesses", f"Accesses in {month}", heads, rows)
    document.meta.title = title
    document.meta.creation_date = release.made_at.replace(tzinfo=None)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def _cover(release: Release) -> list[str]:
    safe = "for publication" if release.profile.public else "not for publication: nothing is hidden or rounded"
    return [
        f"Made on {pages.london(release.made_at)}; {safe}.",
        "Sheets: Notes, how to read the figures; Plans, active plans and children by area; Accesses, by setting and area.",
        "The same figures are in statistics.csv, one a row.",
    ]


def _notes(release: Release) -> list[str]:
    hidden = (
        f"{HIDDEN} stands for a count of 1 to {release.profile.most_hidden}, or for one from which one of these could be worked"
        f" out. England's figures are exact where they are shown; all others are rounded to the nearest {release.profile.unit}."
    )
    return [
        *([hidden] if release.profile.public else []),
        "A person with plans at two authorities counts once in England and once in the area of each. Parts may exceed a total.",
        "An authority that several integrated care boards share counts in its principal one. Regions are those of authorities.",
        "Looks in scheduled care, and in services where nobody is told of a look, are in no figure.",
        "Organisations are those in which somebody looked in the month.",
    ]


def _plans(release: Release) -> Iterable[tuple[Value, ...]]:
    places: dict[tuple[str, str], dict[str, int | None]] = {}
    for cell, value in release.shown.items():
        if cell.measure in ("PLANS", "CHILDREN"):
            name = cell.item if cell.measure == "PLANS" else "CHILDREN"
            places.setdefault((cell.geography, cell.code), {})[name] = value
    order = list(_GEOGRAPHIES)
    for (geography, code), of in sorted(places.items(), key=lambda one: (order.index(one[0][0]), one[0][1])):
        figures = (of.get(str(item)) for item in (*PlanType, ALL, "CHILDREN"))
        yield (_GEOGRAPHIES[geography], code, release.names.get(code, code), *figures)


def _accesses(release: Release, settings: dict[str, str]) -> Iterable[tuple[Value, ...]]:
    order = list(_GEOGRAPHIES)
    found = [(cell, value) for cell, value in release.shown.items() if cell.measure == ACCESSES]
    for cell, value in sorted(found, key=lambda one: (order.index(one[0].geography), one[0].code, one[0].item)):
        setting = "All settings" if cell.item == ALL else settings.get(cell.item, cell.item)
        seats = release.shown.get(cell._replace(measure=ORGANISATIONS)) if cell.geography == NATIONAL else "not counted"
        yield _GEOGRAPHIES[cell.geography], cell.code, release.names.get(cell.code, cell.code), setting, value, seats


def _sheet_of_text(document: Document, name: str, lines: Sequence[str]) -> None:
    table = Table(name)
    for number, line in enumerate(lines):
        table.append_row(_row([OdsCell(line, style="title" if number == 0 else None)]))
    document.body.append(table)


def _sheet_of_table(document: Document, name: str, title: str, heads: Sequence[str], rows: Iterable[tuple[Value, ...]]) -> None:
    table = Table(name)
    table.append_row(_row([OdsCell(title, style="title")]))
    table.append_row(_row([OdsCell("This worksheet holds one table.")]))
    table.append_row(_row([OdsCell(f"{HIDDEN} marks a count that is not shown: see Notes.")]))
    table.append_row(_row([OdsCell(head, style="heading") for head in heads]))
    count = 0
    for row in rows:
        table.append_row(_row([OdsCell(HIDDEN if value is None else value) for value in row]))
        count += 1
    document.body.append(table)
    table.set_named_range(f"table_{name.lower()}", (0, _FIRST_ROW - 1, len(heads) - 1, _FIRST_ROW - 1 + count))


def _row(cells: Sequence[OdsCell]) -> Row:
    row = Row()
    for cell in cells:
        row.append_cell(cell)
    return row
