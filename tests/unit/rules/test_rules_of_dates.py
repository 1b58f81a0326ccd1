"""F36: only ISO 8601 is a date here; each other way of writing one has its own code, cause and cure."""

from datetime import timedelta

import pytest

from cpis_batch.intake.rules import BY_CODE
from tests.extracts import codes, context, d, each_row_codes, extract, judged, row_codes

_FIELDS = {"date_of_birth": 1, "start_date": 2, "end_date": 3, "delete_date": 4}


_WRITTEN = (
    ("01/02/2024", 1),
    ("1.2.2024", 1),
    ("01-02-2024", 1),
    ("31/12/2024 00:00", 1),
    ("12/31/2024", 2),
    ("01/02/24", 3),
    ("24-02-01", 3),
    ("1-Feb-24", 3),
    ("45306", 4),
    ("45306.0", 4),
    ("2023-02-29", 5),
    ("2024-13-01", 5),
    ("2024-04-31", 5),
    ("2024-00-10", 5),
    ("2024-1-5", 6),
    ("2024-01-5", 6),
    ("2024/01/05", 6),
    ("20240105", 6),
    ("2024-01-05T00:00:00", 7),
    ("2024-01-05 00:00:00.000", 7),
    ("5 February 2024", 9),
    ("infinity", 9),
    ("epoch", 9),
    ("NULL", 9),
    ("\uff12\uff10\uff12\uff14-01-05", 9),
    ("10000-01-01", 9),
)


def test_f36_a_date_written_in_another_way_has_its_own_code():
    cases = [(field, written, f"CPB-5{place}{digit}") for field, place in _FIELDS.items() for written, digit in _WRITTEN]
    found = each_row_codes([{field: written} for field, written, _ in cases])
    assert dict(zip(cases, found, strict=True)) == {case: [case[2]] for case in cases}


@pytest.mark.parametrize(
    ("field", "code"), [("date_of_birth", "CPB-510"), ("start_date", "CPB-520"), ("end_date", None), ("delete_date", None)]
)
def test_birth_and_start_must_be_there_end_and_delete_need_not(field, code):
    assert row_codes(**{field: ""}) == ([code] if code else [])


def test_29_february_of_a_leap_year_is_a_date():
    assert row_codes(date_of_birth="2020-02-29", start_date="2024-02-29", end_date="2026-02-28") == []


def test_spaces_around_a_date_are_passed_over():
    assert row_codes(start_date=" 2026-02-11 ", end_date="  ") == []


def test_f36_dates_that_contradict_each_other_or_the_calendar():
    cases = [
        ({"date_of_birth": "2026-11-21", "start_date": "2026-11-21"}, ["CPB-551", "CPB-561"]),
        ({"date_of_birth": "1899-12-31", "plan_type": "UCPP"}, ["CPB-552", "CPB-704"]),
        ({"start_date": "2026-11-21"}, ["CPB-561"]),
        ({"start_date": "2027-11-20"}, ["CPB-561"]),
        ({"start_date": "2027-11-21"}, ["CPB-562"]),
        ({"end_date": "2026-02-10"}, ["CPB-571"]),
        ({"end_date": "2026-11-21"}, ["CPB-572"]),
        ({"start_date": "2024-01-01", "end_date": "2025-11-19"}, ["CPB-573"]),
        ({"delete_date": "2026-02-10"}, ["CPB-581"]),
        ({"delete_date": "2026-11-21"}, ["CPB-582"]),
    ]
    assert each_row_codes([fields for fields, _ in cases]) == [codes for _, codes in cases]


def test_the_last_days_that_are_right():
    rows = [
        {"start_date": "2026-11-20"},
        {"end_date": "2026-02-11"},
        {"end_date": "2026-11-20"},
        {"start_date": "2024-01-01", "end_date": "2025-11-20"},
        {"delete_date": "2026-11-20"},
        {"date_of_birth": "2026-11-20", "start_date": "2026-11-20"},
    ]
    assert each_row_codes(rows) == [[]] * len(rows)


def test_what_cannot_be_read_is_not_compared():
    """An end before a start that is no date: nobody can say so, and nobody does."""
    assert row_codes(start_date="11/02/2026", end_date="2026-01-01") == ["CPB-521"]


def test_every_fault_of_a_row_is_told_at_once():
    row = d(
        nhs_number="123", date_of_birth="01/02/2019", plan_type="CP", start_date="45306", end_date="soon", delete_date="1/1/24"
    )
    found = codes(judged(extract(row)))
    assert found == [(2, code) for code in ("CPB-309", "CPB-511", "CPB-524", "CPB-539", "CPB-543", "CPB-602")]


def test_the_business_date_is_the_one_given():
    tomorrow = context(today=context().business_date + timedelta(days=1))
    assert row_codes(tomorrow, start_date="2026-11-21") == []


def test_an_unreadable_end_keeps_the_row_out_rather_than_open():
    assert judged(extract(d(end_date="31/10/2026"))).accepted.num_rows == 0


def test_no_two_classes_of_one_field_have_the_same_cause():
    for digit in "1234":
        family = [rule.cause for code, rule in BY_CODE.items() if code.startswith(f"CPB-5{digit}")]
        assert len(set(family)) == len(family) >= 8
