"""F60, F61: a disk that is full or failing leaves the old state as it was and says so; what has a name is durable before it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cpis_batch.errors import Exit
from tests.failure.strace_kit import Call, command, copy_of, injected, recorded, sample, seed
from tests.failure.test_crash import Point, before_the_night, came_to, points
from tests.hub import Hub

FAILING = ("write", "pwrite64", "fsync", "fdatasync", "rename", "ftruncate", "mkdir")


@pytest.fixture(scope="module")
def evening(tmp_path_factory) -> Hub:
    return before_the_night(tmp_path_factory.mktemp("evening"))


@pytest.fixture(scope="module")
def calls(evening, tmp_path_factory) -> list[Call]:
    return recorded(copy_of(evening, tmp_path_factory.mktemp("undisturbed") / "hub"))


@pytest.fixture(scope="module")
def whole(evening, tmp_path_factory):
    hub = copy_of(evening, tmp_path_factory.mktemp("whole") / "hub")
    hub.run("nightly")
    return came_to(hub)


def committed(hub: Hub) -> set[str]:
    """The parts that the catalogue stands on, all of which must be there."""
    with hub.catalogue() as catalogue:
        return set(catalogue.parts_in_use())


def failing(evening: Hub, point: Point, fault: int, folder: Path) -> tuple[int, str, Hub]:
    """A night in which a call fails, and with a full disk all of its kind after it; its end, what it said, and its hub."""
    hub = copy_of(evening, folder / "hub")
    before = committed(hub)
    goes_on = "+" if fault == errno.ENOSPC else ""
    only = hub.home.parent / point.only if point.only else None
    done = injected(hub, f"{point.call}:error={errno.errorcode[fault]}:when={point.place}{goes_on}", only=only)
    said = f"{point}, {errno.errorcode[fault]}: ended with {done.returncode}: {done.stderr}"
    assert "Traceback" not in done.stderr, said
    assert before, said
    assert committed(hub) <= {path.stem for path in (hub.home / "register").iterdir()}, f"{said}: a part is missing"
    return done.returncode, said, hub


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO], ids=["full", "failing"])
def test_f60_a_disk_that_refuses_stops_the_night_cleanly_and_the_next_one_makes_up_for_it(evening, calls, whole, fault, tmp_path):
    every = [point for point in points(calls) if point.call in FAILING]
    # A partner's share that refuses is that partner's trouble; and SQLite folds its log into its file at the end, or later.
    ours = [point for point in every if not point.only]
    drawn = seed()
    chosen = sample([point for point in ours if point.call != "pwrite64"], 4, drawn)
    chosen += sample([point for point in ours if point.call == "pwrite64"], 1, drawn)
    print(f"{len(every)} points, {len(chosen)} tried; CPIS_SWEEP_SEED={drawn}")
    for number, point in enumerate(chosen):
        code, said, hub = failing(evening, point, fault, tmp_path / str(number))
        assert code in (Exit.DISK, Exit.PERSON_NEEDED), said
        if code == Exit.PERSON_NEEDED:
            assert point.call == "pwrite64", f"{said}: passed over"
        hub.run("nightly")
        assert came_to(hub) == whole, said
        assert not list(hub.home.rglob(".part-*")), said


@pytest.mark.parametrize("kind", ["archive", "register", "outbox"])
def test_f60_what_is_needed_and_what_to_do_are_told(evening, calls, kind, tmp_path):
    made = next(call for call in calls if call.name == "fsync" and f"/home/{kind}/.part-" in call.paths[0])
    code, said, _ = failing(evening, Point("fsync", made.place), errno.ENOSPC, tmp_path)
    assert code == Exit.DISK
    assert "bytes are needed" in said
    assert "Make room" in said


@pytest.mark.parametrize("name", ["run.lock", "catalogue.sqlite", "catalogue.sqlite-wal", "logs"])
@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "EROFS"])
def test_f60_a_night_that_cannot_open_what_it_writes_does_not_begin(evening, name, fault, tmp_path):
    hub = copy_of(evening, tmp_path / "hub")
    path = hub.home / name if name != "logs" else hub.home / "logs" / f"{hub.now.date()}.jsonl"
    done = injected(hub, f"openat:error={fault}:when=1+", only=path)
    assert done.returncode == Exit.DISK, done.stderr
    assert "Traceback" not in done.stderr
    assert hub.status()["commit"] == 1
    assert list(hub.root.glob("*/inbound/*"))


def test_f60_a_share_that_refuses_a_delivery_is_that_partner_s_trouble_and_is_made_up_for(evening, calls, whole, tmp_path):
    outbound = next(point for point in points(calls) if point.call == "fsync" and point.only)
    code, said, hub = failing(evening, outbound, errno.EIO, tmp_path)
    assert code == Exit.PERSON_NEEDED, said
    assert hub.status()["undelivered"] == 1
    hub.run("nightly")
    assert came_to(hub) == whole


def test_f60_a_full_disk_under_the_output_alone_is_told_by_the_exit_code(evening, tmp_path):
    hub = copy_of(evening, tmp_path / "hub")
    with Path("/dev/full").open("w") as full:
        done = command(hub, "sh", "-c", f'"$@" >/proc/{os.getpid()}/fd/{full.fileno()} 2>&1', "sh")
    assert done.returncode == Exit.DISK
    assert hub.status()["undelivered"] == 0


def test_f61_what_gets_a_name_is_durable_before_it_and_its_name_before_the_catalogue_says_so(calls):
    synced: set[str] = set()
    unsynced_names: dict[str, str] = {}  # folder -> a name in it that a power loss could take
    named = commits = 0
    for call in calls:
        if call.name in ("write", "pwrite64", "ftruncate") and call.paths:
            synced.discard(call.paths[0])
        elif call.name == "fsync" and call.paths:
            synced.add(call.paths[0])
            unsynced_names.pop(call.paths[0], None)
        elif call.name == "rename" and "/home/" in call.paths[-1]:
            old, new = call.paths
            assert old in synced, f"{Path(new).parent.name}: a file gets its name before its bytes are durable"
            unsynced_names[str(Path(new).parent)] = new
            named += 1
        elif call.name == "fdatasync" and call.paths and call.paths[0].endswith("-wal"):
            folders = sorted(Path(folder).name for folder in unsynced_names)
            assert not folders, f"a commit is made while names in {folders} are not durable"
            commits += 1
    assert named > 12
    assert commits > 8


def test_f61_a_delivery_is_durable_on_the_share_before_it_gets_its_name(calls):
    synced = {call.paths[0] for call in calls if call.name == "fsync" and call.paths}
    uploads = [call.paths for call in calls if call.name == "rename" and "/outbound/" in call.paths[-1]]
    assert len(uploads) > 6
    assert all(old in synced and str(Path(new).parent) in synced for old, new in uploads)


def test_f61_a_file_that_was_moved_away_cannot_come_back(calls):
    moves = [(place, call.paths) for place, call in enumerate(calls) if call.name == "rename" and "/inbound/" in call.paths[0]]
    assert len(moves) > 3
    for place, (old, new) in moves:
        synced = {call.paths[0] for call in calls[place:] if call.name == "fsync"}
        assert {str(Path(old).parent), str(Path(new).parent)} <= synced
