"""England's working days: Monday to Friday but for the bank holidays (reference/bank_holidays.csv).

The calendar knows whole years, from the first that its holidays name to the last, and refuses every other day: a clock that
went on without holidays would run out too early.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from cpis_batch.errors import ConfigFault

_DAY = timedelta(days=1)
_SATURDAY = 5
HOLIDAYS_A_YEAR = 8  # by law; a proclamation adds some, none takes one away

# A row a day: `number` counts the working days from the first row's day on, both included.
NUMBERED = pa.schema([pa.field("day", pa.date32(), nullable=False), pa.field("number", pa.int64(), nullable=False)])


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """The calendar. ConfigFault from every question about a day of a year that it does not know."""

    holidays: frozenset[date]

    def __post_init__(self) -> None:
        years = [day.year for day in self.holidays]
        for year in range(min(years, default=0), max(years, default=-1) + 1):
            if years.count(year) < HOLIDAYS_A_YEAR:
                raise ConfigFault(
                    f"Reference bank_holidays.csv has {years.count(year)} days of {year}; England has {HOLIDAYS_A_YEAR} or more.",
                    "Put every bank holiday of that year into the home's reference/bank_holidays.csv.",
                )

    def is_one(self, day: date) -> bool:
        """Whether people are at work on `day`."""
        self._hold_to_the_years(day)
        return day.weekday() < _SATURDAY and day not in self.holidays

    def after(self, day: date, count: int) -> date:
        """The `count`-th working day after `day`, which itself does not count whatever it is."""
        while count > 0:
            day += _DAY
            count -= self.is_one(day)
        return day

    def numbered(self, first: date, last: date) -> pa.Table:
        """NUMBERED of the days from `first` to `last`: the working days after a day up to another are the difference."""
        days = [first + _DAY * place for place in range((last - first).days + 1)]
        number, numbers = 0, []
        for day in days:
            number += self.is_one(day)
            numbers.append(number)
        return pa.table([days, numbers], schema=NUMBERED)

    def _hold_to_the_years(self, day: date) -> None:
        years = {holiday.year for holiday in self.holidays}
        if day.year not in years:
            known = f"{min(years)} to {max(years)}" if years else "no year"
            raise ConfigFault(
                f"Reference bank_holidays.csv has {known}; a clock in working days was asked about {day.year}.",
                "Put that year's bank holidays into the home's reference/bank_holidays.csv (copy the program's and add them).",
            )
