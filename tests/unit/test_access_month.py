"""A month of accesses: what a manager is shown, and that nothing withheld or silent stands in any chart or total."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, date, datetime, timedelta

import openpyxl
import pytest

from cpis_batch.access import lines, month_render
from cpis_batch.access.month import NOTHING, Month
from cpis_batch.errors import Bug
from cpis_batch.intake.acknowledge import bundle
from tests.access_builders import event, packaged, seen_in
from tests.builders import HACKNEY, KENT, nhs, plan, plans

SETTINGS = packaged().care_settings
NOVEMBER = Month(2026, 11)
MADE_AT = datetime(2026, 12, 3, 2, 5, tzinfo=UTC)
HELD = plans([plan(1, start=date(2026, 10, 1)), plan(2, start=date(2026, 10, 20)), plan(3, la_code=KENT)])


def on(day: int, month: int = 11, hour: int = 9) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def of(*looks, held=HELD, month=NOVEMBER):
    return seen_in(looks, held, month)


def files(*looks, la_code=HACKNEY):
    return month_render.render(
        of(*looks).get(la_code, NOTHING), NOVEMBER, packaged(), la_code=la_code, la_name="An authority", made_at=MADE_AT
    )


def often(*looks):
    return [(row["child_id"], row["times"]) for row in of(*looks)[HACKNEY].often.to_pylist()]


def test_a_month_is_england_s():
    looks = [
        event(1, datetime(2026, 10, 31, 23, 59, tzinfo=UTC)),
        event(2, on(1, hour=0)),
        event(3, on(30, hour=23)),
        event(4, on(1, 12, 0)),
    ]
    assert of(*looks)[HACKNEY].lines["event_id"].to_pylist() == ["e-2", "e-3"]
    july = [event(1, datetime(2026, 6, 30, 23, 30, tzinfo=UTC))]  # half past midnight on 1 July
    held = plans([plan(1, start=date(2026, 1, 1))])
    assert of(*july, held=held, month=Month(2026, 7))[HACKNEY].lines.num_rows == 1


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([(1, 11), (2, 11)], []),
        ([(1, 11), (2, 11), (30, 11)], [("LC-000001", 3)]),
        ([(31, 10), (2, 11), (29, 11)], [("LC-000001", 3)]),  # thirty days, the first of them in October
        ([(30, 10), (2, 11), (29, 11)], []),  # thirty-one
        ([(5, 10), (6, 10), (7, 10)], None),  # all of it in October
        ([(20, 10), (25, 10), (30, 10), (1, 11)], [("LC-000001", 4)]),
    ],
)
def test_a_child_seen_three_times_in_thirty_days_is_listed_once(days, expected):
    looks = [event(number, on(day, month)) for number, (day, month) in enumerate(days)]
    assert (often(*looks) if expected is not None else of(*looks).get(HACKNEY)) == expected


def test_the_first_access_since_a_plan_began_is_told_in_its_month_alone():
    looks = [event(1, on(3)), event(2, on(9)), event(3, on(25, 10), child=2), event(4, on(9), child=2)]
    rows = of(*looks)[HACKNEY].first.to_pylist()
    assert [(row["child_id"], row["accessed_at"], row["days"]) for row in rows] == [("LC-000001", on(3), 33)]


def test_an_authority_is_shown_its_own_children_alone():
    found = of(event(1, on(3)), event(2, on(4), child=3))
    assert set(found) == {HACKNEY, KENT}
    with pytest.raises(Bug):
        month_render.render(found[KENT], NOVEMBER, packaged(), la_code=HACKNEY, la_name="Hackney", made_at=MADE_AT)


@pytest.mark.parametrize("added", [{"care_setting": "SEXUAL-HEALTH"}, {"care_setting": "SARC"}, {"notifies_la": False}])
def test_f44_a_month_is_byte_for_byte_the_same_with_a_withheld_or_silent_access_and_without(added):
    looks = [event(1, on(3)), event(2, on(9, hour=2)), event(3, on(20), child=2)]
    assert files(*looks, event(9, on(10), **added)) == files(*looks)


def test_every_form_counts_the_same():
    looks = [event(n, on(1 + n, hour=n), child=1 + n % 2, organisation_code=f"RX{n % 3}11") for n in range(8)]
    made = files(*looks)
    lines = list(csv.DictReader(io.StringIO(made["access-month.csv"].decode(), newline="")))
    book = openpyxl.load_workbook(io.BytesIO(made["access-month.xlsx"]))
    assert len(lines) == 8 == book["Accesses"].max_row - 1
    for name in ("By setting", "By organisation"):
        assert sum(row[2] for row in book[name].iter_rows(min_row=2, values_only=True)) == 8
    assert sum(row[1] for row in book["By day"].iter_rows(min_row=2, values_only=True)) == 8
    assert sum(sum(row[1:]) for row in book["By hour"].iter_rows(min_row=2, values_only=True)) == 8
    page = made["access-month.html"].decode()
    assert page.count("<svg") == page.count("The same figures as a table") == 5
    assert "<strong>8</strong> accesses" in page


def test_a_month_in_which_nobody_looked_says_so():
    made = files(la_code=KENT)
    assert "Nobody in unscheduled NHS care looked" in made["access-month.html"].decode()
    assert made["access-month.csv"].count(b"\r\n") == 1


def test_a_month_knows_its_neighbours():
    assert (str(Month(2026, 12).next), str(Month(2026, 1).before), Month(2028, 2).last) == (
        "2027-01",
        "2025-12",
        date(2028, 2, 29),
    )
    assert Month.named("2026-11") == NOVEMBER == Month.of(date(2026, 11, 30))
    assert NOVEMBER.last + timedelta(days=1) == NOVEMBER.next.first


def test_the_page_names_a_child_by_id_and_number_and_never_by_name():
    page = files(*(event(n, on(1 + n)) for n in range(3)))["access-month.html"].decode()
    assert nhs(1) in page
    assert "LC-000001" in page
    assert plan(1)["family_name"] not in page


@pytest.fixture
def small(monkeypatch):
    """Bounds that few accesses go beyond."""
    monkeypatch.setattr(month_render, "SHEET_ROWS", 4)
    monkeypatch.setattr(month_render, "PAGE_ROWS", 2)
    monkeypatch.setattr(lines, "SLICE", 3)


def test_of_many_accesses_page_and_workbook_list_the_first_and_say_so_and_the_csv_has_all(small):
    looks = [event(n, on(1 + n, hour=n), child=1 + n % 2) for n in range(8)]
    made = files(*looks)
    with zipfile.ZipFile(io.BytesIO(bundle(made))) as unpacked:
        made = {name: unpacked.read(name) for name in unpacked.namelist()}
    written = list(csv.DictReader(io.StringIO(made["access-month.csv"].decode(), newline="")))
    assert [line["event_id"] for line in written] == [look["event_id"] for look in looks]
    assert len({line["report_id"] for line in written}) == 1
    book = openpyxl.load_workbook(io.BytesIO(made["access-month.xlsx"]))
    assert book["Accesses"].max_row - 1 == 4
    said = dict(book["Summary"].iter_rows(min_row=2, values_only=True))
    assert said["Sheet Accesses"] == "The first 4 of 8. All are in access-month.csv."
    assert said["Accesses"] == "8"
    assert sum(row[2] for row in book["By setting"].iter_rows(min_row=2, values_only=True)) == 8
    page = made["access-month.html"].decode()
    assert "<strong>8</strong> accesses" in page
    assert "Every access of the month is in access-month.csv." in page


def test_lists_of_children_that_no_workbook_holds_have_a_csv_of_their_own(small):
    held = plans([plan(child, start=date(2026, 10, 1)) for child in range(1, 7)])
    looks = [event(number, on(1 + number % 20), child=1 + number % 6) for number in range(24)]
    (seen_there,) = of(*looks, held=held).values()
    made = month_render.render(seen_there, NOVEMBER, packaged(), la_code=HACKNEY, la_name="Hackney", made_at=MADE_AT)
    for name in ("access-month-often.csv", "access-month-first.csv"):
        assert {line["nhs_number"] for line in csv.DictReader(io.StringIO(made[name].decode()))} == {nhs(n) for n in range(1, 7)}
    page = made["access-month.html"].decode()
    assert "Children: 6. The first 2 are here, all are in access-month-often.csv." in page
    assert "Plans: 6. The first 2 are here, all are in access-month-first.csv." in page
    book = openpyxl.load_workbook(io.BytesIO(made["access-month.xlsx"]))
    assert book["Seen often"].max_row - 1 == book["First since plan began"].max_row - 1 == 4


def test_a_csv_in_pieces_is_that_of_the_whole(monkeypatch):
    looks = [event(n, on(1 + n), organisation_name=None if n % 2 else '=Sea, "side"') for n in range(9)]
    whole = files(*looks)
    monkeypatch.setattr(lines, "SLICE", 2)
    pieces = files(*looks)
    assert b"".join(pieces["access-month.csv"]) == whole["access-month.csv"]
    assert {name: pieces[name] for name in pieces if name != "access-month.csv"} == {
        name: whole[name] for name in whole if name != "access-month.csv"
    }
