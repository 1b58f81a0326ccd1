"""Rows are judged in slices of a large file, and small files together: what is found must not depend on either."""

from dataclasses import replace

import pytest

from cpis_batch.intake import alone as rows_alone
from cpis_batch.intake import check as checking
from cpis_batch.intake.check import Verdict
from cpis_batch.intake.read import read_extract
from tests.extracts import LINE_BYTES, context, d, extract, h, judged

_TABLES = ("accepted", "faults", "outcomes", "rejected")

_ROWS = [
    *(d(n) for n in range(20)),
    d(3),  # a copy, slices apart
    d(4, end_date="2026-10-01"),  # contradicts
    d(5, start_date="2026-06-01"),  # a second open one
    d(21, nhs_number="1"),
    d(22, start_date="01/02/2026"),
    "D,broken",
]


@pytest.mark.parametrize("size", [1, 3, 7, 26])
def test_the_verdict_is_the_same_however_the_rows_are_sliced(size, monkeypatch):
    whole = judged(extract(*_ROWS))
    monkeypatch.setattr(rows_alone, "_SLICE", size)
    sliced = judged(extract(*_ROWS))
    assert sliced.file_outcome == whole.file_outcome == "CPF03"
    _same(sliced, whole)


_FILES = {
    "some rows rejected": extract(*_ROWS),
    "the same persons again": extract(d(1), d(3), d(4, end_date="2026-10-03"), d(5, start_date="2026-07-01")),
    "another version": extract(d(1), header=h(version="9.9")),
    "no rows": extract(),
    "rows lost": extract(d(1), d(2), trailer="T,3,0"),
    "no text": b"\xff\xfeH\0",
    "empty": b"",
    "another authority's": extract(d(1), header=h(la_code="E10000016")),
    "all rows rejected": extract(d(1, nhs_number="1"), d(2, plan_type="CIN")),
    "blank lines before it": b"\n\n" + extract(d(7), d(7)),
}


def test_files_checked_together_are_judged_as_if_each_were_alone():
    together = checking.check_all(
        [read_extract(data, line_bytes=LINE_BYTES) for data in _FILES.values()], [context()] * len(_FILES)
    )
    for name, found in zip(_FILES, together, strict=True):
        alone = judged(_FILES[name])
        assert (found.file_outcome, found.header) == (alone.file_outcome, alone.header), name
        _same(found, alone)
    assert len({verdict.file_outcome for verdict in together}) == 5


def test_each_file_is_held_to_the_folder_that_it_came_by():
    data = read_extract(extract(d(1)), line_bytes=LINE_BYTES)
    own, other = checking.check_all([data, data], [context(), context(la_code="E10000016")])
    assert own.accepted.num_rows == 1
    assert other.accepted.num_rows == 0
    assert other.faults["code"].to_pylist() == ["CPB-131"]


def test_files_of_two_nights_are_not_checked_together():
    data = read_extract(extract(d(1)), line_bytes=LINE_BYTES)
    with pytest.raises(checking.Bug):
        checking.check_all([data, data], [context(), replace(context(), supported_versions=("9.9",))])


def _same(one: Verdict, other: Verdict) -> None:
    for table in _TABLES:
        assert getattr(one, table).equals(getattr(other, table)), table
