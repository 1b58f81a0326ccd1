"""What a query may not do beside answering."""

from __future__ import annotations

import duckdb
import pytest

from cpis_batch import engine


def test_a_query_that_takes_long_draws_nothing_into_what_the_program_prints():
    with engine.connection() as connection:
        assert connection.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (False,)


@pytest.mark.parametrize("attempt", ["SELECT * FROM read_csv('/etc/passwd')", "SET enable_progress_bar = true"])
def test_a_query_reads_no_file_and_changes_no_setting(attempt):
    with engine.connection() as connection, pytest.raises(duckdb.Error):
        connection.execute(attempt)
