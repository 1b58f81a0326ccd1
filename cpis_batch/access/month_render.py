"""A month's access report as an authority gets it: the lines as CSV, a page for managers, a workbook (specs/access-report/1.0).

Every chart has its figures as a table. The page is made in Python from the month's lines, since it walks them anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import charts, csv_text, pages
from cpis_batch.access import lines
from cpis_batch.access.month import OFTEN, OFTEN_DAYS, Month, Seen
from cpis_batch.access.reference import AccessReference
from cpis_batch.access.render import PAGE_ROWS, PLAN_WORDS, SHEET_ROWS, VERSION, access_sheet, only
from cpis_batch.access.schema import REPORT
from cpis_batch.spec import table_schema
from cpis_batch.workbook import Sheet, counts, text, workbook

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_AREA = {"N": "In your area", "Y": "Out of your area", None: "Not known"}
_BARS = 12  # organisations in the chart; the table has all
CSV, PAGE, WORKBOOK = "access-month.csv", "access-month.html", "access-month.xlsx"
OFTEN_CSV, FIRST_CSV = "access-month-often.csv", "access-month-first.csv"


def render(
    seen: Seen, month: Month, reference: AccessReference, *, la_code: str, la_name: str, made_at: datetime
) -> dict[str, bytes | Iterator[bytes]]:
    """The files of one authority's month, by name; a large CSV comes in pieces. Bug where a line is another authority's.

    Page and workbook list so many rows and say how many there are; every access is in the CSV, and what else is listed has a
    CSV of its own where it is not all in the workbook.
    """
    if seen.lines.num_rows:
        only(seen.lines, la_code)
    view = _view(seen, month, reference)
    made: dict[str, bytes | Iterator[bytes]] = {
        CSV: _csv(seen.lines, la_code, reference),
        PAGE: _page(view, month, la_code=la_code, la_name=la_name),
        WORKBOOK: _workbook(view, seen, month, reference, la_code=la_code, la_name=la_name, made_at=made_at),
    }
    listed = {OFTEN_CSV: seen.often, FIRST_CSV: seen.first}
    return made | {name: csv_text.to_csv(rows) for name, rows in listed.items() if rows.num_rows > SHEET_ROWS}


def _csv(looks: pa.Table, la_code: str, reference: AccessReference) -> bytes | Iterator[bytes]:
    names = table_schema("access-report", VERSION, "report").names
    written = (csv_text.to_csv(some.select(names), heading=False) for some in lines.slices(la_code, looks, reference))
    whole = chain([csv_text.to_csv(REPORT.empty_table().select(names))], written)
    return b"".join(whole) if looks.num_rows <= lines.SLICE else whole


def _first_lines(looks: pa.Table, la_code: str, reference: AccessReference, count: int) -> list[dict[str, Any]]:
    """The first REPORT rows of so many; their report's id is not that of the whole."""
    return [row for some in lines.slices(la_code, looks.slice(0, count), reference) for row in some.to_pylist()]


def _view(seen: Seen, month: Month, reference: AccessReference) -> dict[str, Any]:
    tallies: dict[str, list[dict[str, Any]]] = {}
    for tally in seen.tallies.to_pylist():
        tallies.setdefault(tally["kind"], []).append(tally)
    everything = tallies.get("ALL", [{"accesses": 0, "people": 0}])[0]
    settings = dict(zip(*(reference.care_settings[name].to_pylist() for name in ("code", "name")), strict=True))
    for tally in tallies.get("SETTING", []):
        tally["name"] = settings[tally["code"]]
    days = {tally["code"]: tally["accesses"] for tally in tallies.get("DAY", [])}
    every = [month.first + timedelta(days=step) for step in range((month.last - month.first).days + 1)]
    area = {tally["code"]: tally["accesses"] for tally in tallies.get("AREA", [])}
    away = pc.indices_nonzero(pc.equal(seen.lines["out_of_area"].cast(pa.string()), "Y"))
    la_code = seen.tallies["la_code"][0].as_py() if seen.tallies.num_rows else ""
    return {
        "accesses": everything["accesses"],
        "people": everything["people"],
        "settings": _most_first(tallies.get("SETTING", [])),
        "organisations": _most_first(tallies.get("ORGANISATION", [])),
        "days": [(day, days.get(str(day), 0)) for day in every],
        "hours": {(_WEEKDAYS[int(one["code"][0]) - 1], one["code"][1:]): one["accesses"] for one in tallies.get("HOUR", [])},
        "areas": [(words, area[code]) for code, words in _AREA.items() if code in area],
        "out_of_area": area.get("Y", 0),
        "away": _first_lines(seen.lines.take(away[:PAGE_ROWS]), la_code, reference, PAGE_ROWS),
        "often": seen.often.slice(0, SHEET_ROWS).to_pylist(),
        "often_count": seen.often.num_rows,
        "first": seen.first.slice(0, SHEET_ROWS).to_pylist(),
        "first_count": seen.first.num_rows,
    }


def _most_first(tallies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for tally in tallies:
        tally["name"] = tally["name"] or tally["code"]
    return sorted(tallies, key=lambda line: (-line["accesses"], line["name"], line["code"]))


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
        most=PAGE_ROWS,
        sheet=SHEET_ROWS,
        whole={
            "often": OFTEN_CSV if view["often_count"] > SHEET_ROWS else WORKBOOK,
            "first": FIRST_CSV if view["first_count"] > SHEET_ROWS else WORKBOOK,
            "away": CSV,
        },
    )


def _workbook(
    view: Mapping[str, Any],
    seen: Seen,
    month: Month,
    reference: AccessReference,
    *,
    la_code: str,
    la_name: str,
    made_at: datetime,
) -> bytes:
    named = text("Name", "Code") + counts("Accesses", "People")
    sheets = [
        Sheet("Summary", text("What", "Answer"), [
            ("Month", _name(month)), ("Authority", f"{la_name} ({la_code})"), ("Accesses", f"{view['accesses']:,}"),
            ("Children and mothers", f"{view['people']:,}"), *((words, f"{count:,}") for words, count in view["areas"]),
            *_cut(view),
        ]),
        access_sheet(_first_lines(seen.lines, la_code, reference, SHEET_ROWS)),
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


def _cut(view: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is said of each sheet that does not hold all."""
    sheets = (
        ("Accesses", view["accesses"], CSV),
        ("Seen often", view["often_count"], OFTEN_CSV),
        ("First since plan began", view["first_count"], FIRST_CSV),
    )
    return [
        (f"Sheet {name}", f"The first {SHEET_ROWS:,} of {count:,}. All are in {whole}.")
        for name, count, whole in sheets
        if count > SHEET_ROWS
    ]


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
