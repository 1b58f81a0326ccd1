"""What is passed over as plain is what the rules, asked with care, have nothing to say of: of single rows, and of histories."""

from __future__ import annotations

import os
from datetime import date, timedelta
from random import Random, SystemRandom

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

SEED = int(os.environ.get("CPIS_SEED", SystemRandom().randrange(2**32)))
_ROWS = 8_000
_DAYS_CHECKED = (TODAY, date(2026, 3, 1), date(2024, 2, 29), date(2028, 2, 29))
_AROUND = (0, 1, 2, 364, 365, 366, 367)  # days before and after the business date, at which verdicts turn
_YEARS_BACK = (9, 10, 11, 17, 18, 19, 59, 60, 61, 62, 110)
_ODD_DAYS = (
    "", " ", "2026-02-29", "2026-13-01", "2026-00-10", "2026-01-00", "2026-01-32", "2026-04-31", "2026/01/01", "01/02/2024",
    "2026-2-11", " 2026-02-11", "2026-02-11 ", "2026-\u0660-11", "0000-01-01", "2156-01-01", "9999-12-31", "2026-02-1a",
    "2026-02-1:", "2o26-02-11", "1899-12-31", "1900-01-01", "1970-01-01", "2155-12-31", "2008-02-29", "2025-02-29",
)  # fmt: skip
_ODD_NUMBERS = (
    "", "999 000 0018", "999000001", "99900000181", "9.99E+09", "99900000\u0668", "99900000:8", "99900/0018", "9990000018 ",
    *(str(digit) * 10 for digit in range(10)),
)  # fmt: skip
_PLAIN_NAMES = ("O'Brien", "Zoë", "Nguyễn", "Sikorska-Łuc", "Fernando", "Null", "NA", "Mary", "Ngata", "Tessa", "Weiß", "A")
_ODD_LETTERS = "AZaz[`{~@ -'.=+ÂÃ\u0080\u00bf\u0130\u0131\u017f\u212a\u0301\u0323\u1100\u1161\uff00\ufffd\U0001d15e\x01\x7f"
_FILLERS = (
    "unknown", "Not Known", "n/k", "N/A", "nk", "tbc", "x", "XX", "xxx", "test", "Baby boy", "unborn", "infant", "Male", "twin 2",
    "te\u017ft", "un\u212anown", "N\u212a", "tw\u0131n", "\u0131nfant",
)  # fmt: skip
_APART = ("か\u3099", "\u1112\u1161", "A\u0301", "Ω\u0301")  # not in NFC
_MISREAD = ("A\u00c3\u00aa", "A\u00c2\u00ba", "A\u00c3\u00b5", "Zo\u00c3\u00ab")


def _word(dice: Random) -> str:
    below = dice.choice((0x80, 0x250, 0x1F00, 0x3000, 0x110000))
    letters = "".join(dice.choice((_anything(dice, below), dice.choice(_ODD_LETTERS))) for _ in range(dice.randint(0, 4)))
    return dice.choice(("", "", "A", "Ma", "te", "n")) + letters


def _anything(dice: Random, below: int) -> str:
    point = dice.randrange(0x1E00 if below == 0x1F00 else 1, below)
    return "a" if 0xD800 <= point < 0xE000 else chr(point)


def _day(dice: Random, today: date) -> str:
    match dice.randrange(5):
        case 0:
            return dice.choice(_ODD_DAYS)
        case 1:
            return str(
                date(today.year - dice.choice(_YEARS_BACK), today.month, min(today.day, 28)) + timedelta(dice.randint(-2, 2))
            )
        case _:
            return str(today + timedelta(dice.choice((-1, 1)) * dice.choice(_AROUND)))


def _number(stem: int) -> str:
    return f"{stem:09}{check_digit(f'{stem:09}') or 0}"


def _row(dice: Random, environment: Environment, today: date) -> dict[str, str | None]:
    """A row as the reader gives it, ordinary save in up to three fields."""
    kind = dice.choice(("CPP", "LAC", "UCPP"))
    row: dict[str, str | None] = {
        "damage": None,
        "nhs_number": _number(dice.randrange(999_000_000, 10**9) if environment is Environment.TEST else dice.randrange(10**9)),
        "child_id": f"LC-{dice.randrange(1000)}",
        "family_name": dice.choice(_PLAIN_NAMES),
        "given_name": dice.choice(_PLAIN_NAMES),
        "date_of_birth": "1994-08-02" if kind == "UCPP" else "2019-04-30",
        "plan_type": kind,
        "start_date": "2021-02-11",
        "end_date": "",
        "delete_date": "",
    }
    for field in dice.sample(sorted(row), dice.randint(0, 3)):
        row[field] = _odd(field, dice, today)
    if dice.random() < 0.3:
        row |= _beside(str(row["start_date"]), dice)
    return row


def _beside(start: str, dice: Random) -> dict[str, str]:
    """A date of one's own that turns verdicts by how far it lies from the start of the plan."""
    field, years = dice.choice((("date_of_birth", dice.choice((0, 10, 11, 18, 19, 60, 61))), ("end_date", 0), ("delete_date", 0)))
    try:
        day = date.fromisoformat(start)
        return {field: str(day.replace(year=day.year - years) + timedelta(dice.choice((-1, 0, 0, 1))))}
    except (ValueError, OverflowError):  # it is no date, or the calendar has no such day
        return {}


def _odd(field: str, dice: Random, today: date) -> str | None:
    match field:
        case "damage":
            return dice.choice((None, None, "STRAY_QUOTE"))
        case "nhs_number":
            return dice.choice((dice.choice(_ODD_NUMBERS), f"{dice.randrange(10**10):010}", _number(dice.randrange(10**9))))
        case "plan_type":
            return dice.choice(("CPP", "LAC", "UCPP", "", "cpp", "CPPX", "UCPPX", "CP", "LAC ", "LCA"))
        case "end_date" | "delete_date":
            return dice.choice(("", _day(dice, today)))
        case "date_of_birth" | "start_date":
            return _day(dice, today)
    return dice.choice(
        (_word(dice), _word(dice), dice.choice((*_MISREAD, *_APART)), dice.choice(_FILLERS) + dice.choice(("", " ", "y")))
    )


@pytest.mark.parametrize("today", _DAYS_CHECKED)
@pytest.mark.parametrize("environment", Environment)
def test_of_a_plain_row_no_rule_has_anything_to_say_and_it_says_what_was_read_of_it(environment, today):
    dice = Random(f"{SEED} {environment} {today}")
    schema = pa.schema([("line", pa.int32()), *((name, pa.string()) for name in _row(dice, environment, today))])
    made = [{"line": line} | _row(dice, environment, today) for line in range(_ROWS)]
    rows, known = pa.Table.from_pylist(made, schema=schema), CheckContext(HACKNEY, environment, today)
    found = plain.looked_over(rows, known)
    assert _ROWS / 8 < found.plain.sum() < _ROWS / 2, "rows of both kinds were among them"
    careful = columns.typed(rows, today)
    order = [("line", "ascending"), ("code", "ascending")]
    told = faults.of_rows(ROW_RULES, careful, known).sort_by(order)
    faulty = set(told["line"].to_pylist())
    assert not [(SEED, row) for row, is_plain in zip(made, found.plain, strict=True) if is_plain and row["line"] in faulty]
    held = alone.each_alone(rows, known)
    assert held.those(np.ones(_ROWS, np.bool_)).equals(careful.select(alone.TYPED.names).cast(alone.TYPED)), SEED
    assert held.faults.sort_by(order).equals(told), SEED


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
    numbers = [nhs(n) if environment is Environment.TEST else _number(4_000_000 + n) for n in range(200)]
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


@st.composite
def _persons(draw: st.DrawFn) -> list[str]:
    rows = []
    for child in draw(st.lists(st.integers(1, 6), min_size=1, max_size=20)):
        start, days = date(2026, 1, 1) + timedelta(draw(st.integers(0, 7))), draw(st.one_of(st.none(), st.integers(0, 4)))
        fields = {
            "plan_type": draw(st.sampled_from(["CPP", "CPP", "LAC"])),
            "start_date": str(start),
            "end_date": "" if days is None else str(start + timedelta(days)),
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
