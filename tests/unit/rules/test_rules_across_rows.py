"""Rows of one file against each other: what says the same loads once, what contradicts does not load."""

from tests.extracts import codes, d, extract, judged, outcomes


def test_f31_the_first_of_equal_rows_loads():
    verdict = judged(extract(d(1), d(2), d(1), d(1)))
    assert codes(verdict) == [(4, "CPB-802"), (5, "CPB-802")]
    assert outcomes(verdict) == {2: "CPR06", 3: "CPR06", 4: "CPR07", 5: "CPR07"}


def test_rows_that_differ_only_in_a_name_are_the_same_plan():
    assert codes(judged(extract(d(1), d(1, family_name="Smyth")))) == [(3, "CPB-802")]


def test_of_contradicting_rows_none_loads():
    verdict = judged(extract(d(1), d(1, end_date="2026-10-01"), d(2)))
    assert codes(verdict) == [(2, "CPB-801"), (3, "CPB-801")]
    assert verdict.accepted["line"].to_pylist() == [4]


def test_a_faulty_row_never_keeps_a_good_one_out():
    verdict = judged(extract(d(1, family_name=""), d(1)))
    assert codes(verdict) == [(2, "CPB-410")]
    assert verdict.accepted["line"].to_pylist() == [3]


def test_one_plan_of_a_type_is_open_the_one_that_began_first():
    verdict = judged(extract(d(1, start_date="2026-05-01"), d(1, start_date="2026-02-01"), d(1, "LAC", start_date="2026-06-01")))
    assert codes(verdict) == [(2, "CPB-803"), (2, "CPB-804")]
    assert verdict.accepted["line"].to_pylist() == [3, 4]


def test_a_contradicted_row_does_not_count_as_the_open_one():
    rows = (d(1, start_date="2026-02-01"), d(1, start_date="2026-02-01", end_date="2026-03-01"), d(1, start_date="2026-05-01"))
    assert judged(extract(*rows)).accepted["line"].to_pylist() == [4]


def test_plans_that_follow_each_other_are_fine_on_the_same_day_too():
    verdict = judged(extract(d(1, start_date="2026-01-01", end_date="2026-02-01"), d(1, start_date="2026-02-01")))
    assert codes(verdict) == []
    assert verdict.accepted.num_rows == 2


def test_plans_that_overlap_are_warned_of():
    rows = (d(1, start_date="2026-01-01", end_date="2026-05-01"), d(1, start_date="2026-02-01", end_date="2026-03-01"))
    verdict = judged(extract(*rows))
    assert codes(verdict) == [(3, "CPB-804")]
    assert verdict.accepted.num_rows == 2


def test_a_deleted_row_overlaps_with_nothing():
    rows = (d(1, start_date="2026-01-01", delete_date="2026-05-01"), d(1, start_date="2026-02-01"))
    assert codes(judged(extract(*rows))) == []


def test_one_number_with_two_dates_of_birth_is_warned_of():
    verdict = judged(extract(d(1), d(1, "LAC", date_of_birth="2018-01-01"), d(2)))
    assert codes(verdict) == [(2, "CPB-805"), (3, "CPB-805")]
    assert verdict.accepted.num_rows == 3


def test_a_mother_and_her_child_in_one_file_have_nothing_to_do_with_each_other():
    assert codes(judged(extract(d(1, "UCPP"), d(2)))) == []
