"""Names and local identifiers of invented people.

The names (`names.csv`) are those that break software: apostrophes, hyphens, accents, a comma, letters beyond Latin-1,
and words that careless programs take for an absent value (Null, None, NA, and the "nan" in Fernando).
"""

from __future__ import annotations

import csv
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.sandbox.numbers import LARGE, TESTS, Numbers

LISTS = Path(__file__).parent / "names.csv"


@cache
def _names(part: str, which: str) -> pa.Array:
    """The names of one list, each as often as its weight says."""
    rows = [
        row
        for row in csv.DictReader(LISTS.read_text(encoding="utf-8").splitlines())
        if (row["part"], row["list"]) == (part, which)
    ]
    return pa.array([row["name"] for row in rows for _ in range(int(row["weight"]))], pa.string())


def names(rng: np.random.Generator, arrived: npt.NDArray[np.bool_]) -> tuple[pa.Array, pa.Array]:
    """A family and a given name for each person; for those who `arrived` alone from abroad, from lists of their own."""

    def drawn(part: str) -> pa.Array:
        usual, abroad = _names(part, "born here"), _names(part, "arrived")
        pick = np.where(
            arrived, len(usual) + rng.integers(0, len(abroad), len(arrived)), rng.integers(0, len(usual), len(arrived))
        )
        return pa.concat_arrays([usual, abroad]).take(pa.array(pick))

    return drawn("family"), drawn("given")


def child_ids(la_code: str, nhs_numbers: Numbers) -> pa.Array:
    """The authority's own identifiers for these people, in the manner of its case system: one person, one identifier.

    They are a scrambled serial number, so that nothing of the NHS number shows in them.
    """
    style = zlib.crc32(la_code.encode())
    of = LARGE if len(nhs_numbers) and nhs_numbers[0] // 10 < TESTS.first else TESTS
    scrambled = pa.array(((nhs_numbers // 10 - of.first) * 271_829 + style) % of.stems)  # coprime to the stems of both
    serials = pc.utf8_lpad(scrambled.cast(pa.string()), len(str(of.stems - 1)), "0")
    match style % 5:
        case 0:
            return pc.binary_join_element_wise("1", serials, "")
        case 1:
            return pc.binary_join_element_wise("LC-", serials, "")
        case 2:
            return pc.binary_join_element_wise("P00", serials, "")
        case 3:
            return pc.binary_join_element_wise(pc.utf8_slice_codeunits(serials, 0, 3), pc.utf8_slice_codeunits(serials, 3), "/")
        case _:
            return pc.binary_join_element_wise("CYP", serials, "-")
