"""When a record of PDS is the person whom an authority means."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from cpis_batch.demographics.matching import Check, MatchedBy, compared, identities
from tests.builders import KENT, nhs, plan, plans

BORN = date(2019, 4, 30)


def match(family: str, given: str, pds_family: str | None, pds_given: str | None, born: date | None = BORN) -> tuple[str, str]:
    pair = {
        "family_name": family,
        "given_name": given,
        "date_of_birth": BORN,
        "pds_family_name": pds_family,
        "pds_given_name": pds_given,
        "pds_date_of_birth": born,
    }
    schema = pa.schema([(name, pa.date32() if name.endswith("birth") else pa.string()) for name in pair])
    (found,) = compared(pa.Table.from_pylist([pair], schema=schema)).to_pylist()
    return found["check"], found["matched_by"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("O'Brien", "OBRIEN"),
        ("O\u2019Brien", "O'Brien"),
        ("Smith-Jones", "Smith Jones"),
        ("Nguyễn", "NGUYEN"),
        ("Nguyễn", "Nguyễn"),
        ("Łukasik", "Lukasik"),
        ("Ørsted", "Orsted"),
        ("Weiß", "WEISS"),
        ("Đặng", "Dang"),
        ("Æthelstan", "Aethelstan"),
        ("de la Cruz", "De La Cruz"),
        ("Null", "NULL"),
        ("王", "王"),
    ],
)
def test_family_names_are_equal_whatever_their_case_accents_and_marks(ours, theirs):
    assert match(ours, "Ana", theirs, "Ana") == (None, MatchedBy.FULL_GIVEN_NAMES)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("Smith", "Smyth"), ("Smith", "Smith Jones"), ("Smith", ""), ("Smith", None), ("", ""), ("-", "'"), ("1", "2")],
)
def test_other_family_names_are_not_and_a_name_without_a_letter_equals_none(ours, theirs):
    assert match(ours, "Ana", theirs, "Ana") == (Check.FAMILY_NAME, None)


@pytest.mark.parametrize(
    ("ours", "theirs", "by"),
    [
        ("Zoë Ann", "ZOE ANN", MatchedBy.FULL_GIVEN_NAMES),
        ("Anna-Maria", "Anna Maria", MatchedBy.FULL_GIVEN_NAMES),
        ("Zoë  Ann", "Zoe Ann", MatchedBy.FULL_GIVEN_NAMES),
        ("Zoë", "Zoe Ann", MatchedBy.FIRST_GIVEN_NAME),
        ("Zoe Jane", "Zoe Ann", MatchedBy.FIRST_GIVEN_NAME),
        ("Ann", "Zoe Ann", MatchedBy.ANY_GIVEN_NAME),
        ("Ann Zoe", "Zoe Mary Ann", MatchedBy.ANY_GIVEN_NAME),
        ("Zoe Ann", "Ann Marie", None),
        ("Z", "Zoe", None),
        ("", "Zoe", None),
        ("", "", None),
        ("Zoe", None, None),
        ("-", "'", None),
    ],
)
def test_first_names_are_checked_in_order_in_full_then_the_first_then_any(ours, theirs, by):
    assert match("Smith", ours, "Smith", theirs) == (None if by else Check.GIVEN_NAMES, by)


@pytest.mark.parametrize("born", [date(2019, 4, 29), date(2018, 4, 30), None])
def test_another_date_of_birth_fails_whatever_the_names(born):
    assert match("Smith", "Ana", "Smith", "Ana", born) == (Check.DATE_OF_BIRTH, None)


def test_the_first_check_that_fails_is_the_one_that_is_named():
    assert match("Smith", "Ana", "Jones", "Ben", date(2018, 1, 1))[0] == Check.DATE_OF_BIRTH
    assert match("Smith", "Ana", "Jones", "Ben")[0] == Check.FAMILY_NAME


def test_two_authorities_that_write_a_child_alike_hold_one_identity():
    held = identities(
        plans(
            [
                plan(1, family_name="O'Brien", given_name="Zoë"),
                plan(1, "LAC", la_code=KENT, family_name="OBRIEN", given_name="zoe"),
            ]
        )
    )
    assert held["nhs_number"].to_pylist() == [nhs(1)]
    assert held["family_name"].to_pylist() == ["O'Brien"]


@pytest.mark.parametrize(
    "other", [{"family_name": "Other"}, {"given_name": "Other"}, {"date_of_birth": date(2019, 5, 1)}, {"nhs_number": nhs(2)}]
)
def test_another_name_date_or_number_is_another_identity(other):
    held = identities(plans([plan(1), plan(1, "LAC", **other)]))
    assert len(set(held["identity"].to_pylist())) == 2


def test_f48_equal_names_under_two_numbers_have_nothing_in_common():
    same = {"family_name": "Canary", "given_name": "Wren", "date_of_birth": BORN}
    one, other = identities(plans([plan(1, **same), plan(2, **same)]))["identity"].to_pylist()
    assert not {one[place : place + 6] for place in range(27)} & {other[place : place + 6] for place in range(27)}
