"""F60, F61: a disk that is full or failing leaves the old state as it was and says so; what has a name is durable before it.

That it is so at every call is swept (test_crash); here it is what the operator is told, and in which order things become durable.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cpis_batch.errors import Exit
from tests.builders import HACKNEY
from tests.failure.strace_kit import Call, command, injected, recorded
from tests.hub import Hub
from tests.sweep.evening import before_the_night, copy_of
from tests.sweep.outcome import end_of, hold_to_the_parts_named


@pytest.fixture(scope="module")
def evening(tmp_path_factory) -> Hub:
    return before_the_night(tmp_path_factory.mktemp("evening"))


@pytest.fixture(scope="module")
def undisturbed(evening, tmp_path_factory) -> tuple[list[Call], dict[str, Any]]:
    """The calls of a night that nothing disturbs, and what it comes to."""
    hub = copy_of(evening, tmp_path_factory.mktemp("undisturbed") / "hub")
    return recorded(hub), end_of(hub)


@pytest.fixture(scope="module")
def calls(undisturbed) -> list[Call]:
    return undisturbed[0]


@pytest.mark.parametrize("kind", ["archive", "register", "outbox"])
def test_f60_what_is_needed_and_what_to_do_are_told(evening, calls, kind, tmp_path):
    made = next(call for call in calls if call.name == "fsync" and f"/home/{kind}/.part-" in call.paths[0])
    hub = copy_of(evening, tmp_path / "hub")
    done = injected(hub, f"fsync:error=ENOSPC:when={made.place}+")
    assert done.returncode == Exit.DISK, done.stderr
    assert "bytes are needed" in done.stderr
    assert "Make room" in done.stderr
    hold_to_the_parts_named(hub)


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


def test_f60_a_share_that_refuses_a_delivery_is_that_partner_s_trouble_and_is_made_up_for(evening, undisturbed, tmp_path):
    hub = copy_of(evening, tmp_path / "hub")
    done = injected(hub, "fsync:error=EIO:when=1", only=hub.root / HACKNEY / "outbound")
    assert done.returncode == Exit.PERSON_NEEDED, done.stderr
    assert "Traceback" not in done.stderr
    assert hub.status()["undelivered"] == 1
    hub.run("nightly")
    assert end_of(hub) == undisturbed[1]


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
