"""Which rows are plainly in order: so ordinary that no rule of a row can have anything to say of them, and what is in them.

Most rows of most nights are. What is asked of them here is asked in numpy, of bytes and whole numbers, and takes a tenth of the
time that the rules take. It never says what is wrong, and it errs to one side only: a row that is not plain is looked at with
care, by `columns.TYPED` and the rules themselves, which stay the only place where they are stated.

`HELD_TO` names the rules that this was held to (tests/properties/test_plain_rows.py). Where a rule is added or changed it names
others; no row is plain then, and all are looked at with care, until somebody has held this to the new ones.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cpis_batch.intake.faults import CheckContext
from cpis_batch.intake.rules import ROW_RULES, columns, rule
from cpis_batch.intake.rules.columns import DATES
from cpis_batch.intake.rules.dates import KEPT_DAYS
from cpis_batch.intake.texts import Flags, Texts, number, numbers_in
from cpis_batch.vocabulary import Environment

RULES = rule.digest(ROW_RULES, columns.TYPED)
HELD_TO = "580b884e03146d1e94a4be4a8f2b0e7d7cf1ec914cc0c601da991e7e82ab6a13"

_ROWS = 32_768  # looked at at a time: what fits a cache
_Days = npt.NDArray[np.int32]

_FIRST_YEAR, _AFTER_LAST_YEAR = 1900, 2156  # of which a date is told here


def _place(year: Any, month: Any, day: Any) -> Any:
    return (year - _FIRST_YEAR) * 512 + month * 32 + day


def _calendar() -> _Days:
    """At the place of a day, how many days it is since 1970; 0 is at those that the calendar does not have, and at 1970-01-01."""
    found = np.zeros(_place(_AFTER_LAST_YEAR, 0, 0), np.int32)
    days = np.arange(f"{_FIRST_YEAR}-01-01", f"{_AFTER_LAST_YEAR}-01-01", dtype="datetime64[D]")
    years, months = days.astype("datetime64[Y]"), days.astype("datetime64[M]")
    of_month, of_year = (days - months).astype(np.int64) + 1, (months - years).astype(np.int64) + 1
    found[_place(years.astype(np.int64) + 1970, of_year, of_month)] = days.astype(np.int32)
    return found


_CALENDAR = _calendar()

_EIGHTEEN, _TEN, _SIXTY_ONE = 18_0000, 10_0000, 61_0000  # years, as the difference of two dates written 20260228
_CPP, _LAC, _UCPP = (number(plan_type) for plan_type in (b"CPP", b"LAC", b"UCPP"))

# How the fillers of names begin (`rules.names`), in four small letters or blanks.
_FILLERS = np.array(
    [
        number(word.ljust(4))
        for word in (
            b"unkn", b"not ", b"unna", b"n/k", b"n/a", b"nk", b"tba", b"tbc", b"x", b"xx", b"xxx", b"test", b"baby", b"unbo",
            b"infa", b"male", b"fema", b"twin",
        )
    ],
    np.uint32,
)  # fmt: skip
_BLANKS = np.uint32(number(b"    "))  # what makes small letters of capitals


def _plain_letters() -> Flags:
    """Of each character below U+2000, whether it is a Latin letter with a mark that is in NFC wherever it stands.

    Not those that a search without regard to case takes for a letter of ASCII: U+017F is an S to it.
    """
    found = np.zeros(0x2000, np.bool_)
    for point in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        letter = chr(point)
        found[point] = (
            unicodedata.category(letter).startswith("L")
            and unicodedata.is_normalized("NFC", letter)
            and not (len(letter.casefold()) == 1 and letter.casefold().isascii())
        )
    return found


PLAIN_LETTERS = _plain_letters()


@dataclass(frozen=True, slots=True, repr=False)
class Plain:
    """Of each row: whether it is `plain`, and, where it is, its NHS number as a number and its dates in days since 1970.

    `known`: whether there is such a date; the last two may be absent. Of a row that is not plain these tell nothing.
    """

    plain: Flags
    nhs_values: npt.NDArray[np.int64]
    days: dict[str, _Days]
    known: dict[str, Flags]


def looked_over(rows: pa.Table, context: CheckContext) -> Plain:
    """The plain ones among rows as they were read (intake.records)."""
    found = Plain(
        np.zeros(rows.num_rows, np.bool_),
        np.zeros(rows.num_rows, np.int64),
        {field: np.zeros(rows.num_rows, np.int32) for field in DATES},
        {field: np.zeros(rows.num_rows, np.bool_) for field in DATES},
    )
    if RULES != HELD_TO:
        return found
    begin = 0
    for batch in rows.to_batches(max_chunksize=_ROWS):
        some = slice(begin, begin + batch.num_rows)
        begin += batch.num_rows
        _look_over(
            batch,
            context,
            Plain(
                found.plain[some],
                found.nhs_values[some],
                {field: days[some] for field, days in found.days.items()},
                {field: known[some] for field, known in found.known.items()},
            ),
        )
    return found


def _look_over(rows: pa.RecordBatch, context: CheckContext, found: Plain) -> None:
    """Write into `found`."""
    texts = {name: Texts.of(rows[name]) for name in rows.schema.names if name not in ("line", "damage")}
    plain = np.ones(rows.num_rows, np.bool_)
    if rows["damage"].null_count < rows.num_rows:
        plain &= rows["damage"].is_null().to_numpy(zero_copy_only=False)
    plain &= _numbers(texts["nhs_number"], context.environment, found.nhs_values)
    plain &= _ids(texts["child_id"]) & _names(texts["family_name"]) & _names(texts["given_name"])
    ymd = {field: _dates(texts[field], found.days[field], found.known[field]) for field in DATES}
    for field in ("date_of_birth", "start_date"):
        plain &= found.known[field]
    for field in ("end_date", "delete_date"):
        plain &= found.known[field] | (texts[field].lengths == 0)
    plain &= _in_order(found, context.business_date)
    found.plain[:] = plain & _of_age(texts["plan_type"], ymd, found.known["end_date"], context.business_date)


def _numbers(texts: Texts, environment: Environment, value: npt.NDArray[np.int64]) -> Flags:
    """Ten digits with the right check digit, not all the same, of the range that the environment has; and which number."""
    places, digits = texts.of_length(10)
    numbers, good = numbers_in(digits)
    weighed = np.zeros(len(places), np.uint16)
    for place, digit in enumerate(digits):
        weighed += digit * np.uint16(10 - place)  # all weighed, the zeros that ASCII begins at are a multiple of 11
    for_tests = (digits[:3] == ord("9")).all(axis=0)
    good &= (weighed % 11 == 0) & (digits[1:] != digits[0]).any(axis=0)
    good &= for_tests if environment is Environment.TEST else ~for_tests
    value[places] = numbers
    found = np.zeros(len(texts.lengths), np.bool_)
    found[places] = good
    return found


def _ids(texts: Texts) -> Flags:
    """Printable ASCII that begins with a letter or a digit."""
    first = texts.head() & 0xFF
    small = first | 0x20
    found: Flags = ((small >= ord("a")) & (small <= ord("z"))) | ((first >= ord("0")) & (first <= ord("9")))
    found[texts.holding(np.flatnonzero((texts.data < 0x20) | (texts.data > 0x7E)))] = False
    return found


def _names(texts: Texts) -> Flags:
    """Printable ASCII and Latin letters with marks, from `A` on, that do not begin as a filler does."""
    head = texts.head()
    small = head | _BLANKS
    found = (head & 0xFF) >= ord("A")
    for filler in _FILLERS:
        found &= small != filler
    data = texts.data
    found[texts.holding(np.flatnonzero((data < 0x20) | (data == 0x7F)))] = False
    leads = np.flatnonzero(data >= 0xC0)  # the first byte of each character that is not ASCII
    if len(leads):
        found[texts.holding(leads[~PLAIN_LETTERS[_characters(data, leads)]])] = False
    return found


def _characters(data: npt.NDArray[np.uint8], leads: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Which characters of UTF-8 begin there: those of two bytes, and of three below U+2000. Of all others 0."""
    first, second = data[leads].astype(np.intp), data[leads + 1].astype(np.intp) & 0x3F
    third = data[np.minimum(leads + 2, len(data) - 1)].astype(np.intp) & 0x3F
    of_two, of_three = (first & 0x1F) << 6 | second, (first & 0xF) << 12 | second << 6 | third
    return np.where(first < 0xE0, of_two, np.where(first == 0xE1, of_three, 0))


def _dates(texts: Texts, days: _Days, known: Flags) -> npt.NDArray[np.int32]:
    """Write the day of each date in ISO 8601, from 1900 on, and that it is one; the dates as numbers, 20260228."""
    places, digits = texts.of_length(10)
    good = (digits[4] == ord("-")) & (digits[7] == ord("-"))
    digits -= ord("0")
    for place in (0, 1, 2, 3, 5, 6, 8, 9):
        good &= digits[place] <= 9
    years = digits[0] * np.int32(1000) + digits[1] * np.int32(100) + digits[2] * np.int32(10) + digits[3]
    months, days_of_month = digits[5] * np.int32(10) + digits[6], digits[8] * np.int32(10) + digits[9]
    good &= (years >= _FIRST_YEAR) & (years < _AFTER_LAST_YEAR) & (months <= 12) & (days_of_month <= 31)
    found = _CALENDAR[np.where(good, _place(years, months, days_of_month), 0)]
    days[places] = found
    known[places] = good & (found != 0)
    ymd = np.zeros(len(texts.lengths), np.int32)
    ymd[places] = years * 10_000 + months * 100 + days_of_month
    return ymd


def _in_order(found: Plain, today: date) -> Flags:
    """Born, started, ended or entered in error in that order; nothing lies ahead, and the end not longer ago than is kept."""
    now = np.int32((today - date(1970, 1, 1)).days)
    born, start, end, deleted = (found.days[field] for field in DATES)
    ended = (start <= end) & (end <= now) & (end >= now - KEPT_DAYS)
    struck = (start <= deleted) & (deleted <= now)
    order: Flags = (born <= start) & (start <= now)
    return order & (ended | ~found.known["end_date"]) & (struck | ~found.known["delete_date"])


def _of_age(plan_type: Texts, ymd: dict[str, npt.NDArray[np.int32]], has_end: Flags, today: date) -> Flags:
    """A child's plan that starts under 18, and is not open from then on; or a mother's, of 10 to 60."""
    types = np.where(plan_type.lengths <= 4, plan_type.head(), 0)
    born = ymd["date_of_birth"]
    at_start = ymd["start_date"] - born
    now = today.year * 10_000 + today.month * 100 + today.day - born
    child = ((types == _CPP) | (types == _LAC)) & (at_start < _EIGHTEEN) & (has_end | (now < _EIGHTEEN))
    mother = (types == _UCPP) & (at_start >= _TEN) & (at_start < _SIXTY_ONE)
    of_age: Flags = child | mother
    return of_age
