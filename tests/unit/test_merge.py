"""What an extract does to the register, story by story."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pytest

from cpis_batch.errors import Bug
from cpis_batch.register.digest import logical_digest
from cpis_batch.register.history import append
from cpis_batch.register.judge import DELETE_UNKNOWN, PAST_RETENTION
from cpis_batch.register.merge import Merged, merge
from cpis_batch.register.schema import CHANGES, HISTORY, PLANS
from cpis_batch.register.view import active
from cpis_batch.vocabulary import ExtractKind
from tests.builders import HACKNEY, KENT, TODAY, TONIGHT, accepted, extract, nhs, plan, plans, rejected, row

TOMORROW = TODAY + timedelta(days=1)
DELTA = extract(ExtractKind.DELTA)


def taken(held: pa.Table, sent: pa.Table, facts=None, **options) -> Merged:
    return merge(held, sent, facts or extract(), business_date=TODAY, known_at=TONIGHT, **options)


def told(merged: Merged) -> list[str]:
    return merged.changes["change"].to_pylist()


def only(table: pa.Table) -> dict:
    (one,) = table.to_pylist()
    return one


def test_a_first_extract_is_taken_in_whole_with_where_each_row_came_from():
    merged = taken(plans(), accepted([row(2, "LAC"), row(1)]))
    assert merged.plans.schema == PLANS
    assert merged.closed.schema == HISTORY
    assert merged.changes.schema == CHANGES
    assert merged.plans["nhs_number"].to_pylist() == sorted([nhs(1), nhs(2)])
    assert told(merged) == ["NEW", "NEW"]
    child = merged.plans.to_pylist()[0]
    assert (child["la_code"], child["source_file"], child["source_line"]) == (HACKNEY, extract().source_file, 3)
    assert (child["known_from"], child["last_confirmed_on"]) == (TONIGHT, TODAY)


def test_a_row_sent_again_confirms_the_plan_and_leaves_the_rest_of_it_alone():
    held = plan(1, last_confirmed_on=date(2026, 11, 1))
    merged = taken(plans([held]), accepted([row(1, line=77)]))
    assert only(merged.plans) == held | {"last_confirmed_on": TODAY}
    assert told(merged) == ["CONFIRMED"]
    assert merged.closed.num_rows == 0


def test_f05_last_confirmed_on_never_goes_back():
    held = plan(1, last_confirmed_on=TODAY)
    assert only(taken(plans([held]), accepted([row(1)]), extract(extracted_on=date(2026, 1, 1))).plans) == held


def test_f41_a_full_extract_that_leaves_a_plan_out_makes_it_missing_and_ends_nothing():
    merged = taken(plans([plan(1), plan(2)]), accepted([row(1)]))
    left_out = merged.plans.to_pylist()[1]
    assert left_out == plan(2) | {"missing_since": TODAY}
    change = only(merged.changes.slice(1))
    assert (change["change"], change["line"], change["missing_since"]) == ("MISSING", None, TODAY)
    assert (change["was_active"], change["is_active"]) == (True, True)
    assert active(merged.plans, TODAY).num_rows == 2


def test_a_plan_stays_missing_since_the_first_extract_that_left_it_out():
    since = date(2026, 11, 2)
    assert only(taken(plans([plan(1, missing_since=since)]), accepted()).plans)["missing_since"] == since


def test_a_missing_plan_that_comes_back_is_missing_no_more():
    merged = taken(plans([plan(1, missing_since=date(2026, 11, 2))]), accepted([row(1)]))
    assert only(merged.plans)["missing_since"] is None
    assert told(merged) == ["CONFIRMED"]


def test_a_delta_leaves_out_most_plans_and_none_is_missing():
    held = plans([plan(1), plan(2)])
    assert taken(held, accepted(), DELTA).plans.equals(held)
    assert told(taken(held, accepted(), DELTA)) == []


def test_a_plan_whose_row_was_rejected_is_neither_missing_nor_confirmed():
    held = plan(1, missing_since=date(2026, 11, 2))
    merged = taken(plans([held]), accepted(), extract(turned_away=rejected(row(1), row(2) | {"nhs_number": None})))
    assert only(merged.plans) == held | {"missing_since": None}
    assert told(merged) == []


def test_a_rejected_row_of_another_type_does_not_speak_of_the_plan():
    assert told(taken(plans([plan(1)]), accepted(), extract(turned_away=rejected(row(1, "LAC"))))) == ["MISSING"]


def test_a_plan_that_starts_later_is_kept_waits_and_is_missed_like_any_other():
    later = date(2026, 12, 24)
    merged = taken(plans(), accepted([row(1, start=later)]))
    assert active(merged.plans, TODAY).num_rows == 0
    assert active(merged.plans, later).num_rows == 1
    assert told(taken(merged.plans, accepted())) == ["MISSING"]


@pytest.mark.parametrize(("end", "outcome"), [(TODAY - timedelta(days=1), []), (TODAY, ["MISSING"])])
def test_a_plan_is_missed_up_to_its_last_day_and_no_longer(end, outcome):
    held = plans([plan(1, end_date=end)])
    merged = taken(held, accepted())
    assert told(merged) == outcome
    assert merged.plans.drop("missing_since").equals(held.drop("missing_since"))


def test_an_end_date_ends_a_plan_and_the_open_version_goes_to_the_history():
    end = date(2026, 11, 18)
    merged = taken(plans([plan(1)]), accepted([row(1, end_date=end, line=9)]))
    ended = only(merged.plans)
    assert (ended["end_date"], ended["end_basis"], ended["known_from"], ended["source_line"]) == (end, "LA", TONIGHT, 9)
    assert only(merged.closed) == plan(1) | {"known_to": TONIGHT, "change": "ENDED"}
    change = only(merged.changes)
    assert (change["change"], change["was_active"], change["is_active"], change["line"]) == ("ENDED", True, False, 9)


def test_an_end_date_taken_back_resumes_the_plan():
    merged = taken(plans([plan(1, end_date=date(2026, 11, 18))]), accepted([row(1)]))
    resumed = only(merged.plans)
    assert (resumed["end_date"], resumed["end_basis"]) == (None, None)
    assert told(merged) == ["RESUMED"]
    assert only(merged.closed)["change"] == "RESUMED"


def test_an_end_date_amended_is_a_re_dating():
    merged = taken(plans([plan(1, end_date=date(2026, 11, 18))]), accepted([row(1, end_date=date(2026, 11, 17))]))
    assert only(merged.changes)["change"] == "AMENDED"
    assert only(merged.changes)["redated"] is True


@pytest.mark.parametrize("fact", [{"family_name": "Okafor"}, {"given_name": "Zoë"}, {"child_id": "LC-9"}])
def test_another_name_or_id_amends_the_plan_without_re_dating_it(fact):
    merged = taken(plans([plan(1)]), accepted([row(1, **fact)]))
    assert only(merged.plans).items() >= fact.items()
    change = only(merged.changes)
    assert (change["change"], change["redated"], change["start_moved"]) == ("AMENDED", False, False)


def test_another_date_of_birth_is_a_re_dating():
    assert only(taken(plans([plan(1)]), accepted([row(1, date_of_birth=date(2019, 5, 1))])).changes)["redated"] is True


@pytest.mark.parametrize("name", ["given_name", "family_name"])
def test_f38_the_same_name_composed_otherwise_is_the_same_name_and_the_one_held_is_kept(name):
    composed, decomposed = "Zo\u00eb", "Zoe\u0308"
    merged = taken(plans([plan(1, **{name: decomposed})]), accepted([row(1, **{name: composed})]))
    assert told(merged) == ["CONFIRMED"]
    assert only(merged.plans)[name] == decomposed


def test_a_delete_date_takes_out_the_plan_with_that_key_and_the_history_says_so():
    merged = taken(plans([plan(1), plan(1, "LAC")]), accepted([row(1, delete_date=TODAY)]), DELTA)
    assert only(merged.plans)["plan_type"] == "LAC"
    assert only(merged.closed) == plan(1) | {"known_to": TONIGHT, "change": "DELETED"}
    change = only(merged.changes)
    assert (change["change"], change["was_active"], change["is_active"]) == ("DELETED", True, False)


def test_a_delete_date_for_an_unknown_plan_does_nothing_and_the_row_is_named():
    merged = taken(plans([plan(1)]), accepted([row(1, start=date(2026, 3, 1), delete_date=TODAY)]), DELTA)
    assert merged.plans.equals(plans([plan(1)]))
    assert merged.passed_over.to_pylist() == [{"line": 3, "reason": DELETE_UNKNOWN}]
    assert told(merged) == []


def test_a_deleted_plan_that_is_sent_again_is_reopened():
    deleted = taken(plans([plan(1)]), accepted([row(1, delete_date=TODAY)]))
    merged = taken(deleted.plans, accepted([row(1), row(2)]), history=append(HISTORY.empty_table(), deleted.closed))
    assert told(merged) == ["REOPENED", "NEW"]


def test_a_new_start_date_of_the_open_plan_amends_it():
    moved = date(2026, 2, 12)
    merged = taken(plans([plan(1)]), accepted([row(1, start=moved)]))
    assert only(merged.plans)["start_date"] == moved
    assert only(merged.closed) == plan(1) | {"known_to": TONIGHT, "change": "AMENDED"}
    change = only(merged.changes)
    assert (change["change"], change["start_moved"], change["redated"], change["start_date"]) == ("AMENDED", True, True, moved)


@pytest.mark.parametrize(
    ("spoken", "outcome"),
    [
        ({"end_date": date(2026, 11, 1)}, ["ENDED", "NEW"]),
        ({"delete_date": TODAY}, ["DELETED", "NEW"]),
    ],
)
def test_an_open_row_is_a_new_plan_where_the_file_itself_closes_the_one_before(spoken, outcome):
    merged = taken(plans([plan(1)]), accepted([row(1, **spoken), row(1, start=date(2026, 11, 2), line=4)]))
    assert told(merged) == outcome


@pytest.mark.parametrize(
    "other",
    [
        row(1, "LAC", date(2026, 3, 1)),
        row(2, "CPP", date(2026, 3, 1)),
        row(1, "CPP", date(2026, 3, 1), end_date=date(2026, 4, 1)),
    ],
    ids=["another type", "another child", "a plan that has ended"],
)
def test_only_an_open_row_of_that_child_and_type_amends_the_start(other):
    merged = taken(plans([plan(1)]), accepted([other]), DELTA)
    assert told(merged) == ["NEW"]
    assert merged.plans.num_rows == 2


def test_an_ended_plan_is_not_amended_by_the_next_one():
    merged = taken(plans([plan(1, end_date=date(2026, 5, 1))]), accepted([row(1, start=date(2026, 6, 1))]), DELTA)
    assert told(merged) == ["NEW"]


def test_of_two_open_plans_the_one_that_started_last_is_amended_and_the_other_is_missing():
    held = plans([plan(1, start=date(2026, 1, 1)), plan(1, start=date(2026, 5, 1))])
    merged = taken(held, accepted([row(1, start=date(2026, 6, 1))]))
    assert [(one["start_date"].month, one["missing_since"]) for one in merged.plans.to_pylist()] == [(1, TODAY), (6, None)]


@pytest.mark.parametrize(("days", "kept"), [(365, True), (366, False)])
def test_an_unknown_plan_that_ended_longer_ago_than_plans_are_kept_is_not_taken_in(days, kept):
    merged = taken(plans(), accepted([row(1, start=date(2020, 1, 1), end_date=TODAY - timedelta(days=days))]))
    assert merged.plans.num_rows == kept
    assert merged.passed_over["reason"].to_pylist() == ([] if kept else [PAST_RETENTION])


def test_a_known_plan_that_ended_long_ago_is_confirmed_until_it_is_erased():
    end = date(2024, 1, 1)
    start = date(2023, 1, 1)
    assert told(taken(plans([plan(1, start=start, end_date=end)]), accepted([row(1, start=start, end_date=end)]))) == [
        "CONFIRMED"
    ]


def test_f43_the_same_child_at_two_authorities_is_two_plans_in_two_parts():
    hackney, kent = (taken(plans(), accepted([row(1)]), extract(la_code=code)) for code in (HACKNEY, KENT))
    ended = taken(hackney.plans, accepted([row(1, end_date=TODAY - timedelta(days=1))]))
    assert active(ended.plans, TODAY).num_rows == 0
    assert active(kent.plans, TODAY).num_rows == 1
    assert logical_digest(hackney.plans) != logical_digest(kent.plans)


def test_a_part_that_holds_another_authority_s_plan_is_refused():
    with pytest.raises(Bug, match=HACKNEY):
        taken(plans([plan(1, la_code=KENT)]), accepted())


def test_two_rows_of_one_key_are_refused_without_naming_the_child():
    with pytest.raises(Bug) as refused:
        taken(plans(), accepted([row(1), row(1, line=9)]))
    assert nhs(1) not in str(refused.value)


@pytest.mark.parametrize("amiss", [{"nhs_number": "999000001"}, {"nhs_number": "99900000 8"}, {"plan_type": "CIN"}], ids=str)
def test_what_is_no_plan_is_refused_without_naming_the_child(amiss):
    for held, sent in (([plan(2) | amiss], []), ([], [row(2) | amiss])):
        with pytest.raises(Bug) as refused:
            taken(plans(held), accepted(sent))
        assert refused.value.__cause__ is None
        assert amiss.get("nhs_number", "none") not in str(refused.value)


def test_f03_the_same_file_merged_twice_changes_nothing():
    held = plans([plan(1), plan(2), plan(3), plan(4, end_date=date(2026, 9, 1)), plan(5), plan(6)])
    sent = accepted(
        [
            row(1, start=date(2026, 2, 12)),
            row(2, end_date=date(2026, 10, 1)),
            row(3, delete_date=TODAY),
            row(4),
            row(6, family_name="Okafor"),
            row(7),
        ]
    )
    once = taken(held, sent)
    again = merge(once.plans, sent, extract(), business_date=TODAY, known_at=TONIGHT + timedelta(hours=1), history=once.closed)
    assert told(once) == ["AMENDED", "ENDED", "DELETED", "RESUMED", "MISSING", "AMENDED", "NEW"]
    assert again.plans.equals(once.plans)
    assert set(told(again)) == {"CONFIRMED", "MISSING"}
    assert again.closed.num_rows == 0
    assert logical_digest(again.plans) == logical_digest(once.plans)


def test_the_order_of_rows_and_the_chunks_of_tables_make_no_difference():
    held = [plan(child) for child in range(6)]
    sent = [row(child, start=date(2026, 2, 10 + child)) for child in range(2, 8)]
    forwards = taken(plans(held), accepted(sent))
    halves = pa.concat_tables([accepted(sent[3:][::-1]), accepted(sent[:3])])
    backwards = taken(pa.concat_tables([plans(held[4:]), plans(held[:4])]), halves)
    assert backwards.plans.equals(forwards.plans)
    assert backwards.changes.equals(forwards.changes)


def test_every_row_that_was_accepted_is_told_of_once():
    sent = [row(1), row(2, delete_date=TODAY), row(3, start=date(2020, 1, 1), end_date=date(2020, 2, 1)), row(4)]
    merged = taken(plans([plan(1), plan(5)]), accepted(sent), replace(extract(), kind=ExtractKind.FULL))
    lines = [line for line in merged.changes["line"].to_pylist() if line] + merged.passed_over["line"].to_pylist()
    assert sorted(lines) == [3, 4, 5, 6]
