"""A month's access report as an authority gets it: the lines as CSV, a page for managers, a workbook (specs/access-report/1.0).

Every chart has its figures as a table. The page is made in Python from the month's lines, since it walks them anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from cpis_batch import charts, csv_text, pages
from cpis_batch.access.month import OFTEN, OFTEN_DAYS, Month, Seen
from cpis_batch.access.render import PLAN_WORDS, VERSION, access_sheet, only, tally
from cpis_batch.business_time import LONDON
from cpis_batch.spec import table_schema
from cpis_batch.workbook import Sheet, counts, text, workbook

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_AREA = {"N": "In your area", "Y": "Out of your area", None: "Not known"}
_BARS = 12  # organisations in the chart; the table has all


def render(seen: Seen, month: Month, *, la_code: str, la_name: str, made_at: datetime) -> dict[str, bytes]:
    """The files of one authority's month, by name. Bug where a line is another authority's."""
    if seen.rows.num_rows:
        only(seen.rows, la_code)
    looks = seen.rows.to_pylist()
    view = _view(looks, seen, month)
    return {
        "access-month.csv": csv_text.to_csv(seen.rows.select(table_schema("access-report", VERSION, "report").names)),
        "access-month.html": _page(view, month, la_code=la_code, la_name=la_name),
        "access-month.xlsx": _workbook(view, looks, month, la_code=la_code, la_name=la_name, made_at=made_at),
    }


def _view(looks: list[dict[str, Any]], seen: Seen, month: Month) -> dict[str, Any]:
    there = [look["accessed_at"].astimezone(LONDON) for look in looks]
    days = Counter(at.date() for at in there)
    every = [month.first + timedelta(days=step) for step in range((month.last - month.first).days + 1)]
    area = Counter(look["out_of_area"] for look in looks)
    return {
        "accesses": len(looks),
        "people": len({look["nhs_number"] for look in looks}),
        "settings": tally(looks, "care_setting_code", "care_setting"),
        "organisations": tally(looks, "organisation_code", "organisation_name"),
        "days": [(day, days[day]) for day in every],
        "hours": Counter((_WEEKDAYS[at.weekday()], f"{at.hour:02}") for at in there),
        "areas": [(words, area[code]) for code, words in _AREA.items() if area[code]],
        "away": [look for look in looks if look["out_of_area"] == "Y"],
        "often": seen.often.to_pylist(),
        "first": seen.first.to_pylist(),
    }


def _page(view: Mapping[str, Any], month: Month, *, la_code: str, la_name: str) -> bytes:
    charted = {
        "settings": charts.bars(
            "Accesses by setting", _most(view["settings"]), [(s["name"], s["accesses"]) for s in view["settings"]]
        ),
        "organisations": charts.bars(
            "Accesses by organisation",
            _most(view["organisations"]),
            [(one["name"], one["accesses"]) for one in view["organisations"][:_BARS]],
        ),
        "days": charts.columns("Accesses by day", _busiest(view["days"]), [(str(day.day), count) for day, count in view["days"]]),
        "hours": charts.cells(
            "Accesses by hour and day of the week",
            _peak(view["hours"]),
            view["hours"],
            down=_WEEKDAYS,
            across=[f"{hour:02}" for hour in range(24)],
        ),
        "areas": charts.bars("Accesses in and out of your area", _most_of(view["areas"]), view["areas"]),
    }
    return pages.page(
        "access_month.html",
        view=view,
        charts=charted,
        tables={
            "settings": [(one["name"], one["accesses"], one["people"]) for one in view["settings"]],
            "organisations": [(one["name"], one["accesses"], one["people"]) for one in view["organisations"]],
            "days": [(pages.day(day), count) for day, count in view["days"]],
            "hours": _by_hour(view["hours"]),
        },
        month=_name(month),
        period=(month.first, month.last),
        la_code=la_code,
        la_name=la_name,
        plan_words=PLAN_WORDS,
        hour_headings=[("Hour", False), *((day, True) for day in _WEEKDAYS)],
        often=(OFTEN, OFTEN_DAYS),
        bars=_BARS,
    )


def _workbook(
    view: Mapping[str, Any], looks: list[dict[str, Any]], month: Month, *, la_code: str, la_name: str, made_at: datetime
) -> bytes:
    named = text("Name", "Code") + counts("Accesses", "People")
    sheets = [
        Sheet("Summary", text("What", "Answer"), [
            ("Month", _name(month)), ("Authority", f"{la_name} ({la_code})"), ("Accesses", f"{view['accesses']:,}"),
            ("Children and mothers", f"{view['people']:,}"), *((words, f"{count:,}") for words, count in view["areas"]),
        ]),
        access_sheet(looks),
        Sheet("By setting", named, _named(view["settings"])),
        Sheet("By organisation", named, _named(view["organisations"])),
        Sheet("By day", text("Day") + counts("Accesses"), [(str(day), count) for day, count in view["days"]]),
        Sheet(
            "By hour",
            text("Hour") + counts(*_WEEKDAYS),
            _by_hour(view["hours"]),
        ),
        Sheet(
            "Seen often",
            text("Your id", "NHS number") + counts("Times", "Organisations") + text("From", "To"),
            [
                (
                    one["child_id"],
                    one["nhs_number"],
                    one["times"],
                    one["organisations"],
                    str(one["first_day"]),
                    str(one["last_day"]),
                )
                for one in view["often"]
            ],
        ),
        Sheet(
            "First since plan began",
            text("Your id", "NHS number", "Plan", "Plan began", "First access", "Where") + counts("Days after"),
            [
                (
                    one["child_id"], one["nhs_number"], PLAN_WORDS[one["plan_type"]], str(one["start_date"]),
                    pages.london(one["accessed_at"]), one["care_setting"], one["days"],
                )
                for one in view["first"]
            ],
        ),
    ]  # fmt: skip
    return workbook(sheets, title=f"Accesses of {month}", made_at=made_at)


def _named(tallied: Sequence[Mapping[str, Any]]) -> list[tuple[str | int, ...]]:
    return [(one["name"], one["code"], one["accesses"], one["people"]) for one in tallied]


def _by_hour(hours: Mapping[tuple[str, str], int]) -> list[tuple[str | int, ...]]:
    return [(f"{hour:02}:00", *(hours.get((day, f"{hour:02}"), 0) for day in _WEEKDAYS)) for hour in range(24)]


def _name(month: Month) -> str:
    """`November 2026`."""
    return pages.day(month.first).partition(" ")[2]


def _most(tallied: Sequence[Mapping[str, Any]]) -> str:
    return f"Most at {tallied[0]['name']}: {tallied[0]['accesses']:,}." if tallied else "There were none."


def _most_of(lines: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{label}: {count:,}" for label, count in lines) + "." if lines else "There were none."


def _busiest(days: Sequence[tuple[date, int]]) -> str:
    day, count = max(days, key=lambda one: one[1])
    return f"Most on {pages.day(day)}: {count:,}." if count else "There were none."


def _peak(hours: Mapping[tuple[str, str], int]) -> str:
    if not hours:
        return "There were none."
    (day, hour), count = max(hours.items(), key=lambda one: one[1])
    return f"Most on {day}s between {hour}:00 and {hour}:59: {count:,}."
