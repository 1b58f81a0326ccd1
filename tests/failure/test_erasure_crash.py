"""F56 and F59: an erasure killed at any call by which it changes a disk is finished by whatever runs next."""

from __future__ import annotations

import os
import signal
from random import Random, SystemRandom
from typing import Any

import pytest

from tests.commands import told
from tests.failure.erasure_kit import APPLY, applied, lived, traces
from tests.failure.strace_kit import Call, copy_of, injected, recorded
from tests.hub import Hub


@pytest.fixture(scope="module")
def due(tmp_path_factory) -> Hub:
    return lived(tmp_path_factory.mktemp("due"))


def words(hub: Hub) -> tuple[str, ...]:
    """The command that applies the plan of today."""
    return "retention", "apply", "--plan", told(hub, "retention", "plan")["token"], *APPLY


@pytest.fixture(scope="module")
def undisturbed(due, tmp_path_factory) -> tuple[list[Call], dict[str, Any]]:
    """The calls of an erasure that nothing disturbs, and what it comes to."""
    hub = copy_of(due, tmp_path_factory.mktemp("undisturbed") / "hub")
    calls = recorded(hub, words=words(hub))
    return calls, came_to(hub)


def came_to(hub: Hub) -> dict[str, Any]:
    """All that must not depend on where an erasure was killed; and that nothing of the person is left."""
    assert traces(hub) == set()
    assert told(hub, "register", "verify")["unnamed"] == {"register": 0, "archive": 0, "outbox": 0}
    rebuilt = told(hub, "register", "rebuild")
    assert rebuilt["same"]
    with hub.catalogue() as opened:
        checkpoints = [(number, one.la_code) for number, one in opened.checkpoints()]
        balances = opened.table("SELECT * FROM balances ORDER BY commit_id, la_code, plan_type")
        kinds = [commit.kind for commit in opened.commits()]
        erased = opened.table("SELECT id, erased_in FROM arrivals ORDER BY id")
        messages = opened.table("SELECT id, name, erased_in FROM deliveries ORDER BY id")
    return {
        "register": rebuilt["rebuilt_digest"],
        "archive": sorted(path.name for path in (hub.home / "archive").glob("*.pgp")),
        "checkpoints": checkpoints,
        "balances": balances,
        "kinds": kinds,
        "erased": erased,
        "messages": messages,
    }


def test_f59_killed_anywhere_an_erasure_leaves_all_or_nothing_and_is_finished_by_the_next_run(due, undisturbed, tmp_path):
    calls, whole = undisturbed
    every = [(call.name, call.place) for call in calls if call.name != "openat"]
    removals = [point for point in every if point[0].startswith("unlink")]
    assert len(every) > 60
    assert len(removals) > 10
    drawn = int(os.environ.get("CPIS_SWEEP_SEED", SystemRandom().randrange(10**6)))  # others each time: in time all are tried
    choice = Random(drawn)
    chosen = choice.sample([point for point in every if point not in removals], 5) + choice.sample(removals, 2)
    if os.environ.get("CPIS_SWEEP") == "all":
        chosen = every
    print(f"{len(every)} points, {len(chosen)} tried; CPIS_SWEEP_SEED={drawn}")
    for number, (call, place) in enumerate(chosen):
        hub = copy_of(due, tmp_path / str(number) / "hub")
        before = hub.status()["register_digest"]
        done = injected(hub, f"{call}:signal=KILL:when={place}", words=words(hub))
        assert done.returncode == -signal.SIGKILL, f"{call} {place}: not killed, ended with {done.returncode} {done.stderr}"
        committed = hub.status()["register_digest"] != before
        hub.run("intake")
        if committed:
            assert traces(hub) == set(), f"{call} {place}: the next run did not finish the erasure"
        else:
            applied(hub)
        assert came_to(hub) == whole, f"{call} {place}"
