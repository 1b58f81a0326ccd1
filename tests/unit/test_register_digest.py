"""The logical digest: what it is taken over, byte for byte, and what makes no difference to it."""

from __future__ import annotations

import hashlib
from datetime import date

import pyarrow as pa
import pytest

from cpis_batch.register.digest import logical_digest, register_digest
from tests.builders import HACKNEY, KENT, TODAY, TONIGHT, plan, plans


def test_the_bytes_are_those_of_the_documented_format():
    held = [
        plan(1, family_name="O'Brien\tor\\so", given_name="Zoë\r\n"),
        plan(0, "LAC", end_date=date(2026, 11, 1)),
    ]
    lines = [
        r"E09000012	9990000018	LAC	2026-02-11	2026-11-01	LA	LC-000000	Family0	Given0	2019-04-30	2026-11-19",
        r"E09000012	9990000026	CPP	2026-02-11	\N	\N	LC-000001	O'Brien\tor\\so	Zoë\r\n	2019-04-30	2026-11-19",
    ]
    expected = hashlib.sha256("\n".join(["cpis-plans 1", *lines, ""]).encode()).hexdigest()
    assert logical_digest(plans(held)) == expected


def test_order_chunks_and_what_is_no_part_of_the_identity_make_no_difference():
    held = [plan(child) for child in range(5)]
    later = [one | {"known_from": TONIGHT, "source_file": "0" * 64, "source_line": 1, "missing_since": TODAY} for one in held]
    chunked = pa.concat_tables([plans(later[3:]), plans(later[:3])])
    assert logical_digest(chunked) == logical_digest(plans(held))
    assert logical_digest(plans(held).slice(1)) == logical_digest(plans(held[1:]))


@pytest.mark.parametrize(
    "fact",
    [
        {"end_date": TODAY},
        {"end_basis": "AGE"},
        {"child_id": "LC-9"},
        {"family_name": "Okafor"},
        {"given_name": ""},
        {"date_of_birth": date(2019, 5, 1)},
        {"last_confirmed_on": TODAY},
        {"la_code": KENT},
        {"start_date": date(2026, 2, 12)},
        {"plan_type": "LAC"},
    ],
    ids=lambda fact: next(iter(fact)),
)
def test_every_fact_of_a_plan_makes_a_difference(fact):
    assert logical_digest(plans([plan(1) | fact])) != logical_digest(plans([plan(1)]))


def test_a_field_cannot_pass_for_its_neighbour():
    one, other = ({"family_name": "A\tB", "given_name": "C"}, {"family_name": "A", "given_name": "B\tC"})
    assert logical_digest(plans([plan(1, **one)])) != logical_digest(plans([plan(1, **other)]))
    assert logical_digest(plans([plan(1, child_id="\\N")])) != logical_digest(plans([plan(1, child_id="\\\\N")]))


def test_the_register_s_digest_does_not_depend_on_the_order_of_authorities():
    empty, some = logical_digest(plans()), logical_digest(plans([plan(1)]))
    assert register_digest({HACKNEY: some, KENT: empty}) == register_digest({KENT: empty, HACKNEY: some})
    assert register_digest({HACKNEY: some, KENT: empty}) != register_digest({HACKNEY: empty, KENT: some})
    assert register_digest({HACKNEY: some}) != register_digest({HACKNEY: some, KENT: empty})
