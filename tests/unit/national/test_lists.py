"""What an authority is told: of its own children, once until it changes, and of another authority no more than who to ring."""

from __future__ import annotations

import csv
import io
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cpis_batch.errors import Bug
from cpis_batch.national import lists
from cpis_batch.national.conflicts import conflicts
from cpis_batch.national.schema import ENTRIES, UNTOLD, Standing
from cpis_batch.spec import table_schema
from tests.national_builders import CONTACTS, HACKNEY, KENT, TODAY, england, person, plan

NOTHING = ENTRIES.empty_table()
OURS = plan(child_id="HK-CANARY-1", start=date(2026, 2, 11))
THEIRS = plan(child_id="KT-CANARY-2", la_code=KENT, start=date(2026, 11, 1))


def told(*rows, before=NOTHING, persons=(), on=TODAY):
    known = england(rows, *persons)
    return lists.news(conflicts(known, on=on), before, known)


def said(news):
    return [(row["la_code"], row["news"], row["standing"], row["other_la_code"]) for row in news.fresh.to_pylist()]


def written(news, la_code=HACKNEY):
    rows = news.fresh.filter(pc.equal(news.fresh["la_code"], la_code))
    return lists.to_csv(rows, CONTACTS, la_code=la_code, on=TODAY).decode()


def test_each_matter_is_told_once_then_when_it_changes_then_when_it_is_over():
    first = told(OURS, THEIRS)
    assert said(first) == [(HACKNEY, "NEW", "HANDOVER", KENT), (KENT, "NEW", "HANDOVER", HACKNEY)]
    assert said(told(OURS, THEIRS, before=first.told)) == []
    later = told(OURS, THEIRS, before=first.told, on=date(2026, 12, 2))
    assert said(later) == [(HACKNEY, "CHANGED", "DOUBTFUL", KENT), (KENT, "CHANGED", "DOUBTFUL", HACKNEY)]
    dated = told(OURS | {"end_date": TODAY}, THEIRS, before=first.told)
    assert said(dated) == [(HACKNEY, "CHANGED", "HANDOVER", KENT)]  # its own end date: nothing new to the other
    over = told(OURS | {"end_date": date(2026, 11, 19)}, THEIRS, before=later.told)
    assert said(over) == [(HACKNEY, "CLOSED", "DOUBTFUL", KENT), (KENT, "CLOSED", "DOUBTFUL", HACKNEY)]
    assert over.told.num_rows == 0


def test_f56_of_a_plan_that_is_gone_from_the_register_nothing_is_said_or_kept():
    first = told(OURS, THEIRS)
    after = told(THEIRS, before=first.told)
    assert said(after) == [(KENT, "CLOSED", "HANDOVER", HACKNEY)]
    assert after.told.num_rows == 0


def test_f49_an_authority_that_was_named_goes_from_the_list_when_the_person_is_found_sensitive():
    first = told(OURS, THEIRS)
    after = told(OURS, THEIRS, before=first.told, persons=[person(sensitive=True)])
    assert said(after) == [(HACKNEY, "NEW", "HANDOVER", None), (KENT, "NEW", "HANDOVER", None)]
    assert KENT not in written(after) + str(after.told.filter(pc.equal(after.told["la_code"], HACKNEY)).to_pylist())


def test_f43_an_authority_reads_its_own_row_and_of_the_other_the_name_and_two_telephone_numbers():
    text = written(told(OURS, THEIRS))
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert tuple(row) == table_schema("national-lists", lists.VERSION, "list").names
    assert (row["child_id"], row["plan_type"], row["start_date"], row["news"]) == ("HK-CANARY-1", "CPP", "2026-02-11", "NEW")
    assert (row["other_la_code"], row["other_la_name"]) == (KENT, "Kent")
    assert (row["other_office_phone"], row["other_emergency_phone"]) == ("020 7946 0100", "020 7946 0199")
    for canary in (THEIRS["child_id"], str(THEIRS["start_date"]), THEIRS["nhs_number"], THEIRS["family_name"], "2019-04-30"):
        assert canary not in text


def test_f43_rows_of_two_authorities_never_make_one_list():
    fresh = told(OURS, THEIRS).fresh
    with pytest.raises(Bug, match=HACKNEY) as fault:
        lists.to_csv(fresh, CONTACTS, la_code=HACKNEY, on=TODAY)
    assert "CANARY" not in str(fault.value)


def test_what_cannot_be_sent_is_told_another_time():
    first = told(OURS, THEIRS)
    owing = pa.table({"la_code": pa.array([HACKNEY], pa.string())})
    known = england([OURS, THEIRS])
    kept = lists.kept(first.told, NOTHING, owing, known)
    assert kept["la_code"].to_pylist() == [KENT]
    assert said(told(OURS, THEIRS, before=kept)) == [(HACKNEY, "NEW", "HANDOVER", KENT)]
    assert lists.kept(NOTHING, first.told, owing, england([THEIRS])).num_rows == 0  # erased: not owed any more


def test_every_standing_that_is_told_says_what_to_do():
    assert set(lists.WHAT_TO_DO) | set(UNTOLD) == set(Standing)
    assert not set(lists.WHAT_TO_DO) & set(UNTOLD)
    fields = {field.name: field for field in table_schema("national-lists", lists.VERSION, "list").fields}
    assert set(fields["standing"].constraints.enum or ()) == set(lists.WHAT_TO_DO)
