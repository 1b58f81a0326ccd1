"""The sweep would notice: what must not be after a disturbed night is found by those that look for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import HACKNEY, nhs
from tests.hub import Hub
from tests.sweep.evening import FAMILY, before_the_night, copy_of
from tests.sweep.outcome import (
    delivered,
    end_of,
    hold_to_no_leftover,
    hold_to_nothing_in_plain,
    hold_to_the_parts_named,
    hold_to_what_was_delivered,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Hub:
    hub = copy_of(before_the_night(tmp_path_factory.mktemp("evening")), tmp_path_factory.mktemp("night") / "hub")
    hub.run("nightly")
    return hub


@pytest.fixture
def hub(night, tmp_path) -> Hub:
    return copy_of(night, tmp_path / "hub")


def looked_at(hub: Hub) -> None:
    hold_to_no_leftover(hub)
    hold_to_nothing_in_plain(hub.home.parent)
    hold_to_the_parts_named(hub)
    end_of(hub)


def test_a_sound_night_passes(hub):
    looked_at(hub)


@pytest.mark.parametrize("name", ["home/outbox/.part-1", "home/outbox/none.pgp", "home/register/none.parquet", "tmp/x"])
def test_what_a_night_leaves_behind_is_found(hub, name):
    (hub.home.parent / name).write_bytes(b"left")
    with pytest.raises(AssertionError, match=r"left behind|no commit names"):
        looked_at(hub)


@pytest.mark.parametrize("word", [nhs(3), FAMILY, "LC-000003"])
def test_an_identifier_in_plain_is_found_in_a_file_and_in_a_name(hub, word):
    for path, data in ((hub.home / "logs" / "more", f"xx{word}xx"), (hub.root / HACKNEY / "inbound" / f"a-{word}", "")):
        path.write_text(data)
        with pytest.raises(AssertionError, match="an identifier"):
            looked_at(hub)
        path.unlink()


def test_a_part_that_is_lost_a_delivery_that_is_altered_and_an_answer_too_few_are_found(hub):
    for path in (hub.home / "register").iterdir():
        path.unlink()
    with pytest.raises(AssertionError, match="is not there"):
        hold_to_the_parts_named(hub)

    before = delivered(hub)
    message = hub.outbound(HACKNEY)[0]
    message.write_bytes(message.read_bytes() + b"x")
    with pytest.raises(AssertionError, match="delivered twice"):
        hold_to_what_was_delivered(before, hub)
    with pytest.raises(AssertionError, match="with other bytes than were recorded"):
        end_of(hub)

    with hub.catalogue() as catalogue:
        catalogue._db.execute("DELETE FROM deliveries WHERE kind = 'ACKNOWLEDGEMENT' AND id = 1")
    with pytest.raises(AssertionError):
        end_of(hub)


GATED = """
import errno, os, sys
from tests.sweep.gate import KILL, Gated
folder = sys.argv[1]

def work():
    open(f"{folder}/first", "w").close()
    try:
        os.mkdir(f"{folder}/second")
    except OSError as fault:
        assert fault.errno == errno.ENOSPC
    os.rename(f"{folder}/first", f"{folder}/third")
    os.truncate(f"{folder}/third", 7)
    return 0

def keeper(call):
    told.append((call.program, call.name, [os.path.basename(path) for path in call.paths]))
    return {"mkdir": errno.ENOSPC, "truncate": KILL}.get(call.name, 0)

told = []
assert Gated(work).serve(keeper) == -9
assert told == [("night", "openat", ["first"]), ("night", "mkdir", ["second"]), ("night", "rename", ["first", "third"]),
                ("night", "truncate", ["third"])], told
assert os.listdir(folder) == ["third"] and os.path.getsize(f"{folder}/third") == 0
"""


def test_the_gate_tells_refuses_and_kills_before_a_call_is_made(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", GATED, tmp_path], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


MANY = """
import os, sys, time
from pathlib import Path
from tests.sweep.many import Trial, tried

def fails(folder):
    raise AssertionError("why")

trials = [Trial("good", lambda folder: None), Trial("bad", fails), Trial("dead", lambda folder: os.kill(os.getpid(), 9))]
found = {one.name: one.fault for one in tried(trials, Path(sys.argv[1]), 2)}
assert found == {"good": "", "bad": "AssertionError: why", "dead": "its process ended with -9"}, found
"""


def test_a_trial_that_fails_or_dies_is_told(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", MANY, tmp_path], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_point_that_there_is_not_fails_the_sweep():
    done = subprocess.run(
        [sys.executable, "-m", "tests.sweep", "kills", "--only", "KILL night rename nowhere 1"],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no such point" in done.stdout
