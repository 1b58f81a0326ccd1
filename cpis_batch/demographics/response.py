"""A trace response: one file taken apart and judged, each reference answered once (specs/trace-response/1.0).

Pure: bytes in, tables out; bad data is a value. A row with an ERROR answers nothing and its question stays open, so that
the service can answer it again; every row is named in the faults, by line and field, never by value.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from cpis_batch.business_time import business_date
from cpis_batch.demographics.response_rules import RULES, TELLS, VERSION
from cpis_batch.demographics.schema import ANSWERS
from cpis_batch.engine import query
from cpis_batch.intake.frame import (
    FAULTS,
    Format,
    Framed,
    Header,
    Unframed,
    outcome_of,
    read_frame,
    row_faults,
    rows_rejected,
)
from cpis_batch.intake.records import Form
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Environment, FileOutcome, Severity

FORMAT = Format(
    "CPIS-TRACE-RESPONSE",
    (VERSION,),
    "CPT",
    Form(*(table_schema("trace-response", VERSION, part) for part in ("header", "detail", "trailer"))),
)


@dataclass(frozen=True, slots=True, repr=False)
class ResponseReading:
    """What a response came to. `answers`: ANSWERS, each reference once; `faults`: intake.frame.FAULTS, by line.

    `rows` are the lines between header and trailer that are not blank; rows = answers + rejected + repeated, and all are
    nought where the file is refused whole.
    """

    outcome: FileOutcome
    header: Header | None = None
    answers: pa.Table = field(default_factory=ANSWERS.empty_table)
    faults: pa.Table = field(default_factory=FAULTS.empty_table)
    rows: int = 0
    rejected: int = 0
    repeated: int = 0

    @property
    def loaded(self) -> int:
        """How many rows are answers."""
        return int(self.answers.num_rows)


def read_response(data: bytes, *, environment: Environment, line_bytes: int) -> ResponseReading:
    """Read the plaintext of one trace response. `environment` is the hub's; `line_bytes` caps a line. Never raises on content."""
    framed = read_frame(data, FORMAT, environment=environment, line_bytes=line_bytes)
    if isinstance(framed, Unframed):
        return ResponseReading(framed.outcome, framed.header, faults=framed.faults)
    found, answers = _judge(framed)
    faults = row_faults(framed.rows, found, FORMAT, RULES)
    rows, rejected = framed.rows.num_rows, rows_rejected(faults)
    return ResponseReading(
        outcome=outcome_of(rows, rejected),
        header=framed.header,
        answers=answers,
        faults=faults,
        rows=rows,
        rejected=rejected,
        repeated=rows - rejected - answers.num_rows,
    )


def _date(column: str) -> str:
    """SQL: a date that prints as it was written; DuckDB's casts are lenient."""
    return f"CASE WHEN CAST(TRY_CAST({column} AS DATE) AS VARCHAR) = {column} THEN TRY_CAST({column} AS DATE) END"


_TYPED = f"""
SELECT *, {TELLS} AS told, {_date("date_of_birth")} AS born, {_date("date_of_death")} AS died,
    {{'rows': count(*) OVER answers,
      'contents': 1 + CAST(min(content) OVER answers <> max(content) OVER answers AS INTEGER)}} AS same,
    row_number() OVER (answers ORDER BY line) AS same_row
FROM (SELECT *, concat_ws(chr(31), trace_code, nhs_number, family_name, given_name, date_of_birth, sensitive, practice_code,
    residence_code, date_of_death) AS content FROM rows WHERE damage IS NULL)
WINDOW answers AS (PARTITION BY reference)
"""


def _judge(framed: Framed) -> tuple[pa.Table, pa.Table]:
    """All faults (line, code) of all undamaged rows in one pass, and the rows that no ERROR keeps out as ANSWERS."""
    answered_on = business_date(framed.header.extracted_at)
    codes = ", ".join(f"CASE WHEN {rule.when} THEN '{rule.code}' END" for rule in RULES)
    severe = ", ".join(f"'{rule.code}'" for rule in RULES if rule.severity is Severity.ERROR)
    judged = query(
        f"SELECT *, list_filter([{codes}], lambda code: code IS NOT NULL) AS codes FROM ({_TYPED}) AS typed",
        {"rows": framed.rows},
        {"environment": framed.header.environment, "answered_on": answered_on},
    )
    faults = query("SELECT line, unnest(codes) AS code FROM judged WHERE len(codes) > 0", {"judged": judged})
    answers = query(
        f"""
        SELECT line, reference, trace_code, nullif(nhs_number, '') AS nhs_number,
            nullif(trim(family_name), '') AS family_name, nullif(trim(given_name), '') AS given_name, born AS date_of_birth,
            sensitive = 'Y' AS sensitive,
            CASE WHEN sensitive <> 'Y' AND NOT list_contains(codes, 'CPT-171')
                THEN nullif(practice_code, '') END AS practice_code,
            CASE WHEN sensitive <> 'Y' AND NOT list_contains(codes, 'CPT-172')
                THEN nullif(residence_code, '') END AS residence_code,
            CASE WHEN NOT list_contains(codes, 'CPT-181') THEN died END AS date_of_death, $answered_on AS answered_on
        FROM judged WHERE same_row = 1 AND NOT list_has_any(codes, [{severe}]) ORDER BY line
        """,
        {"judged": judged},
        {"answered_on": answered_on},
    )
    return faults, answers.cast(ANSWERS)
