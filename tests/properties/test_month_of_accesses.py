"""A month counted in numbers, made of parts of events, against lines told one by one and a plain count of them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from cpis_batch.access import lines, month, withheld
from cpis_batch.access.held import Holders, Periods
from cpis_batch.access.month import NOTHING, Month
from cpis_batch.access.report import by_la, report
from cpis_batch.access.schema import EVENTS, REPORT
from cpis_batch.runs.month_work import of_authorities
from tests import access_month_model
from tests.access_builders import event, events, packaged
from tests.builders import HACKNEY, KENT, nhs, plan, plans

AUTUMN = Month(2026, 10)  # whose clocks go back
SETTINGS = packaged().care_settings["code"].to_pylist()[:4]
AREAS = [
    {"ods_code": "RX011", "la_gss_code": HACKNEY, "valid_from": None, "valid_to": date(2026, 10, 14)},
    {"ods_code": "RX011", "la_gss_code": KENT, "valid_from": date(2026, 10, 15), "valid_to": None},
    {"ods_code": "RX111", "la_gss_code": KENT, "valid_from": None, "valid_to": None},
]
REFERENCE = dataclasses.replace(
    packaged(), organisation_areas=pa.Table.from_pylist(AREAS, schema=packaged().organisation_areas.schema)
)
DAYS = st.integers(0, 80).map(lambda days: date(2026, 8, 20) + timedelta(days=days))
PLANS = st.builds(
    lambda child, la, kind, start, lasts, born, style: plan(
        child,
        la_code=la,
        plan_type=kind,
        start=start,
        end=start + timedelta(days=lasts) if lasts is not None else None,
        date_of_birth=born,
        child_id=f"LC-{child}-{style}",
    ),
    st.integers(1, 5),
    st.sampled_from([HACKNEY, KENT]),
    st.sampled_from(["CPP", "LAC", "UCPP"]),
    DAYS,
    st.none() | st.integers(0, 40),
    st.sampled_from([date(2019, 4, 30), date(2008, 10, 10), date(2008, 2, 29)]),
    st.integers(1, 2),
)
LOOKS = st.builds(
    lambda minutes, child, setting, place, name, notifies, role: {
        "at": datetime(2026, 9, 1, tzinfo=UTC) + timedelta(minutes=minutes),
        "child": child,
        "care_setting": setting,
        "organisation_code": f"RX{place}11",
        "organisation_name": name,
        "notifies_la": notifies,
        "job_role": role,
    },
    st.integers(0, 62 * 24 * 60) | st.integers(0, 62 * 24).map(lambda hours: hours * 60),
    st.integers(1, 6),
    st.sampled_from([*SETTINGS, "SARC", "POP-UP"]),
    st.integers(0, 2),
    st.sampled_from([None, "Seaside", "=Harbour"]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([None, "R0050", "R9999"]),
)


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["la_code"], row["nhs_number"], row["plan_type"], row["start_date"])


def lines_of(told: pa.Table, held: pa.Table, size: int) -> pa.Table:
    """LINES made of some events after others, as workers do."""
    codes = sorted(held["la_code"].unique().to_pylist())
    holders = Holders((code, held.filter(pc.equal(held["la_code"], code))["nhs_number"]) for code in codes)
    parts = []
    for first in range(0, told.num_rows, size):
        for code, some in of_authorities(told.slice(first, size).select(lines.WIDE), holders):
            named = some.append_column("la_code", pa.array([code] * some.num_rows, pa.string()))
            parts.append(lines.told(named, Periods(held), REFERENCE))
    return lines.ordered(parts)


@given(st.lists(PLANS, min_size=1, max_size=12), st.lists(LOOKS, max_size=40))
def test_a_month_counted_in_numbers_is_that_of_a_plain_count(held_rows, looks):
    held = plans({key(row): row for row in held_rows}.values())
    happened = events(event(number, **look) for number, look in enumerate(looks))
    told = withheld.sift(happened, REFERENCE)
    each = report(told, held, REFERENCE)
    made = lines_of(told.notifying, held, 7)
    found = month.seen(made, held, AUTUMN, REFERENCE.care_settings)
    for code in (HACKNEY, KENT):
        mine, seen = by_la(each).get(code, REPORT.empty_table()), found.get(code, NOTHING)
        own = held.filter(pc.equal(held["la_code"], code)).to_pylist()
        expected = access_month_model.months(mine.to_pylist(), own, AUTUMN)
        assert as_counted(seen) == expected
        written = pa.concat_tables([REPORT.empty_table(), *lines.slices(code, seen.lines, REFERENCE)])
        wanted = mine.filter(pc.is_in(mine["event_id"], value_set=pa.array(expected["events"], pa.string())))
        assert written.drop_columns(["report_id"]).equals(wanted.drop_columns(["report_id"]))
    if each.num_rows:
        ids = {code: rows["report_id"][0].as_py() for code, rows in by_la(each).items()}
        assert {code: lines.report_id(code, rows) for code, rows in by_la(made).items()} == ids


def as_counted(seen: month.Seen) -> dict[str, Any]:
    """As the model tells it."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in seen.tallies.to_pylist():
        kinds.setdefault(row["kind"], []).append(row)
    names = dict(zip(*(REFERENCE.care_settings[name].to_pylist() for name in ("code", "name")), strict=True))

    def most_first(kind: str, named: dict[str, str]) -> list[tuple[Any, ...]]:
        rows = [
            (row["code"], row["name"] or named.get(row["code"], row["code"]), row["accesses"], row["people"])
            for row in kinds.get(kind, [])
        ]
        return sorted(rows, key=lambda line: (-line[2], line[1], line[0]))

    return {
        "events": seen.lines["event_id"].to_pylist(),
        "people": sum(row["people"] for row in kinds.get("ALL", [])),
        "settings": most_first("SETTING", names),
        "organisations": most_first("ORGANISATION", {}),
        "days": {date.fromisoformat(row["code"]): row["accesses"] for row in kinds.get("DAY", [])},
        "hours": [((int(row["code"][0]), int(row["code"][1:])), row["accesses"]) for row in kinds.get("HOUR", [])],
        "areas": {row["code"]: row["accesses"] for row in kinds.get("AREA", [])},
        "often": sorted(
            (row["child_id"], row["nhs_number"], row["times"], row["first_day"], row["last_day"], row["organisations"])
            for row in seen.often.to_pylist()
        ),
        "first": sorted(tuple(row.values())[1:] for row in seen.first.to_pylist()),
    }


@given(st.lists(LOOKS, max_size=40))
def test_events_judged_one_by_one_are_those_that_a_sift_of_all_finds(looks):
    happened = events(event(number, **look) for number, look in enumerate(looks))
    encoded = pa.table(
        {name: happened[name].dictionary_encode() if name in lines.WORDS else happened[name] for name in EVENTS.names}
    )
    sifted = set(withheld.sift(happened, REFERENCE).notifying["event_id"].to_pylist())
    for table in (happened, encoded):
        assert set(withheld.notifying(table, REFERENCE)["event_id"].to_pylist()) == sifted


@given(st.dictionaries(st.sampled_from([HACKNEY, KENT, "E06000001"]), st.lists(st.integers(0, 400), max_size=300)), st.data())
def test_holders_name_each_authority_of_each_person(held, data):
    holders = Holders(
        (code, pa.chunked_array([[nhs(child) for child in children]], pa.string())) for code, children in held.items()
    )
    looked = data.draw(st.lists(st.integers(0, 400), max_size=100))
    row, place = holders.of(pa.chunked_array([[nhs(child) for child in looked]], pa.string()))
    expected = {(at, code) for at, child in enumerate(looked) for code, children in held.items() if child in children}
    pairs = [(at, holders.codes[number]) for at, number in zip(row.tolist(), place.tolist(), strict=True)]
    assert (set(pairs), len(pairs)) == (expected, len(expected))
    assert np.all(np.diff(place.astype(np.int64)) >= 0)


@given(
    st.lists(st.tuples(st.sampled_from([HACKNEY, KENT]), st.integers(1, 4), st.dates(), st.none() | st.dates()), max_size=8),
    st.lists(st.tuples(st.sampled_from([HACKNEY, KENT, "E06000001"]), st.integers(1, 4), st.dates()), max_size=20),
)
def test_a_stretch_of_days_is_found_whatever_the_calendar(drawn, looked):
    """From the year 1 to 9999; plans for unborn children, which no birthday ends."""
    rows = [
        plan(child, la_code=la, plan_type="UCPP", start=start, end=end, child_id=f"LC-{number}")
        for number, (la, child, start, end) in enumerate(drawn)
    ]
    held = Periods(plans({key(row): row for row in rows}.values()))
    las, children, days = (list(column) for column in zip(*looked, strict=True)) if looked else ([], [], [])
    numbers = np.array([int(nhs(child)) for child in children], np.int64)
    since = np.array([(day - date(1970, 1, 1)).days for day in days], np.int64)
    found = held.of(pa.array(las, pa.string()).dictionary_encode(), numbers, since).tolist()
    for at, la, child, day in zip(found, las, children, days, strict=True):
        under = {
            row["child_id"]
            for row in {key(row): row for row in rows}.values()
            if (row["la_code"], row["nhs_number"]) == (la, nhs(child))
            and row["start_date"] <= day <= (row["end_date"] or date.max)
        }
        assert (set(held.table["child_id"][at].as_py().split(";")) if at >= 0 else set()) == under
