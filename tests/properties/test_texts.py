"""What is asked of bytes in numpy, against the same asked of one value at a time."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from cpis_batch.intake import lines, records
from cpis_batch.intake.file_facts import facts
from cpis_batch.intake.read import read_extract
from cpis_batch.intake.texts import COUNTED, HEAD, Texts, number, numbers_in
from tests.extracts import extract, t

_VALUES = st.lists(st.one_of(st.text(max_size=12), st.sampled_from(["", "9990000018", "2026-02-11", "x" * 300])), max_size=20)


@settings(max_examples=200, deadline=None)
@given(_VALUES, _VALUES)
def test_values_are_asked_of_together_as_one_at_a_time(before, values):
    column = pa.array([*before, *values], pa.string()).slice(len(before))
    texts = Texts.of(column)
    whole = [value.encode() for value in values]
    assert texts.lengths.tolist() == [len(value) for value in whole]
    assert texts.head().tolist() == [number(value) for value in whole]
    for wanted in (1, HEAD, 10):
        places, block = texts.of_length(wanted)
        assert places.tolist() == [place for place, value in enumerate(whole) if len(value) == wanted]
        assert [bytes(value) for value in block.T] == [value for value in whole if len(value) == wanted]
        block += 1  # may be reckoned in
        found, are_numbers = numbers_in(texts.of_length(wanted)[1])
        for value, is_number, told in zip([value for value in whole if len(value) == wanted], are_numbers, found, strict=True):
            assert is_number == bool(re.fullmatch(b"[0-9]+", value))
            assert not is_number or told == int(value)
    assert texts.holding(np.flatnonzero(texts.data == ord("0"))).tolist() == [
        place for place, value in enumerate(whole) for _ in range(value.count(b"0"))
    ]
    assert texts.having("x").tolist() == [b"x" in value for value in whole]
    if all(whole) and whole:
        counts = texts.count("x").tolist()
        assert all(told == value.count(b"x") for told, value in zip(counts, whole, strict=True) if len(value) <= COUNTED)
    assert column.to_pylist() == values, "the table is as it was"


_SOUP = st.lists(
    st.sampled_from([b"D,", b"D", b",", b",,,,,,,,,", b'"', b'""', b"\r\n", b"\n", b"\r", b" ", b"a", "é".encode(), b"x," * 130]),
    max_size=40,
).map(b"".join)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(_SOUP, st.lists(st.sampled_from([b"D,1,2,,,,,,,", b'D,"a",2,,,,,,,', b"D,,", b"a"]), max_size=9).map(b"\r\n".join))
)
def test_good_lines_are_found_by_commas_as_by_the_regular_expression(data):
    cut = lines.split(data, line_bytes=4096)
    if isinstance(cut, lines.Refused):
        return
    field = r'(?:[^",\r\n]*|"(?:[^"\r\n]|"")*")'
    shape = re.compile(rf'(?:D|"D")(?:,{field}){{9}}\r?\n?')
    told = records._good(cut.text, 10).tolist()
    assert told == [bool(shape.fullmatch(line)) for line in cut.text.to_pylist()]


def test_commas_beyond_what_a_byte_counts_are_not_taken_for_few():
    line = "D" + "," * (9 + 256)
    cut = lines.split(f"{line}\nD{',' * 9}\n".encode(), line_bytes=4096)
    assert not isinstance(cut, lines.Refused)
    assert records._good(cut.text, 10).tolist() == [False, True]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a"]), max_size=20).map(b"".join), st.integers(1, 5))
def test_line_ends_are_counted_whatever_the_pieces(data, piece):
    kept, lines._PIECE = lines._PIECE, piece
    try:
        assert lines._line_ends(data) == (data.count(b"\n"), data.count(b"\r") - data.count(b"\r\n"))
    finally:
        lines._PIECE = kept


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.integers(0, 10**18 - 1).map(str),
            st.integers(0, 10**10 - 1).map(lambda n: f"{n:010}"),
            st.sampled_from(
                ["999 000 0018", "999-000-0018", "-9990000018", " ", "", "١٢٣٤٥٦٧٨٩٠", "99900000a8", "12345 67890 12345 678 9"]
            ),
        ),
        max_size=12,
    )
)
def test_the_hash_total_is_the_sum_of_whatever_are_numbers(numbers):
    rows = [f"D,{value},,,,,,,," for value in numbers]
    told = facts(read_extract(extract(*rows)))
    plain = [value.replace(" ", "").replace("-", "") for value in numbers]
    expected = sum(int(value) for value in plain if re.fullmatch("[0-9]{1,18}", value)) % 10**10
    assert told["counted_hash"] == expected
    assert told["detail_lines"] == len(rows)
    assert t(rows).startswith(f"T,{len(rows)},")
