"""A unit that loads only the changes, as the specification's page tells it, shows the same flags as one that loads all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from cpis_batch.extracts import chis
from cpis_batch.extracts.batches import split
from cpis_batch.extracts.routing import ROUTED
from cpis_batch.runs.in_order import in_batches

LAS = ["E09000012", "E10000016"]
UNITS = ["CHIS02", "CHIS19"]
DAYS = [date(2026, 1, day) for day in range(1, 4)]

plan = st.fixed_dictionaries(
    {
        "la_code": st.sampled_from(LAS),
        "nhs_number": st.sampled_from(["child 1", "child 2"]),
        "plan_type": st.sampled_from(["CPP"]),
        "start_date": st.sampled_from(DAYS),
        "date_of_birth": st.sampled_from([date(2019, 4, 30), date(2019, 5, 1)]),
        "chis_code": st.sampled_from(UNITS),
        "routing_basis": st.sampled_from(["PRACTICE", "SENDING_LA"]),
    }
)


def key(row: dict) -> tuple:
    return row["nhs_number"], row["plan_type"], row["la_code"], row["start_date"]


def releases(rows: st.SearchStrategy[dict]) -> st.SearchStrategy[list[list[dict]]]:
    one = st.lists(rows, max_size=8, unique_by=lambda row: (row["chis_code"], *key(row)))
    return st.lists(one, min_size=2, max_size=3)


def told(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in ("change", "data_as_at")}


def load_changes(flags: dict[tuple, dict], file: list[dict]) -> dict[tuple, dict]:
    """The flags of a unit after a file, by the third way of the page: from the top, change by change."""
    flags = dict(flags)
    for row in file:
        if row["change"] == "CEASED":
            del flags[key(row)]
        elif row["change"] == "NEW":
            assert key(row) not in flags
            flags[key(row)] = told(row)
        elif row["change"] == "CHANGED":
            stays = {key(other) for other in file if other["change"] != "CEASED"}
            flags = {held: value for held, value in flags.items() if held[:3] != key(row)[:3] or held in stays}
            flags[key(row)] = told(row)
        else:
            assert flags[key(row)] == told(row)
    return flags


@settings(max_examples=30, deadline=None)
@given(releases(plan), st.lists(st.sampled_from([None, "020 7946 0100", "020 7946 0101"]), min_size=3, max_size=3))
def test_loading_the_changes_ends_where_loading_everything_does(sequence, phones):
    previous, flags = None, {unit: {} for unit in UNITS}
    for plans, phone in zip(sequence, phones, strict=False):
        now = datetime(2026, 11, 8, tzinfo=UTC)
        state = [{"la_code": la, "la_name": la, "office_phone": phone, "data_as_at": now} for la in LAS]
        routed = pa.Table.from_pylist(plans, ROUTED)
        previous = chis.build(routed, previous, pa.Table.from_pylist(state, chis.LA_STATE))
        files = chis.by_unit(previous, UNITS)
        for unit in UNITS:
            file = files[unit].to_pylist()
            flags[unit] = load_changes(flags[unit], file)
            everything = {key(row): told(row) for row in file if row["change"] != "CEASED"}
            assert flags[unit] == everything
            assert set(everything) == {key(row) for row in plans if row["chis_code"] == unit}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("ABCDE"), max_size=20))
def test_cutting_between_units_loses_nothing_and_cuts_no_unit(codes):
    table = pa.table({"chis_code": pa.array(codes, pa.string()), "n": pa.array(range(len(codes)), pa.int64())})
    parts = split(table)
    assert list(parts) == sorted(set(codes))
    assert {unit: set(part["chis_code"].to_pylist()) for unit, part in parts.items()} == {unit: {unit} for unit in codes}
    rejoined = [(row["chis_code"], row["n"]) for part in parts.values() for row in part.to_pylist()]
    assert rejoined == sorted((row["chis_code"], row["n"]) for row in table.to_pylist())


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 15))
def test_what_is_done_together_is_in_order_and_no_more_than_may_be_held_unless_it_is_one(sizes, most):
    batches = in_batches(list(enumerate(sizes)), lambda one: one[1], most)
    assert [one for batch in batches for one in batch] == list(enumerate(sizes))
    assert all(len(batch) == 1 or sum(size for _, size in batch) <= most for batch in batches)
    together = [sum(size for _, size in batch) for batch in batches]
    assert all(before + after > most for before, after in pairwise(together))
