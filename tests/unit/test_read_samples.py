"""The worked examples of sample_data/la-extract are read as their neighbours say, and the specification is sound."""

import csv
import re
from pathlib import Path

import frictionless
import pytest

from cpis_batch.intake.rules import BY_CODE
from cpis_batch.spec import folder
from tests.extracts import judged

_SAMPLES = folder().parent / "sample_data" / "la-extract"
_PARTS = ("header", "detail", "trailer")


def _samples() -> list[str]:
    return sorted(path.name.removesuffix(".expected.csv") for path in _SAMPLES.glob("*.expected.csv"))


@pytest.mark.parametrize("name", _samples())
def test_a_worked_example_is_judged_as_its_neighbour_says(name):
    with Path(_SAMPLES / f"{name}.expected.csv").open(encoding="utf-8", newline="") as stream:
        outcome, *expected = csv.DictReader(stream)
    verdict = judged((_SAMPLES / f"{name}.csv").read_bytes())
    found = [
        {"line": str(fault["line"] or ""), "field": fault["field"] or "", "code": fault["code"], "severity": fault["severity"]}
        for fault in verdict.faults.to_pylist()
    ]
    assert found == expected
    assert verdict.file_outcome == outcome["code"]


def test_every_example_has_its_expectation():
    names = {path.name for path in _SAMPLES.glob("*.csv") if not path.name.endswith(".expected.csv")}
    assert names == {f"{name}.csv" for name in _samples()}
    assert {"full", "delta", "empty"} <= set(_samples())


@pytest.mark.parametrize("part", _PARTS)
def test_the_schemas_are_valid_table_schemas(part):
    descriptor = folder() / "la-extract" / "1.0" / f"{part}.schema.json"
    assert len(frictionless.Schema.from_descriptor(str(descriptor)).fields) == {"header": 10, "detail": 10, "trailer": 3}[part]


@pytest.mark.filterwarnings("ignore")
def test_frictionless_accepts_the_details_of_the_full_example_too(tmp_path):
    lines = (_SAMPLES / "full.csv").read_text(encoding="utf-8").splitlines()
    details = tmp_path / "details.csv"
    names = frictionless.Schema.from_descriptor(str(folder() / "la-extract" / "1.0" / "detail.schema.json")).field_names
    details.write_text("\n".join([",".join(names), *(line for line in lines if line.startswith("D,"))]), encoding="utf-8")
    with frictionless.system.use_context(trusted=True):
        report = frictionless.validate(
            str(details), schema=str(folder() / "la-extract" / "1.0" / "detail.schema.json"), skip_errors=["primary-key"]
        )
    assert report.valid, report.flatten(["rowNumber", "fieldName", "type"])


def test_the_page_for_people_names_every_field_and_every_code_that_refuses_a_file():
    page = (folder() / "la-extract" / "1.0" / "README.md").read_text(encoding="utf-8")
    for part in _PARTS:
        for field in frictionless.Schema.from_descriptor(
            str(folder() / "la-extract" / "1.0" / f"{part}.schema.json")
        ).field_names:
            assert f"`{field}`" in page, field
    assert "rules list" in page
    assert all(code in BY_CODE for code in set(re.findall(r"CPB-[0-9]{3}", page)))
