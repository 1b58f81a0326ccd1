"""An answer as a page, for the person who has to mend the file: what to do first, then why, then what happened besides.

One mistake made 300 times reads once. A long list shows its first rows and says where all of them are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from markupsafe import Markup

from cpis_batch import charts, pages
from cpis_batch.audit.witness import WITNESS
from cpis_batch.demographics.rate import LINE
from cpis_batch.intake.acknowledge import Answer, Match, match_sentence, sentence, told
from cpis_batch.vocabulary import Change, FileState, Severity

LINES_SHOWN = 20  # of one group of faults; workbook, CSV and JSON hold them all
ROWS_SHOWN = 200  # of a list, likewise
COUNTED = (
    ("rows", "Rows in the file"),
    ("rows_loaded", "Rows loaded"),
    ("rows_kept_out", "Rows kept out"),
    ("rows_with_warning", "Rows with a warning"),
    ("rows_provisional", "Rows loaded whose NHS number is not traced yet"),
    (Change.NEW, "New plans"),
    (Change.REOPENED, "Plans back after a deletion"),
    (Change.AMENDED, "Plans changed"),
    (Change.ENDED, "Plans ended"),
    (Change.RESUMED, "Plans open again"),
    (Change.DELETED, "Plans deleted as entered in error"),
    (Change.AGED_OUT, "Plans ended by the 18th birthday"),
    (Change.CONFIRMED, "Plans sent again, the same"),
    (Change.MISSING, "Open plans left out"),
)
_ALWAYS = ("rows", "rows_loaded", "rows_kept_out", "rows_with_warning")
WORDS_OF_PLANS = {"CPP": "child protection plan", "LAC": "looked after", "UCPP": "unborn child's plan"}


def counted(tally: Mapping[str, int]) -> list[tuple[str, int]]:
    """The counts in words, in their order; those that are 0 and say nothing by it are left out."""
    whole = {**tally, "rows_kept_out": tally["rows"] - tally["rows_loaded"]}
    return [(words, whole.get(name, 0)) for name, words in COUNTED if whole.get(name, 0) or name in _ALWAYS]


def to_do(answer: Answer, tally: Mapping[str, int], groups: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What the reader is asked to do, most pressing first: (where on the page, what). Nothing where there is nothing to do."""
    if answer.state in (FileState.DUPLICATE, FileState.STALE):
        return []
    if answer.state is FileState.HELD:
        return []  # whoever decides asks the sender; nothing of the file has been used or refused
    found = []
    errors = [group for group in groups if group["severity"] == "ERROR"]
    rows = tally["rows"] - tally["rows_loaded"]
    if answer.state is FileState.REFUSED:
        found.append(("mend", "Mend what is wrong, make the file again, and send it with the next number."))
    elif errors:
        mistakes = "1 mistake" if len(errors) == 1 else f"{len(errors):,} mistakes"
        found.append(("mend", f"Mend {mistakes} in {_rows(rows)} that did not get in, and send them in your next file."))
    if answer.missing.num_rows:
        plans = "1 plan" if answer.missing.num_rows == 1 else f"{answer.missing.num_rows:,} plans"
        found.append(("left-out", f"Say what has become of {plans} that you left out: put each back, or end it."))
    if answer.to_check.num_rows:
        found.append(("check", f"Check the NHS number or name in {_rows(answer.to_check.num_rows)}."))
    if len(groups) > len(errors):
        found.append(("mend", f"Look at {_rows(tally['rows_with_warning'])} that got in with a warning."))
    return found


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def became(answer: Answer, severity: str) -> str:
    """What becomes of a row with such a fault, in words."""
    if severity != "ERROR":
        return "let in, with a warning" if answer.state is not FileState.HELD else "would be let in, with a warning"
    return "kept out" if answer.state is not FileState.HELD else "would be kept out"


def to_page(answer: Answer, tally: Mapping[str, int], changes: pa.Table, groups: Sequence[Mapping[str, Any]]) -> bytes:
    """The page. `groups` are answer_forms.grouped; `changes` those that are listed (CHANGES)."""
    return pages.page(
        "acknowledgement.html",
        answer=answer,
        counts=[] if answer.state is FileState.HELD else counted(tally),
        became={severity: became(answer, severity) for severity in Severity},
        sentence=sentence(answer, tally),
        to_do=to_do(answer, tally, groups),
        groups=groups,
        changes=told(changes.slice(0, ROWS_SHOWN)),
        changes_in_all=changes.num_rows,
        missing=told(answer.missing.slice(0, ROWS_SHOWN)),
        missing_in_all=answer.missing.num_rows,
        match=match_sentence(answer.match) if answer.match else None,
        trend=_trend(answer.match),
        to_check=told(answer.to_check.slice(0, ROWS_SHOWN)),
        to_check_in_all=answer.to_check.num_rows,
        lines_shown=LINES_SHOWN,
        plans=WORDS_OF_PLANS,
        witness=WITNESS,
    )


def _trend(match: Match | None) -> tuple[Markup, list[tuple[str, str]]] | None:
    """The chart of the match rate and its figures, once there are two of them."""
    if match is None or len(match.trend) < 2:
        return None
    points = [(f"{one.counted_on.day}/{one.counted_on.month}", one.rate / 100) for one in match.trend]
    first, last = match.trend[0], match.trend[-1]
    begin, end = (f"{one.rate / 100:.2f}% on {pages.day(one.counted_on)}" for one in (first, last))
    says = f"From {begin} to {end}."
    image = charts.trend("Match rate by week", says, points, line=LINE, unit="%")
    return image, [(pages.day(one.counted_on), f"{one.rate / 100:.2f}%") for one in match.trend]
