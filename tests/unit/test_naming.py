"""Which entries of a listing are files to take: the reason for passing one over says nothing of it."""

from __future__ import annotations

import stat

import pytest

from cpis_batch.exchange.mailbox import Entry
from cpis_batch.exchange.naming import entry_of

FILE = stat.S_IFREG | 0o600


@pytest.mark.parametrize("modified", [2.0**40, -(2.0**40), 2.0**62, float("inf")])
def test_f11_an_entry_whose_time_no_calendar_has_is_passed_over_and_ends_no_listing(modified):
    assert entry_of(b"a.pgp", FILE, 1, modified) == "no size or time"


@pytest.mark.parametrize("modified", [0.0, 2.0**32 - 1])
def test_every_time_that_the_protocol_can_write_is_a_time(modified):
    assert isinstance(entry_of(b"a.pgp", FILE, 1, modified), Entry)
