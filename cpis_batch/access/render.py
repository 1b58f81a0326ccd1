"""The access report as an authority gets it: a CSV for programs, a page and a workbook for people (specs/access-report/1.0).

All hold the same rows and nothing else. The CSV is never altered to suit a spreadsheet; on the page and in the workbook every
value is text. The page's few counts are made in Python, since it walks the rows anyway: three queries an authority took ten times
as long.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa

from cpis_batch import csv_text, pages
from cpis_batch.errors import Bug
from cpis_batch.spec import table_schema
from cpis_batch.workbook import Sheet, counts, text, workbook

VERSION = "1.0"
PLAN_WORDS = {"CPP": "Child protection plan", "LAC": "Looked after", "UCPP": "Unborn child's plan (mother's NHS number)"}
SHEET_ROWS, PAGE_ROWS = 10_000, 2_000  # that a workbook's sheet and a page's table list at most; the CSV has all
_AREA = {"Y": "yes", "N": "no", None: "not known"}


def render(rows: pa.Table, *, la_code: str, la_name: str, made_at: datetime) -> dict[str, bytes]:
    """The files of one authority's report, by name. Bug where a row is another authority's or there is none."""
    return {
        "access-report.csv": render_csv(rows, la_code=la_code),
        "access-report.html": render_html(rows, la_code=la_code, la_name=la_name),
        "access-report.xlsx": _workbook(rows.to_pylist(), made_at=made_at),
    }


def render_csv(rows: pa.Table, *, la_code: str) -> bytes:
    """REPORT rows as CSV with a heading."""
    only(rows, la_code)
    return csv_text.to_csv(rows.select(table_schema("access-report", VERSION, "report").names))


def render_html(rows: pa.Table, *, la_code: str, la_name: str) -> bytes:
    """REPORT rows as a page: what happened in a sentence, every access by time, counts by setting and by organisation."""
    only(rows, la_code)
    looks = rows.to_pylist()
    total = {
        "accesses": len(looks),
        "people": len({look["nhs_number"] for look in looks}),
        "organisations": len({look["organisation_code"] for look in looks}),
        "out_of_area": sum(look["out_of_area"] == "Y" for look in looks),
        "area_unknown": sum(look["out_of_area"] is None for look in looks),
        "first": min(look["accessed_at"] for look in looks),
        "last": max(look["accessed_at"] for look in looks),
        "report_id": looks[0]["report_id"],
    }
    return pages.page(
        "access_report.html",
        la_code=la_code,
        la_name=la_name,
        total=total,
        rows=looks,
        settings=tally(looks, "care_setting_code", "care_setting"),
        organisations=tally(looks, "organisation_code", "organisation_name"),
        plan_words=PLAN_WORDS,
    )


def _workbook(looks: list[dict[str, Any]], *, made_at: datetime) -> bytes:
    named = text("Name", "Code") + counts("Accesses", "People")
    tallied = {
        "By setting": tally(looks, "care_setting_code", "care_setting"),
        "By organisation": tally(looks, "organisation_code", "organisation_name"),
    }
    sheets = [access_sheet(looks)]
    sheets += [
        Sheet(name, named, [(one["name"], one["code"], one["accesses"], one["people"]) for one in lines])
        for name, lines in tallied.items()
    ]
    return workbook(sheets, title=f"Access report {looks[0]['report_id']}", made_at=made_at)


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


def tally(looks: list[dict[str, Any]], code: str, name: str) -> list[dict[str, Any]]:
    """Accesses and people by `code`, most first; its name is the first given."""
    people: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for look in looks:
        people.setdefault(look[code], []).append(look["nhs_number"])
        if look[name]:
            names.setdefault(look[code], look[name])
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
