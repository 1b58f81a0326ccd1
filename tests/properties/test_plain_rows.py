"""What is passed over as plain is what the rules, asked with care, have nothing to say of: of single rows, and of histories."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpis_batch.intake import alone, faults, histories, plain
from cpis_batch.intake.check import CheckContext, check_all
from cpis_batch.intake.lines import Refused
from cpis_batch.intake.read import read_extract
from cpis_batch.intake.rules import ACROSS_RULES, ROW_RULES, across, columns, names
from cpis_batch.nhs_number import check_digit
from cpis_batch.vocabulary import Environment
from tests.builders import HACKNEY, TODAY, nhs
from tests.extracts import context, d, extract
from tests.pages import desk

SEED = 20261120
_AROUND = [0, 1, 2, 364, 365, 366, 367]  # days before and after the business date, at which verdicts turn
_YEARS_BACK = [9, 10, 11, 17, 18, 19, 59, 60, 61, 62, 130]
_PLAIN_DAYS = [date(2026, 2, 11), date(2026, 3, 1), date(2019, 4, 30), date(1994, 8, 2)]
_LEAP_DAYS = [date(2008, 2, 29), date(2024, 2, 29), date(1970, 1, 1), date(1900, 1, 1), date(1899, 12, 31), date(2155, 12, 31)]


def _days(today: date) -> st.SearchStrategy[str]:
    near = [today + timedelta(days=sign * days) for days in _AROUND for sign in (-1, 1)]
    back = [_years_before(today, years) + timedelta(days=more) for years in _YEARS_BACK for more in (-1, 0, 1)]
    odd = ["", " ", "2026-02-29", "2026-13-01", "2026-00-10", "2026-01-00", "2026-01-32", "2026/01/01", "01/02/2024", "2026-2-11",
           " 2026-02-11", "2026-02-11 ", "2026-\u0660-11", "0000-01-01", "2156-01-01", "9999-12-31", "2026-02-1a"]  # fmt: skip
    return st.one_of(st.sampled_from([*map(str, (*_PLAIN_DAYS, *near, *back, *_LEAP_DAYS))]), st.sampled_from(odd))


def _years_before(day: date, years: int) -> date:
    return date(day.year - years, day.month, min(day.day, 28))


def _number(stem: str) -> str:
    digit = check_digit(stem)
    return f"{stem}{0 if digit is None else digit}"


_NUMBERS = st.one_of(
    st.integers(1, 200).map(nhs),
    st.integers(0, 999_999_999).map(lambda stem: _number(f"{stem:09}")),
    st.integers(999_000_000, 999_999_999).map(lambda stem: _number(str(stem))),
    st.integers(0, 9_999_999_999).map(lambda whole: f"{whole:010}"),
    st.sampled_from([str(digit) * 10 for digit in range(10)]),
    st.sampled_from(["", "999 000 0018", "999000001", "99900000181", "9.99E+09", "99900000\u0668", "99900000:8", "99900/0018"]),
)  # fmt: skip
_LETTERS = st.one_of(
    st.characters(max_codepoint=0x24F, exclude_categories=["Cs"]),
    st.characters(min_codepoint=0x1E00, max_codepoint=0x1EFF),
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from("AZaz[`{~@ -'.ÂÃ\u0080\u00bf\u0130\u0131\u017f\u212a\u0301\u0323\u1100\u1161\uff00\ufffd\U0001d15e"),
)
_NAMES = st.one_of(
    st.sampled_from(["O'Brien", "Zoë", "Nguyễn", "Sikorska-Łuc", "Fernando", "Null", "NA", "Mary", "Ngata", "Tessa"]),
    st.text(_LETTERS, max_size=5),
    st.tuples(st.sampled_from(["A", "m", "Ma", "te", "X", "n"]), st.text(_LETTERS, max_size=5)).map("".join),
    st.from_regex(names.FILLER, fullmatch=True, alphabet=st.characters(max_codepoint=0x212A)),
)


@st.composite
def _tables(draw: st.DrawFn) -> tuple[pa.Table, CheckContext]:
    """Rows as the reader gives them, ordinary save in a field or two, and as what they are checked."""
    today = draw(st.sampled_from([TODAY, date(2026, 3, 1), date(2024, 2, 29), date(2028, 2, 29)]))
    environment = draw(st.sampled_from(Environment))
    days = _days(today)
    odd = {
        "damage": st.sampled_from([None, None, "STRAY_QUOTE"]),
        "nhs_number": _NUMBERS,
        "child_id": st.one_of(st.text(_LETTERS, max_size=4), st.text(st.characters(max_codepoint=0x7F), max_size=4)),
        "family_name": _NAMES,
        "given_name": _NAMES,
        "plan_type": st.sampled_from(["CPP", "LAC", "UCPP", "", "cpp", "CPPX", "UCPPP", "CP", "LAC ", "LCA"]),
        "start_date": days,
        "end_date": st.one_of(st.just(""), days),
        "delete_date": st.one_of(st.just(""), days),
        "date_of_birth": days,
    }
    rows = []
    for line in range(draw(st.integers(1, 60))):
        kind = draw(st.sampled_from(["CPP", "LAC", "UCPP"]))
        row = {
            "line": line,
            "damage": None,
            "nhs_number": draw(st.integers(1, 200).map(nhs))
            if environment is Environment.TEST
            else _number(f"{4_000_000 + line:09}"),
            "child_id": f"LC-{line}",
            "family_name": "Smith",
            "given_name": "Zoë",
            "date_of_birth": "1994-08-02" if kind == "UCPP" else "2019-04-30",
            "plan_type": kind,
            "start_date": "2023-02-11",
            "end_date": "",
            "delete_date": "",
        }
        for field in draw(st.lists(st.sampled_from(sorted(odd)), max_size=3, unique=True)):
            row[field] = draw(odd[field])
        rows.append(row)
    schema = pa.schema([("line", pa.int32()), *((name, pa.string()) for name in rows[0] if name != "line")])
    return pa.Table.from_pylist(rows, schema=schema), CheckContext(HACKNEY, environment, today)


@settings(max_examples=150, deadline=None)
@given(_tables())
def test_of_a_plain_row_no_rule_has_anything_to_say_and_it_says_what_was_read_of_it(given_):
    rows, known = given_
    found = plain.looked_over(rows, known)
    careful = columns.typed(rows, known.business_date)
    told = faults.of_rows(ROW_RULES, careful, known)
    of_plain = {line for line, is_plain in zip(rows["line"].to_pylist(), found.plain, strict=True) if is_plain}
    assert not of_plain & set(told["line"].to_pylist())
    held = alone.each_alone(rows, known)
    assert held.those(np.ones(rows.num_rows, np.bool_)).equals(careful.select(alone.TYPED.names).cast(alone.TYPED))
    assert held.faults.sort_by([("line", "ascending"), ("code", "ascending")]).equals(
        told.sort_by([("line", "ascending"), ("code", "ascending")])
    )


def test_it_was_held_to_the_rules_as_they_are():
    """Where this fails a rule is new or another: hold the look over plain rows to it, with the tests here, then set HELD_TO."""
    assert plain.HELD_TO == plain.RULES
    assert histories.HELD_TO == histories.RULES


def test_under_other_rules_no_row_is_plain_and_verdicts_are_the_same(monkeypatch):
    data = extract(*map(d, range(40)), d(3), d(4, start_date="01/02/2026"))
    quick = check_all([read_extract(data)], [context()])
    monkeypatch.setattr(plain, "HELD_TO", "other rules")
    monkeypatch.setattr(histories, "HELD_TO", "other rules")
    assert not plain.looked_over(_rows(data), context()).plain.any()
    _same(check_all([read_extract(data)], [context()]), quick)


@pytest.mark.parametrize("environment", Environment)
def test_most_rows_are_plain(environment):
    numbers = [nhs(n) if environment is Environment.TEST else _number(f"{4_000_000 + n:09}") for n in range(200)]
    numbers = [number for number in numbers if check_digit(number[:9]) is not None]
    ends = ["", "2026-05-01", "2026-11-20"]
    rows = [
        d(n, kind, nhs_number=number, given_name=given_name, end_date=ends[n % 3])
        for n, (number, kind, given_name) in enumerate(
            zip(numbers, ["CPP", "LAC", "UCPP"] * 67, ["Zoë", "Ana", "Nguyễn", "Łucja"] * 50, strict=False)
        )
    ]
    assert plain.looked_over(_rows(extract(*rows)), context(environment)).plain.all()


def test_letters_with_marks_are_plain_where_no_rule_of_names_speaks_of_them():
    letters = [chr(point) for point in np.flatnonzero(plain.PLAIN_LETTERS)]
    assert len(letters) > 600
    written = [word for letter in letters for word in (letter, f"A{letter}", f"{letter}e{letter}", f"e{letter}a")]
    rows = _rows(extract(*(d(n, family_name=word, given_name=word) for n, word in enumerate(written))))
    assert plain.looked_over(rows, context()).plain.all()
    assert faults.of_rows(ROW_RULES, columns.typed(rows, TODAY), context()).num_rows == 0


@settings(max_examples=200, deadline=None)
@given(st.from_regex(names.FILLER, fullmatch=True), st.sampled_from(["family_name", "given_name"]))
def test_no_filler_is_plain(filler, field):
    if not set(filler) & {"\r", "\n"}:
        assert not plain.looked_over(_rows(extract(d(1, **{field: filler}))), context()).plain.any()


_SPANS = st.tuples(st.integers(0, 6), st.one_of(st.none(), st.integers(0, 5)))  # the month it starts, and for how many


@st.composite
def _persons(draw: st.DrawFn) -> list[str]:
    rows = []
    for child in draw(st.lists(st.integers(1, 6), min_size=1, max_size=20)):
        start, months = draw(_SPANS)
        fields = {
            "plan_type": draw(st.sampled_from(["CPP", "CPP", "LAC"])),
            "start_date": str(date(2026, 1 + start, 1)),
            "end_date": "" if months is None else str(date(2026, 1 + start + months - (start + months > 10), 1)),
        }
        if draw(st.integers(0, 9)) == 0:
            fields["delete_date"] = "2026-11-01"
        if draw(st.integers(0, 9)) == 0:
            fields["date_of_birth"] = "2019-05-01"
        rows.append(d(child, **fields))
    return rows


@settings(max_examples=120, deadline=None)
@given(_persons(), _persons())
def test_of_a_plain_history_no_rule_across_rows_has_anything_to_say(one, other):
    tables = [_rows(extract(*rows)) for rows in (one, other)]
    rows = pa.concat_tables(tables)
    rows = rows.set_column(0, "line", pa.array(range(rows.num_rows), pa.int32()))
    held = alone.each_alone(rows, context())
    files = np.repeat(np.arange(2), [table.num_rows for table in tables])
    everybody = np.ones(rows.num_rows, np.bool_)
    whole = held.those(everybody).append_column("file", pa.array(files)).select(across.COLUMNS)
    some = histories.to_compare(held, files, everybody)
    order = [("line", "ascending"), ("code", "ascending")]
    told = [faults.of_rows(ACROSS_RULES, table, context(), across.COMPARED).sort_by(order) for table in (whole, some)]
    assert told[0].equals(told[1])


def test_plans_one_after_the_other_are_a_plain_history():
    row = d(1, start_date="2026-01-05", end_date="2026-02-05"), d(1, start_date="2026-02-05"), d(1, "LAC"), d(2)
    rows = _rows(extract(*row))
    everybody = np.ones(4, np.bool_)
    assert histories.to_compare(alone.each_alone(rows, context()), np.zeros(4, np.int64), everybody).num_rows == 0


def test_verdicts_are_the_same_as_with_care_for_every_row(monkeypatch):
    dice = Random(SEED)
    files = [*desk.samples(), *desk.harmed(), *desk.mutants(dice, 150), *desk.odd_rows(dice, 60)]
    readings = [read_extract(file.data) for file in files]
    for today in {file.today for file in files}:
        mine = [reading for file, reading in zip(files, readings, strict=True) if file.today == today]
        for environment in Environment:
            contexts = [CheckContext(HACKNEY, environment, today)] * len(mine)
            quick = check_all(mine, contexts)
            with monkeypatch.context() as patch:
                patch.setattr(plain, "HELD_TO", "")
                patch.setattr(histories, "HELD_TO", "")
                _same(check_all(mine, contexts), quick)


def _same(one, other) -> None:
    for mine, theirs in zip(one, other, strict=True):
        assert (mine.file_outcome, mine.header) == (theirs.file_outcome, theirs.header)
        for table in ("accepted", "faults", "outcomes", "rejected"):
            assert getattr(mine, table).equals(getattr(theirs, table)), table


def _rows(data: bytes) -> pa.Table:
    reading = read_extract(data)
    assert not isinstance(reading, Refused)
    return reading.rows
