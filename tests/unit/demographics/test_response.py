"""What a trace response comes to, row by row."""

from __future__ import annotations

import csv
import re
from datetime import UTC, date, datetime
from pathlib import Path

import frictionless
import pytest

from cpis_batch import spec
from cpis_batch.demographics.response_rules import RULES
from cpis_batch.intake.frame import FILE_CODES, LINE_CODES
from cpis_batch.vocabulary import Environment, FileOutcome
from tests.builders import nhs
from tests.demographics_builders import HEADER, codes, file_of, line, read

SAMPLES = Path(__file__).parents[3] / "sample_data" / "trace"
FORMATS = sorted(
    path
    for name in ("trace-request", "trace-response", "inactive-number", "match-report")
    for path in (spec.folder() / name).glob("1.0/*.json")
)


def test_the_worked_example_is_read_whole():
    reading = read((SAMPLES / "response.csv").read_bytes())
    assert (reading.outcome, reading.rows, reading.rejected, reading.repeated) == (FileOutcome.ALL_LOADED, 10, 0, 0)
    assert (reading.header.sequence, reading.header.extracted_at) == (52, datetime(2026, 11, 20, 5, 40, tzinfo=UTC))
    assert reading.answers["answered_on"].unique().to_pylist() == [date(2026, 11, 20)]


def test_every_fault_of_every_row_is_named_by_line():
    reading = read((SAMPLES / "every-fault.csv").read_bytes())
    with (SAMPLES / "every-fault.expected.csv").open(encoding="utf-8", newline="") as expected:
        assert codes(reading) == [(int(fault["line"]), fault["code"]) for fault in csv.DictReader(expected)]
    assert reading.outcome is FileOutcome.PARTIAL
    assert reading.rows == reading.answers.num_rows + reading.rejected + reading.repeated


def test_the_example_of_faults_shows_every_rule_but_the_one_of_the_environment():
    shown = {code for _, code in codes(read((SAMPLES / "every-fault.csv").read_bytes()))}
    assert {rule.code for rule in RULES} - shown == {"CPT-132"}


def test_f26_numbers_of_the_test_range_are_refused_in_live():
    assert codes(read(file_of(line(), header=HEADER.replace("TEST", "LIVE")), Environment.LIVE)) == [(2, "CPT-132")]


@pytest.mark.parametrize("code", ["22", "30", "31", "32", "33", "40"])
@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("nhs_number", nhs(9), "CPT-133"),
        ("family_name", "Canary", "CPT-134"),
        ("date_of_birth", "2019-04-30", "CPT-134"),
        ("sensitive", "N", "CPT-134"),
        ("practice_code", "A99901", "CPT-134"),
        ("residence_code", "E09000012", "CPT-134"),
        ("date_of_death", "2026-10-01", "CPT-134"),
    ],
)
def test_f48_a_code_that_tells_of_no_record_brings_no_value_of_one(code, field, value, fault):
    reading = read(file_of(line(code=code, **{field: value})))
    assert codes(reading) == [(2, fault)]
    assert reading.answers.num_rows == 0


def test_f49_practice_and_residence_of_a_sensitive_record_are_gone_when_the_file_is_read():
    reading = read(file_of(line(sensitive="Y")))
    (one,) = reading.answers.to_pylist()
    assert (one["sensitive"], one["practice_code"], one["residence_code"]) == (True, None, None)
    assert codes(reading) == [(2, "CPT-162")]


@pytest.mark.parametrize("written", ["", "J", "yes", "y", "0"])
def test_f49_a_record_of_which_nobody_can_say_whether_it_is_sensitive_is_not_taken(written):
    reading = read(file_of(line(sensitive=written)))
    assert (codes(reading), reading.answers.num_rows) == ([(2, "CPT-161")], 0)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("practice_code", "a99-901", "CPT-171"),
        ("residence_code", "Hackney", "CPT-172"),
        ("date_of_death", "2018-01-01", "CPT-181"),
    ],
)
def test_what_may_be_absent_and_cannot_be_read_is_absent_and_warned_of(field, value, code):
    reading = read(file_of(line(**{field: value})))
    assert (codes(reading), reading.answers[field].to_pylist()) == ([(2, code)], [None])


@pytest.mark.parametrize("written", ["", "2019-02-30", "30/04/2019", "2019-4-30", "20190430", "43585"])
def test_f36_a_date_of_birth_that_is_none_keeps_the_answer_out(written):
    assert codes(read(file_of(line(date_of_birth=written)))) == [(2, "CPT-141")]


@pytest.mark.parametrize("written", ["", "9990000019", "999000002", "9.99E+09", "9999999999", "٩٩٩٠٠٠٠٠٢٦", f"{nhs(1)} "])
def test_f34_what_is_not_an_nhs_number_keeps_the_answer_out(written):
    assert (2, "CPT-131") in codes(read(file_of(line(nhs_number=written))))


@pytest.mark.parametrize(
    ("data", "code", "outcome"),
    [
        (b"", "CPT-001", FileOutcome.UNREADABLE),
        (file_of(line()).decode().encode("utf-16"), "CPT-001", FileOutcome.UNREADABLE),
        (file_of(line(), header=HEADER.replace("H,", "X,", 1)), "CPT-002", FileOutcome.UNREADABLE),
        (file_of(line(), header=HEADER.replace("TRACE-RESPONSE", "ACCESS-EVENTS")), "CPT-003", FileOutcome.UNREADABLE),
        (file_of(line(), header=HEADER.replace("1.0", "9.0")), "CPT-004", FileOutcome.VERSION_NOT_SUPPORTED),
        (file_of(line(), header=HEADER.replace(",3,", ",0,")), "CPT-005", FileOutcome.UNREADABLE),
        (file_of(line(), header=HEADER.replace("TEST", "LIVE")), "CPT-006", FileOutcome.NONE_LOADED),
        (file_of(line())[:-4], "CPT-007", FileOutcome.UNREADABLE),
        (file_of(line(), count=2), "CPT-008", FileOutcome.UNREADABLE),
        (b"record_type,other\n" + file_of(line()), "CPT-009", FileOutcome.UNREADABLE),
    ],
)
def test_a_file_that_is_not_whole_is_refused_whole(data, code, outcome):
    reading = read(data)
    assert ([found for _, found in codes(reading)], reading.outcome, reading.answers.num_rows) == ([code], outcome, 0)


def test_an_empty_response_is_right():
    assert read(file_of()).outcome is FileOutcome.ALL_LOADED


def test_no_fault_tells_a_value_of_a_row():
    canaries = ("Canarysson", "Canarybert", "1999-12-31", nhs(77))
    told = read(
        file_of(
            line(
                family_name=canaries[0], given_name=canaries[1], date_of_birth=canaries[2], nhs_number=canaries[3], sensitive="?"
            )
        )
    )
    assert codes(told)
    assert not [canary for canary in canaries if canary in str(told.faults.to_pylist()) + repr(told)]


@pytest.mark.parametrize("path", FORMATS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_the_schemas_are_table_schemas_and_their_pages_name_every_field(path):
    page = (path.parent / "README.md").read_text(encoding="utf-8")
    for name in frictionless.Schema.from_descriptor(str(path)).field_names:
        assert f"`{name}`" in page, name


def test_every_code_stands_on_the_page_of_the_format():
    page = (spec.folder() / "trace-response" / "1.0" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| CPT-([0-9, ]+) \|", page, re.MULTILINE)
    on_page = {f"CPT-{number}" for row in rows for number in row.split(", ")}
    assert on_page == {rule.code for rule in RULES} | {f"CPT-{number}" for number in (*FILE_CODES, *LINE_CODES)}
