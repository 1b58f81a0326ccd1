"""Workbooks for people: XLSX, a few declared sheets, every cell of the type that its column says.

A spreadsheet that guesses is what spoils NHS numbers and dates, so nothing here is left to it: what is not a count is
text, whatever it begins with (FAULTS F37), and there are no formulas, no links, no merged cells. Each sheet is one table with a
marked header row that stays in sight; the first sheet tells what the others hold. The same content gives the same bytes:
the only instant in a workbook is the one that is passed in. It is written in memory, never through a file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import xlsxwriter

from cpis_batch.errors import Bug

MOST_ROWS = 1_048_575  # below the header row; what a sheet can hold
_WIDEST = 60  # characters; longer text wraps
_NARROWEST = 8
_MEASURED = 200  # rows by which a column's width is chosen
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 ]{0,30}")
# Characters that XML cannot hold, which a program that reads workbooks would call damage.
_NOT_XML = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF), "\N{REPLACEMENT CHARACTER}")
_MOST_TEXT = 32_767  # characters in one cell


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, and whether its cells are counts (int or float, right-aligned) or text."""

    heading: str
    count: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table. `rows` have a value a column: str for text, int or float for counts, None for an empty cell."""

    name: str
    columns: tuple[Column, ...]
    rows: Iterable[Sequence[Any]]


def text(*headings: str) -> tuple[Column, ...]:
    """Columns of text."""
    return tuple(Column(heading) for heading in headings)


def counts(*headings: str) -> tuple[Column, ...]:
    """Columns of counts."""
    return tuple(Column(heading, count=True) for heading in headings)


def workbook(sheets: Sequence[Sheet], *, title: str, made_at: datetime) -> bytes:
    """The workbook with these sheets in this order. Bug where a sheet cannot be one.

    `title` and `made_at` (with a zone) are its properties; no author is named.
    """
    stream = io.BytesIO()
    given = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(stream, given) as book:
        book.set_properties({"title": title, "created": made_at.astimezone(UTC).replace(tzinfo=None)})
        styles = {
            "head": book.add_format(
                {"bold": True, "bg_color": "#005EB8", "font_color": "#FFFFFF", "text_wrap": True, "valign": "top"}
            ),
            "text": book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"}),
            "count": book.add_format({"num_format": "#,##0", "valign": "top"}),
            "part": book.add_format({"num_format": "#,##0.0", "valign": "top"}),
        }
        for number, sheet in enumerate(sheets, 1):
            _add(book, sheet, number, styles)
    return stream.getvalue()


def _add(book: xlsxwriter.Workbook, sheet: Sheet, number: int, styles: dict[str, Any]) -> None:
    if not _NAME.fullmatch(sheet.name) or len({column.heading.lower() for column in sheet.columns}) < len(sheet.columns):
        raise Bug(f"A workbook cannot have the sheet {number} as it is named.", "Report it with the run's log.")
    made = book.add_worksheet(sheet.name)
    made.freeze_panes(1, 0)
    made.set_landscape()
    made.fit_to_pages(1, 0)
    made.repeat_rows(0)
    widths = [len(column.heading) + 2 for column in sheet.columns]
    last = 0
    for last, row in enumerate(sheet.rows, 1):
        if last > MOST_ROWS:
            raise Bug(f"The sheet {sheet.name} has more rows than a workbook can hold.", "Report it with the run's log.")
        for place, (column, value) in enumerate(zip(sheet.columns, row, strict=True)):
            if value is None:
                continue
            if column.count:
                made.write_number(last, place, value, styles["part" if isinstance(value, float) else "count"])
                shown = f"{value:,}"
            else:
                shown = value.translate(_NOT_XML)[:_MOST_TEXT]
                made.write_string(last, place, shown, styles["text"])
            if last <= _MEASURED:
                widths[place] = max(widths[place], len(shown) + 2)
    table = {
        "name": f"Table{number}",
        "style": "Table Style Light 1",
        "columns": [{"header": column.heading, "header_format": styles["head"]} for column in sheet.columns],
    }
    made.add_table(0, 0, max(last, 1), len(sheet.columns) - 1, table)
    for place, width in enumerate(widths):
        made.set_column(place, place, min(max(width, _NARROWEST), _WIDEST))
