"""Access events are kept in parts of a size: a night writes the newest of a month anew, or begins another."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from cpis_batch.keystore import MasterKey
from cpis_batch.register.store import PartStore
from cpis_batch.runs import event_parts
from tests.access_builders import event, events

NOVEMBER, DECEMBER = datetime(2026, 11, 19, 8, tzinfo=UTC), datetime(2026, 12, 1, 8, tzinfo=UTC)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(event_parts, "MOST", 3)
    return PartStore(tmp_path / "register", MasterKey(bytes(range(32))))


def nights(store: PartStore, *nights: list[dict]) -> tuple[dict, list[list[str]]]:
    """What is held in the end, by name, and which parts each night wrote."""
    held, written = {}, []
    for looks in nights:
        changed = event_parts.with_more(store, held, events(looks))
        written.append([part.month for part in changed])
        held |= {part.month: part for part in changed}
    return held, written


def test_a_month_s_first_part_is_named_for_it_and_a_full_one_is_written_no_more(store):
    looks = [event(number, NOVEMBER) for number in range(9)]
    held, written = nights(store, looks[:1], looks[1:3], looks[3:4], looks[4:8], looks[8:])
    assert written == [["2026-11"], ["2026-11"], ["2026-11.001"], ["2026-11.002", "2026-11.003"], ["2026-11.003"]]
    assert [part.row_count for _, part in sorted(held.items())] == [3, 1, 3, 2]
    kept = pa.concat_tables(store.read(part.part) for part in held.values())
    assert sorted(kept["event_id"].to_pylist()) == [look["event_id"] for look in looks]


def test_each_month_has_its_own_parts_and_what_is_kept_otherwise_is_of_none(store):
    held, _ = nights(store, [event(1, NOVEMBER), event(2, DECEMBER)])
    assert {name: event_parts.month_of(part) for name, part in held.items()} == {"2026-11": "2026-11", "2026-12": "2026-12"}
    waiting = event_parts.EventPart(month="WAITING", part="", row_count=0)
    assert event_parts.month_of(waiting) is None
    assert event_parts.month_of(event_parts.EventPart(month="2026-11.004", part="", row_count=0)) == "2026-11"
