"""The access report as an authority gets it: a CSV for programs, a page for people (specs/access-report/1.0).

Both hold the same rows and nothing else. The CSV is never altered to suit a spreadsheet; on the page every value is text.
"""

from __future__ import annotations

import pyarrow as pa

from cpis_batch import csv_text, pages
from cpis_batch.engine import query
from cpis_batch.errors import Bug
from cpis_batch.spec import table_schema

VERSION = "1.0"
PLAN_WORDS = {"CPP": "Child protection plan", "LAC": "Looked after", "UCPP": "Unborn child's plan (mother's NHS number)"}


def render(rows: pa.Table, *, la_code: str, la_name: str) -> dict[str, bytes]:
    """The files of one authority's report, by name. Bug where a row is another authority's or there is none."""
    return {
        "access-report.csv": render_csv(rows, la_code=la_code),
        "access-report.html": render_html(rows, la_code=la_code, la_name=la_name),
    }


def render_csv(rows: pa.Table, *, la_code: str) -> bytes:
    """REPORT rows as CSV with a heading."""
    _only(rows, la_code)
    return csv_text.to_csv(rows.select(table_schema("access-report", VERSION, "report").names))


def render_html(rows: pa.Table, *, la_code: str, la_name: str) -> bytes:
    """REPORT rows as a page: what happened in a sentence, every access by time, counts by setting and by organisation."""
    _only(rows, la_code)
    total = query(
        """
        SELECT count(*) AS accesses, count(DISTINCT nhs_number) AS people, count(DISTINCT organisation_code) AS organisations,
            count(*) FILTER (out_of_area = 'Y') AS out_of_area, count(*) FILTER (out_of_area IS NULL) AS area_unknown,
            min(accessed_at) AS first, max(accessed_at) AS last, any_value(report_id) AS report_id
        FROM rows
        """,
        {"rows": rows},
    ).to_pylist()[0]
    return pages.page(
        "access_report.html",
        la_code=la_code,
        la_name=la_name,
        total=total,
        rows=rows.to_pylist(),
        settings=_tally(rows, "care_setting_code", "care_setting"),
        organisations=_tally(rows, "organisation_code", "organisation_name"),
        plan_words=PLAN_WORDS,
    )


def _tally(rows: pa.Table, code: str, name: str) -> list[dict[str, object]]:
    """Accesses and people by `code`, most first."""
    tallied: list[dict[str, object]] = query(
        f"""SELECT {code} AS code, coalesce(min({name}), {code}) AS name,
                count(*) AS accesses, count(DISTINCT nhs_number) AS people
            FROM rows GROUP BY {code} ORDER BY accesses DESC, name, code""",
        {"rows": rows},
    ).to_pylist()
    return tallied


def _only(rows: pa.Table, la_code: str) -> None:
    """The last look before a report is written (DESIGN, rule 2)."""
    if rows.column("la_code").unique().to_pylist() != [la_code] or len(rows.column("report_id").unique()) != 1:
        raise Bug(
            f"The access report for {la_code} is empty or holds a row of another authority; it was not made.",
            "Nothing was sent. Keep the logs and tell those who maintain the program.",
        )
