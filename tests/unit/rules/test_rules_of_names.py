"""Names warn and do not turn a child away; a name that looks like nothing is a name."""

import unicodedata

import pytest

from tests.extracts import codes, d, each_row_codes, extract, judged, row_codes

_NAMES = (
    "NA",
    "None",
    "Null",
    "NULL",
    "NaN",
    "Fernando",
    "True",
    "Nil",
    "Ng",
    "O'Brien",
    "'t Hooft",
    "Nguyễn-Ólaf",
    "Å",
    "李",
    "Ọlá",
)


def test_names_that_look_like_nothing_survive():
    verdict = judged(extract(*(d(child, family_name=name, given_name=name) for child, name in enumerate(_NAMES))))
    assert verdict.faults.num_rows == 0
    assert verdict.accepted["family_name"].to_pylist() == list(_NAMES)
    assert verdict.accepted["given_name"].to_pylist() == list(_NAMES)


def test_a_family_name_must_be_there():
    assert row_codes(family_name=" ") == ["CPB-410"]
    assert judged(extract(d(family_name=""))).accepted.num_rows == 0


def test_a_baby_not_yet_named_gets_in():
    verdict = judged(extract(d(given_name="")))
    assert verdict.accepted["given_name"].to_pylist() == [""]
    assert verdict.faults.select(["code", "severity"]).to_pylist() == [{"code": "CPB-420", "severity": "WARNING"}]


def test_a_row_without_the_authoritys_own_id_gets_in():
    verdict = judged(extract(d(child_id="")))
    assert verdict.accepted.num_rows == 1
    assert verdict.faults["code"].to_pylist() == ["CPB-430"]


def test_fillers_and_digits_are_warned_of():
    cases = {"UNKNOWN": 1, "unknown": 1, "Baby": 1, "baby boy": 1, "N/K": 1, "xxx": 1, "Not Known": 1, "12345": 2, "?": 2}
    assert each_row_codes([{"family_name": written} for written in cases]) == [[f"CPB-41{digit}"] for digit in cases.values()]
    assert each_row_codes([{"given_name": written} for written in cases]) == [[f"CPB-42{digit}"] for digit in cases.values()]
    assert judged(extract(d(family_name="UNKNOWN"))).accepted.num_rows == 1


@pytest.mark.parametrize(("field", "code"), [("family_name", "CPB-413"), ("given_name", "CPB-423"), ("child_id", "CPB-433")])
def test_f37_a_formula_is_warned_of_and_kept_as_it_is(field, code):
    texts = [f"{first}cmd|' /C calc'!A0" for first in "=+-@\t＝＋－＠"]  # noqa: RUF001 - full-width on purpose
    verdict = judged(extract(*(d(child, **{field: text}) for child, text in enumerate(texts))))
    assert verdict.accepted[field].to_pylist() == texts
    assert [line for line, found in codes(verdict) if found == code] == list(range(2, 2 + len(texts)))


def test_f38_invisible_characters_are_warned_of_and_kept():
    hidden = ["Zoe\u200b", "\u202eeoZ", "Zo\u00ade", "Zo\u2060e", "Zo\te", "Zo\x1be", "\ufeffZoe"]
    verdict = judged(extract(*(d(child, given_name=name) for child, name in enumerate(hidden))))
    assert codes(verdict) == [(line, "CPB-424") for line in range(2, 2 + len(hidden))]
    assert verdict.accepted["given_name"].to_pylist() == hidden


def test_f38_a_decomposed_name_is_warned_of_and_the_original_kept():
    decomposed = unicodedata.normalize("NFD", "Zoë")
    verdict = judged(extract(d(given_name=decomposed)))
    assert verdict.faults["code"].to_pylist() == ["CPB-425"]
    assert verdict.accepted["given_name"].to_pylist() == [decomposed]


def test_f29_a_name_converted_wrongly_before_is_warned_of():
    misread = ["ZoÃ«", "JosÃ©", "Zo\ufffd"]
    assert each_row_codes([{"given_name": name} for name in misread]) == [["CPB-426"]] * len(misread)
