"""A row that the program itself drops, anywhere between an authority's text and a CHIS unit's file, is missed the same night.

Each test breaks one place on purpose, for one row of one authority, and runs a real night: it ends with 70, the register and the
ledger stay as they were, and nothing that would be wrong is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cpis_batch.errors import Exit
from cpis_batch.extracts import chis, recipients, routing
from cpis_batch.intake import check, lines, records
from cpis_batch.register import history, merge, view
from cpis_batch.register.store import PartStore
from cpis_batch.runs import intake, la_part, worker
from tests.builders import HACKNEY, KENT
from tests.hub import Hub, plan_row
from tests.small_england import UNITS, small_england

CHILDREN = [plan_row(child) for child in range(1, 8)]
CUMBRIA = "E10000006"  # leads to no unit here

Breaking = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def hub(tmp_path) -> Hub:
    """Two authorities after a first night and a release; then a night in which something happens to each."""
    hub = small_england(tmp_path, las=(HACKNEY, KENT, CUMBRIA))
    for la in (HACKNEY, KENT, CUMBRIA):
        hub.drop(la, CHILDREN)
    assert hub.run("nightly").released
    hub.next_night(14)
    hub.drop(KENT, CHILDREN)
    hub.drop(HACKNEY, [plan_row(1, end="2026-12-01"), plan_row(2, delete="2026-12-01"), *CHILDREN[2:], plan_row(9)])
    return hub


def without_first(table: pa.Table) -> pa.Table:
    return table.slice(1) if table.num_rows else table


def of_hackney(table: pa.Table) -> bool:
    """Whether a table is that of the authority with news: the others are left whole, and must come through."""
    return bool(table.num_rows == 8)


def broken(module: Any, name: str, change: Callable[[Any], Any]) -> Breaking:
    """Replace a function by itself with a change to what it returns."""
    real = getattr(module, name)

    def breaking(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(module, name, lambda *given, **more: change(real(*given, **more)))

    return breaking


def read(found: lines.Lines) -> lines.Lines:
    """The reader passes over a line."""
    if len(found.text) != 10:
        return found
    keep = np.arange(10) != 3
    return lines.Lines(found.text.filter(pa.array(keep)), found.blank[keep])


def taken_apart(found: records.Records) -> records.Records:
    return replace(found, rows=without_first(found.rows)) if of_hackney(found.rows) else found


def verdict(column: str) -> Callable[[check.Verdict], check.Verdict]:
    def change(found: check.Verdict) -> check.Verdict:
        return replace(found, **{column: without_first(getattr(found, column))}) if of_hackney(found.outcomes) else found

    return change


def each(change: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
    return lambda found: [change(one) for one in found]


def merged(column: str) -> Callable[[merge.Merged], merge.Merged]:
    def change(found: merge.Merged) -> merge.Merged:
        return replace(found, **{column: without_first(getattr(found, column))}) if found.closed.num_rows else found

    return change


def written(patch: pytest.MonkeyPatch) -> None:
    """The writer of the parts loses a row."""
    real = PartStore.write
    patch.setattr(PartStore, "write", lambda store, table: real(store, table.slice(1) if table.num_rows == 7 else table))


def read_part(patch: pytest.MonkeyPatch) -> None:
    """A part is read short of a row."""
    real = PartStore.read
    patch.setattr(PartStore, "read", lambda *given: without_first(real(*given)))


OF_AN_EVENING = {
    "reader, lines": broken(records, "split", read),
    "reader, records": broken(la_part, "read_extract", taken_apart),
    "rules, accepted": broken(la_part, "check_all", each(verdict("accepted"))),
    "rules, outcomes": broken(la_part, "check_all", each(verdict("outcomes"))),
    "merge, plans": broken(merge, "merge", merged("plans")),
    "merge, changes": broken(merge, "merge", merged("changes")),
    "merge, history": broken(merge, "merge", merged("closed")),
    "history": broken(history, "append", without_first),
    "writer, parts": written,
    "reader, parts": read_part,
}


@pytest.mark.parametrize("breaking", OF_AN_EVENING.values(), ids=OF_AN_EVENING)
def test_a_row_lost_in_an_evening_changes_nothing_of_that_authority_and_ends_with_70(hub, breaking, monkeypatch):
    before = hub.plans(HACKNEY)
    with monkeypatch.context() as patch:
        breaking(patch)
        night = hub.run()
    assert night.exit_code is Exit.BUG
    assert HACKNEY in night.intake.faults
    assert hub.plans(HACKNEY).equals(before)
    assert len(hub.acknowledgements(HACKNEY)) == 1, "it is told nothing that is not so"
    assert hub.status()["imbalance"] == 0
    mended = hub.run()
    assert (mended.intake.faults, hub.plans(HACKNEY).num_rows) == ({}, 7), "and is taken in once the fault is mended"


@pytest.mark.parametrize("lost", ["arrivals", "deliveries"])
def test_a_file_without_an_end_or_without_an_answer_is_missed(hub, lost, monkeypatch):
    real = worker.work

    def work(tasks):
        results = real(tasks)
        for result in results:
            if result.la_code == HACKNEY:
                setattr(result, lost, [])
        return results

    monkeypatch.setattr(intake, "work", work)
    night = hub.run()
    assert night.exit_code is Exit.BUG
    assert set(night.intake.faults) == {HACKNEY}
    assert hub.status()["imbalance"] == 0
    assert [answer["file"]["sequence"] for answer in hub.acknowledgements(KENT)] == [1, 2]


def units_without_one(found: dict[str, pa.Table]) -> dict[str, pa.Table]:
    return {unit: table.slice(0, 0) if unit == UNITS[1] else table for unit, table in found.items()}


def text_without_one(found: bytes) -> bytes:
    heading, *rows = found.splitlines(keepends=True)
    return heading + b"".join(rows[1:])


def routed(column: str) -> Callable[[routing.Routed], routing.Routed]:
    return lambda found: replace(found, **{column: without_first(getattr(found, column))})


def a_part_of(schema: pa.Schema, which: int = 1) -> Breaking:
    """The writer loses a row of the last group of a part with these columns: of the first such part, or the second."""

    def breaking(patch: pytest.MonkeyPatch) -> None:
        real, seen = PartStore.write_groups, []

        def write_groups(store, groups, columns, repeated=()):
            seen.extend([columns] if columns.equals(schema) else [])
            lost = columns.equals(schema) and len(seen) == which
            *first, last = [*groups] or [columns.empty_table()]
            return real(store, [*first, last.slice(1) if lost else last], columns, repeated)

        patch.setattr(PartStore, "write_groups", write_groups)

    return breaking


def a_part_read_by_unit(schema: pa.Schema) -> Breaking:
    """A part with these columns is read short of a row."""

    def breaking(patch: pytest.MonkeyPatch) -> None:
        real = PartStore.rows_of

        def rows_of(*given):
            found = real(*given)
            return without_first(found) if found.schema.equals(schema) else found

        patch.setattr(PartStore, "rows_of", rows_of)

    return breaking


def a_part_read_by_group(schema: pa.Schema) -> Breaking:
    """Each row group of a part with these columns is read short of a row."""

    def breaking(patch: pytest.MonkeyPatch) -> None:
        real = PartStore.groups

        def groups(*given):
            return (without_first(found) if found.schema.equals(schema) else found for found in real(*given))

        patch.setattr(PartStore, "groups", groups)

    return breaking


OF_A_RELEASE = {
    "routing, rows": broken(routing, "route", routed("rows")),
    "routing, unroutable": broken(routing, "route", routed("unroutable")),
    "extract": broken(chis, "build", without_first),
    "units": broken(chis, "by_unit", units_without_one),
    "writer, extracts": broken(chis, "unit_csv", text_without_one),
    "reader, register": broken(view, "active", without_first),
    "reader, text": broken(recipients, "read_back", without_first),
    "routing, to check with": broken(recipients, "due", without_first),
    "counting, active": broken(recipients, "count_active", without_first),
    "counting, sent": broken(recipients, "count_sent", without_first),
    "counting, unroutable": broken(recipients, "count_unroutable", without_first),
    "writer, routed": a_part_of(routing.ROUTED),
    "writer, to check with": a_part_of(recipients.DUE),
    "writer, unroutable": a_part_of(routing.UNROUTABLE),
    "writer, unroutable of the release": a_part_of(routing.UNROUTABLE, 2),
    "writer, rows of some units": a_part_of(chis.EXTRACT),
    "writer, rows of the release": a_part_of(chis.EXTRACT, 2),
    "reader, routed": a_part_read_by_unit(routing.ROUTED),
    "reader, to check with": a_part_read_by_unit(recipients.DUE),
    "reader, release before": a_part_read_by_unit(chis.EXTRACT),
    "reader, unroutable": a_part_read_by_group(routing.UNROUTABLE),
    "reader, rows of some units": a_part_read_by_group(chis.EXTRACT),
}


@pytest.mark.parametrize("breaking", OF_A_RELEASE.values(), ids=OF_A_RELEASE)
def test_a_row_lost_on_the_way_to_the_units_stops_the_release_and_ends_with_70(hub, breaking, monkeypatch):
    assert hub.run().intake.faults == {}
    before = [path.name for unit in UNITS for path in hub.outbound(unit)]
    with monkeypatch.context() as patch:
        breaking(patch)
        night = hub.run("nightly")
    assert (night.exit_code, night.released) == (Exit.BUG, None)
    assert [path.name for unit in UNITS for path in hub.outbound(unit)] == before
    assert hub.status()["imbalance"] == 0
    assert hub.run("nightly").released, "the next run makes it"
