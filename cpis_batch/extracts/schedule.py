"""The fortnights on which CHIS units are sent their extracts, counted from an anchor date, and which release is due.

Fortnights begin every fourteen days from the anchor, on either side of it. One is named by the calendar year in which it
begins and its number within that year, 01 to 27: `2026F24`. Its extract is released by the nightly run of the day on which
it begins, from the register as that night leaves it.

A missed fortnight is never released afterwards: today's plans under an old name would pass for old ones, and plans of that
time are no longer true. The next run makes one release, of the fortnight it stands in, and names those that it covers
besides; what changed meanwhile is told against the extract before, so nothing falls between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

LENGTH = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Fortnight:
    """The fourteen days that begin on `starts`."""

    starts: date

    @property
    def ends(self) -> date:
        """Its last day."""
        return self.starts + LENGTH - timedelta(days=1)

    @property
    def year(self) -> int:
        """The calendar year in which it begins."""
        return self.starts.year

    @property
    def number(self) -> int:
        """Its place among the fortnights that begin in that year, from 1 to 27."""
        return (self.starts - date(self.starts.year, 1, 1)) // LENGTH + 1

    @property
    def label(self) -> str:
        """Its name, in file names too: `2026F24`. Unique under one anchor; after a move the unit's sequence tells two apart."""
        return f"{self.year:04}F{self.number:02}"


def fortnight_of(day: date, anchor: date) -> Fortnight:
    """The fortnight in which `day` lies."""
    return Fortnight(day - (day - anchor) % LENGTH)


@dataclass(frozen=True, slots=True)
class Release:
    """A release to make now: of `fortnight`, covering besides those `missed`, oldest first."""

    fortnight: Fortnight
    missed: tuple[Fortnight, ...] = ()


def due(today: date, anchor: date, last_released: date | None) -> Release | None:
    """The release that is due on `today`, or None.

    `last_released` is the first day of the fortnight that was released last; None before the first release, which makes
    up for nothing. A clock that has gone back finds nothing due, and so does a second run within a fortnight.
    """
    current = fortnight_of(today, anchor)
    if last_released is None:
        return Release(current)
    if current.starts <= last_released:
        return None
    missed = []
    earlier = current.starts - LENGTH
    while earlier > last_released:
        missed.append(Fortnight(earlier))
        earlier -= LENGTH
    return Release(current, tuple(reversed(missed)))
