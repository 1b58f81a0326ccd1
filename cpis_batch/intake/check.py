"""Hold an extract to the rules: which rows load, every fault of every row, an outcome for each, one for the file.

The rules of a row run as one SQL query over all rows, and only rows with a fault pay for finding out which. A rule that
needs a value that could not be read says nothing. No count is capped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.intake import file_facts
from cpis_batch.intake.file_facts import Header
from cpis_batch.intake.lines import Refused
from cpis_batch.intake.read import VERSION, Reading
from cpis_batch.intake.rules import ACROSS_RULES, BY_CODE, FILE_RULES, ROW_RULES, Rule, across, columns
from cpis_batch.register.schema import ACCEPTED
from cpis_batch.vocabulary import Environment, FileOutcome, PlanType, RecordOutcome, Severity

# A row a fault. `line` is null for the file as a whole; `field` where no one field is at fault; `detail` tells numbers of
# the file (a byte, a count), never a value of a record. `child_id` is the LA's own id, for telling the LA.
FAULTS = pa.schema(
    [
        pa.field("line", pa.int32()),
        pa.field("child_id", pa.string()),
        pa.field("field", pa.string()),
        pa.field("code", pa.string(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
    ]
)
# A row a line that is neither header, trailer, heading nor blank, by line.
OUTCOMES = pa.schema(
    [
        pa.field("line", pa.int32(), nullable=False),
        pa.field("child_id", pa.string()),
        pa.field("outcome", pa.string(), nullable=False),
    ]
)
# Whose plans the rejected rows spoke of, so that merge does not call those missing. `start_date` is null where it could not
# be read; a row whose plan type could not be read stands here once for each type.
REJECTED = pa.schema(
    [
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("start_date", pa.date32()),
    ]
)
# Which outcome tells, where several refuse a file: first who sent it, then whether we can read what they send.
_GRAVEST = (FileOutcome.NONE_LOADED, FileOutcome.VERSION_NOT_SUPPORTED, FileOutcome.UNREADABLE)


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What is known before the file is read: whose folder and signature it came by, where, and the date in England."""

    la_code: str
    environment: Environment
    business_date: date
    supported_versions: tuple[str, ...] = (VERSION,)


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """What `check` found: tables ACCEPTED, FAULTS, OUTCOMES and REJECTED, and one outcome for the file.

    With CPF01, CPF04 and CPF06 nothing is accepted. `header` is None where it could not be read or names another sender,
    environment, format or version; the rows were then not looked at, and faults tell nothing of them.
    """

    header: Header | None
    accepted: pa.Table
    faults: pa.Table
    outcomes: pa.Table
    rejected: pa.Table
    file_outcome: FileOutcome


def check(reading: Reading, context: CheckContext) -> Verdict:
    """Hold a reading to all rules. Bad data is in the verdict, never an exception."""
    facts = file_facts.facts(reading)
    faults = _file_faults(facts, context)
    refused_as = _refused_as(faults)
    if isinstance(reading, Refused) or not _is_for_us(facts, context):
        nothing = (ACCEPTED.empty_table(), _told(faults, refused_as), OUTCOMES.empty_table(), REJECTED.empty_table())
        return Verdict(None, *nothing, refused_as or FileOutcome.UNREADABLE)

    rows = query(columns.TYPED, {"read_rows": reading.rows})
    given = {"business_date": context.business_date, "environment": str(context.environment)}
    alone = _row_faults(ROW_RULES, rows, given)
    sound = _without_errors(rows, alone)
    row_faults = pa.concat_tables([alone, _row_faults(ACROSS_RULES, query(across.COMPARED, {"sound": sound}), given)])
    loads = ACCEPTED.empty_table() if refused_as else _without_errors(rows, row_faults)
    return Verdict(
        header=file_facts.header_of(facts),
        accepted=query(f"SELECT {', '.join(ACCEPTED.names)} FROM loads ORDER BY line", {"loads": loads}).cast(ACCEPTED),
        faults=pa.concat_tables([faults, row_faults.sort_by([("line", "ascending"), ("code", "ascending")])]),
        outcomes=_outcomes(rows, loads),
        rejected=_rejected(rows, loads),
        file_outcome=refused_as or _loaded(rows.num_rows, loads.num_rows),
    )


def _is_for_us(facts: Mapping[str, Any], context: CheckContext) -> bool:
    """Whether the header names our format, in a version that we read, this sender and this environment."""
    return (
        facts["format"] == "CPIS-LA-EXTRACT"
        and facts["version"] in context.supported_versions
        and facts["la_code"] == context.la_code
        and facts["environment"] == context.environment
    )


def _file_faults(facts: dict[str, Any], context: CheckContext) -> pa.Table:
    found = ", ".join(
        f"CASE WHEN {r.when} THEN {{'code': '{r.code}', 'line': {r.line}, 'detail': {r.detail}}} END" for r in FILE_RULES
    )
    sql = f"""
        SELECT CAST(fault.line AS INTEGER) AS line, NULL::VARCHAR AS child_id, field, code, severity, fault.detail AS detail
        FROM (SELECT unnest([{found}]) AS fault FROM file) JOIN rules ON code = fault.code
        ORDER BY code
    """
    given = {
        "la_code": context.la_code,
        "environment": str(context.environment),
        "business_date": context.business_date,
        "supported": list(context.supported_versions),
    }
    return query(sql, {"file": file_facts.as_table(facts), "rules": _legend(FILE_RULES)}, given).cast(FAULTS)


def _refused_as(faults: pa.Table) -> FileOutcome | None:
    outcomes = {
        BY_CODE[fault["code"]].outcome
        for fault in faults.select(["code", "severity"]).to_pylist()
        if fault["severity"] == Severity.ERROR
    }
    return next((outcome for outcome in _GRAVEST if outcome in outcomes), None)


def _told(faults: pa.Table, refused_as: FileOutcome | None) -> pa.Table:
    """Of a file by another sender or in another version only that is told, nothing of its content."""
    if refused_as in (None, FileOutcome.UNREADABLE):
        return faults
    return faults.filter(pa.array([BY_CODE[code].outcome is refused_as for code in faults["code"].to_pylist()], pa.bool_()))


def _row_faults(rules: Sequence[Rule], rows: pa.Table, given: Mapping[str, Any]) -> pa.Table:
    any_broken = " OR ".join(f"({rule.when})" for rule in rules)
    each_broken = ", ".join(f"CASE WHEN {rule.when} THEN '{rule.code}' END" for rule in rules)
    sql = f"""
        SELECT line, child_id, field, code, severity, NULL::VARCHAR AS detail
        FROM (SELECT line, child_id, unnest([{each_broken}]) AS broken FROM rows WHERE {any_broken}) JOIN rules ON code = broken
    """
    named = set(re.findall(r"\$([a-z_]+)", sql))
    return query(sql, {"rows": rows, "rules": _legend(rules)}, {name: given[name] for name in named}).cast(FAULTS)


def _legend(rules: Sequence[Rule]) -> pa.Table:
    return pa.table(
        {
            "code": pa.array([rule.code for rule in rules], pa.string()),
            "field": pa.array([rule.fields[0] if rule.fields else None for rule in rules], pa.string()),
            "severity": pa.array([str(rule.severity) for rule in rules], pa.string()),
        }
    )


def _without_errors(rows: pa.Table, faults: pa.Table) -> pa.Table:
    return query(
        "SELECT * FROM rows ANTI JOIN (FROM faults WHERE severity = 'ERROR') USING (line)", {"rows": rows, "faults": faults}
    )


def _outcomes(rows: pa.Table, loads: pa.Table) -> pa.Table:
    sql = f"""
        SELECT line, child_id, CASE WHEN loads.line IS NULL THEN '{RecordOutcome.OTHER}' ELSE '{RecordOutcome.LOADED}' END AS outcome
        FROM rows LEFT JOIN loads USING (line) ORDER BY line
    """
    return query(sql, {"rows": rows.select(["line", "child_id"]), "loads": loads.select(["line"])}).cast(OUTCOMES)


def _rejected(rows: pa.Table, loads: pa.Table) -> pa.Table:
    types = ", ".join(f"'{plan_type}'" for plan_type in PlanType)
    sql = f"""
        SELECT nhs_number, unnest(CASE WHEN plan_type IS NULL THEN [{types}] ELSE [plan_type] END) AS plan_type, start_date
        FROM rows ANTI JOIN loads USING (line) WHERE nhs_number IS NOT NULL
    """
    return query(sql, {"rows": rows, "loads": loads.select(["line"])}).cast(REJECTED)


def _loaded(rows: int, loads: int) -> FileOutcome:
    if loads == rows:
        return FileOutcome.ALL_LOADED
    return FileOutcome.PARTIAL if loads else FileOutcome.NONE_LOADED
