"""How each person whom an authority holds stands with the trace tonight: verified, provisional, or with something to check.

Everybody is in it, once for each identity and local id: nobody is lost for want of an answer. Without one a person is
provisional (03 not asked yet, 06 asked, 02 where there is no trace service, 08 postponed): loaded and shown, and said to be so.
"""

from __future__ import annotations

import pyarrow as pa

from cpis_batch.demographics import matching
from cpis_batch.engine import query
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


def standing(plans: pa.Table, persons: pa.Table, questions: pa.Table, *, service: bool) -> pa.Table:
    """STANDING of the people of `plans` (register.schema.PLANS, commonly the active ones), by authority and number.

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
            SELECT DISTINCT la_code, nhs_number, child_id, {matching.identity_in_sql()} AS identity,
                nhs_number IN (SELECT nhs_number FROM persons WHERE inactive = '{Inactive.NO_REPLACEMENT}') AS frozen
            FROM (SELECT DISTINCT la_code, nhs_number, child_id, family_name, given_name, date_of_birth FROM plans))
        LEFT JOIN persons AS traced USING (nhs_number, identity)
        LEFT JOIN (SELECT DISTINCT nhs_number, identity FROM questions) AS asked USING (nhs_number, identity)
        ORDER BY la_code, nhs_number, child_id, identity
        """,
        {"plans": plans, "persons": persons, "questions": questions},
        {"service": service},
    ).cast(STANDING)
