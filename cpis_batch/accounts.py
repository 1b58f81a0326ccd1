"""Nothing is dropped between one table and the next: each step of a file's way held against the step before it.

What is counted here is counted anew, from the bytes and from the tables, by other means than those of the code that made them;
so a row that the reader, the rules, the merge or the writer loses is missed the same evening, whatever lost it. A Bug stops that
authority alone, before anything of its evening is committed; it names counts and no row. What is committed is balanced by
`catalogue.ledger`, what is released by `extracts.recipients`.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.errors import Bug
from cpis_batch.vocabulary import CLOSES, RecordOutcome

ADVICE = "Nothing of this authority was changed. Keep the home as it is and report this line as a fault of the program."

_BOM = b"\xef\xbb\xbf"
_HEADING = (b"record_type,", b'"record_type"')
_NO_ROW = re.compile(rb'"?[HT]"?[ \t]*(?:[,\r]|$)')


def rows_in(text: bytes) -> int:
    """How many rows a file of the H/D/T family has: lines with something on them that are no header, trailer or heading.

    Counted line by line from the bytes; a line that is damaged or of no known type is a row too, since its sender is told of it.
    """
    count, first = 0, True
    for line in text.removeprefix(_BOM).split(b"\n"):
        if not line.strip(b", \t\r"):
            continue
        if not (first and line.lower().startswith(_HEADING)) and not _NO_ROW.match(line):
            count += 1
        first = False
    return count


def check_rows(text: bytes, outcomes: pa.Table, accepted: pa.Table) -> int:
    """That every row of the text has one outcome (check.OUTCOMES), and that those which loaded are those that were accepted.

    `accepted` is ACCEPTED. The number of rows; Bug where they do not agree.
    """
    rows = rows_in(text)
    told = pc.count_distinct(outcomes["line"]).as_py()
    if (told, outcomes.num_rows) != (rows, rows):
        raise Bug(f"The file has {rows:,} rows; {told:,} lines have {outcomes.num_rows:,} outcomes.", ADVICE)
    loaded = outcomes.filter(pc.equal(outcomes["outcome"], str(RecordOutcome.LOADED)))["line"]
    if not _same_lines(loaded, accepted["line"]):
        raise Bug(f"{len(loaded):,} rows are to be loaded; {accepted.num_rows:,} others or fewer were accepted.", ADVICE)
    return rows


def check_merge(accepted: pa.Table, changes: pa.Table, passed_over: pa.Table, closed: pa.Table) -> None:
    """That every accepted row became one change or was passed over, and every version that was replaced went to the history.

    Tables of `register.merge`. Bug where a row or a version is lost.
    """
    told = pa.chunked_array([*changes["line"].drop_null().chunks, *passed_over["line"].chunks], pa.int32())
    if not _same_lines(told, accepted["line"]):
        raise Bug(f"{accepted.num_rows:,} rows were accepted; {len(told):,} others or fewer were merged or passed over.", ADVICE)
    replaced = pc.sum(pc.is_in(changes["change"], pa.array([str(change) for change in CLOSES]))).as_py() or 0
    if replaced != closed.num_rows:
        raise Bug(f"{replaced:,} plans were changed; {closed.num_rows:,} versions went to the history.", ADVICE)


def check_count(what: str, expected: int, found: int) -> None:
    """That as many rows stand as should. `what` names the table for people; Bug where not."""
    if expected != found:
        raise Bug(f"{what}: {expected:,} rows were expected and {found:,} stand.", ADVICE)


def _same_lines(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Whether two columns of line numbers name the same lines, each once."""
    distinct = pc.count_distinct(one).as_py()
    return bool(len(one) == distinct == len(other) and pc.all(pc.is_in(other, value_set=one), min_count=0).as_py())
