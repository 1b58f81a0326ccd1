"""The merge against a model (`plans_model`): a dict of plans and the rules of DESIGN, said once more, row by row.

Many nights of FULL and DELTA extracts are drawn, with ends, deletes, amendments, re-datings, rows rejected and children who
come of age in between; the model and the register must say the same after each.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpis_batch.config import Brake
from cpis_batch.register.balance import balance, imbalances
from cpis_batch.register.digest import logical_digest, register_digest
from cpis_batch.register.guard import Effect, assess
from cpis_batch.register.history import append
from cpis_batch.register.merge import Merged, merge
from cpis_batch.register.retention import due
from cpis_batch.register.schema import HISTORY
from cpis_batch.register.view import active, known
from cpis_batch.vocabulary import ExtractKind
from tests.builders import HACKNEY, KENT, accepted, extract, nhs, plan, plans, rejected, row
from tests.properties.plans_model import FACTS, Plans, key_of

DAY = timedelta(days=1)
FIRST_NIGHT = date(2026, 10, 1)
STARTS = [date(2025, 1, 1), date(2026, 1, 1), date(2026, 9, 1), date(2026, 12, 1)]
ENDS = [None, None, None, date(2025, 2, 1), date(2026, 9, 30), date(2027, 1, 31)]
BIRTHS = [date(2015, 5, 5), date(2008, 10, 3), date(2008, 10, 10)]  # the last two come of age within the nights drawn
CHILDREN = {child: nhs(child) for child in range(3)}


@st.composite
def extracts(draw):
    """One night: days since the last, kind, rows as the rules let them through, rows they did not."""
    keys = st.tuples(st.sampled_from(list(CHILDREN)), st.sampled_from(["CPP", "LAC", "UCPP"]), st.sampled_from(STARTS))
    facts = st.fixed_dictionaries(
        {
            "end_date": st.sampled_from(ENDS),
            "delete_date": st.sampled_from([None, None, None, None, FIRST_NIGHT]),
            "family_name": st.sampled_from(["Okafor", "Okafor", "Smith"]),
            "date_of_birth": st.sampled_from(BIRTHS),
        }
    )
    rows, open_plans = [], set()
    for (child, plan_type, start), said in draw(st.dictionaries(keys, facts, max_size=9)).items():
        if said["end_date"] and said["end_date"] < start:
            continue
        if not (said["end_date"] or said["delete_date"]):
            if (child, plan_type) in open_plans:
                continue
            open_plans.add((child, plan_type))
        rows.append(row(child, plan_type, start, line=len(rows) + 2, **said))
    vain = [row(child, plan_type, start) for child, plan_type, start in draw(st.lists(keys, max_size=2))]
    return draw(st.integers(0, 6)), draw(st.sampled_from(ExtractKind)), rows, vain


def night_of(held, past, extract_drawn, today, hour=2, la_code=HACKNEY) -> Merged:
    _, kind, rows, vain = extract_drawn
    return merge(
        held, accepted(rows), extract(kind, today, la_code, rejected(*vain)),
        business_date=today, known_at=datetime(today.year, today.month, today.day, hour, tzinfo=UTC), history=past,
    )  # fmt: skip


def dates(extracts_drawn):
    today = FIRST_NIGHT
    for one in extracts_drawn:
        today += (one[0] + 1) * DAY
        yield today, one


def said_of(plans_table):
    names = (*FACTS, "last_confirmed_on", "missing_since")
    return {key_of(one): {name: one[name] for name in names} for one in plans_table.to_pylist()}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(extracts(), min_size=1, max_size=5))
def test_the_register_says_what_the_model_says_after_every_night(nights):
    model, held, past, seen = Plans(), plans(), HISTORY.empty_table(), []
    for today, drawn in dates(nights):
        _, kind, rows, vain = drawn
        merged = night_of(held, past, drawn, today)
        model = model.night(rows, vain, kind, today, today)

        names = (*FACTS, "last_confirmed_on", "missing_since")
        assert said_of(merged.plans) == {key: {name: one[name] for name in names} for key, one in model.plans.items()}
        done = {key_of(one): "REDATED" if one["redated"] else one["change"] for one in merged.changes.to_pylist()}
        assert done == model.done
        told = [one["line"] for one in merged.changes.to_pylist() if one["line"]] + merged.passed_over["line"].to_pylist()
        assert sorted(told) == [one["line"] for one in rows]  # every accepted row is told of once
        assert imbalances(balance(HACKNEY, held, merged.plans, merged.changes)).num_rows == 0

        past = append(past, merged.closed)
        again = night_of(merged.plans, past, drawn, today, hour=3)  # F03: twice is once
        assert again.plans.equals(merged.plans)
        assert again.closed.num_rows == 0

        held = merged.plans
        seen.append((datetime(today.year, today.month, today.day, 2, tzinfo=UTC), today, held))
        assert due(held, past, today, 365).plans["end_date"].null_count == 0  # F58
        assert active(due(held, past, today, 0).plans, today).num_rows == 0
    for instant, today, then in seen:  # any night can be seen from any later one
        assert set(said_of(known(held, past, instant))) == set(said_of(then))
        assert logical_facts(known(held, past, instant)) == logical_facts(then)
        assert active(known(held, past, instant), today).num_rows == active(then, today).num_rows


def logical_facts(table):
    return {key: {name: facts[name] for name in FACTS} for key, facts in said_of(table).items()}


@settings(max_examples=15, deadline=None)
@given(extracts(), extracts(), st.randoms())
def test_the_order_of_rows_makes_no_difference(first, second, chance):
    held = night_of(plans(), None, first, FIRST_NIGHT).plans
    merged = night_of(held, None, second, FIRST_NIGHT + DAY)
    days, kind, rows, vain = second
    shuffled = night_of(held, None, (days, kind, chance.sample(rows, len(rows)), vain), FIRST_NIGHT + DAY)
    assert shuffled.plans.equals(merged.plans)
    assert shuffled.changes.equals(merged.changes)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([HACKNEY, KENT]), extracts()), max_size=5), st.randoms())
def test_f43_the_order_in_which_authorities_files_arrive_makes_no_difference(files, chance):
    """Each authority's own files stay in sequence; how they are shuffled together is chance."""

    def digest_of(order):
        parts, ages = {HACKNEY: plans(), KENT: plans()}, dict.fromkeys([HACKNEY, KENT], FIRST_NIGHT)
        for code, drawn in order:
            ages[code] += DAY
            parts[code] = night_of(parts[code], None, drawn, ages[code], la_code=code).plans
        return register_digest({code: logical_digest(part) for code, part in parts.items()})

    turns = [code for code, _ in files]
    chance.shuffle(turns)
    queues = {code: iter([one for one in files if one[0] == code]) for code in (HACKNEY, KENT)}
    assert digest_of([next(queues[code]) for code in turns]) == digest_of(files)


FULL_LIST = [row(0), row(0, "LAC"), row(1), row(2, "UCPP"), row(3, "LAC", date(2026, 12, 1)), row(4, end_date=date(2027, 1, 1))]


@pytest.mark.parametrize("size", range(len(FULL_LIST) + 1))
def test_f41_for_every_subset_of_a_full_extract_the_active_set_never_shrinks(size):
    tonight = datetime(2026, 10, 2, 2, tzinfo=UTC)
    held = merge(plans(), accepted(numbered(FULL_LIST)), extract(), business_date=FIRST_NIGHT, known_at=tonight).plans
    for subset in combinations(FULL_LIST, size):
        merged = merge(held, accepted(numbered(subset)), extract(), business_date=FIRST_NIGHT + DAY, known_at=tonight)
        for day in (FIRST_NIGHT + DAY, date(2026, 12, 1), date(2027, 1, 1)):
            assert said_of(active(merged.plans, day)).keys() == said_of(active(held, day)).keys()
        left_out = merged.changes["change"].to_pylist().count("MISSING")
        assert left_out == len(FULL_LIST) - size


def numbered(rows):
    return [one | {"line": line} for line, one in enumerate(rows, 2)]


@settings(max_examples=25, deadline=None)
@given(st.integers(6, 90), st.data())
def test_f41_a_truncated_full_extract_is_held_by_the_brake(count, data):
    """However a file is cut, more than max(5, 10%) left out is held; without the brake it would be merged."""
    held, today = plans([plan(child) for child in range(count)]), FIRST_NIGHT + DAY
    kept = data.draw(st.sets(st.integers(0, count - 1)))
    sent = [row(child) for child in sorted(kept)]
    merged = merge(held, accepted(sent), extract(), business_date=today, known_at=datetime(2026, 10, 2, tzinfo=UTC))
    reasons = assess(
        held,
        merged.changes,
        kind=ExtractKind.FULL,
        rows=len(sent),
        usual_rows=count,
        first=False,
        business_date=today,
        brake=Brake(),
    )
    cut = count - len(kept)
    assert (Effect.LEAVE_MISSING in {one.effect for one in reasons}) == (cut > max(5, count // 10))
    assert bool(reasons) == (cut > max(5, count // 10) or len(kept) * 10 < count * 8)
