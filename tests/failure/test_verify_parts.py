"""What verify finds wrong in the rows of a part whose bytes are whole."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from cpis_batch.register.schema import HISTORY, PLANS
from cpis_batch.register.verify import faults_of_history, faults_of_plans
from tests.builders import HACKNEY, KENT, history, plan, plans

THEN, LATER = datetime(2026, 11, 19, 2, tzinfo=UTC), datetime(2026, 11, 20, 2, tzinfo=UTC)
VERSION = plan(1, known_from=THEN) | {"known_to": LATER, "change": "AMENDED"}


def of_plans(*rows: dict) -> list[str]:
    return faults_of_plans(plans(rows), HACKNEY)


def of_history(*rows: dict) -> list[str]:
    return faults_of_history(history(rows), HACKNEY)


def lacking(schema: pa.Schema, rows: list[dict], name: str) -> pa.Table:
    """A table whose schema promises a value that is not there."""
    table = pa.Table.from_pylist(rows, schema=schema)
    place = schema.names.index(name)
    return table.set_column(place, schema.field(name), pa.nulls(len(rows), schema.field(name).type))


def test_sound_rows_and_none_at_all_are_sound():
    assert of_plans() == of_history() == []
    assert of_plans(plan(1), plan(1, "LAC"), plan(2), plan(3, end_date=date(2026, 11, 18))) == []
    assert of_history(VERSION, VERSION | {"known_from": LATER}) == []


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([plan(1), plan(2, la_code=KENT)], "it holds rows of another authority"),
        ([plan(1), plan(1)], "two plans have one key"),
        ([plan(2), plan(1)], "it is not sorted"),
        ([plan(1, end_date=date(2026, 11, 18), end_basis=None)], "a plan has an end date without a basis"),
        ([plan(1, end_basis="LA")], "a plan has an end date without a basis"),
    ],
)
def test_what_is_wrong_with_plans_is_told(rows, fault):
    assert [told for told in of_plans(*rows) if told.startswith(fault)]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([VERSION | {"la_code": KENT}], "it holds rows of another authority"),
        ([VERSION | {"known_from": LATER}, VERSION], "it is not sorted"),
        ([VERSION | {"known_to": datetime(2026, 11, 18, tzinfo=UTC)}], "a version was replaced before it was known"),
        ([VERSION | {"change": "NEW"}], "a version was replaced by no known change"),
    ],
)
def test_what_is_wrong_with_history_is_told(rows, fault):
    assert fault in of_history(*rows)


def test_lacking_values_and_other_columns_are_told_by_name():
    assert faults_of_plans(lacking(PLANS, [plan(1)], "source_file"), HACKNEY) == ["values are lacking in source_file"]
    assert faults_of_history(lacking(HISTORY, [VERSION], "known_from"), HACKNEY)[0] == "values are lacking in known_from"
    assert faults_of_plans(history([VERSION]), HACKNEY) == ["its columns are not those of plans"]
    assert faults_of_history(plans([plan(1)]), HACKNEY) == ["its columns are not those of the history"]
