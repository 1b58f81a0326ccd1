"""A CHIS unit's desk: what it collects opens with the package and its own key, as a file or a workbook, or it says why not."""

from __future__ import annotations

import csv
import io
import stat
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from cpis_batch.cli import cli
from cpis_batch.errors import InputRefused, UsageFault
from tests.builders import HACKNEY, nhs
from tests.hub import Hub, keys, plan_row
from tests.small_england import KENT_AND_MEDWAY, NORTH_EAST_LONDON, small_england


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    made = small_england(tmp_path)
    made.drop(HACKNEY, [plan_row(1), plan_row(2)])
    made.run("nightly")
    return made


@pytest.fixture
def desk(hub: Hub, tmp_path: Path) -> Path:
    """The unit's folder: its key, the hub's certificate, what it has collected."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "own.key").write_bytes(keys("CHIS").secret)
    (folder / "own.key").chmod(0o600)
    (folder / "hub.asc").write_bytes(hub.certificate)
    for path in hub.outbound(NORTH_EAST_LONDON):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def opened(desk: Path, pattern: str, *more: str) -> Result:
    (path,) = desk.glob(pattern)
    arguments = ["chis", "open", str(path), "--key", str(desk / "own.key"), "--hub", str(desk / "hub.asc"), *more]
    return CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)


def manifest(desk: Path) -> str:
    return str(next(desk.glob("*.manifest.json.pgp")))


def test_an_extract_opens_as_it_was_sent_for_its_owner_alone(desk: Path) -> None:
    done = opened(desk, "*.csv.pgp", "--manifest", manifest(desk))
    (made,) = desk.glob("*.csv")
    assert {row["nhs_number"] for row in csv.DictReader(io.StringIO(made.read_bytes().decode(), newline=""))} == {nhs(1), nhs(2)}
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert "2 rows, signed by the hub." in done.output
    assert "Not held to its manifest" not in done.output


def test_without_its_manifest_the_answer_says_that_it_was_not_held_to_it(desk: Path) -> None:
    assert "Not held to its manifest" in opened(desk, "*.csv.pgp").output


def test_f34_in_a_workbook_every_cell_is_the_text_that_was_sent(desk: Path) -> None:
    opened(desk, "*.csv.pgp")
    opened(desk, "*.csv.pgp", "--format", "xlsx")
    (made,) = desk.glob("*.xlsx")
    (plain,) = desk.glob("*.csv")
    sheet = openpyxl.load_workbook(made)["Extract"]
    rows = list(csv.reader(io.StringIO(plain.read_bytes().decode(), newline="")))
    assert [[cell.value or "" for cell in row] for row in sheet.iter_rows()] == rows
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None} == {"s"}
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_manifest_and_page_open_too(desk: Path) -> None:
    opened(desk, "*.summary.html.pgp")
    opened(desk, "*.manifest.json.pgp")
    (page,) = desk.glob("*.html")
    assert page.read_bytes().startswith(b"<!DOCTYPE html>")
    with pytest.raises(UsageFault, match="no extract"):
        opened(desk, "*.manifest.json.pgp", "--format", "xlsx")


def test_what_is_there_is_not_written_over(desk: Path) -> None:
    opened(desk, "*.csv.pgp")
    with pytest.raises(UsageFault, match="is there already"):
        opened(desk, "*.csv.pgp")


def test_f20_another_unit_s_file_is_not_opened_and_the_message_says_what_to_do(hub: Hub, desk: Path) -> None:
    (mine,) = desk.glob("*.csv.pgp")
    (theirs,) = hub.outbound(KENT_AND_MEDWAY, "CPIS_CHIS_CHIS19_2026F23_0001.csv")
    mine.write_bytes(theirs.read_bytes())
    with pytest.raises(InputRefused, match="is not the file that"):
        opened(desk, "*.csv.pgp", "--manifest", manifest(desk))
    mine.write_bytes(theirs.read_bytes()[:-40])
    with pytest.raises(InputRefused, match="was not opened") as raised:
        opened(desk, "*.csv.pgp")
    assert "Collect it again" in raised.value.advice
    assert not list(desk.glob("*.csv"))
