"""The model of a disk that the sweep for power loss (F61) stands on: what may be lost is lost, what is synced is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.sweep.power import LOSSES, Disk, Event, moments

OLD, NEW = b"old" * 400, b"new" * 400


@pytest.fixture
def start(tmp_path) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "a").write_bytes(OLD)
    return tmp_path


def after(start: Path, loss: str, events: Sequence[Event]) -> dict[str, bytes]:
    """The files that stand there when the power is back."""
    disk = Disk(start)
    for event in events:
        disk.happen(event)
    return {name: data for name, (data, _) in disk.after_loss(loss, "a seed").files.items()}


def replaced(*, sync_file: bool, sync_folder: bool) -> list[Event]:
    """A file is written under another name, and renamed."""
    return [
        Event("create", "home/.part"),
        Event("write", "home/.part", data=NEW),
        *([Event("sync", "home/.part")] if sync_file else []),
        Event("rename", "home/.part", "home/a"),
        *([Event("sync", "home")] if sync_folder else []),
    ]


def test_f61_what_is_synced_in_file_and_folder_stands_whatever_else_is_lost(start):
    for loss in LOSSES:
        assert after(start, loss, replaced(sync_file=True, sync_folder=True)) == {"home/a": NEW}


def test_f61_a_name_that_is_not_synced_may_be_lost_and_then_the_old_file_stands(start):
    events = replaced(sync_file=True, sync_folder=False)
    assert after(start, "lost", events) == {"home/a": OLD}
    assert after(start, "names", events) == {"home/a": NEW}
    assert {after(start, loss, events)["home/a"] for loss in LOSSES} == {OLD, NEW}, "never a part, and never nothing"


def test_f61_a_file_that_is_named_before_it_is_synced_may_be_empty_or_zeros(start):
    events = replaced(sync_file=False, sync_folder=True)
    assert after(start, "names", events) == {"home/a": b""}
    assert after(start, "zeros", events) == {"home/a": bytes(len(NEW))}
    torn = after(start, "torn", events)["home/a"]
    assert torn in {NEW[: 512 * sectors] for sectors in range(3)}


def test_f61_what_is_written_into_a_file_in_place_may_be_lost_alone(start):
    events = [
        Event("write", "home/a", offset=3, data=b"X"),
        Event("sync", "home/a"),
        Event("write", "home/a", offset=6, data=b"Y"),
    ]
    assert after(start, "lost", events)["home/a"][:9] == b"oldXldold"
    assert after(start, "data", events)["home/a"][:9] == b"oldXldYld"


def test_f61_what_follows_a_lost_name_is_lost_with_it(start):
    events = [Event("rename", "home/a", "home/b"), Event("rename", "home/b", "home/c")]
    for seed in range(40):
        disk = Disk(start)
        for event in events:
            disk.happen(event)
        assert len(disk.after_loss("torn", str(seed)).files) == 1


def test_f61_a_program_that_names_before_it_syncs_is_found_out(start):
    trees = [tree.files["home/a"][0] for _, tree, _ in moments(start, replaced(sync_file=False, sync_folder=True))]
    assert set(trees) - {OLD, NEW}, "a file that is neither the old one nor the new"
    trees = [tree.files["home/a"][0] for _, tree, _ in moments(start, replaced(sync_file=True, sync_folder=True))]
    assert set(trees) == {OLD, NEW}
