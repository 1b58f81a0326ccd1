"""F55: small counts cannot be worked out of what is published. The attacker knows all of it, the rules, and how to do sums."""

from __future__ import annotations

import itertools
import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpis_batch.statistics import disclosure
from cpis_batch.statistics.attack import Attacker
from cpis_batch.statistics.cells import ALL, LA, NATIONAL, REGION, Cell, Counts, Relation
from cpis_batch.statistics.count import Area, Month, count
from cpis_batch.statistics.disclosure import exposed, protect
from cpis_batch.statistics.profiles import INTERNAL, PUBLISHED

TEXT = pa.string()
PLANS_SCHEMA = pa.schema([("la_code", TEXT), ("nhs_number", TEXT), ("plan_type", TEXT)])
ACCESSES_SCHEMA = pa.schema([("la_code", TEXT), ("event_id", TEXT), ("care_setting", TEXT), ("organisation_code", TEXT)])


def cell(code, item="CPP", geography=LA):
    return Cell("PLANS", geography, code, item)


def table(areas: dict[str, dict[str, list[int]]]) -> Counts:
    """Authorities' counts by plan type, by region, with all their sums."""
    values, relations = {}, []
    items = ("CPP", "LAC", "UCPP")
    for region, las in areas.items():
        for la, of in las.items():
            values |= {cell(la, item): number for item, number in zip(items, of, strict=True)}
            values[cell(la, ALL)] = sum(of)
            relations.append(Relation(cell(la, ALL), tuple(cell(la, item) for item in items)))
        for item in (*items, ALL):
            values[cell(region, item, REGION)] = sum(values[cell(la, item)] for la in las)
            relations.append(Relation(cell(region, item, REGION), tuple(cell(la, item) for la in las)))
        relations.append(Relation(cell(region, ALL, REGION), tuple(cell(region, item, REGION) for item in items)))
    for item in (*items, ALL):
        values[cell("E", item, NATIONAL)] = sum(values[cell(region, item, REGION)] for region in areas)
        relations.append(Relation(cell("E", item, NATIONAL), tuple(cell(region, item, REGION) for region in areas)))
    relations.append(Relation(cell("E", ALL, NATIONAL), tuple(cell("E", item, NATIONAL) for item in items)))
    return Counts(values, tuple(relations))


def small(counts: Counts) -> list[Cell]:
    return [one for one, value in counts.values.items() if 0 < value <= PUBLISHED.most_hidden]


EXAMPLE = table(
    {
        "R1": {"A": [102, 208, 3], "B": [57, 98, 12], "C": [88, 301, 9]},
        "R2": {"D": [6, 41, 0], "E1": [123, 222, 14], "F": [44, 63, 1]},
    }
)


def test_f55_one_to_seven_are_not_shown_others_are_rounded_to_five_and_england_is_exact():
    shown = protect(EXAMPLE, PUBLISHED)
    assert all(shown[one] is None for one in small(EXAMPLE))
    for one, value in shown.items():
        if value is not None and one.geography != NATIONAL:
            assert value % 5 == 0
            assert abs(value - EXAMPLE.values[one]) <= 2
        if value is not None and one.geography == NATIONAL:
            assert value == EXAMPLE.values[one]
    assert shown[cell("D", "UCPP")] == 0, "nobody is nobody"


@pytest.mark.parametrize("count", range(8, 200))
def test_f55_a_rounded_count_may_stand_for_what_it_was_made_of(count):
    low, high = PUBLISHED.could_be(PUBLISHED.rounded(count))
    assert low <= count <= high
    assert high - low <= 4


def test_f55_without_more_hiding_rounded_totals_give_a_small_count_away():
    counts = table({"R1": {"A": [100, 200, 1], "B": [50, 90, 8]}, "R2": {"C": [100, 100, 30], "D": [80, 80, 22]}})
    naive = {one: disclosure._first(one, value, counts, PUBLISHED) for one, value in counts.values.items()}
    given_away = exposed(naive, small(counts), counts, PUBLISHED)
    assert cell("A", "UCPP") in given_away
    shown = protect(counts, PUBLISHED)
    assert exposed(shown, small(counts), counts, PUBLISHED) == []
    assert sum(value is None for value in shown.values()) > sum(value is None for value in naive.values())


counted = st.one_of(st.integers(0, 9), st.integers(0, 400))
areas = st.lists(st.lists(st.tuples(counted, counted, counted), min_size=1, max_size=4), min_size=2, max_size=3)


@given(areas)
@settings(max_examples=60, deadline=None)
def test_f55_whatever_the_counts_an_attacker_is_left_with_most_of_the_values(regions):
    counts = table({f"R{r}": {f"R{r}L{n}": list(of) for n, of in enumerate(las)} for r, las in enumerate(regions)})
    shown = protect(counts, PUBLISHED)
    attacker = Attacker(shown, counts, PUBLISHED)
    for one in small(counts):
        assert shown[one] is None
        low, high = attacker.range_of(one)
        assert low <= counts.values[one] <= high, "the truth is always possible"
    assert exposed(shown, small(counts), counts, PUBLISHED) == []
    for one in small(counts):
        if one.geography == LA and one.item != ALL:
            low, high = attacker.range_of(one)
            assert min(high, 7) - max(low, 1) + 1 >= PUBLISHED.least_choices


@given(st.lists(st.integers(0, 14), min_size=2, max_size=4))
@settings(max_examples=60, deadline=None)
def test_f55_the_attacker_finds_just_what_trying_every_table_finds(values):
    """A region, whose total is shown, and its authorities: every way in which they may be filled, one by one."""
    las = [cell(str(number)) for number in range(len(values))]
    whole = cell("R", geography=REGION)
    counts = Counts(dict(zip(las, values, strict=True)) | {whole: sum(values)}, (Relation(whole, tuple(las)),))
    shown = {one: disclosure._first(one, value, counts, PUBLISHED) for one, value in counts.values.items()}
    could = [range(1, 41) if shown[la] is None else range(*_upto(shown[la])) for la in las]
    total = range(1, 161) if shown[whole] is None else range(*_upto(shown[whole]))
    possible = [one for one in itertools.product(*could) if sum(one) in total] if math.prod(map(len, could)) < 200_000 else []
    attacker = Attacker(shown, counts, PUBLISHED)
    for place, la in enumerate(las):
        if possible and shown[whole] is not None:
            low, high = attacker.range_of(la)
            found = {one[place] for one in possible}
            assert (low, min(high, 40)) == (min(found), max(found))


def _upto(shown: int) -> tuple[int, int]:
    low, high = PUBLISHED.could_be(shown)
    return low, high + 1


def test_the_internal_profile_shows_everything_and_is_not_public():
    assert protect(EXAMPLE, INTERNAL) == dict(EXAMPLE.values)
    assert (PUBLISHED.public, INTERNAL.public) == (True, False)


SETTINGS = ("ED", "MAT", "111")
LAS = [Area(f"L{n}", f"L{n}", f"R{n % 2}", f"R{n % 2}", f"I{n % 3}", f"I{n % 3}") for n in range(5)]
held = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 25), st.sampled_from(("CPP", "LAC", "UCPP"))), max_size=60, unique=True
)
looks = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(SETTINGS), st.integers(0, 8)), max_size=40)


@given(held, looks)
@settings(max_examples=40, deadline=None)
def test_f55_nothing_is_given_away_of_what_is_really_counted(plans, accesses):
    """Plans, people, accesses and organisations together, with all that an attacker knows of how they hang together."""
    month = Month(
        pa.table({"la_code": [f"L{la}" for la, _, _ in plans], "nhs_number": [str(who) for _, who, _ in plans],
                  "plan_type": [kind for _, _, kind in plans]}, PLANS_SCHEMA),
        pa.table({"la_code": [f"L{la}" for la, _, _ in accesses], "event_id": [str(n) for n in range(len(accesses))],
                  "care_setting": [where for _, where, _ in accesses],
                  "organisation_code": [f"{where}{seat}" for _, where, seat in accesses]}, ACCESSES_SCHEMA),
        frozenset(),
    )  # fmt: skip
    counts = count(month, LAS)
    shown = protect(counts, PUBLISHED)
    attacker = Attacker(shown, counts, PUBLISHED)
    few = [one for one in small(counts) if one not in counts.harmless]
    assert all(shown[one] is None for one in few)
    assert exposed(shown, few, counts, PUBLISHED) == []
    for one in few:
        low, high = attacker.range_of(one)
        assert low <= counts.values[one] <= high, "the truth is always possible: the sums are right"


def test_f55_organisations_do_not_tell_of_the_accesses_that_were_made_at_them():
    """Seven accesses at seven organisations and six at six: shown, the organisations would be the accesses."""
    rows = [("MAT", n) for n in range(7)] + [("WALKIN", n) for n in range(6)] + [("ED", n % 30) for n in range(170)]
    month = Month(
        pa.table({"la_code": [], "nhs_number": [], "plan_type": []}, PLANS_SCHEMA),
        pa.table({"la_code": ["L0"] * len(rows), "event_id": [str(n) for n in range(len(rows))],
                  "care_setting": [where for where, _ in rows],
                  "organisation_code": [f"{where}{seat}" for where, seat in rows]}, ACCESSES_SCHEMA),
        frozenset(),
    )  # fmt: skip
    counts = count(month, LAS)
    shown = protect(counts, PUBLISHED)
    assert shown[Cell("ORGANISATIONS", NATIONAL, "E92000001", "MAT")] is None
    few = small(counts)
    assert exposed(shown, few, counts, PUBLISHED) == []
