"""How each person whom an authority holds stands with the trace tonight: verified, provisional, or with something to check.

Everybody is in it, once for each identity and local id: nobody is lost for want of an answer. Without one a person is
provisional (03 not asked yet, 06 asked, 02 where there is no trace service, 08 postponed): loaded and shown, and said to be so.
The same is told of the rows of a file, when it is answered: there by what was known before the night.
"""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from cpis_batch.demographics import matching
from cpis_batch.engine import query
from cpis_batch.register import predicates
from cpis_batch.vocabulary import Inactive, NhsNumberStatus, RecordOutcome

STANDING = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("provisional", pa.bool_(), nullable=False),
        pa.field("outcome", pa.string()),
        pa.field("check", pa.string()),
        pa.field("inactive", pa.string()),
        pa.field("current_number", pa.string()),
        pa.field("date_of_death", pa.date32()),
        pa.field("traced_on", pa.date32()),
    ]
)

# Of a row of a file. `outcome` is CPR06 where nothing is known against it; `over`: the row ends or deletes its plan, which asks
# for nothing any more; `deceased`: PDS has a date of death.
ROWS = pa.schema(
    [
        pa.field("file", pa.int64(), nullable=False),
        pa.field("line", pa.int32(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("provisional", pa.bool_(), nullable=False),
        pa.field("over", pa.bool_(), nullable=False),
        pa.field("check", pa.string()),
        pa.field("deceased", pa.bool_(), nullable=False),
    ]
)

# What of PERSONS and REQUESTS the standing of rows is made of.
OF_PERSONS = ("nhs_number", "identity", "outcome", "status", "check", "inactive", "date_of_death")
OF_REQUESTS = ("nhs_number", "identity")


def standing(plans: pa.Table, persons: pa.Table, questions: pa.Table, *, service: bool) -> pa.Table:
    """STANDING of the people of `plans` (register.schema.PLANS, identified or not), in any order: to sort it takes as long again.

    `persons`: PERSONS; `questions`: the open REQUESTS; `service`: whether there is a trace service to ask.
    """
    return query(
        f"""
        SELECT la_code, nhs_number, child_id, identity,
            CASE WHEN frozen THEN '{NhsNumberStatus.TO_BE_RESOLVED}'
                 WHEN traced.status IS NOT NULL THEN traced.status
                 WHEN asked.identity IS NOT NULL THEN '{NhsNumberStatus.IN_PROGRESS}'
                 WHEN $service THEN '{NhsNumberStatus.TRACE_REQUIRED}' ELSE '{NhsNumberStatus.NOT_TRACED}' END AS status,
            NOT frozen AND traced.outcome IS NULL AS provisional,
            CASE WHEN frozen THEN '{RecordOutcome.OTHER}' ELSE traced.outcome END AS outcome,
            CASE WHEN NOT frozen THEN traced."check" END AS "check",
            CASE WHEN frozen THEN '{Inactive.NO_REPLACEMENT}' ELSE traced.inactive END AS inactive,
            CASE WHEN NOT frozen THEN traced.current_number END AS current_number,
            traced.date_of_death, traced.traced_on
        FROM (
            SELECT DISTINCT la_code, nhs_number, child_id, {matching.identity_of(plans)} AS identity,
                nhs_number IN (SELECT nhs_number FROM persons WHERE inactive = '{Inactive.NO_REPLACEMENT}') AS frozen
            FROM plans)
        LEFT JOIN persons AS traced USING (nhs_number, identity)
        LEFT JOIN (SELECT DISTINCT nhs_number, identity FROM questions) AS asked USING (nhs_number, identity)
        """,
        {"plans": plans, "persons": persons, "questions": questions},
        {"service": service},
    ).cast(STANDING)


def of_rows(rows: pa.Table, persons: pa.Table, questions: pa.Table, *, service: bool, on: date) -> pa.Table:
    """ROWS of rows that were let in (register.schema.ACCEPTED and `file`), by file and line.

    `persons` has the columns OF_PERSONS, `questions` OF_REQUESTS. A plan that is over on the day `on`, or deleted, is not asked
    about: without a trace it is 02 and nothing is awaited for it.
    """
    identity = matching.identity_in_sql() if persons.num_rows or questions.num_rows else "''"  # a third of what it all costs
    return query(
        f"""
        SELECT file, line,
            CASE WHEN frozen THEN '{RecordOutcome.OTHER}' ELSE coalesce(traced.outcome, '{RecordOutcome.LOADED}') END AS outcome,
            CASE WHEN frozen THEN '{NhsNumberStatus.TO_BE_RESOLVED}'
                 WHEN traced.status IS NOT NULL THEN traced.status
                 WHEN asked.identity IS NOT NULL THEN '{NhsNumberStatus.IN_PROGRESS}'
                 WHEN $service AND NOT over THEN '{NhsNumberStatus.TRACE_REQUIRED}'
                 ELSE '{NhsNumberStatus.NOT_TRACED}' END AS status,
            NOT frozen AND traced.outcome IS NULL AND NOT over AS provisional, over,
            CASE WHEN NOT frozen THEN traced."check" END AS "check",
            traced.date_of_death IS NOT NULL AS deceased
        FROM (
            SELECT file, line, nhs_number, {identity} AS identity,
                delete_date IS NOT NULL OR start_date <= $on AND NOT {predicates.active("rows", "$on")} AS over,
                nhs_number IN (SELECT nhs_number FROM persons WHERE inactive = '{Inactive.NO_REPLACEMENT}') AS frozen
            FROM rows)
        LEFT JOIN persons AS traced USING (nhs_number, identity)
        LEFT JOIN (SELECT DISTINCT nhs_number, identity FROM questions) AS asked USING (nhs_number, identity)
        ORDER BY file, line
        """,
        {"rows": rows, "persons": persons, "questions": questions},
        {"service": service, "on": on},
    ).cast(ROWS)
