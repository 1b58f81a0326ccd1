"""The reader and the report against plain models of them, row by row in Python."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from cpis_batch.access.events import unseen
from cpis_batch.access.report import report, untold
from cpis_batch.access.withheld import sift
from cpis_batch.business_time import birthday
from tests.access_builders import HEADER, LINE, event, events, file_of, packaged, read
from tests.builders import HACKNEY, KENT, nhs, plan, plans

SETTINGS = ("EMERGENCY-DEPARTMENT", "OUTPATIENTS", "SARC", "SEXUAL-HEALTH", "POP-UP-CLINIC")
WITHHELD = ("SARC", "SEXUAL-HEALTH")
FIRST = date(2026, 3, 1)
days = st.integers(0, 300).map(lambda n: FIRST + timedelta(days=n))
instants = st.integers(0, 300 * 24).map(lambda n: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=n))
looks = st.builds(
    lambda number, at, child, setting, where, notifies: event(
        number, at, child, care_setting=setting, organisation_code=where, notifies_la=notifies
    ),
    st.integers(1, 12), instants, st.integers(1, 3), st.sampled_from(SETTINGS),
    st.sampled_from(("RX101", "ZZSH1")), st.booleans(),
)  # fmt: skip
held = st.builds(
    lambda child, la, kind, start, length, born: plan(
        child, kind, start, la, end_date=None if length is None else start + timedelta(days=length), date_of_birth=born
    ),
    st.integers(1, 3), st.sampled_from((HACKNEY, KENT)), st.sampled_from(("CPP", "LAC", "UCPP")), days,
    st.none() | st.integers(0, 100), st.sampled_from((date(2019, 4, 30), date(2008, 6, 1), date(2008, 10, 25))),
)  # fmt: skip


def _is_told(look, one) -> bool:
    day = look["accessed_at"].astimezone(ZoneInfo("Europe/London")).date()
    return (
        look["notifies_la"]
        and look["care_setting"] not in (*WITHHELD, "POP-UP-CLINIC")
        and look["organisation_code"] != "ZZSH1"
        and look["nhs_number"] == one["nhs_number"]
        and one["start_date"] <= day
        and (one["end_date"] is None or day <= one["end_date"])
        and (one["plan_type"] == "UCPP" or day <= birthday(one["date_of_birth"], 18))
    )


@given(st.lists(looks, max_size=12, unique_by=lambda look: look["event_id"]), st.lists(held, max_size=8))
@settings(max_examples=50, deadline=None)
def test_an_authority_is_told_of_exactly_what_a_person_with_the_rules_in_hand_would_tell_it(recorded, register):
    sifted = sift(events(recorded), packaged())
    rows = report(sifted, plans(register), packaged())
    expected = {
        (one["la_code"], look["event_id"]): {one["plan_type"] for one in register if one["la_code"] == la and _is_told(look, one)}
        for look in recorded
        for la in (HACKNEY, KENT)
        for one in register
        if one["la_code"] == la and _is_told(look, one)
    }
    found = [((row["la_code"], row["event_id"]), set(row["plan_types"].split(";"))) for row in rows.to_pylist()]
    assert len(found) == len(dict(found))
    assert dict(found) == expected
    told, nobody = set(rows["event_id"].to_pylist()), set(untold(sifted, rows)["event_id"].to_pylist())
    assert told | nobody == set(sifted.notifying["event_id"].to_pylist())
    assert not told & nobody
    assert sum(sifted.counts.values()) == len(recorded)


@given(st.lists(st.lists(looks, max_size=6), max_size=5))
@settings(max_examples=40, deadline=None)
def test_an_event_counts_once_however_files_and_runs_repeat_it(runs):
    seen: list[str] = []
    for run in runs:
        fresh = unseen(events(run), pa.array(seen, pa.string()))
        found = sift(fresh, packaged())
        assert set(fresh["event_id"].to_pylist()) == {look["event_id"] for look in run} - set(seen)
        assert sum(found.counts.values()) == len(set(fresh["event_id"].to_pylist()))
        seen += fresh["event_id"].to_pylist()


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
@settings(max_examples=40, deadline=None)
def test_no_bytes_make_the_reader_fail(data):
    for whole in (data, HEADER.encode() + b"\n" + data, HEADER.encode() + b"\n" + data + b"\nT,1\n"):
        reading = read(whole)
        assert reading.rows == reading.events.num_rows + reading.rejected + reading.repeated


@given(st.integers(0, len(LINE)), st.text(max_size=6).filter(lambda text: "\n" not in text), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_damaged_line_is_an_event_or_is_named_and_harms_no_other(at, inserted, cut):
    other = LINE.replace("e-1", "e-2").replace(nhs(1), nhs(2))
    reading = read(file_of(LINE[:at] + inserted + LINE[at + cut :], other))
    if reading.rows:
        in_events = set(reading.events["line"].to_pylist())
        named = {fault["line"] for fault in reading.faults.to_pylist() if fault["severity"] == "ERROR"}
        assert in_events | named >= {2, 3}
        assert not in_events & named
