"""The rehearsal's trace service and the hub, by way of their mailbox: what one asks the other answers the next night."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cpis_batch.runs import nightly
from cpis_batch.sandbox.evenings import Rehearsal
from cpis_batch.sandbox.home import make_home
from cpis_batch.sandbox.tracing import respond

LAS = ("E06000053", "E06000017")  # the two smallest
NIGHTS = (date(2026, 10, 5), date(2026, 10, 6))


def test_what_the_hub_asks_the_trace_service_answers_through_its_mailbox_and_the_next_night_settles_it(tmp_path: Path) -> None:
    home, answered = tmp_path / "home", set[str]()
    lasting = datetime.now(UTC).date() + timedelta(days=400)
    senders = make_home(home, las=LAS, starts=NIGHTS[0], expires=lasting)
    traces = []
    for night in Rehearsal(seed=1, las=LAS, dates=NIGHTS, catalogue=()).nights():
        senders.put_down(night.drops)
        senders.put_down(respond(senders, night.england, answered=answered, now=night.now - timedelta(hours=2)))
        traces.append(nightly.run(home, kind="nightly", business_date=night.on, now=night.now).document["trace"])
    first, second = traces
    assert first["asked"] == first["open"] > 0
    assert sum(second.get(fate, 0) for fate in ("settled", "again", "gone")) == first["asked"]
    assert second["settled"] > 0.9 * first["asked"]
    assert second["open"] == second["asked"]
    assert len(answered) == 1
