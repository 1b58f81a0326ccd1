"""F20: a row in the wrong CHIS file must abort the whole release. Each test breaks a good release in one way."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from cpis_batch import organisations
from cpis_batch.csv_text import to_csv
from cpis_batch.errors import Bug, Exit
from cpis_batch.extracts import chis
from cpis_batch.extracts.recipients import (
    DUE,
    check_recipients,
    count_active,
    count_sent,
    count_unroutable,
    due,
    read_back,
    release_balance,
)
from cpis_batch.extracts.routing import PERSONS, route
from cpis_batch.nhs_number import numbers_for_tests

ON = date(2026, 11, 9)
HACKNEY, KENT, CUMBRIA = "E09000012", "E10000016", "E10000006"
NORTH_EAST_LONDON, KENT_AND_MEDWAY, EMPTY = "CHIS02", "CHIS19", "CHIS01"
CHILDREN = [number for number, _ in zip(numbers_for_tests(), range(8), strict=False)]
REFERENCE = organisations.load().routing_reference()
NOBODY = PERSONS.empty_table()


def plans(*rows: tuple[str, str]) -> pa.Table:
    count = len(rows)
    return pa.table(
        {
            "la_code": [la for la, _ in rows],
            "nhs_number": [child for _, child in rows],
            "plan_type": ["CPP"] * count,
            "start_date": pa.array([date(2026, 1, 1)] * count, pa.date32()),
            "end_date": pa.nulls(count, pa.date32()),
            "date_of_birth": pa.array([date(2019, 1, 1)] * count, pa.date32()),
        }
    )


ACTIVE = plans(*((HACKNEY, child) for child in CHILDREN[:3]), *((KENT, child) for child in CHILDREN[2:5]))
STATE = pa.Table.from_pylist(
    [{"la_code": code, "la_name": code, "data_as_at": datetime(2026, 11, 8, tzinfo=UTC)} for code in (HACKNEY, KENT)],
    chis.LA_STATE,
)


def extract(active: pa.Table = ACTIVE, previous: pa.Table | None = None) -> pa.Table:
    return chis.build(route(active, NOBODY, REFERENCE, on=ON).rows, previous, STATE)


def release(rows: pa.Table) -> dict[str, bytes]:
    units = [NORTH_EAST_LONDON, KENT_AND_MEDWAY, EMPTY]
    return {unit: chis.unit_csv(table) for unit, table in chis.by_unit(rows, units).items()}


def check(files: dict[str, bytes], active: pa.Table = ACTIVE, previous: pa.Table | None = None) -> None:
    check_recipients(read_back(files), due(active, NOBODY, REFERENCE, on=ON), previous)


def of_another(rows: pa.Table) -> pa.Table:
    """The same rows for one more unit."""
    place = rows.schema.get_field_index("chis_code")
    return rows.set_column(place, rows.schema.field(place), pa.array(["OTHER"] * rows.num_rows))


def balance(plans: pa.Table, sent: pa.Table, unroutable: pa.Table) -> pa.Table:
    belong = due(plans, NOBODY, REFERENCE, on=ON)
    return release_balance([count_active(plans, on=ON), count_sent(sent, belong), count_unroutable(unroutable)])


def refused(files: dict[str, bytes], match: str, active: pa.Table = ACTIVE, previous: pa.Table | None = None) -> str:
    with pytest.raises(Bug, match=match) as stopped:
        check(files, active, previous)
    assert stopped.value.exit_code is Exit.BUG
    assert not any(child in str(stopped.value) for child in CHILDREN)
    return str(stopped.value)


# Hackney and Kent had one child more each a fortnight ago; both rows are ceased now.
BEFORE = extract(pa.concat_tables([ACTIVE, plans((HACKNEY, CHILDREN[5]), (KENT, CHILDREN[6]))]))


def test_a_release_as_it_should_be_passes():
    check(release(extract()))
    check(release(extract(previous=BEFORE)), previous=BEFORE)


def test_f20_two_files_swapped_stop_the_release_and_the_units_are_named():
    files = release(extract())
    swapped = files | {NORTH_EAST_LONDON: files[KENT_AND_MEDWAY], KENT_AND_MEDWAY: files[NORTH_EAST_LONDON]}
    said = refused(swapped, "does not route to this unit")
    assert f"{NORTH_EAST_LONDON} (3)" in said
    assert f"{KENT_AND_MEDWAY} (3)" in said


def test_f20_a_single_row_in_the_file_of_another_unit_stops_the_release():
    files = release(extract())
    row = files[KENT_AND_MEDWAY].splitlines(keepends=True)[1]
    refused(files | {EMPTY: files[EMPTY] + row}, "does not route to this unit")


@pytest.mark.parametrize("line", [1, 2, 3])
def test_f54_a_row_that_is_lost_on_the_way_stops_the_release(line):
    files = release(extract())
    lines = files[NORTH_EAST_LONDON].splitlines(keepends=True)
    refused(files | {NORTH_EAST_LONDON: b"".join(lines[:line] + lines[line + 1 :])}, "not in its file")


def test_f54_a_unit_without_its_file_stops_the_release():
    files = release(extract())
    del files[KENT_AND_MEDWAY]
    refused(files, "not in its file")
    refused({}, "not in its file")


def test_a_row_twice_in_a_file_stops_the_release():
    files = release(extract())
    row = files[KENT_AND_MEDWAY].splitlines(keepends=True)[1]
    refused(files | {KENT_AND_MEDWAY: files[KENT_AND_MEDWAY] + row}, "more than once")


def test_a_wrong_date_of_birth_beside_a_right_number_stops_the_release():
    files = release(extract())
    refused(files | {KENT_AND_MEDWAY: files[KENT_AND_MEDWAY].replace(b"2019-01-01", b"2019-01-02", 1)}, "does not route")


def test_f20_a_ceased_row_told_to_a_unit_that_did_not_have_it_stops_the_release():
    files = release(extract(previous=BEFORE))
    ceased = next(row for row in files[KENT_AND_MEDWAY].splitlines(keepends=True) if b"CEASED" in row)
    refused(files | {EMPTY: files[EMPTY] + ceased}, "did not have", previous=BEFORE)


def test_a_flag_that_would_stay_up_stops_the_release():
    files = release(extract(previous=BEFORE))
    kept = [row for row in files[KENT_AND_MEDWAY].splitlines(keepends=True) if b"CEASED" not in row]
    refused(files | {KENT_AND_MEDWAY: b"".join(kept)}, "told nothing of", previous=BEFORE)


def test_a_row_that_the_register_has_no_longer_stops_the_release():
    refused(release(extract()), "does not route", active=ACTIVE.slice(1))


def test_a_column_beyond_the_specification_stops_the_release():
    table = chis.by_unit(extract(), [])[KENT_AND_MEDWAY]
    named = to_csv(table.drop_columns(["chis_code"]).append_column("family_name", pa.array(["Fernando"] * table.num_rows)))
    refused(release(extract()) | {KENT_AND_MEDWAY: named}, "other columns")


def test_f68_a_file_that_does_not_read_is_refused_without_a_word_of_its_content():
    files = release(extract())
    said = refused(files | {KENT_AND_MEDWAY: files[KENT_AND_MEDWAY].replace(b"2019-01-01", b"31/12/2019")}, "does not read")
    assert "31/12" not in said
    refused(files | {KENT_AND_MEDWAY: b""}, "does not read")


def test_the_balance_counts_a_plan_once_however_many_units_have_it():
    routed = route(pa.concat_tables([ACTIVE, plans((CUMBRIA, CHILDREN[7]))]), NOBODY, REFERENCE, on=ON)
    rows = chis.build(routed.rows, BEFORE, STATE)
    twice = pa.concat_tables([rows, of_another(rows)])
    active = pa.concat_tables([ACTIVE, plans((CUMBRIA, CHILDREN[7]))])
    sent = read_back({unit: chis.unit_csv(rows) for unit, rows in chis.split(twice).items()})
    belong = due(active, NOBODY, REFERENCE, on=ON)
    last = belong.num_columns - 1
    again = of_another(belong).set_column(last, DUE.field(last), pa.array([False] * belong.num_rows))
    everywhere = pa.concat_tables([belong, again])
    check_recipients(sent, everywhere, pa.concat_tables([BEFORE, of_another(BEFORE)]))
    counts = [count_active(active, on=ON), count_sent(sent, everywhere), count_unroutable(routed.unroutable)]
    counted = release_balance(counts).to_pylist()
    assert [tuple(line.values()) for line in counted] == [
        (HACKNEY, "CPP", 3, 3, 0),
        (CUMBRIA, "CPP", 1, 0, 1),
        (KENT, "CPP", 3, 3, 0),
    ]


@pytest.mark.parametrize("lost", ["extract", "unroutable"])
def test_f54_a_row_in_neither_list_stops_the_release(lost):
    active = pa.concat_tables([ACTIVE, plans((CUMBRIA, CHILDREN[7]))])
    routed = route(active, NOBODY, REFERENCE, on=ON)
    rows, unroutable = chis.build(routed.rows, None, STATE), routed.unroutable
    rows, unroutable = (rows.slice(1), unroutable) if lost == "extract" else (rows, unroutable.slice(1))
    sent = read_back({unit: chis.unit_csv(rows) for unit, rows in chis.split(rows).items()})
    with pytest.raises(Bug, match=r"E[0-9]{8} CPP has [13] active plans, but [02] in extracts"):
        balance(active, sent, unroutable)
