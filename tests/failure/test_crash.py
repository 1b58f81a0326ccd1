"""F59, F60, F61, F15, F19: disturbed anywhere and run again, a night comes to what it would have come to.

`make crash-sweep` tries every point; here it is a sample of each kind, another one each time. The seed is printed where it fails.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import SystemRandom

from tests.failure.strace_kit import command, recorded
from tests.sweep.evening import before_the_night, copy_of
from tests.sweep.outcome import end_of

ROOT = Path(__file__).parents[2]


def swept(*kinds: str, sample: int) -> str:
    """What a sweep of a sample said, in a process of its own, for it forks; AssertionError where a point failed."""
    seed = SystemRandom().randrange(10**6)
    done = subprocess.run(
        [sys.executable, "-m", "tests.sweep", *kinds, "--sample", str(sample), "--seed", str(seed), "--jobs", "1"],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, f"--seed {seed}: {done.stdout}{done.stderr}"
    return done.stdout


def test_f59_f60_f61_killed_refused_or_without_power_at_any_call_and_run_again_a_night_comes_to_the_same():
    said = swept("kills", "disks", "power", sample=7)
    for kind in ("kills", "disks", "power"):
        assert f"{kind}: 7 of 7 tried, 0 failed" in said


def test_f59_a_worker_or_gpg_is_killed_and_the_next_night_makes_up_for_it():
    assert "workers: 5 of 5 tried, 0 failed" in swept("workers", sample=5)


def test_f15_f19_a_line_that_breaks_at_any_byte_loses_nothing():
    assert "lines: 12 of 12 tried, 0 failed" in swept("lines", sample=12)


def test_the_night_that_is_swept_has_something_of_everything(tmp_path):
    hub = copy_of(before_the_night(tmp_path / "evening"), tmp_path / "hub")
    hub.run("nightly")
    whole = end_of(hub)
    assert {state for _, _, state, *_ in whole["arrivals"]} == {"MERGED", "HELD", "REFUSED"}
    assert [kind for kind, *_ in whole["commits"]] == ["INTAKE", "INTAKE", "EVENTS", "RELEASE"]
    kinds = {name.split("_")[1] for _, _, name, *_ in whole["deliveries"]}
    assert kinds == {"ACK", "NOTICE", "EVENTS", "ACCESS", "CHIS"}

    assert command(hub).returncode == 3, "a file is held"
    assert end_of(hub) == whole, "a run of its own after a whole night changes nothing"


def test_strace_sees_the_calls_that_are_swept_and_no_others(tmp_path):
    """The sweep's own gate against an independent witness of the program's whole life: the same calls, as often."""
    evening = before_the_night(tmp_path / "evening")
    calls = recorded(copy_of(evening, tmp_path / "hub"))
    told = subprocess.run(
        [sys.executable, "-m", "tests.sweep", "kills", "--list"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        timeout=300,
    )
    swept_names = [line.removeprefix("KILL night ") for line in told.stdout.splitlines() if line.startswith("KILL night ")]
    for name in ("fsync", "fdatasync", "rename", "pwrite64", "ftruncate"):
        ours = sum(line.startswith((f"{name} home", f"{name} served")) for line in swept_names)
        theirs = sum(call.name == name and call.paths[0].startswith(str(tmp_path)) for call in calls if call.paths)
        assert ours == theirs > 0, f"{name}: {ours} points, strace saw {theirs}"
