"""The rules for one access event: codes CPE-nnn, each a SQL predicate over the row as text.

What a field must look like is taken from specs/access-events, so that page, schema and rule agree. The predicates see
the text columns, `at_instant` (null where it cannot be read), `number` (the NHS number without spaces and hyphens),
`same_id` (how many rows the event id has, and whether 1 or more contents), `same_row` (which of them this is), and the
tables `job_roles`, `care_settings` and `withheld`.

A fault that would make us tell the wrong people, or nobody, keeps the row out until the sender mends it. A flag that
cannot be read does not: the event is told, as where the flag is missing; what must never be told hangs on no flag.
"""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from cpis_batch.access.reference import AccessReference
from cpis_batch.engine import query
from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.nhs_number import not_one_in_sql
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Environment, Severity

VERSION = "1.0"
_DETAIL = {field.name: field for field in table_schema("access-events", VERSION, "detail").fields}


def _not_of_the_form(name: str) -> str:
    constraints = _DETAIL[name].constraints
    if constraints.enum:
        return f"{name} NOT IN ({', '.join(repr(value) for value in constraints.enum)})"
    return f"NOT regexp_full_match({name}, '{constraints.pattern}')"


def _error(code: str, field: str, when: str, cause: str, cure: str) -> Rule:
    return Rule(code, Scope.ROW, Severity.ERROR, (field,), when, cause, cure)


def _warning(code: str, field: str, when: str, cause: str, cure: str) -> Rule:
    return Rule(code, Scope.ROW, Severity.WARNING, (field,), when, cause, cure)


_ASK = "Look at the record of that access and send the event again in your next file."
RULES = (
    _error(
        "CPE-111",
        "event_id",
        _not_of_the_form("event_id"),
        "The event id is missing or has another form.",
        "Give each event an id of 1 to 64 letters, digits and . _ : - that it keeps for ever.",
    ),
    _error(
        "CPE-112",
        "event_id",
        "same_id.rows > 1 AND same_id.contents > 1",
        "Several events of this file have this id, and they differ.",
        "Which is right we cannot know, so none was used. Send the right one alone, or give each event its own id.",
    ),
    _warning(
        "CPE-113",
        "event_id",
        "same_id.rows > 1 AND same_id.contents = 1 AND same_row > 1",
        "This event is in the file more than once.",
        "It counts once. Nothing needs doing.",
    ),
    _error(
        "CPE-121",
        "accessed_at",
        f"{_not_of_the_form('accessed_at')} OR at_instant IS NULL",
        "The time of the access is missing, does not exist or has no zone.",
        "Write it as 2026-11-19T23:40:00Z or 2026-06-19T23:40:00+01:00.",
    ),
    _error(
        "CPE-122",
        "accessed_at",
        "at_instant > $extracted_at",
        "The access is later than the time at which this file was made.",
        "Look at the clock and at the zone of the system that recorded it.",
    ),
    _error(
        "CPE-131",
        "nhs_number",
        not_one_in_sql("number"),
        "This is not an NHS number: ten digits, the last one a check digit.",
        _ASK,
    ),
    _error(
        "CPE-132",
        "nhs_number",
        "regexp_full_match(number, '[0-9]{10}') AND (number LIKE '999%') <> ($environment = 'TEST')",
        "Numbers that begin with 999 are for TEST alone, all others for LIVE alone.",
        "Look whether test data and real data have been mixed.",
    ),
    _error(
        "CPE-141",
        "author_kind",
        _not_of_the_form("author_kind"),
        "The kind of author is neither PERSON nor DEVICE.",
        "Write PERSON for a worker, DEVICE for a system that asks by itself.",
    ),
    _warning("CPE-142", "author_name", "trim(author_name) = ''", "Who looked is missing.", _ASK),
    _warning(
        "CPE-143",
        "job_role",
        "author_kind = 'PERSON' AND job_role NOT IN (SELECT code FROM job_roles)",
        "The worker's role is missing or not on the SDS job role list.",
        "Send its code of the list, such as R0050. The event is told without.",
    ),
    _warning(
        "CPE-144",
        "responsible_person",
        "author_kind = 'DEVICE' AND trim(responsible_person) = ''",
        "A system looked, and nobody is named who answers for it.",
        "Name the person responsible for the system.",
    ),
    _error(
        "CPE-151",
        "organisation_code",
        _not_of_the_form("organisation_code"),
        "The organisation's ODS code is missing or has another form.",
        "Send the ODS code in capitals, such as RX101. Without it we cannot know whether the event may be told.",
    ),
    _warning(
        "CPE-152",
        "organisation_name",
        "trim(organisation_name) = ''",
        "The organisation's name is missing.",
        "Send its name with its code.",
    ),
    _error(
        "CPE-161",
        "care_setting",
        _not_of_the_form("care_setting"),
        "The care setting is missing or has another form.",
        "Send its code of the list of care settings. Without it we cannot know whether the event may be told.",
    ),
    _warning(
        "CPE-162",
        "care_setting",
        f"NOT ({_not_of_the_form('care_setting')}) AND care_setting NOT IN"
        " (SELECT code FROM care_settings UNION ALL SELECT code FROM withheld)",
        "The care setting is not on our list. If its events are to be told they wait until a person has listed it.",
        "Tell us what the setting is, or correct the code and send the event again.",
    ),
    _warning(
        "CPE-171",
        "notifies_la",
        f"notifies_la <> '' AND {_not_of_the_form('notifies_la')}",
        "The flag is neither Y nor N. We take the event as one that notifies.",
        "Write Y, or N for scheduled care, or leave it empty.",
    ),
    _warning(
        "CPE-172",
        "notifies_la",
        "notifies_la <> 'N' AND care_setting IN (SELECT code FROM care_settings WHERE care = 'SCHEDULED')",
        "A setting of scheduled care that reads silently, without the flag N. We take the event as one that notifies.",
        "Write N for a scheduled contact. Nothing needs doing if this one was not scheduled.",
    ),
)

_TYPED = """
SELECT *,
    TRY_CAST(accessed_at AS TIMESTAMPTZ) AS at_instant,
    regexp_replace(nhs_number, '[ -]', '', 'g') AS number,
    {'rows': count(*) OVER ids, 'contents': 1 + CAST(min(content) OVER ids <> max(content) OVER ids AS INTEGER)} AS same_id,
    row_number() OVER (ids ORDER BY line) AS same_row
FROM (SELECT *, concat_ws(chr(31), accessed_at, nhs_number, author_kind, author_name, job_role, responsible_person,
    organisation_code, organisation_name, care_setting, notifies_la) AS content FROM rows WHERE damage IS NULL)
WINDOW ids AS (PARTITION BY event_id)
"""


def judge(
    rows: pa.Table, reference: AccessReference, environment: Environment, extracted_at: datetime
) -> tuple[pa.Table, pa.Table]:
    """All faults of all undamaged rows in one pass, and the typed rows that no ERROR keeps out, each event id once.

    Takes `intake.records.Records.rows`. Faults: line, code. Rows: EVENTS columns, by line.
    """
    codes = ", ".join(f"CASE WHEN {rule.when} THEN '{rule.code}' END" for rule in RULES)
    severe = ", ".join(f"'{rule.code}'" for rule in RULES if rule.severity is Severity.ERROR)
    judged = query(
        f"SELECT *, list_filter([{codes}], lambda code: code IS NOT NULL) AS codes FROM ({_TYPED}) AS typed",
        {
            "rows": rows,
            "job_roles": reference.job_roles,
            "care_settings": reference.care_settings,
            "withheld": reference.withheld_settings,
        },
        {"environment": environment, "extracted_at": extracted_at},
    )
    faults = query("SELECT line, unnest(codes) AS code FROM judged WHERE len(codes) > 0", {"judged": judged})
    events = query(
        f"""
        SELECT line, event_id, at_instant AS accessed_at, number AS nhs_number, author_kind,
            nullif(trim(author_name), '') AS author_name, nullif(job_role, '') AS job_role,
            nullif(trim(responsible_person), '') AS responsible_person, organisation_code,
            nullif(trim(organisation_name), '') AS organisation_name, care_setting, notifies_la <> 'N' AS notifies_la
        FROM judged WHERE same_row = 1 AND NOT list_has_any(codes, [{severe}]) ORDER BY line
        """,
        {"judged": judged},
    )
    return faults, events
