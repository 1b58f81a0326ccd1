"""The answer's three forms, held against the worked example in sample_data/ (written anew by `make docs`)."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from frictionless import Resource, Schema
from msgspec import structs

from cpis_batch import spec
from cpis_batch.audit.entry import Head
from cpis_batch.demographics import standing
from cpis_batch.intake import acknowledge, answering, findings
from cpis_batch.intake.acknowledge import Answer, Match
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
            counted_on=date(2026, 11, 19), people=1243, answered=1228, matched=1180, rate=9609, below_line=False, change=35
        ),
        to_check=answering.to_check(verdict, known),
        notices=(answering.notice(findings.GAP),),
    )


def samples() -> dict[str, bytes]:
    """The worked example, as the program writes it."""
    with zipfile.ZipFile(io.BytesIO(acknowledge.render(answer()))) as archive:
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
    forms = acknowledge.forms(bare)
    assert words in json.loads(forms["acknowledgement.json"])["sentence"]
    assert forms["acknowledgement.html"].startswith(b"<!DOCTYPE html>")


def test_the_page_shows_the_first_of_a_long_list_and_says_so_and_the_other_forms_list_all():
    whole = answer()
    many = 201
    changes = pa.concat_tables([whole.changes] * many)
    forms = acknowledge.forms(structs.replace(whole, changes=changes, missing=pa.concat_tables([whole.missing] * many)))
    page = forms["acknowledgement.html"].decode()
    assert page.count("<td>LC-000001</td>") == page.count("<td>LC-000009</td>") == 200
    assert page.count("The first 200 of 201;") == 2
    document = json.loads(forms["acknowledgement.json"])
    assert len(document["changes"]) == len(document["missing"]) == many
    assert forms["acknowledgement.csv"].count(b"CHANGE") == many
