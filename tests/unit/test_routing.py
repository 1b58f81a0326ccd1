from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from cpis_batch import organisations
from cpis_batch.errors import Bug
from cpis_batch.extracts.routing import PERSONS, ROUTED, UNROUTABLE, Reference, Routed, Unroutable, route
from cpis_batch.nhs_number import numbers_for_tests
from cpis_batch.vocabulary import RoutingBasis

ON = date(2026, 11, 9)
VESTING = date(2027, 4, 1)
CHILD = next(numbers_for_tests())
HACKNEY, CUMBRIA, SURREY, EAST, WEST = "E09000012", "E10000006", "E10000030", "E06000071", "E06000072"


def table(columns: str, *rows: tuple) -> pa.Table:
    names = columns.split()
    types = [pa.date32() if name.startswith("valid_") else pa.string() for name in names]
    return pa.table([pa.array([row[i] for row in rows], kind) for i, kind in enumerate(types)], names)


def plans(*la_codes: str) -> pa.Table:
    count = len(la_codes)
    return pa.table(
        {
            "la_code": list(la_codes),
            "nhs_number": [CHILD] * count,
            "plan_type": ["LAC"] * count,
            "start_date": pa.array([date(2026, 1, 1)] * count, pa.date32()),
            "date_of_birth": pa.array([date(2019, 4, 30)] * count, pa.date32()),
            "family_name": ["Fernando"] * count,
        }
    )


def person(
    practice: str | None = None, residence: str | None = None, *, sensitive: bool = False, deceased: bool = False
) -> pa.Table:
    row = {
        "nhs_number": CHILD,
        "practice_code": practice,
        "residence_code": residence,
        "sensitive": sensitive,
        "deceased": deceased,
    }
    return pa.Table.from_pylist([row], PERSONS)


NOBODY = PERSONS.empty_table()


def reference(**replaced: pa.Table) -> Reference:
    tables = {
        "local_authorities": table(
            "gss_code valid_from valid_to successors",
            (HACKNEY, date(2009, 1, 1), None, None),
            (SURREY, date(2009, 1, 1), date(2027, 3, 31), f"{EAST} {WEST}"),
            (EAST, VESTING, None, None),
            (WEST, VESTING, None, None),
        ),
        "la_chis": table(
            "la_gss_code chis_code valid_from valid_to",
            (HACKNEY, "BY-LA", date(2009, 1, 1), None),
            (SURREY, "SURREY", date(2009, 1, 1), date(2027, 3, 31)),
            (EAST, "SURREY", VESTING, None),
            (WEST, "SURREY", VESTING, None),
        ),
        "practice_chis": table(
            "practice_code chis_code valid_from valid_to",
            ("F84003", "OLD", date(2009, 1, 1), date(2026, 11, 8)),
            ("F84003", "BY-PRACTICE", date(2026, 11, 9), None),
        ),
        "residence_chis": table(
            "residence_code chis_code valid_from valid_to", ("E07000207", "BY-RESIDENCE", date(2009, 1, 1), None)
        ),
    }
    return Reference(**(tables | replaced))


def to(routed: Routed) -> list[tuple[str, str]]:
    return sorted(zip(routed.rows["chis_code"].to_pylist(), routed.rows["routing_basis"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("persons", "unit", "basis"),
    [
        (NOBODY, "BY-LA", RoutingBasis.SENDING_LA),
        (person("F84003", "E07000207"), "BY-PRACTICE", RoutingBasis.PRACTICE),
        (person(None, "E07000207"), "BY-RESIDENCE", RoutingBasis.RESIDENCE),
        (person("X99999", "E07000207"), "BY-RESIDENCE", RoutingBasis.RESIDENCE),
        (person("X99999", "E07999999"), "BY-LA", RoutingBasis.SENDING_LA),
        (person(), "BY-LA", RoutingBasis.SENDING_LA),
    ],
    ids=["untraced", "practice", "no practice", "practice unknown to us", "both unknown to us", "traced, no places"],
)
def test_a_child_belongs_by_practice_failing_that_by_residence_failing_that_by_the_sending_authority(persons, unit, basis):
    assert to(route(plans(HACKNEY), persons, reference(), on=ON)) == [(unit, basis)]


def test_the_policy_all_sends_a_plan_to_every_unit_that_applies_once_each():
    everywhere = route(plans(HACKNEY), person("F84003", "E07000207"), reference(), on=ON, policy="all")
    assert to(everywhere) == [("BY-LA", "SENDING_LA"), ("BY-PRACTICE", "PRACTICE"), ("BY-RESIDENCE", "RESIDENCE")]
    same = table("residence_code chis_code valid_from valid_to", ("E07000207", "BY-LA", date(2009, 1, 1), None))
    there = route(plans(HACKNEY), person(None, "E07000207"), reference(residence_chis=same), on=ON, policy="all")
    assert to(there) == [("BY-LA", "RESIDENCE")]


@pytest.mark.parametrize("policy", ["first", "all"])
def test_f49_a_sensitive_person_is_never_routed_by_place(policy):
    routed = route(plans(HACKNEY), person("F84003", "E07000207", sensitive=True), reference(), on=ON, policy=policy)
    assert to(routed) == [("BY-LA", "SENDING_LA")]


def test_f53_a_practice_that_changed_its_unit_routes_by_the_date():
    before = route(plans(HACKNEY), person("F84003"), reference(), on=date(2026, 11, 8))
    assert to(before) == [("OLD", "PRACTICE")]


def test_f53_on_vesting_day_every_child_belongs_somewhere_under_the_old_code_and_the_new():
    eve = route(plans(SURREY), NOBODY, reference(), on=date(2027, 3, 31))
    morning = route(plans(SURREY, EAST, WEST), NOBODY, reference(), on=VESTING)
    assert to(eve) == [("SURREY", "SENDING_LA")]
    assert to(morning) == [("SURREY", "SENDING_LA")] * 3
    assert morning.unroutable.num_rows == 0


def split(*surrey_itself: tuple) -> pa.Table:
    return table(
        "la_gss_code chis_code valid_from valid_to",
        *surrey_itself,
        (EAST, "EAST", VESTING, None),
        (WEST, "WEST", VESTING, None),
    )


def test_f53_late_rows_of_an_abolished_authority_are_listed_where_its_successors_have_different_units():
    late = route(plans(SURREY), NOBODY, reference(la_chis=split()), on=VESTING)
    assert late.rows.num_rows == 0
    assert late.unroutable["reason"].to_pylist() == [Unroutable.SUCCESSORS_DIFFER]


def test_f53_a_row_of_its_own_lets_a_unit_go_on_serving_the_code_of_an_abolished_authority():
    late = route(plans(SURREY), NOBODY, reference(la_chis=split((SURREY, "WEST", VESTING, date(2027, 9, 30)))), on=VESTING)
    assert to(late) == [("WEST", "SENDING_LA")]


def test_f53_one_successor_served_and_the_other_not_is_no_agreement():
    only_east = table("la_gss_code chis_code valid_from valid_to", (EAST, "EAST", VESTING, None))
    late = route(plans(SURREY), NOBODY, reference(la_chis=only_east), on=VESTING)
    assert late.unroutable["reason"].to_pylist() == [Unroutable.SUCCESSORS_DIFFER]


@pytest.mark.parametrize(
    ("la_code", "reason"),
    [("E09000099", Unroutable.UNKNOWN_LA), (EAST, Unroutable.LA_NOT_YET), (HACKNEY, Unroutable.LA_HAS_NO_UNIT)],
)
def test_f54_what_leads_nowhere_is_listed_with_its_reason(la_code, reason):
    nothing = table("la_gss_code chis_code valid_from valid_to")
    routed = route(plans(la_code), NOBODY, reference(la_chis=nothing), on=ON)
    assert routed.rows.num_rows == 0
    assert routed.unroutable["reason"].to_pylist() == [reason]


def test_a_place_that_is_known_routes_a_child_whose_authority_is_not():
    assert to(route(plans("E09000099"), person("F84003"), reference(), on=ON)) == [("BY-PRACTICE", "PRACTICE")]


@pytest.mark.parametrize("name", ["la_chis", "practice_chis", "residence_chis"])
def test_two_units_for_one_code_stop_the_release_instead_of_sending_the_child_to_both(name):
    tables = reference()
    doubled = pa.concat_tables([getattr(tables, name)] * 2)
    with pytest.raises(Bug, match="repeat a"):
        route(plans(HACKNEY), NOBODY, reference(**{name: doubled}), on=ON)


def test_two_traces_for_one_person_stop_the_release():
    with pytest.raises(Bug, match="repeat a") as stopped:
        route(plans(HACKNEY), pa.concat_tables([person("F84003"), person("X99999")]), reference(), on=ON)
    assert CHILD not in str(stopped.value)


def test_no_name_passes_through_routing():
    routed = route(plans(HACKNEY, "E09000099"), NOBODY, reference(), on=ON)
    assert routed.rows.schema.equals(ROUTED)
    assert routed.unroutable.schema.equals(UNROUTABLE)
    assert not {"family_name", "given_name", "child_id"} & {*ROUTED.names, *UNROUTABLE.names}


def test_with_the_packaged_tables_every_authority_leads_to_a_unit_today():
    england = organisations.load()
    codes = [la.code for la in england.las_on(ON)]
    routed = route(plans(*codes), NOBODY, england.routing_reference(), on=ON)
    assert routed.rows.num_rows == 153
    assert len(set(routed.rows["chis_code"].to_pylist())) == 50


def test_with_the_packaged_tables_late_rows_of_cumbria_are_listed_and_those_of_dorset_follow():
    routed = route(plans(CUMBRIA, "E10000009"), NOBODY, organisations.load().routing_reference(), on=ON)
    assert routed.rows["la_code"].to_pylist() == ["E10000009"]
    assert routed.unroutable.select(["la_code", "reason"]).to_pylist() == [
        {"la_code": CUMBRIA, "reason": Unroutable.SUCCESSORS_DIFFER}
    ]


@pytest.mark.parametrize("policy", ["first", "all"])
def test_f52_whom_the_trace_reports_dead_is_on_no_list_to_contact_and_is_listed_with_the_reason(policy):
    routed = route(plans(HACKNEY), person("F84003", "E07000207", deceased=True), reference(), on=ON, policy=policy)
    assert routed.rows.num_rows == 0
    assert routed.unroutable["reason"].to_pylist() == [Unroutable.DECEASED]
