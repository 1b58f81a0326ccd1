"""F29, F30, F39: bytes that are not lines of ours are refused whole, at a byte and a line, with what to do."""

import subprocess
import sys

import pytest

from cpis_batch.intake.lines import LINES_MAX, Refused, Unreadable, split
from cpis_batch.intake.read import LINE_BYTES, read_extract
from cpis_batch.intake.rules import BY_CODE
from tests.extracts import codes, d, extract, h, judged

_PLAIN = extract(d(1), d(2))
_LATIN = extract(d(1), d(2, given_name="Chloe")).replace("Zoë".encode(), b"Zo\xeb")

GOLDEN = {
    "nothing": (b"", Unreadable.EMPTY, None, None, "CPB-001"),
    "blanks": (b" \r\n,,,\r\n\t\n", Unreadable.EMPTY, None, None, "CPB-001"),
    "a mark alone": (b"\xef\xbb\xbf", Unreadable.EMPTY, None, None, "CPB-001"),
    "UTF-16 with a mark": (_PLAIN.decode().encode("utf-16"), Unreadable.UTF_16, 1, 0, "CPB-002"),
    "UTF-16, other order": (b"\xfe\xff" + _PLAIN.decode().encode("utf-16-be"), Unreadable.UTF_16, 1, 0, "CPB-002"),
    "UTF-16 without a mark": (_PLAIN.decode().encode("utf-16-le"), Unreadable.UTF_16, 1, 0, "CPB-002"),
    "UTF-16, other order, no mark": (_PLAIN.decode().encode("utf-16-be"), Unreadable.UTF_16, 1, 0, "CPB-002"),
    "UTF-32": (_PLAIN.decode().encode("utf-32"), Unreadable.UTF_16, 1, 0, "CPB-002"),
    "UTF-32 without a mark": (_PLAIN.decode().encode("utf-32-le"), Unreadable.UTF_16, 1, 0, "CPB-002"),
    "NUL": (_PLAIN.replace(b"Familyc", b"Fam\0lyc"), Unreadable.NUL, 3, _PLAIN.index(b"Familyc") + 3, "CPB-003"),
    "zeros": (b"\0" * 10_000, Unreadable.NUL, 1, 0, "CPB-003"),
    "a workbook": (b"PK\x03\x04\x14\x00\x06\x00\x08\x00", Unreadable.NUL, 1, 5, "CPB-003"),
    "an enormous field": (
        extract(d(1), d(2, family_name="x" * LINE_BYTES), d(3)),
        Unreadable.LINE_TOO_LONG, 3, len(extract(d(1), trailer="")) - 2, "CPB-005",
    ),
    "a million columns": (b"," * 1_000_000 + b"x", Unreadable.LINE_TOO_LONG, 1, 0, "CPB-005"),
    "CR": (_PLAIN.replace(b"\r\n", b"\r"), Unreadable.CR_LINE_ENDS, 1, len(h()), "CPB-006"),
    "CR CR LF": (_PLAIN.replace(b"\r\n", b"\r\r\n"), Unreadable.CR_LINE_ENDS, 1, len(h()), "CPB-006"),
    "cp1252": (_LATIN, Unreadable.NOT_UTF_8, 2, _LATIN.index(b"\xeb"), "CPB-007"),
    "cp1252 at the end": (_PLAIN + b"\xe9", Unreadable.MIXED_ENCODINGS, 5, len(_PLAIN), "CPB-008"),
    "mixed": (_PLAIN.replace("Zoë".encode(), b"Zo\xeb", 1), Unreadable.MIXED_ENCODINGS, 2, _LATIN.index(b"\xeb"), "CPB-008"),
    "surrogates": (_PLAIN.replace("Zoë".encode(), b"\xed\xa0\x80"), Unreadable.NOT_UTF_8, 2, _LATIN.index(b"Zo"), "CPB-007"),
    "overlong": (_PLAIN.replace("Zoë".encode(), b"\xc0\xaf"), Unreadable.NOT_UTF_8, 2, _LATIN.index(b"Zo"), "CPB-007"),
    "sep": (b"sep=,\r\n" + _PLAIN, Unreadable.SEP_LINE, 1, None, "CPB-009"),
    "sep with a mark": (b"\xef\xbb\xbfSEP=;\r\n" + _PLAIN, Unreadable.SEP_LINE, 1, None, "CPB-009"),
    "semicolons": (_PLAIN.replace(b",", b";"), Unreadable.SEMICOLONS, 1, None, "CPB-010"),
    "semicolons, quoted": (b'"H";"CPIS-LA-EXTRACT"\n', Unreadable.SEMICOLONS, 1, None, "CPB-010"),
    "semicolons under a heading": (b"record_type;nhs_number\n", Unreadable.SEMICOLONS, 1, None, "CPB-010"),
    "tabs": (_PLAIN.replace(b",", b"\t"), Unreadable.TABS, 1, None, "CPB-011"),
    "bars": (b"\r\n" + _PLAIN.replace(b",", b"|"), Unreadable.OTHER_SEPARATOR, 2, None, "CPB-012"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_f29_f30_f39_what_is_not_text_of_ours_is_refused_with_place_cause_and_cure(name):
    data, why, line, byte, code = GOLDEN[name]
    refused = split(data, line_bytes=LINE_BYTES)
    assert refused == Refused(why, line, byte)
    verdict = judged(data)
    assert verdict.file_outcome == "CPF01"
    assert verdict.faults.to_pylist() == [
        {"line": line, "child_id": None, "field": None, "code": code, "severity": "ERROR",
         "detail": None if byte is None else f"byte {byte}"}
    ]  # fmt: skip
    assert verdict.header is None
    assert (verdict.accepted.num_rows, verdict.outcomes.num_rows) == (0, 0)


def test_every_reason_has_its_bytes_here():
    assert {why for _, why, *_ in GOLDEN.values()} == set(Unreadable) - {Unreadable.TOO_MANY_LINES}


def test_f29_the_cure_names_what_to_choose_in_excel():
    assert "CSV UTF-8" in BY_CODE["CPB-007"].cure


def test_f39_more_lines_than_any_file_has_are_refused_before_they_cost_memory():
    assert split(b"\n" * (LINES_MAX + 1) + b"x", line_bytes=LINE_BYTES) == Refused(Unreadable.TOO_MANY_LINES)


def test_f30_the_excel_formula_that_keeps_a_zero_is_told_by_name():
    verdict = judged(extract(d(1, nhs_number='="0123456789"')))
    assert codes(verdict) == [(2, "CPB-303")]


_MEASURE = """
import resource, sys
from cpis_batch.intake.read import read_extract
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read_extract(data)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    "data",
    [
        b"," * 6_000_000,
        b"\n" * 6_000_000,
        b'"\n' * 1_000_000,
        (b'D,"' + b"," * 3000 + b"\n") * 2_000,
    ],
    ids=["commas", "line feeds", "lone quotes", "wide and unclosed"],
)
def test_f39_memory_is_bounded_whatever_the_bytes(data):
    done = subprocess.run([sys.executable, "-c", _MEASURE], input=data, capture_output=True, check=True)
    assert int(done.stdout) / 1024 < 300, "MB"


def test_reading_300_000_rows_takes_a_few_times_their_bytes():
    row = (d(1) + "\r\n").encode()
    data = (h() + "\r\n").encode() + row * 300_000 + b"T,300000,0\r\n"
    done = subprocess.run([sys.executable, "-c", _MEASURE], input=data, capture_output=True, check=True)
    assert int(done.stdout) * 1024 < 8 * len(data)


def test_the_limit_is_the_one_given():
    assert isinstance(read_extract(_PLAIN, line_bytes=40), Refused)
