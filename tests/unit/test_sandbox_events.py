"""The access events of the rehearsal, held to the hub's own reader."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cpis_batch.access import reference
from cpis_batch.access.events import EventsReading, read_events
from cpis_batch.access.withheld import Sieve, sift
from cpis_batch.sandbox.england import England, make_england
from cpis_batch.sandbox.events import Events, events_of, organisation_areas
from cpis_batch.sandbox.nights import next_night
from cpis_batch.vocabulary import Environment, FileOutcome

MONDAY, TUESDAY = date(2026, 10, 5), date(2026, 10, 6)


@cache
def england(day: date) -> England:
    return make_england(seed=5, on=MONDAY) if day == MONDAY else next_night(england(MONDAY), day)


@cache
def events(day: date) -> Events:
    now = datetime(day.year, day.month, day.day, 22, 30, tzinfo=UTC)
    return events_of(england(day), 0, now, None) if day == MONDAY else events_of(england(day), 1, now, events(MONDAY))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> reference.AccessReference:
    folder = tmp_path_factory.mktemp("reference")
    (folder / "organisation_areas.csv").write_bytes(organisation_areas())
    return reference.load(folder)


def reading(day: date, known: reference.AccessReference) -> EventsReading:
    return read_events(events(day).drop.content, known, environment=Environment.TEST, line_bytes=4096)


def test_every_event_is_let_through_and_those_sent_twice_are_seen(known: reference.AccessReference) -> None:
    found = reading(MONDAY, known)
    assert (found.outcome, found.rejected) == (FileOutcome.ALL_LOADED, 0)
    assert found.repeated > 0
    assert set(found.faults["code"].to_pylist()) <= {"CPE-113", "CPE-172"}, "sent twice; scheduled without its flag"


def test_there_are_as_many_looks_as_in_a_day_of_england(known: reference.AccessReference) -> None:
    sifted = sift(reading(MONDAY, known).events, known)
    assert sifted.counts[Sieve.NOTIFYING] == pytest.approx(470, abs=90)
    assert sifted.counts[Sieve.SILENT] > 40
    assert sifted.counts[Sieve.WITHHELD] > 0
    assert sifted.counts[Sieve.WAITING] == 0


def test_a_withheld_visit_may_carry_any_flag() -> None:
    table = events(MONDAY).table
    withheld = table.filter(pc.is_in(table["care_setting"], value_set=pa.array(["SEXUAL-HEALTH", "SARC"])))
    assert len(set(withheld["notifies_la"].to_pylist())) > 1


def test_some_are_far_from_home_some_by_machines_and_some_flags_are_missing(known: reference.AccessReference) -> None:
    table = events(MONDAY).table
    homes = dict(zip(england(MONDAY).plans["nhs_number"].to_pylist(), england(MONDAY).plans["la_code"].to_pylist(), strict=True))
    where = dict(
        zip(known.organisation_areas["ods_code"].to_pylist(), known.organisation_areas["la_gss_code"].to_pylist(), strict=True)
    )
    pairs = zip(table["nhs_number"].to_pylist(), table["organisation_code"].to_pylist(), strict=True)
    far = sum(homes[number] != where[code] for number, code in pairs)
    assert 0.1 < far / table.num_rows < 0.3
    assert pc.any(pc.equal(table["author_kind"], "DEVICE")).as_py()
    assert {"Y", "N", ""} == set(table["notifies_la"].to_pylist())


def test_the_next_day_sends_a_few_of_the_day_before_again(known: reference.AccessReference) -> None:
    first, second = (set(reading(day, known).events["event_id"].to_pylist()) for day in (MONDAY, TUESDAY))
    assert 0 < len(first & second) < 20
    assert events(TUESDAY).sequence == events(MONDAY).sequence + 1


def test_the_same_england_has_the_same_events() -> None:
    again = events_of(england(MONDAY), 0, datetime(2026, 10, 5, 22, 30, tzinfo=UTC), None)
    assert again.drop.content == events(MONDAY).drop.content
