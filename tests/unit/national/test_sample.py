"""The worked example of the national lists: made again by the program and compared byte by byte, and held to its schema."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import frictionless
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cpis_batch import spec
from cpis_batch.national import lists
from cpis_batch.national.conflicts import conflicts
from cpis_batch.national.gaps import gaps
from cpis_batch.national.known import known
from cpis_batch.national.returns import returns
from cpis_batch.national.schema import ENTRIES
from cpis_batch.national.unborn import unborn
from tests.builders import HACKNEY, KENT, TODAY, plan, plans
from tests.national_builders import CONTACTS, WORKING_DAYS, accesses, traced

SAMPLES = Path(__file__).parents[3] / "sample_data" / "national-lists"


def _plans() -> pa.Table:
    days = ("date_of_birth", "start_date", "end_date")
    with (SAMPLES / "plans.csv").open(encoding="utf-8", newline="") as opened:
        rows = [row | {day: date.fromisoformat(row[day]) if row[day] else None for day in days} for row in csv.DictReader(opened)]
    return plans([plan() | row for row in rows])


def made(la_code: str) -> bytes:
    view = known(_plans(), traced())
    found = pa.concat_tables(
        [conflicts(view, on=TODAY), gaps(view, accesses(), traced(), WORKING_DAYS, on=TODAY),
         unborn(view, WORKING_DAYS, on=TODAY), returns(view, on=TODAY)]
    )  # fmt: skip
    fresh = lists.news(found, ENTRIES.empty_table(), view).fresh
    return lists.to_csv(fresh.filter(pc.equal(fresh["la_code"], la_code)), CONTACTS, la_code=la_code, on=TODAY)


@pytest.mark.parametrize(("la_code", "name"), [(HACKNEY, "national-list.csv"), (KENT, "national-list-kent.csv")])
def test_the_example_is_what_the_program_makes_of_its_plans(la_code, name):
    assert (SAMPLES / name).read_bytes() == made(la_code)


def test_the_example_holds_every_standing_that_is_told():
    rows = [row for name in ("national-list.csv", "national-list-kent.csv") for row in _rows(name)]
    assert {row["standing"] for row in rows} == {str(one) for one in lists.WHAT_TO_DO}
    assert {row["child_id"][:2] for row in _rows("national-list.csv")} == {"LC"}
    assert {row["child_id"][:2] for row in _rows("national-list-kent.csv")} == {"KT"}


def _rows(name: str) -> list[dict[str, str]]:
    with (SAMPLES / name).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_the_example_is_of_the_published_schema():
    schema = frictionless.Schema.from_descriptor(str(spec.folder() / "national-lists" / lists.VERSION / "list.schema.json"))
    with frictionless.system.use_context(trusted=True):
        for name in ("national-list.csv", "national-list-kent.csv"):
            report = frictionless.Resource(str(SAMPLES / name), schema=schema).validate()
            assert report.valid, report.flatten(["rowNumber", "fieldName", "type"])
