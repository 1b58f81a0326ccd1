"""An authority's plans as the bytes of LA extract 1.0."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from cpis_batch.sandbox.england import plans_of
from cpis_batch.sandbox.extracts import FIELDS, Header, body, hash_total, phone, write
from cpis_batch.sandbox.volumes import volumes
from cpis_batch.vocabulary import ExtractKind

HEADER = Header(la_code="E09000012", kind=ExtractKind.FULL, sequence=118, extracted_at=datetime(2026, 10, 5, 21, 40, tzinfo=UTC))
PLANS = plans_of("E09000012", seed=1, on=date(2026, 10, 5))


def test_an_extract_is_a_header_the_rows_and_a_trailer_that_counts_them() -> None:
    lines = list(csv.reader(write(HEADER, PLANS).decode().split("\r\n")[:-1]))
    assert lines[0] == [
        "H",
        "CPIS-LA-EXTRACT",
        "1.0",
        "TEST",
        "E09000012",
        "FULL",
        "118",
        "2026-10-05T21:40:00+00:00",
        "020 7946 0024",
        "020 7946 0025",
    ]
    assert [line[0] for line in lines[1:-1]] == ["D"] * PLANS.num_rows
    assert lines[-1] == ["T", str(PLANS.num_rows), str(sum(int(line[1]) for line in lines[1:-1]) % 10**10)]


def test_rows_are_read_back_as_they_were() -> None:
    told = PLANS.select(list(FIELDS))
    expected = [["D", *("" if value is None else str(value) for value in row.values())] for row in told.to_pylist()]
    assert list(csv.reader(body(PLANS).decode().splitlines())) == expected


def test_a_quote_in_a_name_is_doubled() -> None:
    named = PLANS.slice(0, 1).set_column(3, "family_name", pa.array(['"Bo", Smith']))
    assert b',"""Bo"", Smith",' in body(named)


def test_an_empty_extract_has_a_header_and_a_trailer() -> None:
    lines = write(HEADER, PLANS.slice(0, 0)).split(b"\r\n")
    assert [line[:1] for line in lines] == [b"H", b"T", b""]
    assert lines[1] == b"T,0,0"


def test_what_is_not_all_digits_counts_nothing_in_the_hash_total() -> None:
    assert hash_total(pa.chunked_array([["9990000018", "9.99E+09", "", "999 000 0026"]])) == 9_990_000_018


def test_the_name_of_the_file_tells_authority_kind_sequence_and_time() -> None:
    assert HEADER.file_name == "CPIS_LA_E09000012_FULL_00000118_20261005T214000Z.csv.pgp"


@pytest.mark.parametrize("which", [0, 1])
def test_every_telephone_number_is_of_the_range_for_drama(which: int) -> None:
    assert {phone(code, which)[:10] for code in volumes()} == {"020 7946 0"}
    assert {len(phone(code, which)) for code in volumes()} == {13}
