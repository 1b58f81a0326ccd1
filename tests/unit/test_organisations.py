from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from cpis_batch import organisations
from cpis_batch.errors import ConfigFault, UsageFault
from cpis_batch.organisations import Organisations

TODAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def england() -> Organisations:
    return organisations.load()


def override(folder: Path, name: str, text: str) -> Organisations:
    (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return organisations.load(folder)


def test_england_has_153_authorities_today_and_fifty_illustrative_units(england):
    assert len(england.las_on(TODAY)) == 153
    units = england.units_on(TODAY)
    assert len(units) == 50
    assert all(unit.name.startswith("Illustrative CHIS for ") for unit in units)


def test_an_authority_is_found_by_its_gss_code_on_the_days_that_it_exists(england):
    hackney = england.la("E09000012", TODAY)
    assert hackney is not None
    assert (hackney.name, hackney.region, hackney.region_code) == ("Hackney", "London", "E12000007")
    assert england.la("E10000006", date(2023, 3, 31)).name == "Cumbria"
    assert england.la("E10000006", date(2023, 4, 1)) is None
    assert england.la("E06000063", date(2023, 3, 31)) is None
    assert england.la("E06000099", TODAY) is None


@pytest.mark.parametrize("text", ["204", "825", "936"])
def test_a_three_digit_code_is_refused_by_every_look_up(england, text):
    for look_up in (
        lambda: england.la(text, TODAY),
        lambda: england.successors(text, TODAY),
        lambda: england.icb_of(text, TODAY),
    ):
        with pytest.raises(UsageFault, match="three-digit") as refused:
            look_up()
        assert text not in str(refused.value)


@pytest.mark.parametrize("text", ["", "E0900001", "E09000012 ", "E0900001٢", "W06000001", "E07000207", "../etc"])
def test_what_is_no_gss_code_of_an_authority_is_refused(england, text):
    with pytest.raises(UsageFault):
        england.la(text, TODAY)


def test_the_successors_of_an_abolished_authority_answer_for_its_area_from_the_day_after(england):
    assert england.successors("E10000006", date(2023, 3, 31)) == ("E10000006",)
    assert england.successors("E10000006", date(2023, 4, 1)) == ("E06000063", "E06000064")
    assert england.successors("E09000012", TODAY) == ("E09000012",)
    assert england.successors("E06000063", date(2020, 1, 1)) == ()


def test_successors_are_followed_over_several_reorganisations(england):
    tables = dict(england.tables)
    columns = organisations.TABLES["local_authorities"]
    rows = [
        ("E10000001", date(2009, 1, 1), date(2019, 3, 31), "E06000001"),
        ("E06000001", date(2019, 4, 1), date(2027, 3, 31), "E06000002 E06000003"),
        ("E06000002", date(2027, 4, 1), None, None),
        ("E06000003", date(2027, 4, 1), None, None),
    ]
    tables["local_authorities"] = pa.Table.from_pylist(
        [{"gss_code": c, "name": c, "valid_from": f, "valid_to": t, "successors": s} for c, f, t, s in rows],
        pa.schema(list(columns.items())),
    )
    tables["la_chis"] = tables["la_chis"].slice(0, 0)
    later = Organisations(tables, "")
    assert later.successors("E10000001", date(2019, 3, 31)) == ("E10000001",)
    assert later.successors("E10000001", date(2026, 1, 1)) == ("E06000001",)
    assert later.successors("E10000001", date(2027, 4, 1)) == ("E06000002", "E06000003")


def test_every_authority_has_exactly_one_unit_on_every_day_since_2009(england):
    turns = {row[bound] for row in england.tables["local_authorities"].to_pylist() for bound in ("valid_from", "valid_to")}
    days = {day + timedelta(days=step) for day in turns if day for step in (-1, 0, 1)} | {TODAY, date(2035, 1, 1)}
    links = england.tables["la_chis"].to_pylist()
    for day in sorted(days):
        served = [row["la_gss_code"] for row in links if row["valid_from"] <= day <= (row["valid_to"] or date.max)]
        assert sorted(served) == [la.code for la in england.las_on(day)], day


def test_every_unit_serves_somebody(england):
    assert all(england.las_of_unit(unit.code, TODAY) for unit in england.units_on(TODAY))


def test_every_authority_has_a_region_and_a_principal_icb(england):
    icbs = set(england.tables["integrated_care_boards"].column("ods_code").to_pylist())
    for day in (date(2010, 6, 1), TODAY):
        for la in england.las_on(day):
            assert la.region
            assert england.icb_of(la.code, TODAY) in icbs
            assert england.icb_of(la.code, date(2022, 6, 30)) is None, "there were no ICBs"
    assert england.icb_of("E08000025", TODAY) == "QHL"  # Birmingham, shared with the Black Country


def test_a_district_of_a_county_belongs_where_its_county_does(england):
    at = {row["residence_code"]: row["chis_code"] for row in england.residence_chis.to_pylist() if row["valid_to"] is None}
    assert at["E07000207"] == at["E10000030"]  # Elmbridge, Surrey
    assert at["E09000012"]


def test_a_home_replaces_one_table_and_the_version_tells(tmp_path, england):
    mine = override(tmp_path, "practice_chis", "practice_code,chis_code,valid_from,valid_to\nF84003,CHIS02,2020-01-01,\n")
    assert mine.tables["practice_chis"].num_rows == 1
    assert mine.tables["la_chis"].equals(england.tables["la_chis"])
    assert mine.version != england.version
    assert organisations.load().version == england.version


HEAD = "la_gss_code,chis_code,valid_from,valid_to\n"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("la_chis", HEAD + "E09000012,CHIS02,2009-01-01,2020-01-01\nE09000012,CHIS01,2020-01-01,\n", "two units for one code"),
        ("la_chis", HEAD + "E09000012,CHIS99,2009-01-01,\n", "chis_units.csv does not have"),
        ("la_chis", HEAD + "E09000012,CHIS02,2001-01-01,\n", "chis_units.csv does not have"),
        ("la_chis", HEAD + "204,CHIS02,2009-01-01,\n", "local_authorities.csv does not have"),
        ("la_chis", HEAD + "E09000012,CHIS02,01/01/2009,\n", "la_chis.csv"),
        ("la_chis", HEAD + "E09000012,CHIS02,,\n", "without a first day"),
        ("la_chis", HEAD + "E09000012,CHIS02,2020-01-01,2019-12-31\n", "without a first day"),
        ("la_chis", "la,unit\nE09000012,CHIS02\n", "columns"),
        ("la_chis", "", "la_chis.csv"),
        ("practice_chis", "practice_code,chis_code,valid_from,valid_to\nF84003,CHIS02,2001-01-01,\n", "practice_chis.csv"),
    ],
)
def test_f70_a_table_that_contradicts_itself_or_the_others_is_refused_by_name(tmp_path, name, text, says):
    with pytest.raises(ConfigFault, match=says):
        override(tmp_path, name, text)
