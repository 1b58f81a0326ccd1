"""Whatever the bytes: the reader never raises, loses no line, and its rules agree with a plain check row by row."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cpis_batch import nhs_number
from cpis_batch.intake.lines import Refused
from cpis_batch.intake.read import read_extract
from tests.builders import nhs
from tests.extracts import codes, d, each_row_codes, extract, judged, outcomes

_PIECES = st.sampled_from(
    [b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"D,", b"H,", b"T,", b"D", b"\xef\xbb\xbf", b"\xeb", b"\0", b" ", b"\t", b";",
     b"=", "Zoë".encode(), "\u2028".encode(), b"9990000018", b"2026-01-01", b"CPP", b",,,,,,,,,", b"record_type,", b"x" * 5000]
)  # fmt: skip
_SOUP = st.lists(st.one_of(_PIECES, st.binary(max_size=4)), max_size=40).map(b"".join)
_WHOLE = extract(*(d(n, family_name="Smith, Jones") for n in range(6)))


@settings(max_examples=300, deadline=None)
@given(st.one_of(_SOUP, st.binary(max_size=200)))
def test_the_reader_never_raises(data):
    read_extract(data)


@settings(max_examples=60, deadline=None)
@given(_SOUP)
def test_the_check_never_raises_on_whatever_stands_in_a_file_of_ours(soup):
    judged(extract(d(1), "@@", d(2)).replace(b"@@", soup))


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """A good file with a few of its bytes cut out, doubled or replaced."""
    data = bytearray(_WHOLE)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 60)))
        data[at:until] = draw(st.one_of(_PIECES, st.just(bytes(data[at:until]) * 2), st.just(b"")))
    return bytes(data)


@settings(max_examples=120, deadline=None)
@given(_mutated())
def test_every_line_that_is_none_of_header_trailer_or_blank_gets_exactly_one_outcome(data):
    reading = read_extract(data)
    if isinstance(reading, Refused):
        return
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    filled = {number for number, line in enumerate(lines, start=1) if line.strip(b", \t\r")}
    special = {*reading.header.lines, *reading.trailer.lines, *({reading.heading_line} - {None})}
    numbers = reading.rows["line"].to_pylist()
    assert numbers == sorted(filled - special)
    verdict = judged(data)
    if verdict.outcomes.num_rows:
        assert list(outcomes(verdict)) == numbers
    loaded = [line for line, outcome in outcomes(verdict).items() if outcome == "CPR06"]
    assert verdict.accepted["line"].to_pylist() == loaded


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.integers(1, 9), st.data())
def test_f32_an_unclosed_quote_harms_its_own_line_only(row, column, data):
    rows = [d(n, family_name="Smith, Jones", end_date="2026-10-01", delete_date="2026-10-02") for n in range(10)]
    fields = d(row).split(",")
    fields[column] = '"' + data.draw(st.sampled_from(["", "x", "x,y", '""'])) + fields[column]
    harmed = judged(extract(*rows[:row], ",".join(fields), *rows[row + 1 :], trailer=extract(*rows).decode().splitlines()[-1]))
    at_fault = {line for line, code in codes(harmed) if not code.startswith("CPB-15")}  # its number may be missing in the total
    assert at_fault == {row + 2}
    if harmed.file_outcome == "CPF03":
        assert harmed.accepted["line"].to_pylist() == [line for line in range(2, 12) if line != row + 2]
    else:
        assert column == 1


# The oracle: the rules of NHS numbers and dates, one row at a time, as the specification words them.


def _number_is_right(text: str) -> bool:
    return nhs_number.is_valid(text.strip(" ").replace(" ", "").replace("-", ""))


def _date_is_right(text: str) -> bool:
    text = text.strip(" ")
    if len(text) != 10 or not all(character in "0123456789-" for character in text):
        return False
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_NUMBER = st.one_of(
    st.integers(0, 500).map(nhs),
    st.text("0123456789", min_size=8, max_size=11),
    st.text("0123456789 -eE+.\u0661\uff11OX", max_size=12),
    st.integers(0, 500).map(lambda n: f"{nhs(n)[:3]} {nhs(n)[3:6]}-{nhs(n)[6:]}"),
)
_DATE = st.one_of(
    st.dates(date(1990, 1, 1), date(2026, 1, 1)).map(str),
    st.tuples(st.integers(1890, 2040), st.integers(0, 13), st.integers(0, 32)).map(lambda d: f"{d[0]:04d}-{d[1]:02d}-{d[2]:02d}"),
    st.text("0123456789-/.: T", max_size=12),
    st.sampled_from(["infinity", "-infinity", "epoch", "today", "2024-1-5", "2024-02-30", "0000-00-00", "2024-01-05 (BC)"]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(_NUMBER, min_size=20, max_size=60))
def test_f34_numbers_are_judged_as_by_the_plain_rule(numbers):
    days = [{"start_date": str(date(2025, 1, 1) + timedelta(days=n)), "end_date": "2026-01-31"} for n in range(len(numbers))]
    found = each_row_codes([{"nhs_number": number} | day for number, day in zip(numbers, days, strict=True)])
    for number, row in zip(numbers, found, strict=True):
        wrong = [code for code in row if code.startswith(("CPB-30", "CPB-31"))]
        assert len(wrong) == (0 if _number_is_right(number) else 1), (number, row)


@settings(max_examples=25, deadline=None)
@given(st.lists(_DATE, min_size=20, max_size=60))
def test_f36_dates_are_judged_as_by_the_plain_rule(dates):
    found = each_row_codes([{"delete_date": written} for written in dates])
    for written, row in zip(dates, found, strict=True):
        unread = [code for code in row if code.startswith("CPB-54")]
        absent = not written.strip(" ")
        assert len(unread) == (0 if absent or _date_is_right(written) else 1), (written, row)
