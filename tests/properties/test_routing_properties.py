"""Routing held against the naive one that a person would do by hand, over worlds in which anything may be missing."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from cpis_batch.extracts.routing import PERSONS, Reference, Unroutable, route

ON = date(2026, 11, 9)
DAY = timedelta(days=1)
LAS = ["E06000001", "E06000002", "E06000003", "E06000004"]
NEVER_HEARD_OF = "E06999999"
UNITS = ["U1", "U2", "U3"]
CHILDREN = [f"child {n}" for n in range(6)]
PERIODS = [
    (date(2009, 1, 1), None),
    (date(2009, 1, 1), ON),
    (date(2009, 1, 1), ON - DAY),
    (ON, None),
    (ON + DAY, None),
]


def stands(row: dict) -> bool:
    return row["valid_from"] <= ON and (row["valid_to"] is None or row["valid_to"] >= ON)


@st.composite
def links(draw, code: str, codes: list[str]):
    rows = []
    for one in codes:
        if draw(st.booleans()):
            starts, ends = draw(st.sampled_from(PERIODS))
            rows.append({code: one, "chis_code": draw(st.sampled_from(UNITS)), "valid_from": starts, "valid_to": ends})
    return rows


@st.composite
def authorities(draw):
    rows = []
    for code in LAS:
        starts, ends = draw(st.sampled_from(PERIODS))
        heirs = draw(st.lists(st.sampled_from(LAS), max_size=3, unique=True)) if ends else []
        rows.append({"gss_code": code, "valid_from": starts, "valid_to": ends, "successors": " ".join(heirs) or None})
    return rows


persons = st.lists(
    st.fixed_dictionaries(
        {
            "nhs_number": st.sampled_from(CHILDREN),
            "practice_code": st.sampled_from([None, "P1", "P2", "P3"]),
            "residence_code": st.sampled_from([None, "R1", "R2", "R3"]),
            "sensitive": st.booleans(),
            "deceased": st.booleans(),
        }
    ),
    unique_by=lambda row: row["nhs_number"],
)
plans = st.lists(st.tuples(st.sampled_from([*LAS, NEVER_HEARD_OF]), st.sampled_from(CHILDREN)), unique=True, max_size=12)


def unit(rows: list[dict], code: str, value: str | None) -> str | None:
    return next((row["chis_code"] for row in rows if row[code] == value and stands(row)), None)


def unit_of_authority(las: list[dict], la_chis: list[dict], code: str) -> str | None:
    if own := unit(la_chis, "la_gss_code", code):
        return own
    by_code, heirs, look = {row["gss_code"]: row for row in las}, set(), [code]
    seen = set()
    while look:
        one = look.pop()
        if one in seen or one not in by_code:
            continue
        seen.add(one)
        if stands(by_code[one]):
            heirs.add(one)
        elif by_code[one]["valid_to"] and by_code[one]["valid_to"] < ON:
            look += (by_code[one]["successors"] or "").split()
    units = {unit(la_chis, "la_gss_code", heir) for heir in heirs}
    return units.pop() if len(units) == 1 else None


def by_hand(plan, people, las, la_chis, practices, residences, policy) -> list[tuple[str, str]]:
    la, child = plan
    if any(row["nhs_number"] == child and row["deceased"] for row in people):
        return []
    known = next((row for row in people if row["nhs_number"] == child and not row["sensitive"]), {})
    found: dict[str, str] = {}
    for basis, place in (
        ("PRACTICE", unit(practices, "practice_code", known.get("practice_code"))),
        ("RESIDENCE", unit(residences, "residence_code", known.get("residence_code"))),
        ("SENDING_LA", unit_of_authority(las, la_chis, la)),
    ):
        if place is not None:
            found.setdefault(place, basis)
    everywhere = list(found.items())
    return everywhere[:1] if policy == "first" else everywhere


def dated(rows: list[dict], *names: str) -> pa.Table:
    schema = pa.schema([*((name, pa.string()) for name in names), ("valid_from", pa.date32()), ("valid_to", pa.date32())])
    return pa.Table.from_pylist(rows, schema)


@settings(max_examples=80, deadline=None)
@given(
    plans=plans,
    people=persons,
    las=authorities(),
    la_chis=links("la_gss_code", LAS),
    practices=links("practice_code", ["P1", "P2"]),
    residences=links("residence_code", ["R1", "R2"]),
    policy=st.sampled_from(["first", "all"]),
)
def test_f54_every_active_row_is_routed_as_by_hand_or_listed_with_a_reason(
    plans, people, las, la_chis, practices, residences, policy
):
    active = pa.table(
        {
            "la_code": pa.array([la for la, _ in plans], pa.string()),
            "nhs_number": pa.array([child for _, child in plans], pa.string()),
            "plan_type": pa.array(["CPP"] * len(plans), pa.string()),
            "start_date": pa.array([date(2026, 1, 1)] * len(plans), pa.date32()),
            "date_of_birth": pa.array([date(2019, 1, 1)] * len(plans), pa.date32()),
        }
    )
    reference = Reference(
        local_authorities=dated(las, "gss_code", "successors"),
        la_chis=dated(la_chis, "la_gss_code", "chis_code"),
        practice_chis=dated(practices, "practice_code", "chis_code"),
        residence_chis=dated(residences, "residence_code", "chis_code"),
    )
    routed = route(active, pa.Table.from_pylist(people, PERSONS), reference, on=ON, policy=policy)

    expected = {plan: by_hand(plan, people, las, la_chis, practices, residences, policy) for plan in plans}
    got = [(r["la_code"], r["nhs_number"], r["chis_code"], r["routing_basis"]) for r in routed.rows.to_pylist()]
    assert sorted(got) == sorted((*plan, *place) for plan, places in expected.items() for place in places)
    nowhere = [(r["la_code"], r["nhs_number"]) for r in routed.unroutable.to_pylist()]
    assert sorted(nowhere) == sorted(plan for plan, places in expected.items() if not places)
    assert set(routed.unroutable["reason"].to_pylist()) <= {str(reason) for reason in Unroutable}
