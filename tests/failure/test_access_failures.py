"""What must never be told, and files of events that are not right as a whole."""

import csv
import io
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from cpis_batch.access import answer, reference, render
from cpis_batch.access.answer import EventsAnswer
from cpis_batch.access.events import EventsReading, unseen
from cpis_batch.access.report import by_la, report
from cpis_batch.access.withheld import Sieve, sift
from cpis_batch.audit.entry import Head
from cpis_batch.errors import ConfigFault
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Environment, FileOutcome
from tests.access_builders import HEADER, LINE, MORNING, codes, event, events, file_of, packaged, read, told
from tests.builders import HACKNEY, KENT, nhs, plan, plans

MADE_AT = datetime(2026, 11, 20, 2, 5, tzinfo=UTC)
STOOD = Head(1, "0" * 64)
TOLD = [event(1), event(2, MORNING + timedelta(hours=1), child=2), event(3, MORNING + timedelta(hours=2))]
HELD = plans([plan(1), plan(2), plan(1, la_code=KENT)])


def _files(looks: list[dict[str, object]], using: reference.AccessReference) -> dict[tuple[str, str], bytes]:
    parted = by_la(report(sift(events(looks), using), HELD, using))
    return {
        (la, name): data
        for la, rows in parted.items()
        for name, data in render.render(rows, la_code=la, la_name="An authority", made_at=MADE_AT).items()
    }


@pytest.fixture(scope="module")
def without() -> dict[tuple[str, str], bytes]:
    made = _files(TOLD, packaged())
    assert {la for la, _ in made} == {HACKNEY, KENT}
    return made


WITHHELD = [
    *({"care_setting": code} for code in ("SEXUAL-HEALTH", "SARC", "TERMINATION-OF-PREGNANCY")),
    {"organisation_code": "ZZSH1"},
    {"organisation_code": "ZZSH1", "care_setting": "EMERGENCY-DEPARTMENT"},
    {"organisation_code": "ZZSH1", "care_setting": "POP-UP-CLINIC"},
]


@pytest.mark.parametrize("facts", WITHHELD)
@pytest.mark.parametrize(("notifies", "place"), [(True, 0), (True, 3), (False, 2)])
def test_f44_every_authoritys_report_is_the_same_bytes_with_and_without_a_withheld_access(facts, notifies, place, without):
    secret = event(99, MORNING + timedelta(minutes=30), notifies_la=notifies, **facts)
    looks = [*TOLD[:place], secret, *TOLD[place:]]
    assert _files(looks, packaged()) == without
    assert sift(events(looks), packaged()).counts[Sieve.WITHHELD] == 1


@pytest.mark.parametrize("facts", WITHHELD)
def test_f44_a_withheld_access_alone_makes_no_report(facts):
    assert _files([event(**facts)], packaged()) == {}


def test_f44_a_setting_is_withheld_although_it_is_on_the_list_of_settings_or_on_none():
    tables = packaged()
    also = pa.Table.from_pylist([{"code": "maternity ", "reason": "x"}], schema=tables.withheld_settings.schema)
    using = replace(
        tables, withheld_settings=pa.concat_tables([tables.withheld_settings, also]), care_settings=tables.care_settings[:0]
    )
    assert sift(events([event(care_setting="MATERNITY")]), using).counts[Sieve.WITHHELD] == 1


def test_f44_an_unknown_setting_is_told_to_nobody_until_a_person_has_listed_it():
    look = event(care_setting="POP-UP-CLINIC")
    sifted = sift(events([look]), packaged())
    assert told(HELD, look) == []
    assert sifted.waiting["event_id"].to_pylist() == ["e-1"]

    tables = packaged()
    listed = pa.Table.from_pylist(
        [{"code": "POP-UP-CLINIC", "name": "Pop-up", "care": "UNSCHEDULED"}], schema=tables.care_settings.schema
    )
    using = replace(tables, care_settings=pa.concat_tables([tables.care_settings, listed]))
    assert {row["la_code"] for row in report(sift(sifted.waiting, using), HELD, using).to_pylist()} == {HACKNEY, KENT}


@pytest.mark.parametrize("withheld_first", [True, False])
def test_f44_where_two_files_of_a_night_differ_on_an_event_the_withheld_one_counts(withheld_first):
    looks = [event(), event(care_setting="SARC", line=900)]
    brought = events(looks[::-1] if withheld_first else looks)
    sifted = sift(unseen(brought, pa.array([], pa.string())), packaged())
    assert sifted.counts == {Sieve.WITHHELD: 1, Sieve.SILENT: 0, Sieve.WAITING: 0, Sieve.NOTIFYING: 0}


def test_f44_lists_with_holes_in_them_never_let_an_unknown_setting_through():
    tables = packaged()
    hole = pa.Table.from_pylist([{"code": None, "name": None, "care": None}], schema=tables.care_settings.schema)
    no_reason = pa.Table.from_pylist([{"code": None, "reason": None}], schema=tables.withheld_settings.schema)
    using = replace(
        tables,
        care_settings=pa.concat_tables([tables.care_settings, hole]),
        withheld_settings=pa.concat_tables([tables.withheld_settings, no_reason]),
    )
    counts = sift(events([event(1, care_setting="POP-UP-CLINIC"), event(2, care_setting="SARC")]), using).counts
    assert (counts[Sieve.WAITING], counts[Sieve.WITHHELD]) == (1, 1)


def test_f44_a_home_can_withhold_more_and_never_less(tmp_path: Path):
    (tmp_path / "withheld_settings.csv").write_text("code,reason\nCAMHS,Asked for by its users\n")
    (tmp_path / "withheld_organisations.csv").write_text("ods_code,name,reason\nrx101 ,Seaside,Its name tells\n")
    (tmp_path / "care_settings.csv").write_text("code,name,care\nSARC,Renamed,UNSCHEDULED\nPOP-UP-CLINIC,Pop-up,UNSCHEDULED\n")
    using = reference.load(tmp_path)
    looks = [
        event(1, organisation_code="RX9", care_setting="CAMHS"),
        event(2),
        event(3, organisation_code="RX9", care_setting="SARC"),
        event(4, organisation_code="RX9", care_setting="POP-UP-CLINIC"),
    ]
    sifted = sift(events(looks), using)
    assert (sifted.counts[Sieve.WITHHELD], sifted.notifying["event_id"].to_pylist()) == (3, ["e-4"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("withheld_settings.csv", "setting,reason\nSARC,x\n"),
        ("withheld_settings.csv", "code,reason\n,x\n"),
        ("withheld_organisations.csv", ""),
        ("care_settings.csv", "code,name,care\nMATERNITY,Maternity,SOMETIMES\n"),
        ("organisation_areas.csv", "ods_code,la_gss_code,valid_from,valid_to\nRX101,E09000012,01/02/2026,\n"),
    ],
)
def test_f70_a_list_that_does_not_read_stops_the_run_and_is_named(tmp_path: Path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigFault, match=name):
        reference.load(tmp_path)


@pytest.mark.parametrize(
    ("data", "outcome", "code"),
    [
        (b"", FileOutcome.UNREADABLE, "CPE-001"),
        (file_of(LINE).decode().encode("utf-16"), FileOutcome.UNREADABLE, "CPE-001"),
        (file_of(LINE.replace(",A,", ",Zoë,")).decode().encode("cp1252"), FileOutcome.UNREADABLE, "CPE-001"),
        (file_of(LINE).replace(b",", b";"), FileOutcome.UNREADABLE, "CPE-001"),
        (file_of(LINE[:-1] + "x" * 5000), FileOutcome.UNREADABLE, "CPE-001"),
        (LINE.encode() + b"\nT,1\n", FileOutcome.UNREADABLE, "CPE-002"),
        (file_of(LINE, HEADER), FileOutcome.UNREADABLE, "CPE-002"),
        (file_of(LINE, header='H,"CPIS'), FileOutcome.UNREADABLE, "CPE-002"),
        (file_of(LINE, header=HEADER.replace("CPIS-ACCESS-EVENTS", "CPIS-LA-EXTRACT")), FileOutcome.UNREADABLE, "CPE-003"),
        (file_of(LINE, header=HEADER.replace("1.0", "9.9")), FileOutcome.VERSION_NOT_SUPPORTED, "CPE-004"),
        (file_of(LINE, header=HEADER.replace(",7,", ",seven,")), FileOutcome.UNREADABLE, "CPE-005"),
        (file_of(LINE, header=HEADER.replace(",7,", ",0,")), FileOutcome.UNREADABLE, "CPE-005"),
        (file_of(LINE, header=HEADER.replace("+00:00", "")), FileOutcome.UNREADABLE, "CPE-005"),
        (file_of(LINE, header=HEADER.replace("11-20", "02-31")), FileOutcome.UNREADABLE, "CPE-005"),
        (file_of(LINE, header=HEADER.replace("TEST", "LIVE")), FileOutcome.NONE_LOADED, "CPE-006"),
        (f"{HEADER}\n{LINE}\n".encode(), FileOutcome.UNREADABLE, "CPE-007"),
        (file_of(LINE) + LINE.encode(), FileOutcome.UNREADABLE, "CPE-007"),
        (file_of(LINE) + b"T,1\n", FileOutcome.UNREADABLE, "CPE-007"),
        (file_of(LINE, count=2), FileOutcome.UNREADABLE, "CPE-008"),
        (file_of(LINE, count=0), FileOutcome.UNREADABLE, "CPE-008"),
        (b"record_type,event_id,surname\n" + file_of(LINE), FileOutcome.UNREADABLE, "CPE-009"),
    ],
)
def test_a_file_that_is_not_right_as_a_whole_is_refused_whole_and_the_reason_named(data, outcome, code):
    reading = read(data)
    assert (reading.outcome, [found for _, found in codes(reading)]) == (outcome, [code])
    assert (reading.events.num_rows, reading.rows) == (0, 0)


def test_f33_no_shortened_file_is_ever_taken_for_a_whole_one():
    whole = file_of(LINE, LINE.replace("e-1", "e-2"), LINE.replace("e-1", "e-3")).rstrip(b"\n")
    for length in itertools.chain(range(0, len(whole), 7), [len(whole) - 1]):
        reading = read(whole[:length])
        assert reading.outcome in (FileOutcome.UNREADABLE, FileOutcome.VERSION_NOT_SUPPORTED)  # "1." is no version of ours
        assert reading.events.num_rows == 0


def test_f32_an_unclosed_quote_harms_its_own_line_only():
    reading = read(file_of(LINE, LINE.replace("e-1", "e-2").replace(",A,", ',"A,'), LINE.replace("e-1", "e-3")))
    assert reading.events["event_id"].to_pylist() == ["e-1", "e-3"]
    assert codes(reading) == [(3, "CPE-101")]


def test_f68_the_answer_names_lines_and_fields_and_holds_no_value_of_a_row():
    secrets = ("9990000019", "Zanzibar", "Quillfeather", "RXSECRET")
    reading = read(file_of("D,e 1,2026-11-19T08:12:44,9990000019,ROBOT,Zanzibar,R9,Quillfeather,rxsecret,RXSECRET,q,x"))
    assert reading.rejected == 1
    at = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    said = EventsAnswer(file_name="f", file_digest="d", received_at=at, answered_at=at, audit=STOOD, reading=reading)
    for data in (answer.to_csv(said), answer.to_json(said)):
        assert not [secret for secret in secrets if secret in data.decode()]
        assert nhs(1) not in data.decode()


def test_the_answer_says_what_became_of_the_rows_and_they_add_up():
    reading = read(file_of(LINE, LINE, LINE.replace("e-1", "e-2"), LINE.replace("e-1", "e 3")))
    at = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    said = EventsAnswer(
        file_name="f", file_digest="d", received_at=at, answered_at=at, audit=STOOD, reading=reading, already_known=1
    )
    document = json.loads(answer.to_json(said))
    counts = {"rows": 4, "accepted": 2, "new": 1, "rejected": 1, "repeated": 1, "errors": 1, "warnings": 1}
    assert (document["counts"], document["file"]["outcome"], document["file"]["sequence"]) == (counts, "CPF03", 7)
    assert document["sentence"] == "We took 2 events of this file. Rows that did not get in: 1."
    lines = list(csv.DictReader(io.StringIO(answer.to_csv(said).decode())))
    assert {line["code"]: int(line["count"]) for line in lines if line["kind"] == "COUNT"} == counts
    assert [(line["line"], line["code"]) for line in lines if line["kind"] == "FAULT"] == [("3", "CPE-113"), ("5", "CPE-111")]
    assert tuple(lines[0]) == table_schema("access-events", "1.0", "answer").names


def test_a_file_that_could_not_be_opened_is_answered_too():
    at = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    said = EventsAnswer(
        file_name="f", file_digest="d", received_at=at, answered_at=at, audit=STOOD, reading=EventsReading(FileOutcome.UNREADABLE)
    )
    assert json.loads(answer.to_json(said))["file"] == {
        "name": "f", "digest": "d", "received_at": "2026-11-20T02:00:00Z", "sequence": -1, "outcome": "CPF01",
    }  # fmt: skip
    assert answer.to_csv(said).decode().splitlines()[1].startswith('"FILE","CPF01"')


def test_f26_events_of_live_never_enter_a_test_hub_nor_the_other_way_round():
    assert read(file_of(LINE), Environment.LIVE).outcome is FileOutcome.NONE_LOADED
    assert read(file_of(LINE, header=HEADER.replace("TEST", "LIVE")), Environment.TEST).outcome is FileOutcome.NONE_LOADED
