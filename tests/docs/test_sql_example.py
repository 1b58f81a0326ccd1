"""The SQL example writes a valid LA extract, run as it stands against SQLite."""

import sqlite3

import pytest

from cpis_batch.spec import folder
from tests.builders import HACKNEY, nhs
from tests.extracts import judged

_EXPORT = folder().parent / "sample_data" / "la-extract" / "export.sql"
_PLANS = [
    (nhs(0), "LC-1", "O'Brien", "Zoë", "2019-04-30", "CPP", "2026-02-11", None, None),
    (
        f"{nhs(1)[:3]} {nhs(1)[3:6]} {nhs(1)[6:]}",
        "LC,2",
        'Smith, "the" Jones',
        "Ana\r\nMaria",
        "1994-08-02",
        "UCPP",
        "2026-09-30",
        None,
        None,
    ),
    (nhs(2), None, "Null", None, "2015-10-09", "LAC", "2024-12-01", "2026-08-14", None),
    (nhs(3), "LC-4", "Gone", "Long", "2015-10-09", "LAC", "2023-12-01", "2025-08-14", None),
    (nhs(4), "LC-5", "Sikorska-Łuc", "Jan", "2015-10-09", "LAC", "2025-12-01", None, "2026-08-14"),
]


@pytest.fixture
def case_system():
    database = sqlite3.connect(":memory:")
    database.execute(
        "CREATE TABLE cpis_plan"
        "(nhs_number, child_id, family_name, given_name, date_of_birth, plan_type, start_date, end_date, delete_date)"
    )
    database.execute(
        "CREATE TABLE cpis_export(environment, la_code, kind, sequence, extracted_at, office_phone, emergency_phone)"
    )
    database.execute(
        "INSERT INTO cpis_export VALUES ('TEST', ?, 'FULL', 118, '2026-11-19T23:40:00Z', '020 7946 0100', '020 7946 0199')",
        (HACKNEY,),
    )
    yield database
    database.close()


def _exported(database: sqlite3.Connection) -> bytes:
    return "".join(f"{line}\r\n" for (line,) in database.execute(_EXPORT.read_text(encoding="utf-8"))).encode()


def test_the_example_writes_an_extract_that_passes(case_system):
    case_system.executemany("INSERT INTO cpis_plan VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _PLANS)
    verdict = judged(_exported(case_system))
    assert verdict.file_outcome == "CPF02"
    assert verdict.accepted["nhs_number"].to_pylist() == [nhs(0), nhs(1), nhs(2), nhs(4)]
    assert verdict.accepted["family_name"].to_pylist() == ["O'Brien", 'Smith, "the" Jones', "Null", "Sikorska-Łuc"]
    assert verdict.accepted["given_name"].to_pylist() == ["Zoë", "Ana Maria", "", "Jan"]


def test_the_example_writes_an_empty_extract_where_there_are_no_plans(case_system):
    verdict = judged(_exported(case_system))
    assert verdict.file_outcome == "CPF02"
    assert verdict.outcomes.num_rows == 0


def test_the_examples_hash_total_counts_numbers_that_are_none_as_nothing(case_system):
    case_system.executemany(
        "INSERT INTO cpis_plan VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [("ABC", *_PLANS[0][1:]), (None, *_PLANS[2][1:]), _PLANS[4]]
    )
    assert judged(_exported(case_system)).file_outcome == "CPF03"
