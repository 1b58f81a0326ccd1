"""A workbook holds what it is told and nothing that a spreadsheet could make something else of."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import openpyxl
import pytest
from openpyxl.utils.escape import unescape

from cpis_batch.errors import Bug
from cpis_batch.workbook import Column, Sheet, counts, text, workbook

NOW = datetime(2026, 11, 20, 2, 5, tzinfo=UTC)
DANGEROUS = [
    "=1+1",
    "+44",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\uff1d1+1",
    "007",
    "9.43E+09",
    "01/02/2024",
    "https://example.org",
    "TRUE",
]


def made(*sheets: Sheet) -> bytes:
    return workbook(sheets, title="Trial", made_at=NOW)


def opened(data: bytes) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(data))


def test_f37_whatever_a_cell_begins_with_stays_text():
    sheet = opened(made(Sheet("Faults", text("What"), [(value,) for value in DANGEROUS])))["Faults"]
    cells = [sheet.cell(row, 1) for row in range(2, len(DANGEROUS) + 2)]
    assert [cell.data_type for cell in cells] == ["s"] * len(DANGEROUS)
    assert [unescape(cell.value) for cell in cells] == DANGEROUS
    assert {cell.number_format for cell in cells} == {"@"}


def test_no_formula_link_or_merged_cell_is_in_it():
    with zipfile.ZipFile(io.BytesIO(made(Sheet("Faults", text("What"), [(value,) for value in DANGEROUS])))) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert not any(mark in whole for mark in (b"<f>", b"<f ", b"<hyperlink", b"<mergeCell", b"externalLink"))


def test_it_holds_the_declared_sheets_with_a_marked_header_row_and_nothing_else():
    book = opened(made(Sheet("Summary", text("What") + counts("How many"), [("Rows", 12)]), Sheet("Faults", text("Line"), [])))
    assert book.sheetnames == ["Summary", "Faults"]
    for sheet in book:
        assert sheet.freeze_panes == "A2"
        assert sheet.cell(1, 1).font.bold
        assert len(sheet.tables) == 1
        assert sheet.sheet_state == "visible"
    assert (book["Summary"]["B2"].value, book["Summary"]["B2"].data_type) == (12, "n")


def test_the_same_content_gives_the_same_bytes():
    sheet = Sheet("Faults", (Column("What"), Column("How many", count=True)), [("a", 1), (None, 2.5)])
    assert made(sheet) == made(sheet)


def test_characters_that_xml_cannot_hold_are_replaced():
    assert opened(made(Sheet("Faults", text("What"), [("a\x00b\x1fc",)])))["Faults"]["A2"].value == "a\ufffdb\ufffdc"


@pytest.mark.parametrize("sheet", [Sheet("a/b", text("What"), []), Sheet("Faults", text("What", "what"), [])])
def test_a_sheet_that_a_workbook_cannot_have_is_a_bug(sheet):
    with pytest.raises(Bug):
        made(sheet)
