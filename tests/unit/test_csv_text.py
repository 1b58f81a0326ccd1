from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import pyarrow as pa

from cpis_batch.csv_text import to_csv


def test_text_comes_back_as_it_was_quotes_commas_leading_zeros_and_formulas_included():
    names = ["O'Brien", 'Smith, "Jo"', "0123", "=1+1", "NULL", "Nguyễn", " spaced "]
    written = to_csv(pa.table({"name": names}))
    assert [row["name"] for row in csv.DictReader(io.StringIO(written.decode(), newline=""))] == names


def test_dates_are_iso_instants_are_utc_with_z_and_absent_is_empty():
    table = pa.table(
        {
            "born": pa.array([date(2019, 4, 30), None], pa.date32()),
            "at": pa.array([datetime(2026, 7, 1, 22, 30, 59, 999_999, UTC), None], pa.timestamp("us", tz="UTC")),
            "count": pa.array([9_999_999_999, None], pa.int64()),
        }
    )
    assert to_csv(table) == b'"born","at","count"\r\n2019-04-30,"2026-07-01T22:30:59Z",9999999999\r\n,,\r\n'


def test_an_instant_in_another_zone_is_written_in_utc():
    late = pa.array([datetime(2026, 7, 1, 22, 30, tzinfo=UTC)], pa.timestamp("ms", tz="Europe/London"))
    assert b'"2026-07-01T22:30:00Z"' in to_csv(pa.table({"at": late}))


def test_a_table_without_rows_is_its_header():
    assert to_csv(pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.date32())})) == b'"a","b"\r\n'
