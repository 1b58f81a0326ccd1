"""The history of nights, from what the catalogue keeps of runs."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from cpis_batch.catalogue.records import Run
from cpis_batch.operations import nights
from cpis_batch.operations.nights import DAYS

TODAY = date(2026, 11, 30)


def run(days_ago: int, kind: str = "nightly", code: int | None = 0, *, number: int = 0, **summary: object) -> Run:
    on = TODAY - timedelta(days=days_ago)
    at = datetime(on.year, on.month, on.day, 23, 30, tzinfo=UTC)
    told = json.dumps(summary) if code is not None else None
    return Run(id=number, kind=kind, business_date=on, started_at=at, ended_at=at, exit_code=code, summary=told)


def history(*runs: Run) -> list[nights.Night]:
    return nights.nights(nights.ended(runs), TODAY)


def file(state: str = "MERGED", loaded: int = 0, rejected: int = 0) -> dict[str, object]:
    return {"state": state, "records": {"CPR06": loaded, "CPR07": rejected}, "name": "of no interest"}


def test_files_and_rows_are_those_of_all_runs_of_a_date_and_the_seconds_those_of_its_nights():
    (night,) = history(
        run(0, "intake", seconds=1.0, files=[file(loaded=10), file("HELD")], delivered=2),
        run(0, seconds=2.5, files=[file(loaded=4, rejected=1), file("REFUSED")], delivered=3),
        run(0, code=3, seconds=0.5),
    )
    assert (night.runs, night.files, night.refused, night.held, night.rows, night.delivered) == (3, 4, 1, 1, 15, 5)
    assert night.seconds == 3.0
    assert night.last is not None
    assert night.last.words == "Done, a person is needed (3)"


def test_a_date_without_a_night_is_told_from_the_first_on_but_today_only_once_something_ran():
    days = [(TODAY - night.on).days for night in history(run(4), run(2, "intake"))]
    assert days == [4, 3, 2, 1]
    assert [night.last is None for night in history(run(4), run(2, "intake"))] == [False, True, True, True]
    assert history() == []


def test_no_more_than_the_last_dates_are_told():
    told = history(*(run(days) for days in range(60, -1, -1)))
    assert [night.on for night in told] == [TODAY - timedelta(days=days) for days in range(DAYS - 1, -1, -1)]


@pytest.mark.parametrize(
    ("code", "words", "tag"),
    [
        (0, "Done", "good"),
        (3, "Done, a person is needed (3)", "odd"),
        (74, "The disk (74)", "bad"),
        (130, "Interrupted (130)", "bad"),
        (1, "Ended (1)", "bad"),
        (None, "No end: at work, or killed", "bad"),
    ],
)
def test_how_a_run_ended_in_words(code, words, tag):
    (one,) = nights.ended([run(0, code=code)])
    assert (one.words, one.tag) == (words, tag)


def test_what_other_runs_keep_of_themselves_is_no_night_s():
    """A rebuild or a retention run has fields of these names with other meanings."""
    (night,) = history(run(0, "retention", files=12, stages="none"))
    assert (night.files, night.last) == (0, None)
