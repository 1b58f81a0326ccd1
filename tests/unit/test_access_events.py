"""What a file of access events comes to, row by row."""

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import frictionless
import pyarrow as pa
import pytest

from cpis_batch import spec
from cpis_batch.access.event_rules import RULES
from cpis_batch.access.events import unseen
from cpis_batch.intake.frame import FILE_CODES, LINE_CODES
from cpis_batch.vocabulary import Environment, FileOutcome
from tests.access_builders import HEADER, LINE, codes, event, events, file_of, read
from tests.builders import nhs

SAMPLES = Path(__file__).parents[2] / "sample_data" / "access-events"


def test_the_worked_example_is_read_whole():
    reading = read((SAMPLES / "valid.csv").read_bytes())
    assert reading.outcome is FileOutcome.ALL_LOADED
    assert (reading.rows, reading.rejected, reading.repeated) == (10, 0, 0)
    assert reading.header.sequence == 41
    assert reading.header.extracted_at == datetime(2026, 11, 20, 0, 15, tzinfo=UTC)
    assert reading.events["author_name"].to_pylist()[:3] == ["O'Brien, Zoë", "Triage desk 3", "Null, Fernando"]


def test_every_fault_of_every_row_is_named_by_line():
    reading = read((SAMPLES / "every-fault.csv").read_bytes())
    with (SAMPLES / "every-fault.expected.csv").open(encoding="utf-8", newline="") as expected:
        assert codes(reading) == [(int(fault["line"]), fault["code"]) for fault in csv.DictReader(expected)]
    assert reading.outcome is FileOutcome.PARTIAL


def test_the_example_of_faults_shows_every_rule_but_the_one_of_the_environment():
    shown = {code for _, code in codes(read((SAMPLES / "every-fault.csv").read_bytes()))}
    assert {rule.code for rule in RULES} - shown == {"CPE-132"}


@pytest.mark.parametrize("sample", ["valid.csv", "every-fault.csv"])
def test_rows_are_events_rejected_or_repeated_and_nothing_else(sample):
    reading = read((SAMPLES / sample).read_bytes())
    assert reading.rows == reading.events.num_rows + reading.rejected + reading.repeated
    in_lines = set(reading.events["line"].to_pylist()) | {line for line, _ in codes(reading)}
    assert len(in_lines) >= reading.rows - 1
    assert reading.events["event_id"].to_pylist() == list(dict.fromkeys(reading.events["event_id"].to_pylist()))


@pytest.mark.parametrize(("flag", "notifies"), [("Y", True), ("N", False), ("", True), ("yes", True), ("n", True)])
def test_an_event_is_silent_only_where_the_flag_says_so_plainly(flag, notifies):
    reading = read(file_of(LINE.removesuffix("Y") + flag))
    assert reading.events["notifies_la"].to_pylist() == [notifies]


def test_a_row_that_a_spreadsheet_padded_is_read():
    assert read(file_of(LINE + ",,,")).events.num_rows == 1


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-10-25T01:30:00+01:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T01:30:00+00:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("2026-06-19T23:40:00.25Z", datetime(2026, 6, 19, 23, 40, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_the_instant_that_its_zone_makes_it(written, instant):
    reading = read(file_of(LINE.replace("2026-11-19T08:12:44Z", written)))
    assert reading.events["accessed_at"].to_pylist() == [instant]


@pytest.mark.parametrize(
    "written",
    ["2026-11-19T08:12:44", "2026-11-19 08:12:44Z", "19/11/2026 08:12", "2026-02-30T08:12:44Z", "2026-11-19T08:12:44+99:00", ""],
)
def test_a_time_without_a_zone_or_that_does_not_exist_keeps_the_row_out(written):
    reading = read(file_of(LINE.replace("2026-11-19T08:12:44Z", written)))
    assert codes(reading) == [(2, "CPE-121")]
    assert reading.events.num_rows == 0
    assert reading.outcome is FileOutcome.NONE_LOADED


@pytest.mark.parametrize("written", ["9990000019", "999000001", "9.99E+09", "9999999999", "٩٩٩٠٠٠٠٠١٨", "9990000018.0", ""])
def test_what_is_not_an_nhs_number_is_rejected_and_never_repaired(written):
    assert (2, "CPE-131") in codes(read(file_of(LINE.replace(nhs(1), written))))


def test_f26_numbers_of_the_test_range_are_refused_in_live():
    reading = read(file_of(LINE, header=HEADER.replace("TEST", "LIVE")), Environment.LIVE)
    assert codes(reading) == [(2, "CPE-132")]


def test_an_event_sent_twice_in_one_file_counts_once():
    reading = read(file_of(LINE, LINE))
    assert (reading.events.num_rows, reading.repeated, reading.outcome) == (1, 1, FileOutcome.ALL_LOADED)
    assert codes(reading) == [(3, "CPE-113")]


def test_events_that_differ_and_share_an_id_are_all_kept_out_since_one_of_them_may_be_withheld():
    reading = read(file_of(LINE, LINE.replace("EMERGENCY-DEPARTMENT", "SARC"), LINE.replace("e-1", "e-2")))
    assert [found for found in codes(reading) if found[1] == "CPE-112"] == [(2, "CPE-112"), (3, "CPE-112")]
    assert reading.events["event_id"].to_pylist() == ["e-2"]


def test_an_empty_file_of_events_is_right():
    reading = read(file_of())
    assert (reading.outcome, reading.rows, reading.events.num_rows) == (FileOutcome.ALL_LOADED, 0, 0)


def test_an_event_counts_once_over_any_number_of_files():
    first = unseen(events([event(1), event(2)]), pa.array([], pa.string()))
    second = unseen(events([event(2), event(3), event(3, line=99)]), first["event_id"])
    assert (first["event_id"].to_pylist(), second["event_id"].to_pylist()) == (["e-1", "e-2"], ["e-3"])


def test_what_waited_is_looked_at_again_and_gives_way_to_what_was_sent_since():
    waiting = events([event(1, care_setting="POP-UP"), event(2, care_setting="POP-UP")])
    found = unseen(events([event(2, line=500, care_setting="SARC")]), pa.array([], pa.string()), waiting)
    assert {row["event_id"]: row["care_setting"] for row in found.to_pylist()} == {"e-1": "POP-UP", "e-2": "SARC"}


def test_every_code_stands_on_the_page_of_the_format():
    page = (spec.folder() / "access-events" / "1.0" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| CPE-([0-9, ]+) \|", page, re.MULTILINE)
    on_page = {f"CPE-{number}" for row in rows for number in row.split(", ")}
    shared = {f"CPE-{number}" for number in (*FILE_CODES, *LINE_CODES)}
    assert on_page == {rule.code for rule in RULES} | shared


@pytest.mark.parametrize(
    "path", sorted(spec.folder().glob("access-*/1.0/*.schema.json")), ids=lambda path: f"{path.parts[-3]}-{path.stem}"
)
def test_the_schemas_are_table_schemas(path):
    assert frictionless.Schema.from_descriptor(str(path)).field_names


def _schema(name: str, part: str) -> frictionless.Schema:
    return frictionless.Schema.from_descriptor(json.loads((spec.folder() / name / "1.0" / f"{part}.schema.json").read_bytes()))


def test_the_examples_fit_their_schemas_as_another_reader_of_table_schemas_sees_them():
    lines = [line for line in (SAMPLES / "valid.csv").read_text(encoding="utf-8").splitlines() if line.startswith("D,")]
    detail = _schema("access-events", "detail")
    tables = [([detail.field_names, *csv.reader(lines)], detail)]
    for path in (SAMPLES.parent / "access-report").glob("*/access-report.csv"):
        with path.open(encoding="utf-8", newline="") as opened:
            tables.append(([*csv.reader(opened)], _schema("access-report", "report")))
    assert len(tables) == 3
    for rows, schema in tables:
        found = frictionless.Resource(rows, schema=schema).validate()
        assert found.valid, found.flatten(["rowNumber", "fieldName", "type"])
