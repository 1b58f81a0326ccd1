"""From a check's verdict to what an answer says of it: causes and cures, outcomes by state, what refused the file."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.demographics import rate
from cpis_batch.engine import query
from cpis_batch.errors import Bug
from cpis_batch.intake import acknowledge, findings
from cpis_batch.intake.acknowledge import Notice
from cpis_batch.intake.check import Verdict
from cpis_batch.intake.findings import Finding
from cpis_batch.intake.rules import ALL, BY_CODE, Scope, across, columns
from cpis_batch.register.judge import DELETE_UNKNOWN, PAST_RETENTION
from cpis_batch.vocabulary import FileState, RecordOutcome, Severity

# What rows are judged by: the rules, and the SQL that makes the columns they look at. A commit names it (FAULTS F72).
RULES_VERSION = hashlib.sha256("\n".join((*map(repr, ALL), columns.TYPED, across.COMPARED)).encode()).hexdigest()

_WORDS = {(row["outcome"], row["check"]): row["text"] for row in rate.WHAT_TO_CHECK.to_pylist()}
_OF_PASSED_OVER = {DELETE_UNKNOWN: findings.DELETE_UNKNOWN, PAST_RETENTION: findings.PAST_RETENTION}


def notice(finding: Finding) -> Notice:
    """A finding as a notice of an answer."""
    return Notice(finding.code, finding.cause, finding.cure)


def content_digest(plaintext: bytes) -> str:
    """SHA-256 of the D lines: the same for two files that say the same under two sequence numbers."""
    whole = hashlib.sha256()
    for line in plaintext.split(b"\n"):
        if line.startswith((b"D,", b'"D"')):
            whole.update(line.rstrip(b"\r,") + b"\n")
    return whole.hexdigest()


def faults(finding: Finding | None, verdict: Verdict | None, passed_over: pa.Table | None = None) -> pa.Table:
    """What an answer lists (acknowledge.FAULTS): the finding about the file as a whole first, then every fault of every row.

    `passed_over` (merge.PASSED_OVER) are rows that were let in and had nothing to do: they are warned of.
    """
    first = [] if finding is None else [{"code": finding.code, "severity": "ERROR", "cause": finding.cause, "cure": finding.cure}]
    head = pa.Table.from_pylist(first, schema=acknowledge.FAULTS)
    if verdict is None:
        return head
    tables = [head, explained(verdict.faults)]
    if passed_over is not None and passed_over.num_rows:
        tables.append(_passed_over(passed_over, verdict))
    return pa.concat_tables(tables)


def _passed_over(rows: pa.Table, verdict: Verdict) -> pa.Table:
    ids = dict(zip(verdict.accepted["line"].to_pylist(), verdict.accepted["child_id"].to_pylist(), strict=True))
    told = [(row["line"], _OF_PASSED_OVER[row["reason"]]) for row in rows.to_pylist()]
    warned = [
        {
            "line": line,
            "child_id": ids[line],
            "field": None,
            "code": why.code,
            "severity": "WARNING",
            "cause": why.cause,
            "cure": why.cure,
        }
        for line, why in told
    ]
    return pa.Table.from_pylist(warned, schema=acknowledge.FAULTS)


def explained(found: pa.Table) -> pa.Table:
    """The faults of a check (check.FAULTS) with each rule's cause and cure (acknowledge.FAULTS), by line."""
    if not found.num_rows:
        return acknowledge.FAULTS.empty_table()  # most files: to plan the query would take 4 ms
    rules = pa.table({name: [getattr(rule, name) for rule in ALL] for name in ("code", "cause", "cure")})
    return query(
        """SELECT line, child_id, field, code, severity, concat(cause, ' (' || detail || ')') AS cause, cure
           FROM found JOIN rules USING (code) ORDER BY line NULLS FIRST, code, field""",
        {"found": found, "rules": rules},
    ).cast(acknowledge.FAULTS)


def refusal_code(verdict: Verdict) -> str | None:
    """The code of the first rule that refuses the file as a whole; None where its rows may be used."""
    errors = verdict.faults.filter(pc.equal(verdict.faults["severity"], Severity.ERROR))["code"].unique().to_pylist()
    return min((code for code in errors if BY_CODE[code].scope is Scope.FILE), default=None)


def rows_warned(verdict: Verdict) -> int:
    """How many rows have a warning."""
    warned = verdict.faults.filter(pc.equal(verdict.faults["severity"], Severity.WARNING))
    return int(pc.count_distinct(warned["line"]).as_py())


def row_outcomes(state: FileState, verdict: Verdict | None, standing: pa.Table | None = None) -> pa.Table:
    """Every row's outcome (acknowledge.OUTCOMES): not loaded, unless the file was merged; then as checked, and of those let in as
    they stand with the trace (standing.ROWS of this file; None: not known).

    None for a held file, which has no final word yet, nor for a duplicate, whose rows the first answer speaks of.
    """
    if verdict is None or state in (FileState.HELD, FileState.DUPLICATE):
        return acknowledge.OUTCOMES.empty_table()
    rows = verdict.outcomes.combine_chunks()
    outcome, status, provisional = (
        rows["outcome"].combine_chunks(),
        pa.nulls(rows.num_rows, pa.string()),
        pa.repeat(False, rows.num_rows),
    )
    loaded = pc.equal(outcome, str(RecordOutcome.LOADED))
    if state is not FileState.MERGED:
        outcome, loaded = pa.repeat(str(RecordOutcome.OTHER), rows.num_rows), provisional
    elif standing is not None:
        if not standing["line"].combine_chunks().equals(verdict.accepted["line"].combine_chunks()):
            raise Bug("The trace was looked up for other rows than those that are loaded.", "Report it with the run's log.")
        outcome, status, provisional = (
            pc.replace_with_mask(column, loaded, standing[name].combine_chunks())
            for name, column in (("outcome", outcome), ("status", status), ("provisional", provisional))
        )
    told = (rows["line"], rows["child_id"], outcome, loaded, status, provisional)
    return pa.table(dict(zip(acknowledge.OUTCOMES.names, told, strict=True))).cast(acknowledge.OUTCOMES)


def to_check(verdict: Verdict, standing: pa.Table) -> pa.Table:
    """What the sender is to look at (acknowledge.TO_CHECK): loaded rows, of plans not over, that do not match PDS.

    `standing` is standing.ROWS of this file.
    """
    odd = standing.filter(
        pc.and_not(pc.or_(standing["deceased"], pc.not_equal(standing["outcome"], str(RecordOutcome.LOADED))), standing["over"])
    )
    if not odd.num_rows:
        return acknowledge.TO_CHECK.empty_table()
    # In Python: an authority has some dozens of such rows, and to plan a query for each of 153 would take 0.6 s.
    accepted = verdict.accepted.filter(pc.is_in(verdict.accepted["line"], odd["line"].combine_chunks()))
    ids = dict(zip(accepted["line"].to_pylist(), accepted["child_id"].to_pylist(), strict=True))
    found = []
    for row in odd.to_pylist():
        told = {"line": row["line"], "child_id": ids[row["line"]], "outcome": row["outcome"]}
        if text := _WORDS.get((row["outcome"], row["check"])):
            found.append(told | {"check": row["check"], "what_to_check": text})
        if row["deceased"]:
            found.append(told | {"check": None, "what_to_check": rate.DEATH})
    found.sort(key=lambda row: (row["line"], row["what_to_check"]))
    return pa.Table.from_pylist(found, schema=acknowledge.TO_CHECK)
