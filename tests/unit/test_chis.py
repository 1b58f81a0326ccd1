from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import frictionless
import jsonschema
import pyarrow as pa
import pytest

from cpis_batch import organisations, spec
from cpis_batch.errors import Bug
from cpis_batch.extracts import chis
from cpis_batch.extracts.manifest import manifest
from cpis_batch.extracts.routing import ROUTED
from cpis_batch.extracts.schedule import Fortnight, Release
from cpis_batch.nhs_number import numbers_for_tests
from cpis_batch.vocabulary import Environment, RoutingBasis

SAMPLES = Path(__file__).parents[2] / "sample_data" / "chis-extract"
SPEC = spec.folder() / "chis-extract" / "1.0"
ANA, BEN, CAT, DEE, EVE = (number for number, _ in zip(numbers_for_tests(), range(5), strict=False))
HACKNEY, NEWHAM, KENT = "E09000012", "E09000025", "E10000016"
UNIT = "CHIS02"
F22, F23 = Fortnight(date(2026, 10, 26)), Fortnight(date(2026, 11, 9))


@dataclass(frozen=True)
class Plan:
    """A routed plan, most of it as one would have it anyway."""

    nhs_number: str
    plan_type: str = "LAC"
    la_code: str = HACKNEY
    start_date: date = date(2026, 2, 11)
    date_of_birth: date = date(2019, 4, 30)
    chis_code: str = UNIT
    routing_basis: str = RoutingBasis.SENDING_LA


def routed(*plans: Plan) -> pa.Table:
    return pa.Table.from_pylist([vars(plan) for plan in plans], ROUTED)


def state(at: datetime, newham_phone: str | None = "020 7946 0300", *, of: tuple[str, ...] = (HACKNEY, NEWHAM, KENT)) -> pa.Table:
    phones = {HACKNEY: "020 7946 0100", NEWHAM: newham_phone, KENT: "020 7946 0500"}
    names = {HACKNEY: "Hackney", NEWHAM: "Newham", KENT: "Kent"}
    rows = [
        {"la_code": la, "la_name": names[la], "office_phone": phones[la], "emergency_phone": "020 7946 0199", "data_as_at": at}
        for la in of
    ]
    return pa.Table.from_pylist(rows, chis.LA_STATE)


EARLIER = state(datetime(2026, 10, 25, 22, 40, tzinfo=UTC))
LATER = state(datetime(2026, 11, 8, 23, 40, tzinfo=UTC))


def changes(extract: pa.Table) -> list[tuple[str, str]]:
    return [(row["nhs_number"], row["change"]) for row in extract.to_pylist()]


def test_without_a_release_before_every_row_is_new():
    assert changes(chis.build(routed(Plan(ANA), Plan(BEN)), None, EARLIER)) == [(ANA, "NEW"), (BEN, "NEW")]


def test_a_row_that_stands_as_it_did_is_unchanged_though_its_data_are_newer():
    before = chis.build(routed(Plan(ANA)), None, EARLIER)
    after = chis.build(routed(Plan(ANA)), before, LATER)
    assert changes(after) == [(ANA, "UNCHANGED")]
    assert after["data_as_at"].to_pylist() == LATER["data_as_at"].to_pylist()[:1]


@pytest.mark.parametrize(
    "other",
    [
        Plan(ANA, date_of_birth=date(2019, 5, 1)),
        Plan(ANA, routing_basis=RoutingBasis.PRACTICE),
        Plan(ANA, start_date=date(2026, 2, 12)),
    ],
    ids=["date of birth", "basis", "start date"],
)
def test_what_the_unit_is_told_of_a_plan_may_change(other):
    before = chis.build(routed(Plan(ANA)), None, EARLIER)
    assert changes(chis.build(routed(other), before, LATER)) == [(ANA, "CHANGED")]


@pytest.mark.parametrize("phone", ["020 7946 0301", None])
def test_a_new_phone_of_the_authority_changes_its_rows_and_no_others(phone):
    plans = routed(Plan(ANA), Plan(BEN, la_code=NEWHAM))
    before = chis.build(plans, None, EARLIER)
    after = chis.build(plans, before, state(datetime(2026, 11, 8, tzinfo=UTC), phone))
    assert changes(after) == [(ANA, "UNCHANGED"), (BEN, "CHANGED")]


def test_a_plan_that_is_gone_is_ceased_once_and_stands_first_in_the_file():
    first = chis.build(routed(Plan(ANA), Plan(EVE)), None, EARLIER)
    second = chis.build(routed(Plan(ANA)), first, LATER)
    assert changes(second) == [(EVE, "CEASED"), (ANA, "UNCHANGED")]
    assert changes(chis.build(routed(Plan(ANA)), second, LATER)) == [(ANA, "UNCHANGED")]


def test_a_plan_that_comes_back_is_new_again():
    first = chis.build(routed(Plan(ANA)), None, EARLIER)
    second = chis.build(routed(), first, LATER)
    assert changes(chis.build(routed(Plan(ANA)), second, LATER)) == [(ANA, "NEW")]


def test_ended_deleted_and_moved_look_the_same_to_the_unit_that_had_the_row():
    before = chis.build(routed(Plan(ANA)), None, EARLIER)
    gone = chis.build(routed(), before, LATER)
    moved = chis.by_unit(chis.build(routed(Plan(ANA, chis_code="CHIS19")), before, LATER), [UNIT, "CHIS19"])
    assert chis.unit_csv(moved[UNIT]) == chis.unit_csv(gone)
    assert changes(moved["CHIS19"]) == [(ANA, "NEW")]


def test_a_child_of_two_authorities_has_two_rows_and_losing_one_keeps_the_other():
    both = routed(Plan(ANA), Plan(ANA, la_code=KENT))
    before = chis.build(both, None, EARLIER)
    after = chis.build(routed(Plan(ANA)), before, LATER)
    assert [(row["la_code"], row["change"]) for row in after.to_pylist()] == [(KENT, "CEASED"), (HACKNEY, "UNCHANGED")]


def test_a_plan_beside_one_whose_start_date_was_corrected_keeps_its_own_history():
    early, late = date(2025, 1, 1), date(2026, 5, 1)
    before = chis.build(routed(Plan(ANA, start_date=early), Plan(ANA, start_date=late)), None, EARLIER)
    after = chis.build(routed(Plan(ANA, start_date=early), Plan(ANA, start_date=date(2026, 5, 2))), before, LATER)
    assert [(row["start_date"], row["change"]) for row in after.to_pylist()] == [
        (early, "UNCHANGED"),
        (date(2026, 5, 2), "CHANGED"),
    ]


def test_the_rows_of_an_authority_without_a_state_are_ceased_with_what_was_last_known():
    before = chis.build(routed(Plan(ANA)), None, EARLIER)
    after = chis.build(routed(), before, state(datetime(2026, 11, 8, tzinfo=UTC), of=(KENT,)))
    assert after["data_as_at"].to_pylist() == before["data_as_at"].to_pylist()


@pytest.mark.parametrize("states", [state(datetime(2026, 11, 8, tzinfo=UTC), of=(KENT,)), pa.concat_tables([LATER, LATER])])
def test_an_authority_with_plans_and_no_state_or_two_stops_the_release(states):
    with pytest.raises(Bug, match=HACKNEY) as stopped:
        chis.build(routed(Plan(ANA)), None, states)
    assert ANA not in str(stopped.value)


def test_a_unit_without_rows_has_an_empty_file_with_its_header():
    files = chis.by_unit(chis.build(routed(Plan(ANA)), None, EARLIER), ["CHIS01", UNIT, "CHIS03"])
    assert list(files) == ["CHIS01", UNIT, "CHIS03"]
    header = ",".join(f'"{name}"' for name in spec.table_schema("chis-extract", "1.0", "extract").names)
    assert chis.unit_csv(files["CHIS01"]) == f"{header}\r\n".encode()


def test_a_unit_that_is_closed_is_told_to_take_its_flags_down():
    before = chis.build(routed(Plan(ANA, chis_code="CLOSED")), None, EARLIER)
    files = chis.by_unit(chis.build(routed(Plan(ANA)), before, LATER), [UNIT])
    assert changes(files["CLOSED"]) == [(ANA, "CEASED")]


def test_the_order_of_the_register_does_not_show():
    plans = [Plan(ANA), Plan(BEN, "CPP"), Plan(BEN, "LAC"), Plan(CAT, chis_code="CHIS01"), Plan(DEE, la_code=KENT)]
    before = chis.build(routed(*plans[1:]), None, EARLIER)
    forwards, backwards = chis.build(routed(*plans), before, LATER), chis.build(routed(*plans[::-1]), before[::-1], LATER)
    assert forwards.equals(backwards)
    assert forwards["chis_code"].to_pylist() == sorted(forwards["chis_code"].to_pylist())


def test_the_columns_are_those_of_the_specification_and_none_is_a_name_of_a_person():
    names = spec.table_schema("chis-extract", "1.0", "extract").names
    assert tuple(chis.EXTRACT.names) == ("chis_code", *names)
    assert not {"family_name", "given_name", "child_id", "practice_code", "residence_code"} & set(names)


def test_the_name_of_a_file_tells_unit_fortnight_and_sequence():
    assert chis.file_name("CHIS07", Fortnight(date(2026, 1, 5)), 12) == "CPIS_CHIS_CHIS07_2026F01_0012.csv.pgp"
    assert chis.manifest_name("CHIS07", Fortnight(date(2026, 1, 5)), 12) == "CPIS_CHIS_CHIS07_2026F01_0012.manifest.json.pgp"


# --- the published example: two extracts in a row, in which every kind of change occurs ---

THEN = [
    Plan(ANA),
    Plan(BEN, "CPP", date_of_birth=date(2024, 8, 2)),
    Plan(CAT, "UCPP", NEWHAM, date(2026, 9, 30), date(1994, 8, 2)),
    Plan(DEE, "CPP", start_date=date(2026, 10, 1), date_of_birth=date(2012, 12, 24)),
]
NOW = [
    THEN[0],
    THEN[2],
    Plan(DEE, "CPP", start_date=date(2026, 9, 30), date_of_birth=date(2012, 12, 24)),
    Plan(EVE, la_code=KENT, start_date=date(2026, 11, 3), date_of_birth=date(2010, 1, 1), routing_basis=RoutingBasis.PRACTICE),
]
NOW_STATE = state(datetime(2026, 11, 8, 23, 40, tzinfo=UTC), "020 7946 0301")


def examples() -> dict[str, bytes]:
    england = organisations.load()
    unit = next(unit for unit in england.units_on(F23.starts) if unit.code == UNIT)
    first = chis.build(routed(*THEN), None, EARLIER)
    second = chis.build(routed(*NOW), first, NOW_STATE)
    files = {}
    for sequence, (fortnight, rows, la_state) in enumerate([(F22, first, EARLIER), (F23, second, NOW_STATE)], start=1):
        csv = chis.unit_csv(rows)
        files[chis.file_name(UNIT, fortnight, sequence).removesuffix(".pgp")] = csv
        files[chis.manifest_name(UNIT, fortnight, sequence).removesuffix(".pgp")] = manifest(
            unit=unit,
            environment=Environment.TEST,
            release=Release(fortnight),
            sequence=sequence,
            rows=rows,
            csv=csv,
            la_state=la_state,
            las=england.las_of_unit(UNIT, fortnight.starts),
            released_at=datetime(fortnight.starts.year, fortnight.starts.month, fortnight.starts.day, 23, 45, tzinfo=UTC),
        )
    return files


@pytest.fixture(scope="module", name="made")
def _made() -> dict[str, bytes]:
    return examples()


def test_the_examples_in_sample_data_are_what_the_program_makes(made):
    assert {path.name: path.read_bytes() for path in SAMPLES.glob("CPIS_*")} == made


def test_the_example_has_every_kind_of_change_ceased_first(made):
    rows = made["CPIS_CHIS_CHIS02_2026F23_0002.csv"].decode().splitlines()[1:]
    assert [row.split(",")[-1].strip('"') for row in rows] == ["CEASED", "UNCHANGED", "CHANGED", "CHANGED", "NEW"]


@pytest.mark.parametrize("name", ["CPIS_CHIS_CHIS02_2026F22_0001.csv", "CPIS_CHIS_CHIS02_2026F23_0002.csv"])
def test_a_plain_table_schema_tool_finds_the_extract_valid(made, name):
    schema = frictionless.Schema.from_descriptor(json.loads((SPEC / "extract.schema.json").read_bytes()))
    report = frictionless.Resource(made[name], format="csv", schema=schema).validate()
    assert report.valid, report.flatten(["type", "fieldName"])


@pytest.mark.parametrize("name", ["CPIS_CHIS_CHIS02_2026F22_0001.manifest.json", "CPIS_CHIS_CHIS02_2026F23_0002.manifest.json"])
def test_the_manifest_is_as_its_schema_says(made, name):
    schema = json.loads((SPEC / "manifest.json-schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(made[name]), schema)


def test_the_manifest_lets_the_unit_count_and_see_whose_data_are_old_or_absent(made):
    told = json.loads(made["CPIS_CHIS_CHIS02_2026F23_0002.manifest.json"])
    assert (told["file"]["rows"], told["active_rows"], told["active_persons"]) == (5, 4, 4)
    assert told["counts"]["CPP"] == {"NEW": 0, "CHANGED": 1, "UNCHANGED": 0, "CEASED": 1}
    authorities = {row["la_code"]: row for row in told["authorities"]}
    assert authorities[HACKNEY]["age_days"] == 1
    assert authorities[KENT]["active_rows"] == 1  # out of area: placed here by Kent
    tower_hamlets = authorities["E09000030"]
    assert (tower_hamlets["data_as_at"], tower_hamlets["active_rows"]) == (None, 0)


def test_f66_the_manifest_of_a_release_that_catches_up_names_the_fortnights_it_covers():
    england = organisations.load()
    told = manifest(
        unit=england.units_on(F23.starts)[0],
        environment=Environment.TEST,
        release=Release(F23, (F22,)),
        sequence=1,
        rows=chis.EXTRACT.empty_table(),
        csv=chis.unit_csv(chis.EXTRACT.empty_table()),
        la_state=LATER,
        las=(),
        released_at=datetime(2026, 11, 11, tzinfo=UTC),
    )
    assert json.loads(told)["fortnight"] == {
        "label": "2026F23",
        "starts": "2026-11-09",
        "ends": "2026-11-22",
        "covers_missed": ["2026F22"],
    }
