"""Who is held by two authorities, and whether that is ordinary."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cpis_batch.national.conflicts import conflicts
from tests.national_builders import ESSEX, HACKNEY, KENT, TODAY, england, nhs, person, plan, short

AGO_30, AGO_31 = TODAY - timedelta(days=30), TODAY - timedelta(days=31)


def found(*rows, persons=()):
    return short(conflicts(england(rows, *persons), on=TODAY))


def both(standing):
    return [(HACKNEY, 1, standing, KENT), (KENT, 1, standing, HACKNEY)]


@pytest.mark.parametrize(
    ("mine", "other", "expected"),
    [
        # Hackney's plan                              Kent's plan                                  what both are told
        (plan(), plan(la_code=KENT, start=AGO_31), both("DOUBTFUL")),
        (plan(), plan(la_code=KENT, start=AGO_30), both("HANDOVER")),
        (plan(start=AGO_30), plan(la_code=KENT), both("HANDOVER")),  # whichever began later
        (plan(plan_type="LAC"), plan(plan_type="LAC", la_code=KENT), both("DOUBTFUL")),
        (plan(plan_type="LAC"), plan(la_code=KENT), both("OTHER_PLAN")),  # looked after by one, on a plan of the other
        (plan(plan_type="UCPP"), plan(la_code=KENT), both("OTHER_PLAN")),  # a mother who is herself on a plan
        (plan(plan_type="UCPP"), plan(plan_type="UCPP", la_code=KENT), both("DOUBTFUL")),
        (plan(end_date=TODAY), plan(la_code=KENT), both("DOUBTFUL")),  # its last day
        (plan(end_date=TODAY - timedelta(days=1)), plan(la_code=KENT), []),
        (plan(), plan(la_code=KENT, start=TODAY + timedelta(days=1)), []),  # not begun
        (plan(date_of_birth=date(2008, 11, 19)), plan(la_code=KENT, date_of_birth=date(2008, 11, 19)), []),  # grown up
        (plan(), plan(plan_type="LAC"), []),  # one authority
    ],
)
def test_f43_the_ordinary_case_is_told_apart_from_the_doubtful_one(mine, other, expected):
    assert found(mine, other) == expected


def test_f43_each_of_three_authorities_is_told_of_the_two_others():
    told = found(plan(), plan(la_code=KENT, start=AGO_30), plan(la_code=ESSEX))
    assert told == sorted(
        [
            (HACKNEY, 1, "HANDOVER", KENT), (KENT, 1, "HANDOVER", HACKNEY),
            (HACKNEY, 1, "DOUBTFUL", ESSEX), (ESSEX, 1, "DOUBTFUL", HACKNEY),
            (KENT, 1, "HANDOVER", ESSEX), (ESSEX, 1, "HANDOVER", KENT),
        ],
        key=str,
    )  # fmt: skip


def test_a_plan_is_judged_by_the_other_authority_s_plan_of_its_own_type():
    told = found(plan(), plan(plan_type="LAC"), plan(la_code=KENT))
    assert told == [(HACKNEY, 1, "DOUBTFUL", KENT), (HACKNEY, 1, "OTHER_PLAN", KENT), (KENT, 1, "DOUBTFUL", HACKNEY)]


def test_f47_the_old_number_and_the_current_one_are_one_person():
    superseded = person(1, inactive="SUPERSEDED", current_number=nhs(2), outcome="CPR05")
    assert found(plan(1), plan(2, la_code=KENT)) == []
    assert found(plan(1), plan(2, la_code=KENT), persons=[superseded]) == [
        (HACKNEY, 1, "DOUBTFUL", KENT), (KENT, 2, "DOUBTFUL", HACKNEY),
    ]  # fmt: skip
    another = superseded | {"identity": "another", "current_number": nhs(3)}
    assert found(plan(1), plan(2, la_code=KENT), persons=[superseded, another]) == []  # two answers: none is believed


def test_f48_no_number_is_tied_to_one_that_is_inactive_without_replacement():
    frozen = person(1, inactive="NO_REPLACEMENT", outcome="CPR07")
    superseded = person(1, identity="another", inactive="SUPERSEDED", current_number=nhs(2))
    assert found(plan(1), plan(2, la_code=KENT), persons=[frozen, superseded]) == []
    into_a_frozen_one = person(2, inactive="SUPERSEDED", current_number=nhs(1))
    assert found(plan(1), plan(2, la_code=KENT), persons=[frozen, into_a_frozen_one]) == []
    assert found(plan(1), plan(1, la_code=KENT), persons=[frozen]) == [
        (HACKNEY, 1, "DOUBTFUL", None),
        (KENT, 1, "DOUBTFUL", None),
    ]


def test_f49_of_a_sensitive_person_it_is_told_that_there_is_another_authority_and_not_which():
    told = [(HACKNEY, 1, "DOUBTFUL", None), (KENT, 1, "DOUBTFUL", None)]
    assert found(plan(), plan(la_code=KENT), persons=[person(sensitive=True)]) == told
    current = [person(1, inactive="SUPERSEDED", current_number=nhs(2)), person(2, sensitive=True)]
    assert found(plan(1), plan(1, la_code=KENT), persons=current) == told  # though only the current number is marked


def test_f52_who_is_reported_dead_is_on_no_list_of_conflicts():
    assert found(plan(), plan(la_code=KENT), persons=[person(date_of_death=TODAY)]) == []
