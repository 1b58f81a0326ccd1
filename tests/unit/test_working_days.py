"""England's working days, and the years that the calendar knows."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cpis_batch import organisations
from cpis_batch.errors import ConfigFault
from cpis_batch.national.schema import TAIL_DAYS
from cpis_batch.working_days import WorkingDays
from tests.builders import TODAY

DAY = timedelta(days=1)
ENGLAND = organisations.load().working_days


def easter(year: int) -> date:
    """Easter Sunday by the tables of the Book of Common Prayer, as Gauss has them: the calendar's own rule is not asked."""
    century = year // 100
    shift = (15 + century - century // 4 - (13 + 8 * century) // 25) % 30
    moon = (19 * (year % 19) + shift) % 30
    moon -= moon // 29 + (moon // 28 - moon // 29) * ((year % 19) // 11)
    march = date(year, 3, 21) + DAY * moon
    return march + DAY * (7 - (march.weekday() + 1) % 7)


def mondays(year: int, month: int) -> list[date]:
    days = (date(year, month, 1) + DAY * place for place in range(31))
    return [day for day in days if day.month == month and day.weekday() == 0]


def by_the_law(year: int) -> set[date]:
    """The bank holidays of a year: those of a weekend move to the next weekdays that are free."""
    found = {easter(year) - 2 * DAY, easter(year) + DAY, mondays(year, 5)[0], mondays(year, 5)[-1], mondays(year, 8)[-1]}
    for holiday in (date(year, 1, 1), *sorted((date(year, 12, 25), date(year, 12, 26)), key=lambda one: one.weekday() > 4)):
        found.add(next(day for ahead in range(7) if (day := holiday + DAY * ahead).weekday() < 5 and day not in found))
    return found


def test_easter_is_where_the_almanac_has_it():
    assert [easter(year) for year in (2024, 2025, 2038, 2011)] == [
        date(2024, 3, 31), date(2025, 4, 20), date(2038, 4, 25), date(2011, 4, 24),
    ]  # fmt: skip


@pytest.mark.parametrize("year", range(2024, 2030))
def test_the_holidays_of_each_year_are_those_of_the_law(year):
    assert {day for day in ENGLAND.holidays if day.year == year} == by_the_law(year)


def test_the_calendar_covers_the_tail_of_today_s_register_and_three_years_to_come():
    for day in (TODAY - TAIL_DAYS * DAY, TODAY.replace(year=TODAY.year + 3)):
        ENGLAND.is_one(day)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 11, 20), True),  # a Friday
        (date(2026, 11, 21), False),
        (date(2026, 11, 22), False),
        (date(2026, 12, 25), False),
        (date(2026, 12, 28), False),  # for Boxing Day, a Saturday
        (date(2026, 12, 29), True),
        (date(2027, 12, 27), False),
        (date(2027, 12, 28), False),  # for both days of Christmas, a weekend
        (date(2028, 1, 3), False),  # for New Year's Day, a Saturday
    ],
)
def test_weekends_and_bank_holidays_are_no_working_days(day, works):
    assert ENGLAND.is_one(day) is works


@pytest.mark.parametrize(
    ("day", "count", "then"),
    [
        (date(2026, 11, 20), 0, date(2026, 11, 20)),
        (date(2026, 11, 20), 1, date(2026, 11, 23)),
        (date(2026, 11, 21), 1, date(2026, 11, 23)),
        (date(2026, 12, 11), 15, date(2027, 1, 6)),  # over Christmas and New Year, which take three
        (date(2026, 3, 27), 15, date(2026, 4, 21)),  # over Easter
    ],
)
def test_a_clock_runs_on_working_days_alone(day, count, then):
    assert ENGLAND.after(day, count) == then
    numbered = {row["day"]: row["number"] for row in ENGLAND.numbered(day, then).to_pylist()}
    assert numbered[then] - numbered[day] == count


@pytest.mark.parametrize("day", [date(2023, 12, 29), date(2030, 1, 2)])
def test_a_year_that_the_table_lacks_is_a_fault_that_says_what_to_add(day):
    with pytest.raises(ConfigFault, match=str(day.year)) as fault:
        ENGLAND.is_one(day)
    assert "bank_holidays.csv" in fault.value.advice
    with pytest.raises(ConfigFault, match="no year"):
        WorkingDays(frozenset()).is_one(day)


def test_a_year_with_too_few_holidays_is_a_fault():
    with pytest.raises(ConfigFault, match="7 days of 2026"):
        WorkingDays(ENGLAND.holidays - {date(2026, 5, 4)})
    with pytest.raises(ConfigFault, match="0 days of 2026"):
        WorkingDays(frozenset(day for day in ENGLAND.holidays if day.year != 2026))


def test_a_home_adds_a_holiday_by_a_table_of_its_own(tmp_path):
    packaged = organisations.Path(organisations.__file__).parent / "reference" / "bank_holidays.csv"
    own = packaged.read_text(encoding="utf-8") + "2027-05-10,A coronation,proclaimed for this year\n"
    (tmp_path / "bank_holidays.csv").write_text(own, encoding="utf-8")
    assert not organisations.load(tmp_path).working_days.is_one(date(2027, 5, 10))
    (tmp_path / "bank_holidays.csv").write_text(own + "2027-05-10,Again,by mistake\n", encoding="utf-8")
    with pytest.raises(ConfigFault, match="there twice"):
        organisations.load(tmp_path)
