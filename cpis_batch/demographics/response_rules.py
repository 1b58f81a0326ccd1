"""The rules for one answer of a trace response: codes CPT-nnn, each a SQL predicate over the row as text.

What a field must look like is taken from specs/trace-response, so that page, schema and rule agree. The predicates see the
text columns, `born` and `died` (dates, null where they cannot be read), `told` (whether the code is one that tells of a
record: 20, 21), `same` (how many rows the reference has, and whether 1 or more contents) and `same_row` (which of them this
is).

A row is kept out where taking it could name a wrong person, or name a number that must not be named. Its question stays open.
"""

from __future__ import annotations

from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.nhs_number import not_one_in_sql
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Severity, TraceCode

VERSION = "1.0"
_DETAIL = {field.name: field for field in table_schema("trace-response", VERSION, "detail").fields}
TELLS = f"trace_code IN ('{TraceCode.FOUND}', '{TraceCode.SUPERSEDED}')"
_DETAILS = (
    "family_name",
    "given_name",
    "date_of_birth",
    "sensitive",
    "practice_code",
    "residence_code",
    "date_of_death",
)


def _not_of_the_form(name: str) -> str:
    constraints = _DETAIL[name].constraints
    if constraints.enum:
        return f"{name} NOT IN ({', '.join(repr(value) for value in constraints.enum)})"
    return f"NOT regexp_full_match({name}, '{constraints.pattern}')"


def _error(code: str, field: str, when: str, cause: str, cure: str) -> Rule:
    return Rule(code, Scope.ROW, Severity.ERROR, (field,), when, cause, cure)


def _warning(code: str, field: str, when: str, cause: str, cure: str) -> Rule:
    return Rule(code, Scope.ROW, Severity.WARNING, (field,), when, cause, cure)


_AGAIN = "Look at that record and answer the question again in your next file."
RULES = (
    _error(
        "CPT-111",
        "reference",
        _not_of_the_form("reference"),
        "The reference is missing or has another form.",
        "Give back the reference of the question as it was sent.",
    ),
    _error(
        "CPT-112",
        "reference",
        "same.rows > 1 AND same.contents > 1",
        "Several answers of this file have this reference, and they differ.",
        "Which is right we cannot know, so none was used. Send the right one alone.",
    ),
    _warning(
        "CPT-113",
        "reference",
        "same.rows > 1 AND same.contents = 1 AND same_row > 1",
        "This answer is in the file more than once.",
        "It counts once. Nothing needs doing.",
    ),
    _error(
        "CPT-121",
        "trace_code",
        _not_of_the_form("trace_code"),
        "The trace code is none of this format's.",
        "Send one of 20, 21, 22, 30, 31, 32, 33 and 40.",
    ),
    _error(
        "CPT-131",
        "nhs_number",
        f"told AND ({not_one_in_sql('nhs_number')})",
        "The current NHS number is missing or is not one: ten digits, the last one a check digit.",
        _AGAIN,
    ),
    _error(
        "CPT-132",
        "nhs_number",
        "told AND regexp_full_match(nhs_number, '[0-9]{10}') AND (nhs_number LIKE '999%') <> ($environment = 'TEST')",
        "Numbers that begin with 999 are for TEST alone, all others for LIVE alone.",
        "Look whether test data and real data have been mixed.",
    ),
    _error(
        "CPT-133",
        "nhs_number",
        f"{_not_of_the_form('trace_code').replace(' NOT IN ', ' IN ')} AND NOT told AND nhs_number <> ''",
        "An NHS number stands where this trace code allows none.",
        "Leave it empty. With 22 above all: an old number and a new one must never stand together.",
    ),
    _error(
        "CPT-134",
        "trace_code",
        f"{_not_of_the_form('trace_code').replace(' NOT IN ', ' IN ')} AND NOT told AND concat({', '.join(_DETAILS)}) <> ''",
        "Details of a record stand where this trace code allows none.",
        "Leave everything behind the code empty.",
    ),
    _error(
        "CPT-141",
        "date_of_birth",
        f"told AND ({_not_of_the_form('date_of_birth')} OR born IS NULL)",
        "The date of birth is missing or is not a date.",
        "Write it as 2019-04-30.",
    ),
    _error(
        "CPT-142",
        "date_of_birth",
        "told AND born > $answered_on",
        "The date of birth lies after the day on which this file was made.",
        _AGAIN,
    ),
    _error(
        "CPT-151",
        "family_name",
        "told AND trim(family_name) = ''",
        "The family name is missing.",
        _AGAIN,
    ),
    _warning(
        "CPT-152",
        "given_name",
        "told AND trim(given_name) = ''",
        "The given names are missing. Nobody can match such a record.",
        _AGAIN,
    ),
    _error(
        "CPT-161",
        "sensitive",
        f"told AND {_not_of_the_form('sensitive')}",
        "Whether the record is sensitive is neither Y nor N.",
        "Write Y or N. Without it we cannot know what may be kept.",
    ),
    _warning(
        "CPT-162",
        "sensitive",
        "told AND sensitive = 'Y' AND concat(practice_code, residence_code) <> ''",
        "Practice or residence of a sensitive record has been sent. We have not kept it.",
        "Leave both empty where the record is sensitive.",
    ),
    _warning(
        "CPT-171",
        "practice_code",
        f"told AND practice_code <> '' AND {_not_of_the_form('practice_code')}",
        "The practice is not an ODS code. We take it as absent.",
        "Send the code of the practice, or nothing.",
    ),
    _warning(
        "CPT-172",
        "residence_code",
        f"told AND residence_code <> '' AND {_not_of_the_form('residence_code')}",
        "The residence is not a GSS code. We take it as absent.",
        "Send the code of the lower-tier area, or nothing.",
    ),
    _warning(
        "CPT-181",
        "date_of_death",
        f"told AND date_of_death <> '' AND ({_not_of_the_form('date_of_death')} OR died IS NULL"
        " OR died > $answered_on OR died < born)",
        "The date of death is not a date, or lies before the birth or after the day of this file. We take it as absent.",
        _AGAIN,
    ),
)
