"""The access report as an authority gets it: a CSV for programs, a page and a workbook for people (specs/access-report/1.0).

All are of the same rows and nothing else. The CSV has every row and is never altered to suit a spreadsheet; page and workbook
list so many at most as people can look through, say so, and count all; there every value is text. The few counts are
made in Python: three queries an authority took ten times as long.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import csv_text, pages
from cpis_batch.errors import Bug
from cpis_batch.spec import table_schema
from cpis_batch.workbook import Sheet, counts, text, workbook

VERSION = "1.0"
PLAN_WORDS = {"CPP": "Child protection plan", "LAC": "Looked after", "UCPP": "Unborn child's plan (mother's NHS number)"}
SHEET_ROWS, PAGE_ROWS = 10_000, 2_000  # that a workbook's sheet and a page's table list at most; the CSV has all
_AREA = {"Y": "yes", "N": "no", None: "not known"}


def render(rows: pa.Table, *, la_code: str, la_name: str, made_at: datetime) -> dict[str, bytes]:
    """The files of one authority's report, by name. Bug where a row is another authority's or there is none.

    Every access is in the CSV; page and workbook list so many of the first, say so, and count them all.
    """
    return {
        "access-report.csv": render_csv(rows, la_code=la_code),
        "access-report.html": render_html(rows, la_code=la_code, la_name=la_name),
        "access-report.xlsx": _workbook(rows, made_at=made_at),
    }


def render_csv(rows: pa.Table, *, la_code: str) -> bytes:
    """REPORT rows as CSV with a heading."""
    only(rows, la_code)
    return csv_text.to_csv(rows.select(table_schema("access-report", VERSION, "report").names))


def render_html(rows: pa.Table, *, la_code: str, la_name: str) -> bytes:
    """REPORT rows as a page: what happened in a sentence, every access by time, counts by setting and by organisation."""
    only(rows, la_code)
    span = pc.min_max(rows["accessed_at"]).as_py()
    total = {
        "accesses": rows.num_rows,
        "people": len(rows["nhs_number"].unique()),
        "organisations": len(rows["organisation_code"].unique()),
        "out_of_area": pc.sum(pc.equal(rows["out_of_area"], "Y")).as_py() or 0,
        "area_unknown": rows["out_of_area"].null_count,
        "first": span["min"],
        "last": span["max"],
        "report_id": rows["report_id"][0].as_py(),
    }
    return pages.page(
        "access_report.html",
        la_code=la_code,
        la_name=la_name,
        total=total,
        rows=rows.slice(0, PAGE_ROWS).to_pylist(),
        most=PAGE_ROWS,
        settings=tally(rows, "care_setting_code", "care_setting"),
        organisations=tally(rows, "organisation_code", "organisation_name"),
        plan_words=PLAN_WORDS,
    )


def _workbook(rows: pa.Table, *, made_at: datetime) -> bytes:
    named = text("Name", "Code") + counts("Accesses", "People")
    tallied = {
        "By setting": tally(rows, "care_setting_code", "care_setting"),
        "By organisation": tally(rows, "organisation_code", "organisation_name"),
    }
    sheets = [access_sheet(rows.slice(0, SHEET_ROWS).to_pylist())]
    sheets += [
        Sheet(name, named, [(one["name"], one["code"], one["accesses"], one["people"]) for one in lines])
        for name, lines in tallied.items()
    ]
    if rows.num_rows > SHEET_ROWS:
        said = f"The first {SHEET_ROWS:,} of {rows.num_rows:,}. All are in access-report.csv."
        sheets.insert(0, Sheet("Not all", text("Sheet", "What it holds"), [("Accesses", said)]))
    return workbook(sheets, title=f"Access report {rows['report_id'][0].as_py()}", made_at=made_at)


def access_sheet(looks: list[dict[str, Any]]) -> Sheet:
    """Every access, a row each (REPORT)."""
    headings = ("When", "Your id", "NHS number", "Plan", "Who looked", "Role", "Responsible", "Setting", "Organisation", "Code",
                "Out of area", "Event")  # fmt: skip
    return Sheet(
        "Accesses",
        text(*headings),
        (
            (
                pages.london(look["accessed_at"]),
                look["child_id"],
                look["nhs_number"],
                ", ".join(PLAN_WORDS[plan] for plan in look["plan_types"].split(";")),
                look["author_name"],
                "A system" if look["author_kind"] == "DEVICE" else look["job_role"],
                look["responsible_person"],
                look["care_setting"],
                look["organisation_name"],
                look["organisation_code"],
                _AREA[look["out_of_area"]],
                look["event_id"],
            )
            for look in looks
        ),
    )


def tally(rows: pa.Table, code: str, name: str) -> list[dict[str, Any]]:
    """Accesses and people by `code`, most first; its name is the first given."""
    people: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for key, named, number in zip(*(rows[column].to_pylist() for column in (code, name, "nhs_number")), strict=True):
        people.setdefault(key, []).append(number)
        if named:
            names.setdefault(key, named)
    tallied: list[dict[str, Any]] = [
        {"code": key, "name": names.get(key, key), "accesses": len(numbers), "people": len(set(numbers))}
        for key, numbers in people.items()
    ]
    return sorted(tallied, key=lambda line: (-line["accesses"], line["name"], line["code"]))


def only(rows: pa.Table, la_code: str) -> None:
    """The last look before a report is written (DESIGN, rule 2): REPORT, or LINES, which have no report's id yet."""
    ids = rows["report_id"].unique() if "report_id" in rows.column_names else [None]
    if rows["la_code"].unique().to_pylist() != [la_code] or len(ids) != 1:
        raise Bug(
            f"The access report for {la_code} is empty or holds a row of another authority; it was not made.",
            "Nothing was sent. Keep the logs and tell those who maintain the program.",
        )
