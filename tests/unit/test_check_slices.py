"""A large file is judged in slices, side by side: what is found must not depend on where it is cut."""

import pytest

from cpis_batch.intake import check as checking
from tests.extracts import d, extract, judged

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
    monkeypatch.setattr(checking, "_SLICE", size)
    sliced = judged(extract(*_ROWS))
    assert sliced.file_outcome == whole.file_outcome == "CPF03"
    for table in ("accepted", "faults", "outcomes", "rejected"):
        assert getattr(sliced, table).equals(getattr(whole, table)), table
