"""Nothing is dropped between one table and the next: what is counted anew, and that a difference of one row shows."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpis_batch import accounts
from cpis_batch.errors import Bug
from cpis_batch.intake import check
from cpis_batch.intake.read import read_extract
from cpis_batch.register.merge import merge
from cpis_batch.vocabulary import Environment
from tests.builders import HACKNEY, TODAY, TONIGHT, accepted, plan, plans, row
from tests.builders import extract as facts
from tests.hub import extract, plan_row

CONTEXT = check.CheckContext(HACKNEY, Environment.TEST, date(2026, 11, 20))
TEXT = extract(rows=[plan_row(child) for child in range(1, 6)])

line = st.sampled_from(
    [
        b"D,9990000018,LC-1,Someone,Ana,2019-04-30,CPP,2026-02-11,,",
        b'"D","9990000018","LC-1","Some, one","Ana","2019-04-30","CPP","2026-02-11","",""',
        b'D,9990000018,LC-1,"unclosed',
        b"D",
        b" D,",
        b"X,what",
        b"Doe,John",
        b"H,again",
        b"T,9,9",
        b"Trailer",
        b"",
        b" , ,,",
        b"\t",
        b"record_type,not first",
    ]
)


@given(
    st.lists(line, max_size=12),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.sampled_from([b"", b"record_type,a,b\n", b'\n"record_type","a"\r\n']),
    st.booleans(),
)
def test_rows_are_counted_as_the_reader_finds_them_whatever_the_lines(lines, end, mark, heading, ends):
    text = mark + heading + end.join([b"H,CPIS-LA-EXTRACT,1.0,TEST", *lines]) + (end if ends else b"")
    assert accounts.rows_in(text) == read_extract(text).rows.num_rows


def judged(text: bytes = TEXT) -> check.Verdict:
    return check.check(read_extract(text), CONTEXT)


def test_a_file_whose_rows_all_have_one_outcome_is_counted():
    rows = [plan_row(1), plan_row(2, end="2020-01-01"), plan_row(3, "LAC")]
    verdict = judged(extract(rows=rows))
    assert verdict.accepted.num_rows == 2
    assert accounts.check_rows(extract(rows=rows), verdict.outcomes, verdict.accepted) == 3


def test_an_outcome_too_few_or_too_many_is_missed():
    verdict = judged()
    for wrong in (verdict.outcomes.slice(1), pa.concat_tables([verdict.outcomes, verdict.outcomes.slice(0, 1)])):
        with pytest.raises(Bug, match="The file has 5 rows"):
            accounts.check_rows(TEXT, wrong, verdict.accepted)


def test_a_row_that_is_told_to_be_loaded_and_was_not_accepted_is_missed():
    verdict = judged()
    with pytest.raises(Bug, match="5 rows are to be loaded"):
        accounts.check_rows(TEXT, verdict.outcomes, verdict.accepted.slice(1))


@pytest.mark.parametrize("lost", ["changes", "passed_over", "closed"])
def test_a_row_or_a_version_that_a_merge_loses_is_missed(lost):
    sent = accepted([row(1, end_date=TODAY), row(2), row(3, delete_date=TODAY)])
    merged = merge(plans([plan(1), plan(2)]), sent, facts(), business_date=TODAY, known_at=TONIGHT)
    tables = {"changes": merged.changes, "passed_over": merged.passed_over, "closed": merged.closed}
    accounts.check_merge(sent, **tables)
    assert tables[lost].num_rows
    with pytest.raises(Bug):
        accounts.check_merge(sent, **tables | {lost: tables[lost].slice(1)})
