"""F59: a run of the national view killed at any call by which it changes a disk tells everybody once, when it is run again."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest

from tests.builders import HACKNEY, KENT
from tests.commands import told
from tests.failure.strace_kit import Call, copy_of, injected, recorded
from tests.functional.test_trace_night import messages, table
from tests.hub import Hub, plan_row
from tests.small_england import small_england

WORDS = ("run", "national")


@pytest.fixture(scope="module")
def due(tmp_path_factory) -> Hub:
    """Two authorities hold two children, and nobody has been told."""
    hub = small_england(tmp_path_factory.mktemp("due"))
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.drop(KENT, [plan_row(1), plan_row(2, "LAC")])
    hub.run("nightly")
    return hub


@pytest.fixture(scope="module")
def undisturbed(due, tmp_path_factory) -> tuple[list[Call], dict[str, Any]]:
    """The calls of a run that nothing disturbs, and what it comes to."""
    hub = copy_of(due, tmp_path_factory.mktemp("undisturbed") / "hub")
    calls = recorded(hub, words=WORDS)
    return calls, came_to(hub)


def came_to(hub: Hub) -> dict[str, Any]:
    """All that must not depend on where the run was killed."""
    verified = told(hub, "register", "verify")
    assert (verified["damages"], verified["unnamed"]) == ([], {"register": 0, "archive": 0, "outbox": 0})
    with hub.catalogue() as opened:
        kinds = [commit.kind for commit in opened.commits()]
        sent = [(one.partner, one.name, one.record_count, one.delivered_at is not None) for one in opened.deliveries()]
    lying = {la: messages(hub, la, "CPIS_NATIONAL_") for la in (HACKNEY, KENT)}
    return {"kinds": kinds, "sent": sent, "lying": lying, "told": table(hub, "NATIONAL")}


def test_f59_killed_anywhere_the_national_view_tells_each_authority_once(due, undisturbed, tmp_path):
    calls, whole = undisturbed
    assert {la: len(lists) for la, lists in whole["lying"].items()} == {HACKNEY: 1, KENT: 1}
    every = [(call.name, call.place) for call in calls if call.name != "openat"]
    assert len(every) > 30
    drawn = int(os.environ.get("CPIS_SWEEP_SEED", SystemRandom().randrange(10**6)))  # others each time: in time all are tried
    chosen = every if os.environ.get("CPIS_SWEEP") == "all" else Random(drawn).sample(every, 6)
    print(f"{len(every)} points, {len(chosen)} tried; CPIS_SWEEP_SEED={drawn}")
    killed = [dies(due, tmp_path / str(number), call, place, whole) for number, (call, place) in enumerate(chosen)]
    assert sum(killed) >= 0.8 * len(chosen), f"killed at {killed} of {chosen}"


def dies(due: Hub, folder: Path, call: str, place: int, whole: dict[str, Any]) -> bool:
    """Whether a run was killed there in one of three runs: how many pages SQLite writes differs a little."""
    for attempt in range(3):
        hub = copy_of(due, folder / str(attempt) / "hub")
        done = injected(hub, f"{call}:signal=KILL:when={place}", words=WORDS)
        assert done.returncode in {0, -signal.SIGKILL}, f"{call} {place}: ended with {done.returncode} {done.stderr}"
        if done.returncode:
            hub.run("national")
        assert came_to(hub) == whole, f"{call} {place}"
        if done.returncode:
            return True
    return False
