"""Rule 8, the brake: what it holds, what it lets by, and what it says."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cpis_batch.config import Brake
from cpis_batch.register.guard import Effect, assess
from cpis_batch.register.merge import merge
from cpis_batch.vocabulary import ExtractKind, PlanType
from tests.builders import TODAY, TONIGHT, accepted, extract, nhs, plan, plans, row

CPP = PlanType.CPP


def braked(held, sent, kind=ExtractKind.FULL, *, usual=None, first=False, brake=None):
    """What the brake says of a file with these rows, all of them accepted."""
    before = plans(held)
    merged = merge(before, accepted(sent), extract(kind), business_date=TODAY, known_at=TONIGHT)
    return assess(
        before, merged.changes, kind=kind, rows=len(sent), usual_rows=len(held) if usual is None else usual,
        first=first, business_date=TODAY, brake=brake or Brake(),
    )  # fmt: skip


def effects(excesses):
    return [(one.effect, one.plan_type, one.count) for one in excesses]


HUNDRED = [plan(child) for child in range(100)]
SENT = [row(child) for child in range(100)]
MANY = {
    Effect.END: lambda count: [row(c, end_date=TODAY - timedelta(days=1)) for c in range(count)] + SENT[count:],
    Effect.DELETE: lambda count: [row(c, delete_date=TODAY) for c in range(count)] + SENT[count:],
    Effect.ADD: lambda count: SENT + [row(100 + c) for c in range(count)],
    Effect.REDATE: lambda count: [row(c, start=date(2026, 2, 12)) for c in range(count)] + SENT[count:],
    Effect.LEAVE_MISSING: lambda count: SENT[count:],
}


@pytest.mark.parametrize("effect", MANY)
def test_f42_a_tenth_of_the_active_plans_may_change_at_once_and_one_more_may_not(effect):
    assert braked(HUNDRED, MANY[effect](10)) == ()
    (excess,) = braked(HUNDRED, MANY[effect](11))
    assert (excess.effect, excess.plan_type, excess.count, excess.limit, excess.base) == (effect, CPP, 11, 10, 100)
    assert "11" in excess.words
    assert "100" in excess.words
    assert nhs(0) not in excess.words


@pytest.mark.parametrize("effect", MANY)
def test_five_plans_may_change_in_however_small_an_authority(effect):
    few = 20
    held, sent = HUNDRED[:few], {one["nhs_number"] for one in SENT[few:100]}
    rows = {count: [one for one in MANY[effect](count) if one["nhs_number"] not in sent] for count in (5, 6)}
    assert braked(held, rows[5], usual=0) == ()
    assert effects(braked(held, rows[6], usual=0)) == [(effect, CPP, 6)]


@pytest.mark.parametrize(
    "amended",
    [{"date_of_birth": date(2019, 5, 1)}, {"end_date": date(2026, 6, 2)}],
    ids=["date of birth", "end date"],
)
def test_f42_any_date_amended_in_mass_is_a_re_dating(amended):
    end = {"end_date": date(2026, 6, 1)} if "end_date" in amended else {}
    held = [plan(c) for c in range(40)] + [plan(c, **end) for c in range(40, 60)]
    assert effects(braked(held, SENT[:40] + [row(c, **amended) for c in range(40, 60)])) == [(Effect.REDATE, CPP, 20)]


def test_names_may_be_amended_in_mass():
    assert braked(HUNDRED, [row(c, family_name="Okafor") for c in range(100)]) == ()


def test_plans_resumed_in_mass_are_plans_added():
    held = HUNDRED[:50] + [plan(c, end_date=date(2026, 10, 1)) for c in range(50, 60)]
    assert effects(braked(held, SENT[:60])) == [(Effect.ADD, CPP, 10)]


def test_f42_a_mass_change_of_type_shows_on_both_sides():
    found = braked(HUNDRED, [row(c, "LAC") for c in range(50)] + SENT[50:])
    assert effects(found) == [(Effect.LEAVE_MISSING, CPP, 50), (Effect.ADD, PlanType.LAC, 50)]


def test_each_type_is_held_against_its_own_number():
    held = HUNDRED + [plan(c, "LAC") for c in range(30)]
    sent = SENT + [row(c, "LAC", end_date=date(2026, 11, 1)) for c in range(6)] + [row(c, "LAC") for c in range(6, 30)]
    assert effects(braked(held, sent)) == [(Effect.END, PlanType.LAC, 6)]


def test_ageing_is_not_the_files_doing():
    grown = {"date_of_birth": date(2008, 11, 20)}
    assert braked([plan(c, **grown) for c in range(50)], [row(c, **grown) for c in range(50)]) == ()


@pytest.mark.parametrize(("rows", "held"), [(80, False), (79, True)])
def test_f41_under_four_fifths_of_the_usual_rows_are_held(rows, held):
    """The rows left out had ended, so that nothing else would hold the file."""
    ended = [plan(c, end_date=date(2026, 10, 1)) for c in range(50, 100)]
    assert effects(braked(HUNDRED[:50] + ended, SENT[:50] + [row(c, end_date=date(2026, 10, 1)) for c in range(50, rows)])) == (
        [(Effect.FEW_ROWS, None, 79)] if held else []
    )


@pytest.mark.parametrize(("held", "usual"), [(HUNDRED[:3], None), ([], 3), (HUNDRED[:3], 0)], ids=["both", "rows", "plans"])
def test_f41_an_empty_full_extract_is_held_where_there_were_rows(held, usual):
    assert effects(braked(held, [], usual=usual)) == [(Effect.EMPTY, None, 0)]


def test_an_authority_without_plans_sends_empty_files_and_they_are_right():
    assert braked([], []) == ()


def test_an_empty_delta_is_right_and_a_short_one_too():
    assert braked(HUNDRED, [], ExtractKind.DELTA) == ()
    assert braked(HUNDRED, SENT[:1], ExtractKind.DELTA) == ()


def test_a_delta_is_held_for_what_it_would_do():
    assert effects(braked(HUNDRED, MANY[Effect.END](11)[:11], ExtractKind.DELTA)) == [(Effect.END, CPP, 11)]


def test_an_authority_s_first_file_is_exempt():
    assert braked([], SENT, usual=0, first=True) == ()
    assert effects(braked([], SENT, usual=0)) == [(Effect.ADD, CPP, 100)]


def test_what_a_person_has_released_is_not_asked_again_until_more_is_left_out():
    since = TODAY - timedelta(days=1)
    held = [plan(c, missing_since=since) for c in range(20)] + HUNDRED[20:]
    assert braked(held, SENT[20:], usual=80) == ()
    assert effects(braked(held, SENT[21:], usual=80)) == [(Effect.LEAVE_MISSING, CPP, 21)]


def test_the_thresholds_of_a_partner_are_its_own():
    assert braked(HUNDRED, MANY[Effect.END](29), brake=Brake(share=0.29)) == ()
    assert effects(braked(HUNDRED, MANY[Effect.END](30), brake=Brake(share=0.29))) == [(Effect.END, CPP, 30)]
    assert effects(braked(HUNDRED[:9], MANY[Effect.END](2)[:9], brake=Brake(minimum=1))) == [(Effect.END, CPP, 2)]
