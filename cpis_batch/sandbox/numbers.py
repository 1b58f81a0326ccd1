"""NHS numbers for invented people: the 999 range, which is never issued, dealt out so that no two authorities share one.

The range has one million stems (999 and six digits), of which some 909,000 have a check digit. Each authority is dealt a
block of stems in proportion to its rows, so that it can make its own people without asking any other; a seeded
permutation scatters every block over the whole range. England as it is takes less than a quarter.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

STEMS = 1_000_000
FIRST_STEM = 999_000_000

# Three times England, with births and arrivals for years, still fits. Beyond that numbers would be held by several
# people, which no rehearsal should teach the register, so larger scales are refused.
MAX_SCALE = 3.0

_STRIDE = 387_423  # coprime to a million: multiplying by it permutes the stems
_WEIGHTS = np.arange(10, 1, -1)

Numbers = npt.NDArray[np.int64]


def check_digits(stems: Numbers) -> Numbers:
    """The tenth digits (modulus 11) of nine-digit stems; 10 where there is none."""
    digits = stems[:, None] // 10 ** np.arange(8, -1, -1) % 10
    return np.asarray((11 - digits @ _WEIGHTS % 11) % 11, dtype=np.int64)


class Numbering:
    """Deals blocks of the range to authorities, by the `rows` of each."""

    def __init__(self, seed: int, rows: Mapping[str, int]) -> None:
        self.seed = seed
        held = np.array([rows[code] for code in sorted(rows)], dtype=np.int64)
        # 200 stems for everybody, so that an authority with nothing today can still have a first child.
        shares = 200 + (STEMS - 200 * len(held)) * held // max(1, int(held.sum()))
        ends = np.cumsum(shares)
        self._blocks = {code: (int(end - share), int(end)) for code, share, end in zip(sorted(rows), shares, ends, strict=True)}
        self.numbers_of = cache(self._numbers_of)

    def _numbers_of(self, la_code: str) -> Numbers:
        """All numbers of an authority's block, in the order in which its people get them."""
        first, end = self._blocks[la_code]
        stems = FIRST_STEM + (np.arange(first, end, dtype=np.int64) * _STRIDE + self.seed * 7919) % STEMS
        checks = check_digits(stems)
        numbers = stems * 10 + checks
        kept: Numbers = numbers[(checks < 10) & (numbers != 9_999_999_999)]
        return kept
