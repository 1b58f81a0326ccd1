"""The trace service of the rehearsal, held to the hub's own request and reader."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cpis_batch.demographics import request
from cpis_batch.demographics.request import Request
from cpis_batch.demographics.response import ResponseReading, read_response
from cpis_batch.demographics.settle import Settled, settle
from cpis_batch.engine import query
from cpis_batch.errors import InputRefused
from cpis_batch.register.schema import PLANS
from cpis_batch.sandbox.england import England, make_england
from cpis_batch.sandbox.nights import next_night
from cpis_batch.sandbox.tracing import SHARES, Oddity, TraceService, make_service, practice_code
from cpis_batch.sandbox.volumes import KENT
from cpis_batch.vocabulary import Environment, FileOutcome
from tests.demographics_builders import NOBODY, NOTHING_ASKED, PATIENCE

MONDAY, NOW = date(2026, 10, 5), datetime(2026, 10, 5, 22, 30, tzinfo=UTC)
LAS = (KENT, "E09000012", "E06000053")


@cache
def england() -> England:
    return make_england(seed=5, on=MONDAY, las=LAS)


@cache
def service() -> TraceService:
    return make_service(england())


@cache
def held() -> pa.Table:
    """The population as the register would hold it."""
    return query(
        """SELECT la_code, nhs_number, plan_type, start_date, end_date, NULL AS end_basis, child_id, family_name, given_name,
            date_of_birth, $on AS last_confirmed_on, NULL AS missing_since, now() AS known_from, '' AS source_file,
            1 AS source_line
        FROM plans""",
        {"plans": england().plans},
        {"on": MONDAY},
    ).cast(PLANS)


@cache
def asked() -> Request:
    people = request.wanted(held(), NOBODY, NOTHING_ASKED, on=MONDAY, patience=PATIENCE)
    return request.make(people, sequence=1, environment=Environment.TEST, on=MONDAY, now=NOW)


@cache
def reading(sequence: int = 1) -> ResponseReading:
    drop = service().answer(asked().content, sequence=sequence, now=NOW)
    return read_response(drop.content, environment=Environment.TEST, line_bytes=4096)


@cache
def settled(sequence: int = 1) -> Settled:
    return settle(reading(sequence).answers, asked().questions, NOBODY, held())


def persons_with(oddity: str) -> list[dict[str, object]]:
    numbers = service().records.filter(pc.equal(service().records["oddity"], oddity))["asked_number"]
    persons = settled(2).persons
    return list(persons.filter(pc.is_in(persons["nhs_number"], numbers.combine_chunks())).to_pylist())


def test_every_question_gets_one_answer_that_the_hub_takes() -> None:
    found = reading()
    assert (found.outcome, found.rejected, found.repeated) == (FileOutcome.ALL_LOADED, 0, 0)
    assert sorted(found.answers["reference"].to_pylist()) == asked().questions["reference"].to_pylist()
    assert set(settled().counts) == {"settled", "again"}


def test_england_matches_to_some_ninety_eight_in_a_hundred_and_every_oddity_is_there() -> None:
    persons = settled(2).persons
    matched = pc.sum(pc.is_in(persons["outcome"], pa.array(["CPR06", "CPR02"]))).as_py() / persons.num_rows
    assert 0.96 < matched < 0.99
    drawn = {count["values"]: count["counts"] for count in service().records["oddity"].value_counts().to_pylist()}
    for oddity, share in SHARES.items():
        expected = share * service().records.num_rows
        assert drawn[oddity] == pytest.approx(expected, abs=4 * expected**0.5), oddity


@pytest.mark.parametrize(
    ("oddity", "outcome"),
    [
        (Oddity.UNKNOWN, {"CPR01", None}),  # None: a baby, postponed
        (Oddity.NOT_VERIFIED, {"CPR03", None}),
        (Oddity.SUPERSEDED, {"CPR05"}),
        (Oddity.ADOPTED, {"CPR07"}),
        (Oddity.SENSITIVE, {"CPR02"}),
        (Oddity.DEAD, {"CPR06"}),
        (Oddity.OTHER_BIRTH, {"CPR03", None}),
        (Oddity.OTHER_FAMILY, {"CPR03", None}),
        (Oddity.OTHER_GIVEN, {"CPR03", None}),
        (Oddity.BUSY, {"CPR06"}),
    ],
)
def test_each_oddity_comes_to_what_it_should(oddity: Oddity, outcome: set[str | None]) -> None:
    found = persons_with(oddity)
    assert found
    assert {row["outcome"] for row in found} <= outcome


def test_a_number_that_stands_in_the_place_of_another_is_nobody_elses() -> None:
    others = [row["current_number"] for row in persons_with(Oddity.SUPERSEDED)]
    assert len(set(others)) == len(others)
    assert not set(others) & set(service().records["asked_number"].to_pylist())


def test_many_looked_after_children_live_elsewhere_and_hardly_anybody_else() -> None:
    at_home = practice_code(KENT)
    rows = query(
        """SELECT plan_type, avg(CAST(practice_code <> $home AS INTEGER)) AS away
        FROM plans JOIN records ON asked_number = plans.nhs_number
        WHERE la_code = $la AND practice_code IS NOT NULL GROUP BY plan_type""",
        {"plans": england().plans, "records": service().records},
        {"home": at_home, "la": KENT},
    ).to_pylist()
    away = {row["plan_type"]: row["away"] for row in rows}
    assert 0.35 < away["LAC"] < 0.5
    assert away["CPP"] < 0.05


def test_who_is_busy_is_answered_by_the_next_response() -> None:
    assert settled(1).counts["again"] == len(persons_with(Oddity.BUSY))
    assert "again" not in settled(2).counts


def test_what_the_service_knows_of_a_person_stays_the_same_as_people_come_and_go() -> None:
    tomorrow = make_service(next_night(england(), date(2026, 10, 6))).records
    both = query(
        "SELECT old.oddity AS old, new.oddity AS new FROM old JOIN new USING (asked_number)",
        {"old": service().records, "new": tomorrow},
    )
    assert both.num_rows > 0.99 * service().records.num_rows
    assert both["old"].equals(both["new"])


def test_a_file_that_is_no_request_is_refused() -> None:
    with pytest.raises(InputRefused):
        service().answer(b"H,OTHER", sequence=1, now=NOW)
