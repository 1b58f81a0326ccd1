"""Hold extracts to the rules: which rows load, every fault of every row, an outcome for each, one for the file.

The rows of many files go through one SQL query as one table, since its planning costs more than most files; only rows with a
fault pay for finding out which. A rule that needs a value that could not be read says nothing. No count is capped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.errors import Bug
from cpis_batch.intake import faults, file_facts, histories
from cpis_batch.intake.alone import each_alone
from cpis_batch.intake.faults import FAULTS, CheckContext
from cpis_batch.intake.file_facts import Header
from cpis_batch.intake.lines import Refused
from cpis_batch.intake.read import FORMAT, Reading
from cpis_batch.intake.records import Records
from cpis_batch.intake.rules import ACROSS_RULES, BY_CODE, across, nhs_number
from cpis_batch.register.schema import ACCEPTED
from cpis_batch.vocabulary import FileOutcome, PlanType, RecordOutcome, Severity

__all__ = ["FAULTS", "OUTCOMES", "REJECTED", "CheckContext", "Verdict", "check", "check_all"]

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
GRAVEST = (FileOutcome.NONE_LOADED, FileOutcome.VERSION_NOT_SUPPORTED, FileOutcome.UNREADABLE)

_SMALL = 10_000  # rows a chunk: where they have fewer, what each costs by itself is more than copying them into one


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
    """Hold one reading to all rules. Bad data is in the verdict, never an exception."""
    return check_all([reading], [context])[0]


def check_all(readings: Sequence[Reading], contexts: Sequence[CheckContext]) -> list[Verdict]:
    """Hold readings to all rules; the verdict of each, as if it were alone. The contexts differ in `la_code` at most."""
    if not readings:
        return []
    if len({replace(context, la_code="") for context in contexts}) > 1:
        raise Bug("Files of different nights were to be checked together.", "Report it with the run's log.")
    facts = [file_facts.facts(reading) for reading in readings]
    of_files = faults.of_files(facts, contexts)
    verdicts: list[Verdict | None] = [None] * len(readings)
    to_read: list[tuple[int, Records, FileOutcome | None]] = []
    for place, reading in enumerate(readings):
        refused_as = _refused_as(of_files[place])
        if isinstance(reading, Refused) or not _is_for_us(facts[place], contexts[place]):
            nothing = (ACCEPTED.empty_table(), _told(of_files[place], refused_as), OUTCOMES.empty_table(), REJECTED.empty_table())
            verdicts[place] = Verdict(None, *nothing, refused_as or FileOutcome.UNREADABLE)
        else:
            to_read.append((place, reading, refused_as))
    if to_read:
        judged = _judged([reading.rows for _, reading, _ in to_read], [refused for *_, refused in to_read], contexts[0])
        for (place, reading, refused_as), (accepted, of_rows, outcomes, rejected) in zip(to_read, judged, strict=True):
            verdicts[place] = Verdict(
                header=file_facts.header_of(facts[place]),
                accepted=accepted,
                faults=pa.concat_tables([of_files[place], of_rows]),
                outcomes=outcomes,
                rejected=rejected,
                file_outcome=refused_as or _loaded(reading.rows.num_rows, accepted.num_rows),
            )
    return [verdict for verdict in verdicts if verdict]


@dataclass(frozen=True, slots=True)
class _Together:
    """The rows of several files as one table, in which `line` is the place of a row from 0.

    `starts`: at which place each file begins, and after the last one where it ends. `lines`: which line of its file a row is.
    """

    rows: pa.Table
    starts: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int32]

    def apart(self, table: pa.Table) -> list[pa.Table]:
        """Each file's share of a table that is sorted by place, with the line numbers of the file."""
        places = table["line"].to_numpy()
        column = table.column_names.index("line")
        numbered = table.set_column(column, table.field(column), pa.array(self.lines[places], pa.int32()))
        return [numbered.slice(begin, end - begin) for begin, end in pairwise(np.searchsorted(places, self.starts).tolist())]

    def of_files(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        """A value a file as a value a row."""
        return np.repeat(np.array(values), np.diff(self.starts))


def _put_together(tables: Sequence[pa.Table]) -> _Together:
    rows = pa.concat_tables(tables)
    if rows.num_rows < _SMALL * rows["line"].num_chunks:
        rows = rows.combine_chunks()
    column = rows.column_names.index("line")
    places = pa.array(np.arange(rows.num_rows, dtype=np.int32))
    starts = np.concatenate([[0], np.cumsum([table.num_rows for table in tables])])
    return _Together(rows.set_column(column, "line", places), starts, rows["line"].to_numpy())


def _judged(
    tables: Sequence[pa.Table], refused: Sequence[FileOutcome | None], context: CheckContext
) -> list[tuple[pa.Table, pa.Table, pa.Table, pa.Table]]:
    """ACCEPTED, FAULTS, OUTCOMES and REJECTED of the rows of each file; of one that is refused nothing is accepted."""
    together = _put_together(tables)
    rows = together.rows
    alone = each_alone(rows, context)
    sound = ~_marked(_errors(alone.faults), rows)
    crowded = histories.to_compare(alone, together.of_files(range(len(tables))), sound)
    against = faults.of_rows(ACROSS_RULES, crowded, context, across.COMPARED)
    loads = sound & ~_marked(_errors(against), rows) & together.of_files([outcome is None for outcome in refused])
    told = pa.concat_tables([alone.faults, against]).sort_by([("line", "ascending"), ("code", "ascending")])
    return list(
        zip(
            together.apart(alone.those(loads).cast(ACCEPTED)),
            together.apart(told),
            together.apart(_outcomes(rows, loads, told)),
            [_rejected(mine) for mine in together.apart(alone.those(~loads))],
            strict=True,
        )
    )


def _is_for_us(facts: Mapping[str, Any], context: CheckContext) -> bool:
    """Whether the header names our format, in a version that we read, this sender and this environment."""
    return (
        facts["format"] == FORMAT
        and facts["version"] in context.supported_versions
        and facts["la_code"] == context.la_code
        and facts["environment"] == context.environment
    )


def _refused_as(found: pa.Table) -> FileOutcome | None:
    outcomes = {
        BY_CODE[fault["code"]].outcome
        for fault in found.select(["code", "severity"]).to_pylist()
        if fault["severity"] == Severity.ERROR
    }
    return next((outcome for outcome in GRAVEST if outcome in outcomes), None)


def _told(found: pa.Table, refused_as: FileOutcome | None) -> pa.Table:
    """Of a file by another sender or in another version only that is told, nothing of its content."""
    if refused_as in (None, FileOutcome.UNREADABLE):
        return found
    return found.filter(pa.array([BY_CODE[code].outcome is refused_as for code in found["code"].to_pylist()], pa.bool_()))


def _errors(found: pa.Table) -> pa.Table:
    return found.filter(pc.equal(found["severity"], Severity.ERROR))


def _marked(found: pa.Table, rows: pa.Table) -> npt.NDArray[np.bool_]:
    """Of each of `rows`, whether `found` speaks of it, by its place."""
    marked = np.zeros(rows.num_rows, np.bool_)
    marked[found["line"].to_numpy()] = True
    return marked


def _outcomes(rows: pa.Table, loads: npt.NDArray[np.bool_], told: pa.Table) -> pa.Table:
    outcome = pc.if_else(pa.array(loads), str(RecordOutcome.LOADED), str(RecordOutcome.OTHER))
    old_style = told.filter(pc.equal(told["code"], nhs_number.OLD_STYLE))
    if old_style.num_rows:
        outcome = pc.if_else(pa.array(_marked(old_style, rows)), str(RecordOutcome.OLD_STYLE_NUMBER), outcome)
    return rows.select(["line", "child_id"]).append_column("outcome", outcome).cast(OUTCOMES)


def _rejected(rows: pa.Table) -> pa.Table:
    """REJECTED of the rows of one file that do not load."""
    if not rows.num_rows:
        return REJECTED.empty_table()
    rejected = rows.select(REJECTED.names)
    rejected = rejected.filter(pc.is_valid(rejected["nhs_number"]))
    untyped = rejected.filter(pc.is_null(rejected["plan_type"]))
    of_any_type = [untyped.set_column(1, "plan_type", pa.repeat(str(plan_type), untyped.num_rows)) for plan_type in PlanType]
    return pa.concat_tables([rejected.filter(pc.is_valid(rejected["plan_type"])), *of_any_type]).cast(REJECTED)


def _loaded(rows: int, loads: int) -> FileOutcome:
    if loads == rows:
        return FileOutcome.ALL_LOADED
    return FileOutcome.PARTIAL if loads else FileOutcome.NONE_LOADED
