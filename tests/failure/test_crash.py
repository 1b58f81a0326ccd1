"""F59: killed at any call by which a night changes a disk, and run again, a night comes to what it would have come to."""

from __future__ import annotations

import fcntl
import os
import signal
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cpis_batch import config
from cpis_batch.catalogue.records import Delivery
from tests.builders import HACKNEY, KENT, nhs
from tests.failure.strace_kit import Call, command, copy_of, injected, recorded, sample, seed
from tests.hub import NATIONAL, Hub, plan_row
from tests.small_england import small_england

CHILDREN = [plan_row(child) for child in range(1, 15)]


@dataclass(frozen=True)
class Point:
    """Before which call a run is killed: the n-th of its kind, where `only` is given of those whose first path it is."""

    call: str
    place: int
    only: str | None = None


def before_the_night(folder: Path) -> Hub:
    """Two authorities with fourteen children each; and a night's files of every kind, with a release due."""
    hub = small_england(folder)
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace("[intake]\n", "[intake]\nworkers = 1\n"))  # one process
    for la in (HACKNEY, KENT):
        hub.drop(la, CHILDREN)
    hub.run()
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1, end="2026-11-15"), *CHILDREN[1:], plan_row(20)])
    hub.put(HACKNEY, hub.name(HACKNEY, 3), b"no message at all")
    hub.drop(KENT, CHILDREN[:3])  # the brake holds it
    at = (hub.now - timedelta(days=1)).isoformat()
    looks = [f"D,e-{child},{at},{nhs(child)},PERSON,Jo Smith,R0050,,RX101,Seaside,EMERGENCY-DEPARTMENT,Y" for child in (1, 2, 3)]
    text = "\n".join([f"H,CPIS-ACCESS-EVENTS,1.0,TEST,1,{(hub.now - timedelta(hours=2)).isoformat()}", *looks, "T,3", ""])
    hub.put(NATIONAL, f"CPIS_EVENTS_00000001_{hub.now:%Y%m%dT%H%M%SZ}.csv.pgp", hub.sealed(text.encode(), NATIONAL))
    return hub


@pytest.fixture(scope="module")
def evening(tmp_path_factory) -> Hub:
    return before_the_night(tmp_path_factory.mktemp("evening"))


@pytest.fixture(scope="module")
def undisturbed(evening, tmp_path_factory) -> tuple[list[Call], dict[str, Any]]:
    """The calls of a night that nothing disturbs, and what it comes to."""
    hub = copy_of(evening, tmp_path_factory.mktemp("undisturbed") / "hub")
    return recorded(hub), came_to(hub)


def came_to(hub: Hub) -> dict[str, Any]:
    """All that must not depend on where a run was killed."""
    status = hub.status()
    assert (status["undelivered"], status["imbalance"]) == (0, 0)
    with hub.catalogue() as catalogue:
        arrivals, deliveries = catalogue.arrivals(), catalogue.deliveries()
        balances = catalogue.table("SELECT * FROM balances ORDER BY commit_id, la_code, plan_type")
        kinds = [commit.kind for commit in catalogue.commits()]
    answered = [delivery.arrival_id for delivery in deliveries if delivery.kind == "ACKNOWLEDGEMENT"]
    assert sorted(answered) == [arrival.id for arrival in arrivals if arrival.file_outcome]
    return {
        "register": status["register_digest"],
        "audit": hub.audit_log(),
        "active": status["active"],
        "holds": [(hold["partner"], hold["reason"], hold["detail"]) for hold in status["open_holds"]],
        "arrivals": [(one.id, one.name, one.state, one.file_outcome, one.code, one.moved_to) for one in arrivals],
        "deliveries": [(one.name, one.record_count) for one in deliveries],
        "balances": balances,
        "commits": kinds,
        "served": sorted(str(path.relative_to(hub.root)) for path in lying(hub)),
    }


def lying(hub: Hub) -> list[Path]:
    """What partners see: names that begin with a dot are those of uploads that are still going on."""
    return [path for path in hub.root.rglob("*") if path.is_file() and not path.name.startswith(".")]


def points(calls: list[Call]) -> list[Point]:
    """Every place to kill the run at: by number, and for the threads that deliver and move, by path.

    A call that creates a file is left out: the one after it shows what it leaves.
    """
    found: dict[Point, None] = {}
    times: dict[tuple[int, str], int] = {}
    for call in calls:
        first = call.paths[0] if call.paths else ""
        served = first.partition("/hub/served/")[2]
        if call.name == "openat" or ".cpis-" in first:
            continue
        if served:
            times[call.thread, first] = times.get((call.thread, first), 0) + 1
            found[Point(call.name, times[call.thread, first], f"served/{served}")] = None
        else:
            found[Point(call.name, call.place)] = None
    return list(found)


def killed_and_run_again(evening: Hub, point: Point, folder: Path) -> Hub:
    hub = copy_of(evening, folder / "hub")
    only = hub.home.parent / point.only if point.only else None
    done = injected(hub, f"{point.call}:signal=KILL:when={point.place}", only=only)
    assert done.returncode == -signal.SIGKILL, f"{point}: not killed, ended with {done.returncode} {done.stderr}"
    left_by_gpg = [path for path in Path("/dev/shm").glob("cpis-gpg-*") if not in_use(path)]
    delivered = {path: path.read_bytes() for path in lying(hub) if path.parent.name == "outbound"}

    hub.run("nightly")

    for path, data in delivered.items():
        assert path.read_bytes() == data, f"{point}: delivered twice, with other bytes"
    assert not [path for path in left_by_gpg if not in_use(path)], f"{point}: keys of gpg are left"
    assert not list(hub.home.rglob(".part-*")), f"{point}: temporary files are left"
    assert not list((folder / "hub" / "tmp").iterdir()), f"{point}: the temporary folder is not empty"
    named = {delivery.digest for delivery in deliveries(hub)}
    assert {path.stem for path in (hub.home / "outbox").iterdir()} == named, f"{point}: sealed files that no commit names"
    return hub


def deliveries(hub: Hub) -> list[Delivery]:
    with hub.catalogue() as catalogue:
        return catalogue.deliveries()


def in_use(folder: Path) -> bool:
    """Whether a living process holds it, as `envelope.gpg_home` asks, or it is gone: other tests have such folders too."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def test_the_night_of_these_tests_has_something_of_everything(undisturbed):
    calls, whole = undisturbed
    assert {state for _, _, state, _, _, _ in whole["arrivals"]} == {"MERGED", "HELD", "REFUSED"}
    assert whole["commits"] == ["INTAKE", "INTAKE", "EVENTS", "RELEASE"]
    assert {name.split("_")[1] for name, _ in whole["deliveries"]} == {"ACK", "NOTICE", "EVENTS", "ACCESS", "CHIS"}
    assert len(points(calls)) > 150


def test_f59_killed_anywhere_and_run_again_a_night_comes_to_the_same(evening, undisturbed, tmp_path):
    calls, whole = undisturbed
    every = points(calls)
    drawn = seed()
    # SQLite's own writes are half of all calls; what they are about is the same from one to the next.
    pages = [point for point in every if point.call == "pwrite64"]
    chosen = sample([point for point in every if point.call != "pwrite64"], 6, drawn) + sample(pages, 2, drawn)
    print(f"{len(every)} points, {len(chosen)} tried; CPIS_SWEEP_SEED={drawn}")
    for number, point in enumerate(chosen):
        hub = killed_and_run_again(evening, point, tmp_path / str(number))
        assert came_to(hub) == whole, point


def test_a_run_of_its_own_after_a_whole_night_changes_nothing(evening, undisturbed, tmp_path):
    _, whole = undisturbed
    hub = copy_of(evening, tmp_path / "hub")
    hub.run("nightly")
    assert command(hub).returncode == 3, "a file is held"
    assert came_to(hub) == whole
