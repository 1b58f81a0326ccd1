"""Every workbook opens in LibreOffice as it is, sheet by sheet, with the cells that it was made with: text as text."""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path

import openpyxl
import pytest

from cpis_batch.access import month_render, render
from cpis_batch.access.report import report
from cpis_batch.access.withheld import sift
from tests.access_builders import event, events, packaged, seen_in
from tests.builders import HACKNEY, plan, plans
from tests.pages.made import NOVEMBER, NOW
from tests.unit.test_acknowledge import samples

ODD = ["=1+1", "+44 20 7946 0100", "@SUM(A1)", "007", "1/2/2026", "9.43E+09", "TRUE", 'Zoë O\'Brien, "Ann"', "\uff1dcmd"]


def _looks():
    return [event(n, author_name=odd, organisation_name=odd) for n, odd in enumerate(ODD)]


def _report() -> bytes:
    rows = report(sift(events(_looks()), packaged()), plans([plan(1)]), packaged())
    return render.render(rows, la_code=HACKNEY, la_name="Hackney", made_at=NOW)["access-report.xlsx"]


def _month() -> bytes:
    found = seen_in(_looks(), plans([plan(1)]), NOVEMBER)[HACKNEY]
    made = month_render.render(found, NOVEMBER, packaged(), la_code=HACKNEY, la_name="Hackney", made_at=NOW)
    return made["access-month.xlsx"]


BOOKS = {"answer": lambda: samples()["acknowledgement.xlsx"], "access-report": _report, "access-month": _month}
# CSV of every sheet, UTF-8, all text quoted, cells as they are shown.
_AS_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,true,true,false,false,false,-1"


@pytest.mark.parametrize("name", BOOKS)
def test_f37_a_workbook_opens_in_libreoffice_with_every_cell_as_it_was_made(name: str, tmp_path: Path) -> None:
    data = BOOKS[name]()
    path = tmp_path / f"{name}.xlsx"
    path.write_bytes(data)
    out = tmp_path / "opened"
    profile = (tmp_path / "profile").as_uri()
    command = [
        "soffice",
        f"-env:UserInstallation={profile}",
        "--headless",
        "--convert-to",
        _AS_CSV,
        "--outdir",
        str(out),
        str(path),
    ]
    done = subprocess.run(command, check=True, capture_output=True, timeout=180)
    assert b"repair" not in (done.stdout + done.stderr).lower()
    made = openpyxl.load_workbook(io.BytesIO(data))
    assert {one.name for one in out.iterdir()} == {f"{name}-{sheet.title}.csv" for sheet in made}
    for sheet in made:
        shown = list(csv.reader((out / f"{name}-{sheet.title}.csv").read_bytes().decode().splitlines()))
        texts = [[cell.value for cell in row if isinstance(cell.value, str)] for row in sheet.iter_rows()]
        for row, (wanted, got) in enumerate(zip(texts, shown, strict=False)):
            assert [value for value in wanted if value not in got] == [], f"{sheet.title}, row {row + 1}"
        assert not sheet.merged_cells.ranges
        assert not [cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
