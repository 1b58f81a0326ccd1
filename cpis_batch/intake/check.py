"""Hold an extract to the rules: which rows load, every fault of every row, an outcome for each, one for the file.

The rules of a row run as one SQL query over all rows, and only rows with a fault pay for finding out which. A rule that
needs a value that could not be read says nothing. No count is capped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import engine
from cpis_batch.engine import query, values
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


_SLICE, _THREADS = 500_000, 2  # planning the queries anew for a slice costs as much as 40,000 rows


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
    records: int | None = None  # rows of the text, counted by other means than those of the reader (accounts)


def check(reading: Reading, context: CheckContext) -> Verdict:
    """Hold a reading to all rules. Bad data is in the verdict, never an exception."""
    facts = file_facts.facts(reading)
    faults = _file_faults(facts, context)
    refused_as = _refused_as(faults)
    if isinstance(reading, Refused) or not _is_for_us(facts, context):
        nothing = (ACCEPTED.empty_table(), _told(faults, refused_as), OUTCOMES.empty_table(), REJECTED.empty_table())
        return Verdict(None, *nothing, refused_as or FileOutcome.UNREADABLE)

    rows, alone = _each_alone(reading.rows, context)
    sound = _without_errors(rows, alone)
    against = _row_faults(ACROSS_RULES, across.crowded(sound), context, across.COMPARED)
    loads = rows.slice(0, 0) if refused_as else _without_errors(sound, against)
    row_faults = pa.concat_tables([alone, against]).sort_by([("line", "ascending"), ("code", "ascending")])
    return Verdict(
        header=file_facts.header_of(facts),
        accepted=loads.select(ACCEPTED.names).cast(ACCEPTED),
        faults=pa.concat_tables([faults, row_faults]),
        outcomes=_outcomes(rows, loads),
        rejected=_rejected(rows, loads),
        file_outcome=refused_as or _loaded(rows.num_rows, loads.num_rows),
    )


def _each_alone(read_rows: pa.Table, context: CheckContext) -> tuple[pa.Table, pa.Table]:
    """The rows, typed, and the faults that each has by itself; of many rows in slices, two at a time."""

    def judged(begin: int) -> tuple[pa.Table, pa.Table]:
        typed = columns.typed(read_rows.slice(begin, _SLICE), context.business_date)
        return typed.select([*ACCEPTED.names, "nhs_value"]), _row_faults(ROW_RULES, typed, context)

    if read_rows.num_rows <= _SLICE:
        return judged(0)

    def apart(begin: int) -> tuple[pa.Table, pa.Table]:
        try:
            return judged(begin)
        finally:
            engine.close()  # this thread's

    with ThreadPoolExecutor(_THREADS) as threads:
        rows, faults = zip(*threads.map(apart, range(0, read_rows.num_rows, _SLICE)), strict=True)
    return pa.concat_tables(rows), pa.concat_tables(faults)


def _is_for_us(facts: Mapping[str, Any], context: CheckContext) -> bool:
    """Whether the header names our format, in a version that we read, this sender and this environment."""
    return (
        facts["format"] == "CPIS-LA-EXTRACT"
        and facts["version"] in context.supported_versions
        and facts["la_code"] == context.la_code
        and facts["environment"] == context.environment
    )


def _file_faults(facts: dict[str, Any], context: CheckContext) -> pa.Table:
    """First which rules are broken, then, of those alone, at which line and by what numbers: planning that costs more."""
    file = file_facts.as_table(facts)
    rules = [rule for rule in FILE_RULES if not rule.given or facts[rule.given] is not None]
    which = ", ".join(f"coalesce({rule.when}, false)" for rule in rules)
    sql = f"SELECT [{which}] FROM file"
    broken_ones = values(sql, {"file": file}, _named_in(sql, context))[0][0]
    broken = [rule for rule, is_broken in zip(rules, broken_ones, strict=True) if is_broken]
    if not broken:
        return FAULTS.empty_table()
    told = ", ".join(f"{{code: '{rule.code}', line: {rule.line}, detail: {rule.detail}}}" for rule in broken)
    sql = f"""
        SELECT CAST(fault.line AS INTEGER) AS line, NULL::VARCHAR AS child_id, field, code, severity, fault.detail AS detail
        FROM (SELECT unnest([{told}]) AS fault FROM file) JOIN rules ON code = fault.code ORDER BY code
    """
    return query(sql, {"file": file, "rules": _legend(broken)}, _named_in(sql, context)).cast(FAULTS)


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


def _row_faults(rules: Sequence[Rule], rows: pa.Table, context: CheckContext, source: str = "FROM rows") -> pa.Table:
    """The faults of all rules, those that share what they are given in one query; `source` makes of `rows` what they speak of."""
    found = [FAULTS.empty_table()]
    if not rows.num_rows:
        return found[0]
    for given in dict.fromkeys(rule.given for rule in rules):
        if given and not pc.any(rows[given]).as_py():
            continue
        group = [rule for rule in rules if rule.given == given]
        broken = ", ".join(f"CASE WHEN {rule.when} THEN '{rule.code}' END" for rule in group)
        suspect = given or " OR ".join(f"({rule.when})" for rule in group)
        whether = f"SELECT 1 FROM ({source}) WHERE {suspect} LIMIT 1"
        if not given and not values(whether, {"rows": rows}, _named_in(whether, context)):
            continue  # most files: planned in half the time of what finds the rules
        sql = f"""
            SELECT line, child_id, field, code, severity, NULL::VARCHAR AS detail
            FROM (SELECT line, child_id, unnest([{broken}]) AS broken FROM ({source}) WHERE {suspect}) JOIN rules ON code = broken
        """
        found.append(query(sql, {"rows": rows, "rules": _legend(group)}, _named_in(sql, context)).cast(FAULTS))
    return pa.concat_tables(found)


def _named_in(sql: str, context: CheckContext) -> dict[str, Any]:
    """Those of the context's values that a query names."""
    known = {
        "la_code": context.la_code,
        "environment": str(context.environment),
        "business_date": context.business_date,
        "supported": list(context.supported_versions),
    }
    return {name: value for name, value in known.items() if f"${name}" in sql}


def _legend(rules: Sequence[Rule]) -> pa.Table:
    return pa.table(
        {
            "code": pa.array([rule.code for rule in rules], pa.string()),
            "field": pa.array([rule.fields[0] if rule.fields else None for rule in rules], pa.string()),
            "severity": pa.array([str(rule.severity) for rule in rules], pa.string()),
        }
    )


def _without_errors(rows: pa.Table, faults: pa.Table) -> pa.Table:
    errors = faults.filter(pc.equal(faults["severity"], Severity.ERROR))
    return rows.filter(pa.array(~_stand_in(errors, rows))) if errors.num_rows else rows


def _outcomes(rows: pa.Table, loads: pa.Table) -> pa.Table:
    outcome = pc.if_else(pa.array(_stand_in(loads, rows)), str(RecordOutcome.LOADED), str(RecordOutcome.OTHER))
    return rows.select(["line", "child_id"]).append_column("outcome", outcome).cast(OUTCOMES)


def _rejected(rows: pa.Table, loads: pa.Table) -> pa.Table:
    rejected = rows.select(REJECTED.names).filter(pa.array(~_stand_in(loads, rows)))
    rejected = rejected.filter(pc.is_valid(rejected["nhs_number"]))
    untyped = rejected.filter(pc.is_null(rejected["plan_type"]))
    of_any_type = [untyped.set_column(1, "plan_type", pa.repeat(str(plan_type), untyped.num_rows)) for plan_type in PlanType]
    return pa.concat_tables([rejected.filter(pc.is_valid(rejected["plan_type"])), *of_any_type]).cast(REJECTED)


def _stand_in(some: pa.Table, rows: pa.Table) -> npt.NDArray[np.bool_]:
    """Of each of `rows`, whether `some` speaks of its line."""
    lines = rows["line"].to_numpy()
    marked = np.zeros(int(lines.max(initial=0)) + 1, np.bool_)
    marked[some["line"].to_numpy()] = True
    found: npt.NDArray[np.bool_] = marked[lines]
    return found


def _loaded(rows: int, loads: int) -> FileOutcome:
    if loads == rows:
        return FileOutcome.ALL_LOADED
    return FileOutcome.PARTIAL if loads else FileOutcome.NONE_LOADED
