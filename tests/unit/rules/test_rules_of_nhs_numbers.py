"""F34, F26: an NHS number is rejected, never repaired, and the sender is told by name what happened to it."""

import pytest

from cpis_batch.intake.rules import BY_CODE
from tests.builders import nhs
from tests.extracts import context, d, each_row_codes, extract, judged, row_codes

_REAL = "9434765919"  # the number that the NHS prints in its own examples
_NUMBER = nhs(1)


_MANGLED = (
    ("", "CPB-301"),
    ("   ", "CPB-301"),
    ("9.43E+09", "CPB-302"),
    ("9.99000002E+09", "CPB-302"),
    ("9,43E+09", "CPB-302"),
    ("999e7", "CPB-302"),
    (f'="{_NUMBER}"', "CPB-303"),
    (f"'{_NUMBER}", "CPB-303"),
    (f"{_NUMBER}.0", "CPB-304"),
    (f"{_NUMBER},00", "CPB-304"),
    ("٩٩٩٠٠٠٠٠١٨", "CPB-305"),
    ("".join(chr(0xFF10 + int(digit)) for digit in _NUMBER), "CPB-305"),
    ("999000001٨", "CPB-305"),
    ("ABCD 123", "CPB-306"),
    ("XYZ/45/6", "CPB-306"),
    ("99900OOO18", "CPB-307"),
    ("999000001", "CPB-308"),
    ("99900000", "CPB-309"),
    ("99900000180", "CPB-309"),
    ("1234", "CPB-309"),
    *((digit * 10, "CPB-310") for digit in "0123456789"),
    (_NUMBER[:-1] + str((int(_NUMBER[-1]) + 1) % 10), "CPB-311"),
    (_NUMBER[:7] + _NUMBER[8] + _NUMBER[7] + _NUMBER[9] if _NUMBER[7] != _NUMBER[8] else "9990000081", "CPB-311"),
    ("999/000/001", "CPB-312"),
    ("999\u200b0000018", "CPB-312"),
    ("?", "CPB-312"),
)


def test_f34_a_mangled_number_is_rejected_with_its_cause_by_name():
    found = each_row_codes([{"nhs_number": written} for written, _ in _MANGLED])
    assert dict(zip(_MANGLED, found, strict=True)) == {case: [case[1]] for case in _MANGLED}


@pytest.mark.parametrize("written", [f"{_NUMBER[:3]} {_NUMBER[3:6]} {_NUMBER[6:]}", "-".join(_NUMBER), f" {_NUMBER} "])
def test_spaces_and_hyphens_are_passed_over(written):
    verdict = judged(extract(d(nhs_number=written)))
    assert verdict.faults.num_rows == 0
    assert verdict.accepted["nhs_number"].to_pylist() == [_NUMBER]


def test_f26_a_test_number_is_kept_out_of_the_live_service():
    verdict = judged(extract(d(1), d(2, nhs_number=_REAL)).replace(b",TEST,", b",LIVE,"), context("LIVE"))
    assert verdict.faults.select(["line", "code"]).to_pylist() == [{"line": 2, "code": "CPB-321"}]
    assert verdict.accepted["nhs_number"].to_pylist() == [_REAL]


def test_f26_a_real_number_is_kept_out_of_the_test_service():
    assert row_codes(nhs_number=_REAL) == ["CPB-322"]


def test_every_class_tells_another_cause_and_a_cure():
    family = [rule for code, rule in BY_CODE.items() if code.startswith("CPB-3")]
    assert len({rule.cause for rule in family}) == len(family)
    assert all(rule.cure for rule in family)
