"""Rule 4: every plan that came or went is accounted for."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from cpis_batch.register.balance import BALANCE, balance, imbalances
from cpis_batch.register.merge import merge
from cpis_batch.register.schema import CHANGES
from tests.builders import HACKNEY, TODAY, TONIGHT, accepted, extract, plan, plans, row


def test_a_merge_balances_for_every_plan_type():
    before = plans([plan(1), plan(2), plan(3), plan(4, "LAC"), plan(5, "LAC")])
    past = merge(plans([plan(9)]), accepted([row(9, delete_date=TODAY)]), extract(), business_date=TODAY, known_at=TONIGHT).closed
    sent = accepted(
        [
            row(1, start=date(2026, 3, 1)),
            row(2, delete_date=TODAY),
            row(4, "LAC", end_date=TODAY),
            row(6, "UCPP"),
            row(9),
            row(10),
        ]
    )
    merged = merge(before, sent, extract(), business_date=TODAY, known_at=TONIGHT, history=past)
    found = balance(HACKNEY, before, merged.plans, merged.changes)
    columns = ["plan_type", "opening", "new", "reopened", "deleted", "erased", "closing", "difference"]
    assert found.schema == BALANCE
    assert [tuple(one[name] for name in columns) for one in found.to_pylist()] == [
        ("CPP", 3, 1, 1, 1, 0, 4, 0),
        ("LAC", 2, 0, 0, 0, 0, 2, 0),
        ("UCPP", 0, 1, 0, 0, 0, 1, 0),
    ]
    assert imbalances(found).num_rows == 0


def test_a_plan_that_went_without_a_word_or_came_from_nowhere_shows():
    before, after = plans([plan(1), plan(2), plan(3, "LAC")]), plans([plan(1), plan(3, "LAC"), plan(4, "LAC")])
    found = imbalances(balance(HACKNEY, before, after, CHANGES.empty_table()))
    assert [(one["plan_type"], one["difference"]) for one in found.to_pylist()] == [("CPP", -1), ("LAC", 1)]


def test_what_is_erased_is_accounted_for():
    erased = {"change": "ERASED", "plan_type": "CPP", "nhs_number": "", "start_date": TODAY, "child_id": ""}
    changes = pa.Table.from_pylist([erased], schema=CHANGES)
    assert imbalances(balance(HACKNEY, plans([plan(1)]), plans(), changes)).num_rows == 0
