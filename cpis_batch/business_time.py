"""Europe/London for business dates, UTC for instants; both are always passed in, never read by the core."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")


def business_date(instant: datetime) -> date:
    """The date in England at `instant` (which must have a zone)."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return instant.astimezone(LONDON).date()


def start_of(day: date) -> datetime:
    """The instant, in UTC, at which `day` begins in England."""
    return datetime.combine(day, time(), LONDON).astimezone(UTC)


def text_of(instant: datetime) -> str:
    """An instant as we write it everywhere: UTC, to the second, with Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def birthday(date_of_birth: date, age: int) -> date:
    """The day on which somebody born on `date_of_birth` turns `age`; for 29 February it is 1 March in common years."""
    try:
        return date_of_birth.replace(year=date_of_birth.year + age)
    except ValueError:
        return date(date_of_birth.year + age, 3, 1)


def days_between(earlier: datetime, later: datetime) -> int:
    """Whole days of England's calendar between two instants."""
    return (business_date(later) - business_date(earlier)) // timedelta(days=1)
