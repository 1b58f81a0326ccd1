"""NHS numbers for invented people, of ranges that are never issued, dealt out so that no two authorities share one.

The range for tests (999) has one million stems of nine digits, of which some 909,000 have a check digit: enough for three times
England. A larger England takes the numbers from 900 to 998, of which ninety million have one; no number that begins with 9 was
ever issued. The hub takes these for LIVE numbers, so an England of that size says LIVE; it is for rehearsals alone.

Each authority is dealt a block of stems in proportion to its rows, so that it can make its own people without asking any other;
a seeded permutation scatters every block over the whole range. At the largest scale of a range two thirds of it are taken, and
births and arrivals of years still fit. Beyond that several people would have one number, which no rehearsal should teach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Range:
    """Stems of nine digits from `first` on; `stride`, coprime to how many there are, permutes them."""

    first: int
    stems: int
    stride: int
    max_scale: float


TESTS = Range(999_000_000, 1_000_000, 387_423, 3.0)
LARGE = Range(900_000_000, 99_000_000, 38_742_317, 297.0)

_WEIGHTS = np.arange(10, 1, -1)
_SPARE = 1.12  # stems looked at for each number that is wanted; one in eleven has no check digit

Numbers = npt.NDArray[np.int64]


def range_of(scale: float) -> Range:
    """The range that an England of this scale takes its numbers from; ValueError where none is large enough."""
    if not 0 < scale <= LARGE.max_scale:
        raise ValueError(f"a scale of {scale} is not between 0 and {LARGE.max_scale:.0f}: there are too few numbers")
    return TESTS if scale <= TESTS.max_scale else LARGE


def check_digits(stems: Numbers) -> Numbers:
    """The tenth digits (modulus 11) of nine-digit stems; 10 where there is none."""
    digits = stems[:, None] // 10 ** np.arange(8, -1, -1) % 10
    return np.asarray((11 - digits @ _WEIGHTS % 11) % 11, dtype=np.int64)


class Numbering:
    """Deals blocks of a range to authorities, by the `rows` of each."""

    def __init__(self, seed: int, rows: Mapping[str, int], numbers: Range = TESTS) -> None:
        self.seed, self.range = seed, numbers
        held = np.array([rows[code] for code in sorted(rows)], dtype=np.int64)
        # 200 stems for everybody, so that an authority with nothing today can still have a first child.
        shares = 200 + (numbers.stems - 200 * len(held)) * held // max(1, int(held.sum()))
        ends = np.cumsum(shares)
        self._blocks = {code: (int(end - share), int(end)) for code, share, end in zip(sorted(rows), shares, ends, strict=True)}
        self.numbers_of = cache(self._numbers_of)

    def _numbers_of(self, la_code: str) -> Numbers:
        """All numbers of an authority's block, in the order in which its people get them; they are kept."""
        first, end = self._blocks[la_code]
        return self._numbers(first, end)

    def first_of(self, la_code: str, count: int) -> Numbers:
        """The first `count` numbers of its block, or all where there are not so many; not kept: a large block fills memory."""
        first, end = self._blocks[la_code]
        found = self._numbers(first, min(end, first + int(count * _SPARE) + 200))
        if len(found) < count:
            found = self._numbers(first, end)
        return found[:count]

    def _numbers(self, first: int, end: int) -> Numbers:
        places = np.arange(first, end, dtype=np.int64)
        stems = self.range.first + (places * self.range.stride + self.seed * 7919) % self.range.stems
        checks = check_digits(stems)
        numbers = stems * 10 + checks
        kept: Numbers = numbers[(checks < 10) & (numbers != 9_999_999_999)]
        return kept
