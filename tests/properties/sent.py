"""What an authority has put down, as the hand that put it there knows it: the input of the model, and no part of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.properties.plans_model import adult_on


def day_of(instant: datetime) -> date:
    """The date in England."""
    return instant.astimezone(ZoneInfo("Europe/London")).date()


@dataclass(eq=False)
class File:
    """What was put down under `name`; equal `data` stand for equal bytes. Where it is `broken` it is no message, or not yet."""

    name: str
    data: int
    kind: str
    sequence: int
    extracted_at: datetime
    rows: list
    put_at: datetime
    broken: bool = False
    sound: bool = True  # in its signature and its form
    opens: tuple[date, date] = (date.min, date.max)  # the days on which the hub has its key and the sender may sign with his
    waived: set = field(default_factory=set)  # what a person has released it from
    turned_away: bool = False  # by a person

    @property
    def extracted_on(self) -> date:
        """The day whose data it holds."""
        return day_of(self.extracted_at)

    def readable(self, today: date) -> bool:
        """Whether it is what it should be, nobody has turned it away, and it can be opened today."""
        return self.sound and not self.turned_away and not self.broken and self.opens[0] <= today <= self.opens[1]

    def waited_for(self, now: datetime) -> bool:
        """Whether it may still be on its way: what is no message is given two hours."""
        return self.broken and now - self.put_at < timedelta(hours=2)

    def parted(self, today: date) -> tuple[list, list]:
        """The rows that may be used, and those that may not."""
        good = [row for row in self.rows if _loads(row, today)]
        return good, [row for row in self.rows if row not in good]


def _loads(row: dict, today: date) -> bool:
    """Whether a row may be used, as far as these files have it: dates in their order, a child's plan in its childhood."""
    start, born = row["start_date"], row["date_of_birth"]
    in_order = start <= (row["end_date"] or start) and start <= (row["delete_date"] or start) <= max(today, start)
    return in_order and (row["plan_type"] == "UCPP" or born <= start < adult_on(row))
