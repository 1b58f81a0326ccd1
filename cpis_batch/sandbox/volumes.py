"""How much each authority holds: the published figures of 2025, with the few that are withheld filled in.

Source: Department for Education, children looked after and child protection statistics, year to 31 March 2025, as
kept in `reference/local_authority_volumes_2025.csv` (its `estimated_register_rows` is the sum of the four counts used
here: open now, and the 365-day tail of what ended).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow.compute as pc
from pyarrow import csv

FIGURES = Path(__file__).parent.parent / "reference" / "local_authority_volumes_2025.csv"

KENT = "E10000016"

# A children's trust serves both: one certificate, two authorities (Kingston upon Thames, Richmond upon Thames).
TRUST = ("E09000021", "E09000027")


@dataclass(frozen=True, slots=True)
class Volume:
    """One authority: children and plans open on a day, and starts and ends in a year."""

    la_code: str
    name: str
    looked_after: int
    care_started: int
    care_ceased: int
    plans: int  # child protection plans, those of the unborn included
    plans_started: int
    unaccompanied: int

    @property
    def plans_ceased(self) -> int:
        """Plans that ended in the year. Not published by authority; the stock hardly moves, so as many as started."""
        return self.plans_started

    @property
    def rows(self) -> int:
        """Rows that the authority sends: open plans, and those that ended within 365 days."""
        return self.looked_after + self.care_ceased + self.plans + self.plans_ceased

    def scaled(self, scale: float) -> Volume:
        """The same authority, `scale` times as large, each count rounded."""
        return Volume(
            self.la_code,
            self.name,
            *(
                round(count * scale)
                for count in (
                    self.looked_after,
                    self.care_started,
                    self.care_ceased,
                    self.plans,
                    self.plans_started,
                    self.unaccompanied,
                )
            ),
        )


@cache
def volumes() -> dict[str, Volume]:
    """All 153 authorities by code, in the order of their codes.

    A count that is withheld because it is small is taken at the national rate for the authority's population (the
    City of London: 6 looked after, 3 plans). The Isles of Scilly publish nothing at all and are estimated to hold
    nothing: the authority that rightly sends an empty file.
    """
    figures = csv.read_csv(FIGURES).sort_by("gss_code")
    population = pc.sum(figures["population_0_17"]).as_py()
    national = {name: pc.sum(figures[name]).as_py() for name in figures.column_names[3:-1]}
    found = {}
    for row in figures.to_pylist():

        def count(name: str, row: dict[str, int | None] = row) -> int:
            if (given := row[name]) is not None:
                return given
            return round(national[name] * (row["population_0_17"] or 0) / population) if row["estimated_register_rows"] else 0

        found[row["gss_code"]] = Volume(
            row["gss_code"],
            row["name"],
            count("looked_after"),
            count("care_started"),
            count("care_ceased"),
            count("child_protection_plans"),
            count("plans_started"),
            count("unaccompanied_asylum_seeking"),
        )
    return found


def choose(count: int) -> tuple[str, ...]:
    """The codes of `count` authorities of every size: for two or more the trust's pair first, then spread from small to large.

    ValueError where there are not so many.
    """
    everyone = volumes()
    if not 1 <= count <= len(everyone):
        raise ValueError(f"there are {len(everyone)} authorities: {count} cannot be chosen")
    pair = TRUST if count > 1 else ()
    others = sorted((code for code in everyone if code not in pair), key=lambda code: (everyone[code].rows, code))
    wanted = count - len(pair)
    spread = [others[place * (len(others) - 1) // max(1, wanted - 1)] for place in range(wanted)] if wanted != 1 else [others[-1]]
    return tuple(sorted({*pair, *spread}))
