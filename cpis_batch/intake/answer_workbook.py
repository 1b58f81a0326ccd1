"""An answer as a workbook, for who mends a file row by row: one sheet a question, a row a thing to look at.

Every fault, every plan left out and every row to check is in it. Rows that simply loaded are not, nor more than the first
`CHANGES_SHOWN` changes: a first file has as many as rows, all of them new, and at 5 microseconds a cell the workbooks of all of
England's first files would take as long as a third of the night. CSV and JSON have every row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from cpis_batch import pages
from cpis_batch.intake.acknowledge import Answer, match_sentence, sentence, told
from cpis_batch.intake.answer_page import WORDS_OF_PLANS, became, counted, to_do
from cpis_batch.vocabulary import FileState
from cpis_batch.workbook import Sheet, counts, text, workbook

CHANGES_SHOWN = 200
ROWS_SHOWN = 20_000  # of any other list: a file whose every row is wrong, thrice, would make a workbook that opens in a minute


def to_workbook(answer: Answer, tally: Mapping[str, int], changes: pa.Table, groups: Sequence[Mapping[str, Any]]) -> bytes:
    """The workbook. `groups` are answer_forms.grouped; `changes` those that are listed (CHANGES)."""
    sheets = [
        Sheet("Summary", text("What", "Answer"), _summary(answer, tally, groups)),
        Sheet("Counts", text("What") + counts("How many"), [] if answer.state is FileState.HELD else counted(tally)),
        Sheet(
            "Mistakes",
            text("What is wrong", "How to mend it") + counts("Rows") + text("What became of them", "Field", "Code"),
            (
                (group["cause"], group["cure"], group["times"], became(answer, group["severity"]), group["field"], group["code"])
                for group in groups
            ),
        ),
        Sheet(
            "Rows to mend",
            counts("Line") + text("Your id", "Field", "What is wrong", "How to mend it", "What became of it", "Code"),
            _first(
                answer.faults,
                7,
                lambda fault: (
                    fault["line"],
                    fault["child_id"],
                    fault["field"],
                    fault["cause"],
                    fault["cure"],
                    became(answer, fault["severity"]),
                    fault["code"],
                ),
            ),
        ),
        Sheet(
            "Left out",
            text("Your id", "Plan", "Start", "Left out since"),
            _first(answer.missing, 4, lambda plan: (plan["child_id"], _plan(plan), plan["start_date"], plan["missing_since"])),
        ),
        Sheet(
            "To check",
            counts("Line") + text("Your id", "What to check", "Outcome"),
            _first(answer.to_check, 4, lambda row: (row["line"], row["child_id"], row["what_to_check"], row["outcome"])),
        ),
        Sheet("Changes", text("Change", "Your id", "Plan", "Start") + counts("Line"), _changes(changes)),
    ]
    if answer.match and answer.match.trend:
        rated = [(str(one.counted_on), f"{one.rate / 100:.2f}") for one in answer.match.trend]  # text: 94.96 must not read 95.0
        sheets.append(Sheet("Match rate", text("Counted on", "Percent"), rated))
    return workbook(sheets, title=f"Answer {answer.reference}", made_at=answer.answered_at)


def _summary(answer: Answer, tally: Mapping[str, int], groups: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    yield "What happened", sentence(answer, tally)
    for _, what in to_do(answer, tally, groups):
        yield "What to do", what
    for notice in answer.notices:
        yield "Please note", f"{notice.text} {notice.cure}".rstrip()
    yield "Authority", f"{answer.la_name} ({answer.la_code})"
    yield "File", answer.file_name
    if answer.sequence >= 0:
        yield "Number in the sequence", str(answer.sequence)
    if answer.extracted_at:
        yield "Extracted", pages.london(answer.extracted_at)
    yield "Received", pages.london(answer.received_at)
    yield "Outcome", f"{answer.outcome or 'none yet'}, {answer.state.lower()}"
    if answer.match:
        yield "NHS numbers", match_sentence(answer.match)
    yield "Our reference", answer.reference
    yield "Our audit log", str(answer.audit)


def _first(
    table: pa.Table, width: int, line: Callable[[dict[str, Any]], tuple[str | int | None, ...]]
) -> Iterator[tuple[str | int | None, ...]]:
    """The first rows of a list; a last one, in its first column of text, says where the others are."""
    for row in told(table.slice(0, ROWS_SHOWN)):
        yield line(row)
    if table.num_rows > ROWS_SHOWN:
        words = f"{table.num_rows - ROWS_SHOWN:,} more, all listed in acknowledgement.csv"
        yield (None, words, *(None,) * (width - 2))


def _changes(changes: pa.Table) -> Iterator[tuple[str | int | None, ...]]:
    for row in told(changes.slice(0, CHANGES_SHOWN)):
        yield row["change"].lower().replace("_", " "), row["child_id"], _plan(row), row["start_date"], row["line"]
    if changes.num_rows > CHANGES_SHOWN:
        yield f"{changes.num_rows - CHANGES_SHOWN:,} more, all listed in acknowledgement.csv", None, None, None, None


def _plan(row: Mapping[str, Any]) -> str:
    return f"{row['plan_type']}, {WORDS_OF_PLANS[row['plan_type']]}"
