"""The answer's three forms, held against the worked example in sample_data/ (written anew by `make docs`)."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, date, datetime, timedelta

import msgspec
import openpyxl
import pyarrow as pa
import pytest
from frictionless import Resource, Schema
from msgspec import structs

from cpis_batch import spec
from cpis_batch.audit.entry import Head
from cpis_batch.demographics import standing
from cpis_batch.intake import acknowledge, answer_forms, answer_workbook, answering, findings
from cpis_batch.intake.acknowledge import Answer, Match, Rated
from cpis_batch.intake.check import CheckContext, check
from cpis_batch.intake.read import read_extract
from cpis_batch.register.schema import CHANGES
from cpis_batch.vocabulary import Environment, ExtractKind, FileOutcome, FileState
from tests.builders import HACKNEY
from tests.hub import extract, plan_row

SAMPLES = spec.folder().parent / "sample_data" / "acknowledgement"
ROWS = [
    plan_row(1),
    plan_row(2, "UCPP", born="1994-08-02"),
    plan_row(3, number="9.99E+09"),
    plan_row(4, start="31/12/2025"),
    plan_row(5, number="MRTY/123"),
    plan_row(6, family="Smyth"),
]


def answer() -> Answer:
    """A full extract of six rows, three of which did not get in; of the others one is traced, one is not yet, one does not match.

    One child of an earlier extract is left out.
    """
    verdict = check(
        read_extract(extract(HACKNEY, ROWS, sequence=118)), CheckContext(HACKNEY, Environment.TEST, date(2026, 11, 20))
    )
    stand = {"file": 0, "outcome": "CPR06", "status": "01", "provisional": False, "over": False, "check": None, "deceased": False}
    stands = [
        stand | {"line": 2},
        stand | {"line": 3, "status": "06", "provisional": True},
        stand | {"line": 7, "outcome": "CPR03", "status": "05", "check": "FAMILY_NAME"},
    ]
    known = pa.Table.from_pylist(stands, schema=standing.ROWS)
    change = {"plan_type": "CPP", "start_date": date(2026, 2, 11), "line": 2, "was_active": False, "is_active": True}
    changes = [
        {"change": "NEW", "nhs_number": "9990000018", "child_id": "LC-000001", "start_moved": False, "redated": False, **change},
    ]
    missing = {"child_id": "LC-000009", "plan_type": "LAC", "start_date": date(2025, 6, 2), "missing_since": date(2026, 11, 19)}
    return Answer(
        reference="CPIS_ACK_E09000012_00000118_000000051",
        la_code=HACKNEY,
        la_name="Hackney",
        file_name="CPIS_LA_E09000012_FULL_00000118_20261119T234000Z.csv.pgp",
        file_digest="0" * 64,
        received_at=datetime(2026, 11, 20, 1, 30, tzinfo=UTC),
        answered_at=datetime(2026, 11, 20, 1, 31, tzinfo=UTC),
        state=FileState.MERGED,
        outcome=FileOutcome.PARTIAL,
        audit=Head(214, "8c1f" * 16),
        sequence=118,
        kind=ExtractKind.FULL,
        extracted_at=datetime(2026, 11, 19, 23, 40, tzinfo=UTC),
        faults=answering.faults(None, verdict),
        outcomes=answering.row_outcomes(FileState.MERGED, verdict, known),
        changes=pa.Table.from_pylist(changes, schema=CHANGES),
        missing=pa.Table.from_pylist([missing], schema=acknowledge.MISSING),
        match=Match(
            counted_on=date(2026, 11, 19),
            people=1243,
            answered=1228,
            matched=1180,
            rate=9609,
            below_line=False,
            change=35,
            trend=tuple(
                Rated(date(2026, 10, 22) + timedelta(days=7 * week), rate)
                for week, rate in enumerate((9574, 9588, 9571, 9602, 9609))
            ),
        ),
        to_check=answering.to_check(verdict, known),
        notices=(answering.notice(findings.GAP),),
    )


def samples() -> dict[str, bytes]:
    """The worked example, as the program writes it."""
    with zipfile.ZipFile(io.BytesIO(answer_forms.render(answer()))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("name", ["acknowledgement.csv", "acknowledgement.json", "acknowledgement.html"])
def test_the_worked_example_is_what_the_program_writes(name):
    assert (SAMPLES / name).read_bytes() == samples()[name]


def test_the_csv_keeps_to_its_table_schema():
    schema = Schema.from_descriptor(json.loads((spec.folder() / "acknowledgement/1.0/acknowledgement.schema.json").read_bytes()))
    report = Resource(path="acknowledgement.csv", basepath=str(SAMPLES), schema=schema).validate()
    assert report.valid, report.flatten(["note"])


def test_every_row_has_one_outcome_and_every_fault_its_cure():
    told = json.loads(samples()["acknowledgement.json"])
    assert [record["line"] for record in told["records"]] == [2, 3, 4, 5, 6, 7]
    assert [record["outcome"] for record in told["records"]] == ["CPR06", "CPR06", "CPR07", "CPR07", "CPR04", "CPR03"]
    assert [record["loaded"] for record in told["records"]] == [True, True, False, False, False, True]
    assert all(fault["cause"] and fault["cure"] for fault in told["faults"])


@pytest.mark.parametrize(
    ("state", "outcome", "words"),
    [
        (FileState.HELD, None, "have not used it yet"),
        (FileState.DUPLICATE, FileOutcome.ALL_LOADED, "already have this very file"),
        (FileState.STALE, FileOutcome.NONE_LOADED, "older than one"),
        (FileState.REFUSED, FileOutcome.VERSION_NOT_SUPPORTED, "version"),
        (FileState.MERGED, FileOutcome.ALL_LOADED, "holds no rows"),
    ],
)
def test_each_state_is_told_in_a_sentence(state, outcome, words):
    bare = Answer(
        reference="r",
        la_code=HACKNEY,
        la_name="Hackney",
        file_name="f",
        file_digest="0" * 64,
        received_at=datetime(2026, 11, 20, tzinfo=UTC),
        answered_at=datetime(2026, 11, 20, tzinfo=UTC),
        state=state,
        outcome=outcome,
        audit=Head(1, "0" * 64),
    )
    forms = answer_forms.forms(bare)
    assert words in json.loads(forms["acknowledgement.json"])["sentence"]
    assert forms["acknowledgement.html"].startswith(b"<!DOCTYPE html>")


def test_the_page_shows_the_first_of_a_long_list_and_says_so_and_the_other_forms_list_all():
    whole = answer()
    many = 201
    changes = pa.concat_tables([whole.changes] * many)
    forms = answer_forms.forms(structs.replace(whole, changes=changes, missing=pa.concat_tables([whole.missing] * many)))
    page = forms["acknowledgement.html"].decode()
    assert page.count("<td>LC-000001</td>") == page.count("<td>LC-000009</td>") == 200
    assert page.count("The first 200 of 201;") == 2
    document = json.loads(forms["acknowledgement.json"])
    assert len(document["changes"]) == len(document["missing"]) == many
    assert forms["acknowledgement.csv"].count(b"CHANGE") == many


def test_a_document_written_some_rows_at_a_time_is_the_one_written_at_once(monkeypatch):
    whole = answer()
    look_alike = whole.outcomes.set_column(
        whole.outcomes.schema.get_field_index("child_id"), "child_id", pa.array(['\n "changes": []'] * whole.outcomes.num_rows)
    )
    long = structs.replace(whole, outcomes=pa.concat_tables([look_alike] * 5), la_name='\n "records": []')
    at_once = answer_forms.forms(long)["acknowledgement.json"]
    document = json.loads(at_once)
    assert [len(document[name]) for name in ("faults", "records", "missing")] == [
        whole.faults.num_rows,
        5 * whole.outcomes.num_rows,
        whole.missing.num_rows,
    ]
    assert at_once == msgspec.json.format(msgspec.json.encode(document), indent=1)
    for rows in (1, 2, 7):
        monkeypatch.setattr(answer_forms, "_ROWS_AT_ONCE", rows)
        assert answer_forms.forms(long)["acknowledgement.json"] == at_once


def test_the_workbook_of_the_worked_example_says_what_the_program_writes():
    def cells(data: bytes) -> dict[str, list[tuple[object, ...]]]:
        return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in openpyxl.load_workbook(io.BytesIO(data))}

    written = cells(samples()["acknowledgement.xlsx"])
    assert cells((SAMPLES / "acknowledgement.xlsx").read_bytes()) == written
    assert list(written) == ["Summary", "Counts", "Mistakes", "Rows to mend", "Left out", "To check", "Changes", "Match rate"]
    assert [row[0] for row in written["Rows to mend"][1:]] == [4, 5, 6]


def test_one_mistake_made_300_times_reads_once_and_each_of_its_rows_is_in_the_workbook():
    rows = [plan_row(child, start="31/12/2025") for child in range(1, 301)]
    verdict = check(read_extract(extract(HACKNEY, rows)), CheckContext(HACKNEY, Environment.TEST, date(2026, 11, 20)))
    forms = answer_forms.forms(structs.replace(answer(), faults=answering.faults(None, verdict)))
    page = forms["acknowledgement.html"].decode()
    assert page.count("300 rows:") == 1
    assert page.count("(your id LC-") == 20
    assert "and 280 more, all listed in acknowledgement.xlsx" in page
    book = openpyxl.load_workbook(io.BytesIO(forms["acknowledgement.xlsx"]))
    assert (book["Mistakes"].max_row, book["Rows to mend"].max_row) == (2, 301)


def test_what_there_is_to_do_comes_first_and_where_there_is_nothing_the_page_says_so():
    page = samples()["acknowledgement.html"].decode()
    asked = [page.index(f'<a href="#{where}">') for where in ("mend", "left-out", "check")]
    assert asked == sorted(asked)
    assert asked[-1] < page.index('<h2 id="mend">')
    clean = structs.replace(
        answer(), faults=acknowledge.FAULTS.empty_table(), missing=acknowledge.MISSING.empty_table(),
        to_check=acknowledge.TO_CHECK.empty_table(),
    )  # fmt: skip
    assert "You need do nothing." in answer_forms.forms(clean)["acknowledgement.html"].decode()


def test_no_form_holds_a_number_a_name_or_a_date_of_birth():
    with zipfile.ZipFile(io.BytesIO(samples()["acknowledgement.xlsx"])) as book:
        whole = b"".join(book.read(name) for name in book.namelist())
    whole += b"".join(data for name, data in samples().items() if name != "acknowledgement.xlsx")
    for row in ROWS:
        for value in (row[0], row[2], row[3], row[4]):
            assert value.encode() not in whole, "a value of a record"


def test_of_a_held_file_nothing_is_said_to_have_been_kept_out_and_nothing_is_counted():
    held = structs.replace(
        answer(), state=FileState.HELD, outcome=None, outcomes=acknowledge.OUTCOMES.empty_table(), holds=("Why.",)
    )
    forms = answer_forms.forms(held)
    page = forms["acknowledgement.html"].decode()
    assert "Would be kept out" in page
    assert "Kept out." not in page
    assert "What to do" not in page
    assert "What this file did" not in page
    book = openpyxl.load_workbook(io.BytesIO(forms["acknowledgement.xlsx"]))
    assert book["Rows to mend"]["F2"].value == "would be kept out"


def test_a_list_that_is_too_long_for_a_workbook_ends_with_where_the_rest_is(monkeypatch):
    monkeypatch.setattr(answer_workbook, "ROWS_SHOWN", 2)
    book = openpyxl.load_workbook(io.BytesIO(answer_forms.forms(answer())["acknowledgement.xlsx"]))
    assert [row[1] for row in book["Rows to mend"].iter_rows(min_row=2, values_only=True)] == [
        "LC-000003", "LC-000004", "1 more, all listed in acknowledgement.csv",
    ]  # fmt: skip


def test_the_match_rate_has_two_decimals_in_the_workbook_too():
    book = openpyxl.load_workbook(io.BytesIO(answer_forms.forms(answer())["acknowledgement.xlsx"]))
    assert book["Match rate"]["B2"].value == "95.74"
