"""Where a file stands in its sender's sequence: F03 to F07, all orders of arrival."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from cpis_batch.intake.sequence import Last, Placement, place
from cpis_batch.vocabulary import ExtractKind

_FIRST = datetime(2026, 11, 1, 23, 0, tzinfo=UTC)


def _at(number: int) -> datetime:
    """The evening on which the `number`-th extract is taken."""
    return _FIRST + timedelta(days=number)


def _place(sequence: int, last: int | None, kind: ExtractKind = ExtractKind.FULL, **given: object) -> Placement:
    facts: dict[str, object] = {
        "kind": kind,
        "sequence": sequence,
        "extracted_at": _at(sequence),
        "digest": f"digest {sequence}",
        "last": None if last is None else Last(last, _at(last)),
        "merged": {number: f"digest {number}" for number in range(1, (last or 0) + 1)},
    }
    return place(**(facts | given))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ExtractKind)
@pytest.mark.parametrize("sequence", [1, 118])
def test_a_first_file_may_have_any_number(kind, sequence):
    assert _place(sequence, None, kind) is Placement.MERGE


@pytest.mark.parametrize("kind", ExtractKind)
def test_the_next_number_is_merged(kind):
    assert _place(6, 5, kind) is Placement.MERGE


@pytest.mark.parametrize("sequence", [3, 5])
def test_f03_the_same_bytes_again_are_a_duplicate(sequence):
    assert _place(sequence, 5) is Placement.DUPLICATE


@pytest.mark.parametrize("sequence", [3, 5])
def test_f03_a_used_number_on_other_bytes_is_refused(sequence):
    assert _place(sequence, 5, digest="another") is Placement.REFUSED


def test_f04_a_gap_is_taken_by_a_full_extract_and_waited_for_by_changes():
    assert _place(8, 5, ExtractKind.FULL) is Placement.MERGE_WITH_GAP
    assert _place(8, 5, ExtractKind.DELTA) is Placement.HELD_GAP


def test_f05_an_older_file_that_comes_late_is_stale():
    assert _place(4, 5, merged={5: "digest 5"}) is Placement.STALE


@pytest.mark.parametrize("kind", ExtractKind)
def test_f06_a_lower_number_on_newer_data_is_held_for_a_reset(kind):
    assert _place(2, 118, kind, merged={118: "digest 118"}, extracted_at=_at(119)) is Placement.HELD_RESET


def test_f06_a_count_that_starts_at_one_again_is_held_though_one_was_used():
    assert _place(1, 118, digest="another", extracted_at=_at(119)) is Placement.HELD_RESET


@pytest.mark.parametrize("order", list(permutations(range(1, 6))))
def test_f04_full_extracts_end_at_the_newest_in_every_order_of_arrival(order):
    last, merged = None, {}
    for sequence in order:
        placed = _place(sequence, last, merged=dict(merged))
        if placed in (Placement.MERGE, Placement.MERGE_WITH_GAP):
            last, merged[sequence] = sequence, f"digest {sequence}"
        else:
            assert placed is Placement.STALE
            assert last is not None
            assert sequence < last
    assert last == 5


@pytest.mark.parametrize("order", list(permutations(range(2, 6))))
def test_f04_changes_wait_for_each_other_and_are_merged_in_their_order(order):
    waiting, done = [], [1]
    for sequence in order:
        waiting.append(sequence)
        for held in sorted(waiting):
            if _place(held, done[-1], ExtractKind.DELTA) is Placement.MERGE:
                waiting.remove(held)
                done.append(held)
    assert done == [1, 2, 3, 4, 5]
