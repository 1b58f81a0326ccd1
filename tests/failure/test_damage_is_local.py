"""Damage to one authority's part is that authority's trouble; what an older catalogue does not know is not thrown away."""

from __future__ import annotations

import sqlite3

import pytest

from tests.builders import HACKNEY, KENT, nhs
from tests.hub import Hub, plan_row


@pytest.fixture
def hub(tmp_path):
    hub = Hub.make(tmp_path)
    hub.drop(HACKNEY, [plan_row(1)])
    hub.drop(KENT, [plan_row(9)])
    hub.run()
    hub.next_night()
    return hub


def test_one_authority_s_damaged_part_leaves_the_others_their_night(hub):
    with hub.catalogue() as catalogue:
        part = hub.home / "register" / f"{catalogue.la(HACKNEY).plans_part}.parquet"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.drop(KENT, [plan_row(9), plan_row(10)])

    night = hub.run()

    assert night.exit_code == 74
    assert set(night.document["failed"]) == {HACKNEY}
    assert {number for number, _ in hub.active(KENT)} == {nhs(9), nhs(10)}
    assert len(hub.acknowledgements(KENT)) == 2
    assert list((hub.root / HACKNEY / "inbound").iterdir()), "its file waits until the part is mended"
    assert hub.status()["children"] is None
    assert any("cannot be read" in need for need in night.needs_a_person)


def test_a_run_on_a_restored_older_catalogue_throws_no_received_file_away(hub, tmp_path):
    older = tmp_path / "older.sqlite"
    with sqlite3.connect(hub.home / "catalogue.sqlite") as now, sqlite3.connect(older) as backup:
        now.backup(backup)
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.run()
    received = {path.name for path in (hub.home / "archive").iterdir()}
    (hub.home / "catalogue.sqlite").unlink()
    for leftover in hub.home.glob("catalogue.sqlite-*"):
        leftover.unlink()
    older.rename(hub.home / "catalogue.sqlite")

    hub.next_night()
    hub.run()

    assert received <= {path.name for path in (hub.home / "archive").iterdir()}


def test_half_a_file_does_not_stay_in_the_archive(hub):
    whole = hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    data = whole.read_bytes()
    whole.unlink()
    hub.put(HACKNEY, whole.name, data[: len(data) // 2], minutes_ago=1)
    before = {path.name for path in (hub.home / "archive").iterdir()}
    hub.run()
    assert {path.name for path in (hub.home / "archive").iterdir()} == before
