"""Plan types, and the ages they are for."""

import pytest

from tests.extracts import each_row_codes, row_codes


def test_a_plan_is_one_of_three():
    cases = {"CPP": [], "LAC": [], " CPP ": [], "": ["CPB-601"], "cpp": ["CPB-602"], "CIN": ["CPB-602"]}
    assert each_row_codes([{"plan_type": written} for written in cases]) == list(cases.values())


@pytest.mark.parametrize("plan_type", ["CPP", "LAC"])
def test_f52_a_child_is_under_18_when_a_plan_starts(plan_type):
    cases = [
        ("2026-02-11", "2026-02-11", "", []),
        ("2026-02-12", "2026-02-11", "", ["CPB-701"]),
        ("2008-02-11", "2026-02-10", "2026-02-10", []),
        ("2008-02-11", "2026-02-11", "2026-02-11", ["CPB-702"]),
        ("2008-02-29", "2026-02-28", "2026-02-28", []),  # 18 on 1 March
        ("2008-02-29", "2026-03-01", "2026-03-01", ["CPB-702"]),
        ("2008-11-20", "2026-02-11", "", ["CPB-703"]),  # 18 today
        ("2008-11-21", "2026-02-11", "", []),
        ("2008-11-20", "2026-02-11", "2026-11-19", []),
    ]
    rows = [{"plan_type": plan_type, "date_of_birth": b, "start_date": s, "end_date": e} for b, s, e, _ in cases]
    assert each_row_codes(rows) == [codes for *_, codes in cases]


def test_a_ucpp_stands_on_a_mother_of_10_to_60():
    cases = {
        "2016-02-11": [],
        "2016-02-12": ["CPB-704"],
        "1965-02-12": [],
        "1965-02-11": ["CPB-704"],
        "2026-02-11": ["CPB-704"],
        "2026-05-01": ["CPB-704"],
        "1990-01-01": [],
    }
    assert each_row_codes([{"plan_type": "UCPP", "date_of_birth": born} for born in cases]) == list(cases.values())


def test_f52_a_ucpp_is_open_at_any_age():
    assert row_codes(plan_type="UCPP", date_of_birth="1970-01-01") == []
