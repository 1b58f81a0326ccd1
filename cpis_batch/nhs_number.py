"""NHS numbers: ten ASCII digits, the last a modulus 11 check digit (NHS Data Dictionary, NHS NUMBER).

Numbers are rejected, never repaired: spaces and hyphens alone may be stripped. The ten numbers made of one digit
pass or fail the arithmetic by chance and are never issued; they are refused. 999... numbers are for tests only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_DIGITS = frozenset("0123456789")
_TEN = re.compile(r"\d([ -]?\d){9}")
_STRIPPED = str.maketrans("", "", " -")


def check_digit(first_nine: str) -> int | None:
    """The tenth digit for nine ASCII digits; None where modulus 11 leaves ten, a number never issued."""
    remainder = 11 - sum(int(d) * w for d, w in zip(first_nine, range(10, 1, -1), strict=True)) % 11
    return None if remainder == 10 else remainder % 11


def is_valid(text: str) -> bool:
    """Whether `text` is an NHS number as it stands: ten ASCII digits, check digit right, not one digit ten times."""
    return len(text) == 10 and _DIGITS.issuperset(text) and len(set(text)) > 1 and check_digit(text[:9]) == int(text[9])


def may_be_in(text: str) -> bool:
    """Whether `text` holds ten digits in a row, blanks and hyphens aside: words that are kept for ever must not."""
    return _TEN.search(text) is not None


def not_one_in_sql(column: str) -> str:
    """SQL that is true where the text in `column` is not an NHS number as it stands: `is_valid` over a table."""
    weighed = " + ".join(f"{11 - place} * TRY_CAST({column}[{place}] AS INTEGER)" for place in range(1, 11))
    return (
        f"NOT regexp_full_match({column}, '[0-9]{{10}}') OR {column} = repeat({column}[1], 10)"
        f" OR coalesce(({weighed}) % 11, 1) <> 0"
    )


def numbers_for_tests(start: int = 0) -> Iterator[str]:
    """Valid numbers of the test range in rising order, from the `start`-th stem 999000000 + start on."""
    for stem in range(999_000_000 + start, 1_000_000_000):
        digit = check_digit(str(stem))
        if digit is not None and len({*str(stem), str(digit)}) > 1:
            yield f"{stem}{digit}"


@dataclass(frozen=True, slots=True, repr=False)
class NhsNumber:
    """A valid NHS number. Its repr and str are masked; `value` alone tells it."""

    value: str

    @classmethod
    def parse(cls, text: str) -> NhsNumber:
        """Strip spaces and hyphens, then hold to the rules; ValueError (without the text) where they fail."""
        candidate = text.translate(_STRIPPED)
        if not is_valid(candidate):
            raise ValueError("not a valid NHS number")
        return cls(candidate)

    @property
    def is_test(self) -> bool:
        """Whether it is of the 999 range, which is never issued to a person."""
        return self.value.startswith("999")

    def __repr__(self) -> str:
        return "NhsNumber(**********)"

    __str__ = __repr__
