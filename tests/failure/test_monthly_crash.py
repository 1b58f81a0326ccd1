"""F59: the night that sums up a month, and the publication of its statistics, killed at any call by which they change a disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest

from tests.builders import HACKNEY, KENT
from tests.commands import told
from tests.failure.strace_kit import NIGHT, command, copy_of, injected, recorded
from tests.functional.test_access_night import events, look
from tests.hub import Hub, plan_row
from tests.small_england import small_england

PUBLISH = ("publish", "--month", "2026-11", "--reason", "monthly", "--by", "Lead")
TRIED = 3


@pytest.fixture(scope="module")
def due(tmp_path_factory) -> Hub:
    """November is over, and its last days' events are in."""
    hub = small_england(tmp_path_factory.mktemp("due"))
    hub.drop(HACKNEY, [plan_row(child) for child in range(1, 12)])
    hub.drop(KENT, [plan_row(child) for child in range(21, 33)])
    hub.run("nightly")
    hub.next_night()
    events(hub, look("e-1", 1, hub=hub), look("e-2", 21, hub=hub))
    hub.run("nightly")
    hub.next_night((date(2026, 12, 3) - hub.now.date()).days)
    return hub


def came_to(hub: Hub) -> dict[str, Any]:
    """All that must not depend on where it was killed."""
    verified = told(hub, "register", "verify")
    assert verified["damages"] == []
    assert verified["unnamed"]["outbox"] == verified["unnamed"]["archive"] == 0  # a release's rows of before go with the next run
    assert told(hub, "audit", "verify")["faults"] == []
    with hub.catalogue() as opened:
        kinds = [commit.kind for commit in opened.commits()]
    lying = {
        la: [(path.name, hub.unpacked(path, la)["access-month.csv"]) for path in hub.outbound(la, "CPIS_ACCESS_MONTH_")]
        for la in (HACKNEY, KENT)
    }
    folder = hub.home / "statistics"
    published = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.csv")}
    return {"kinds": kinds, "lying": lying, "published": published}


def swept(due: Hub, folder: Path, words: Sequence[str]) -> dict[str, Any]:
    """Kill a run at some of its calls, run it again each time, and hold the end to that of a run that nothing disturbed."""
    whole = copy_of(due, folder / "whole" / "hub")
    calls = recorded(whole, words=words)
    expected = came_to(whole)
    every = [(call.name, call.place) for call in calls if call.name != "openat"]
    drawn = int(os.environ.get("CPIS_SWEEP_SEED", SystemRandom().randrange(10**6)))  # others each time: in time all are tried
    chosen = every if os.environ.get("CPIS_SWEEP") == "all" else Random(drawn).sample(every, TRIED)
    print(f"{len(every)} points, {len(chosen)} tried; CPIS_SWEEP_SEED={drawn}")
    for number, (call, place) in enumerate(chosen):
        hub = copy_of(due, folder / str(number) / "hub")
        done = injected(hub, f"{call}:signal=KILL:when={place}", words=words)
        assert done.returncode in (-signal.SIGKILL, 0, 3), done.stderr
        again = command(hub, words=words)
        assert again.returncode in (0, 3), again.stderr
        assert came_to(hub) == expected, (call, place, drawn)
    return expected


def test_f59_killed_anywhere_the_night_sums_up_a_month_once_for_each_authority(due, tmp_path):
    expected = swept(due, tmp_path, NIGHT)
    assert {la: [name for name, _ in months] for la, months in expected["lying"].items()} == {
        la: [f"CPIS_ACCESS_MONTH_{la}_2026-11.zip.pgp"] for la in (HACKNEY, KENT)
    }
    assert expected["kinds"].count("MONTHLY") == 1


def test_f59_killed_anywhere_a_publication_is_made_whole_by_the_next(due, tmp_path):
    assert list(swept(due, tmp_path, PUBLISH)["published"]) == ["2026-11/statistics.csv"]
