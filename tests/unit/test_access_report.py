"""What each authority is told of who looked at its children."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pytest

from cpis_batch.access import render
from cpis_batch.access.events import read_events
from cpis_batch.access.reference import AccessReference
from cpis_batch.access.report import by_la, report, untold
from cpis_batch.access.schema import REPORT
from cpis_batch.access.withheld import Sieve, sift
from cpis_batch.business_time import birthday
from cpis_batch.errors import Bug
from cpis_batch.register.schema import PLANS
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Environment
from tests.access_builders import MORNING, event, events, packaged, reports, told
from tests.builders import HACKNEY, KENT, nhs, plan, plans

SAMPLES = Path(__file__).parents[2] / "sample_data"


def _areas(*rows: tuple[str, str, date | None, date | None]) -> AccessReference:
    tables = packaged()
    names = tables.organisation_areas.column_names
    areas = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=tables.organisation_areas.schema)
    return replace(tables, organisation_areas=areas)


def test_an_authority_is_told_who_looked_at_its_child_where_and_when():
    [row] = told(plans([plan()]), event())
    assert row | {"report_id": ""} == {
        "report_id": "",
        "la_code": HACKNEY,
        "event_id": "e-1",
        "accessed_at": MORNING,
        "accessed_at_local": "2026-11-19T08:12:44+00:00",
        "author_kind": "PERSON",
        "author_name": "Jo Smith",
        "job_role": "Consultant",
        "responsible_person": None,
        "organisation_code": "RX101",
        "organisation_name": "Seaside General Hospital",
        "care_setting_code": "EMERGENCY-DEPARTMENT",
        "care_setting": "Emergency department",
        "nhs_number": nhs(1),
        "child_id": "LC-000001",
        "plan_types": "CPP",
        "out_of_area": None,
    }


def test_a_system_that_looked_is_named_with_the_person_who_answers_for_it():
    [row] = told(
        plans([plan()]),
        event(author_kind="DEVICE", author_name="Triage desk 3", job_role=None, responsible_person="Linh Nguyễn"),
    )
    assert (row["author_kind"], row["author_name"], row["responsible_person"]) == ("DEVICE", "Triage desk 3", "Linh Nguyễn")


def test_a_role_that_is_not_on_the_list_is_shown_as_its_code():
    assert told(plans([plan()]), event(job_role="R9999"))[0]["job_role"] == "R9999"


def test_two_plans_of_one_child_make_one_row():
    [row] = told(plans([plan(), plan(plan_type="LAC", child_id="77/12")]), event())
    assert (row["plan_types"], row["child_id"]) == ("CPP;LAC", "77/12;LC-000001")


def test_an_access_to_a_mother_is_told_to_the_authority_of_the_unborn_childs_plan():
    assert [row["plan_types"] for row in told(plans([plan(plan_type="UCPP")]), event())] == ["UCPP"]


def test_a_silent_read_is_told_to_nobody():
    assert told(plans([plan()]), event(notifies_la=False)) == []


@pytest.mark.parametrize(
    ("start", "end", "is_told"),
    [
        (date(2026, 11, 19), None, True),
        (date(2026, 11, 20), None, False),
        (date(2026, 2, 11), date(2026, 11, 19), True),
        (date(2026, 2, 11), date(2026, 11, 18), False),
    ],
)
def test_a_plan_counts_from_its_first_to_its_last_day(start, end, is_told):
    assert bool(told(plans([plan(start=start, end_date=end)]), event())) is is_told


def test_the_day_of_an_access_is_that_of_england():
    after_midnight_there = datetime(2026, 6, 30, 23, 30, tzinfo=UTC)
    begins_in_july = plans([plan(start=date(2026, 7, 1))])
    assert told(begins_in_july, event(at=after_midnight_there))
    assert not told(begins_in_july, event(at=after_midnight_there - timedelta(hours=1)))


@pytest.mark.parametrize("born", [date(2008, 11, 19), date(2004, 2, 29), date(2004, 3, 1)])
def test_f52_a_childs_plan_is_over_the_day_after_the_18th_birthday_and_a_mothers_is_not(born):
    day = datetime.combine(birthday(born, 18), datetime.min.time(), UTC) + timedelta(hours=12)
    for plan_type, after in (("CPP", False), ("LAC", False), ("UCPP", True)):
        held = plans([plan(plan_type=plan_type, start=born + timedelta(days=400), date_of_birth=born)])
        assert told(held, event(at=day))
        assert bool(told(held, event(at=day + timedelta(days=1)))) is after


def test_f46_a_child_whose_authority_has_changed_is_told_to_the_one_of_that_day():
    held = plans([plan(end_date=date(2026, 6, 30)), plan(la_code=KENT, start=date(2026, 7, 1))])
    rows = told(held, event(1, MORNING.replace(month=6)), event(2, MORNING))
    assert [(row["la_code"], row["event_id"]) for row in rows] == [(HACKNEY, "e-1"), (KENT, "e-2")]


def test_two_authorities_with_plans_are_each_told_of_their_own_alone():
    held = plans([plan(), plan(la_code=KENT, plan_type="LAC", child_id="77/12", start=date(2026, 7, 1))])
    parted = reports(held, event())
    assert {la: rows.select(["child_id", "plan_types"]).to_pylist() for la, rows in parted.items()} == {
        HACKNEY: [{"child_id": "LC-000001", "plan_types": "CPP"}],
        KENT: [{"child_id": "77/12", "plan_types": "LAC"}],
    }
    assert parted[HACKNEY] == reports(plans([plan()]), event())[HACKNEY]
    assert len({rows["report_id"][0].as_py()[-16:] for rows in parted.values()}) == 2


def test_one_authority_at_a_time_gives_the_same_reports_as_all_at_once():
    held = plans([plan(child, la_code=la) for child in (1, 2, 3) for la in (HACKNEY, KENT) if (child, la) != (2, KENT)])
    looks = [event(1, child=1), event(2, child=2), event(3, child=3)]
    for la, rows in reports(held, *looks).items():
        assert reports(plans([row for row in held.to_pylist() if row["la_code"] == la]), *looks) == {la: rows}


def test_an_authority_without_an_access_gets_no_report():
    assert set(reports(plans([plan(), plan(2, la_code=KENT)]), event())) == {HACKNEY}
    assert by_la(REPORT.empty_table()) == {}


def test_the_night_the_clocks_go_back_shows_the_same_hour_twice_in_order():
    rows = told(
        plans([plan()]),
        event(2, datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        event(1, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    )
    assert [row["accessed_at_local"] for row in rows] == ["2026-10-25T01:30:00+01:00", "2026-10-25T01:30:00+00:00"]


def test_the_report_says_whether_the_organisation_lies_in_another_authoritys_area_or_that_we_do_not_know():
    looks = [
        event(n, MORNING + timedelta(minutes=n), organisation_code=code) for n, code in enumerate(("RXHERE", "RXTHERE", "RXNEW"))
    ]
    rows = told(plans([plan()]), *looks, using=_areas(("RXHERE", HACKNEY, None, None), ("RXTHERE", KENT, None, None)))
    assert [row["out_of_area"] for row in rows] == ["N", "Y", None]


def test_an_organisation_that_has_moved_is_judged_by_where_it_lay_that_day():
    using = _areas(("RX101", KENT, None, date(2026, 8, 31)), ("RX101", HACKNEY, date(2026, 9, 1), None))
    rows = told(plans([plan()]), event(1, MORNING.replace(month=8)), event(2, MORNING), using=using)
    assert [row["out_of_area"] for row in rows] == ["Y", "N"]


def test_every_event_that_may_be_told_is_told_or_counted_as_untold():
    sifted = sift(events([event(1), event(2, child=9), event(3, notifies_la=False)]), packaged())
    rows = report(sifted, plans([plan()]), packaged())
    assert (rows["event_id"].to_pylist(), untold(sifted, rows)["event_id"].to_pylist()) == (["e-1"], ["e-2"])
    assert sifted.counts == {Sieve.NOTIFYING: 2, Sieve.SILENT: 1, Sieve.WITHHELD: 0, Sieve.WAITING: 0}


def test_the_same_events_make_a_report_of_the_same_name_and_others_of_another():
    ids = [told(plans([plan()]), *looks)[0]["report_id"] for looks in ([event(1), event(2)], [event(2), event(1)], [event(1)])]
    assert ids[0] == ids[1] != ids[2]


def test_the_columns_of_the_report_are_those_of_its_specification():
    assert tuple(REPORT.names) == table_schema("access-report", render.VERSION, "report").names


def sample_reports() -> dict[str, pa.Table]:
    folder = SAMPLES / "access-report"
    tables = packaged()
    areas = arrow_csv.read_csv(
        folder / "organisation_areas.csv", convert_options=arrow_csv.ConvertOptions(column_types=tables.organisation_areas.schema)
    )
    using = replace(tables, organisation_areas=areas.cast(tables.organisation_areas.schema))
    held = arrow_csv.read_csv(
        folder / "plans.csv",
        convert_options=arrow_csv.ConvertOptions(column_types={field.name: field.type for field in PLANS}),
    )
    reading = read_events(
        (SAMPLES / "access-events" / "valid.csv").read_bytes(), using, environment=Environment.TEST, line_bytes=4096
    )
    return by_la(report(sift(reading.events, using), held, using))


MADE_AT = datetime(2026, 11, 20, 2, 5, tzinfo=UTC)
SAMPLE_NAMES = {HACKNEY: "Hackney", "E06000035": "Medway"}


def samples() -> dict[Path, bytes]:
    """The worked example, as the program writes it; workbooks are left out, whose bytes depend on how a machine compresses."""
    return {
        SAMPLES / "access-report" / la_code / name: data
        for la_code, rows in sample_reports().items()
        for name, data in render.render(rows, la_code=la_code, la_name=SAMPLE_NAMES[la_code], made_at=MADE_AT).items()
        if not name.endswith(".xlsx")
    }


def test_the_worked_example_of_a_report_is_what_the_program_makes():
    assert set(sample_reports()) == set(SAMPLE_NAMES)
    for path, data in samples().items():
        assert path.read_bytes() == data, path.name


def test_the_csv_holds_what_was_recorded_character_for_character():
    rows = reports(plans([plan()]), event(author_name="=SUM(A1)", organisation_name='"St, Mary"'))
    [line] = csv.DictReader(io.StringIO(render.render_csv(rows[HACKNEY], la_code=HACKNEY).decode()))
    assert (line["author_name"], line["organisation_name"], line["out_of_area"]) == ("=SUM(A1)", '"St, Mary"', "")


def test_on_the_page_every_name_is_text():
    rows = reports(plans([plan()]), event(author_name="<script>x</script>", organisation_name="=cmd|'/c'"))
    made = render.render_html(rows[HACKNEY], la_code=HACKNEY, la_name="<b>Hackney</b>").decode()
    assert "&lt;script&gt;x&lt;/script&gt;" in made
    assert "=cmd|&#39;/c&#39;" in made
    assert "<script" not in made
    assert "<b>" not in made


def test_the_page_says_in_a_sentence_what_happened():
    looks = [event(n, MORNING + timedelta(hours=n), child=1 + n % 2, organisation_code=f"RX{n % 3}11") for n in range(5)]
    using = _areas(("RX011", HACKNEY, None, None), ("RX111", KENT, None, None))
    rows = reports(plans([plan(1), plan(2)]), *looks, using=using)[HACKNEY]
    made = " ".join(render.render_html(rows, la_code=HACKNEY, la_name="Hackney").decode().split())
    assert (
        "looked up child protection information 5 times for 2 people with a plan of yours, at 3 organisations,"
        " between 19 November 2026, 08:12 GMT and 19 November 2026, 12:12 GMT. 2 of these were outside your area." in made
    )
    assert "For 1 of them we do not know in whose area the organisation lies." in made


@pytest.mark.parametrize("la_codes", [(HACKNEY, KENT), (KENT,), ()])
def test_a_report_with_a_row_of_another_authority_or_none_is_never_made(la_codes):
    rows = report(sift(events([event()]), packaged()), plans([plan(la_code=la) for la in la_codes]), packaged())
    for make in (render.render_csv, lambda rows, la_code: render.render_html(rows, la_code=la_code, la_name="Hackney")):
        with pytest.raises(Bug) as raised:
            make(rows, la_code=HACKNEY)
        assert nhs(1) not in str(raised.value)


def test_of_a_backlog_page_and_workbook_list_the_first_and_say_so_and_the_csv_has_all(monkeypatch):
    monkeypatch.setattr(render, "SHEET_ROWS", 4)
    monkeypatch.setattr(render, "PAGE_ROWS", 2)
    looks = [event(n, MORNING + timedelta(minutes=n)) for n in range(6)]
    (rows,) = reports(plans([plan(1)]), *looks).values()
    made = render.render(rows, la_code=HACKNEY, la_name="Hackney", made_at=MORNING)
    assert made["access-report.csv"].count(b"\r\n") == 7
    page = made["access-report.html"].decode()
    assert "Accesses: 6. The first 2 are here, all are in access-report.csv." in page
    assert page.count('data-label="Who it was about"') == 2
    book = openpyxl.load_workbook(io.BytesIO(made["access-report.xlsx"]))
    assert book["Accesses"].max_row - 1 == 4
    assert book["Not all"]["B2"].value == "The first 4 of 6. All are in access-report.csv."
