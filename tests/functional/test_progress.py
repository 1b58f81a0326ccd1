"""A line of progress where a terminal watches; nothing of it anywhere else."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cpis_batch.cli.progress import line
from tests.builders import HACKNEY, KENT
from tests.hub import Hub, plan_row

PROGRAM = Path(sys.executable).with_name("cpis-batch")


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    hub = Hub.make(tmp_path)
    hub.drop(HACKNEY, [plan_row(child) for child in range(1, 30)])
    hub.drop(KENT, [plan_row(40)])
    return hub


def watched(
    hub: Hub, *words: str, columns: int = 80, interrupt_at: bytes | None = None, **environment: str
) -> tuple[int, bytes, bytes]:
    """A command whose stderr is a terminal: its exit code, what it printed, and what the terminal was sent."""
    ours, theirs = pty.openpty()
    env = os.environ | {"CPIS_HOME": str(hub.home), "CPIS_NOW": hub.now.isoformat(), "TERM": "xterm"} | environment
    env |= {"COLUMNS": str(columns)}
    with subprocess.Popen([PROGRAM, *words], stdout=subprocess.PIPE, stderr=theirs, env=env) as running:
        os.close(theirs)
        seen = b""
        while True:
            try:
                got = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not got:
                break
            seen += got
            if interrupt_at and interrupt_at in seen:
                running.send_signal(signal.SIGINT)
                interrupt_at = None
        assert running.stdout
        said = running.stdout.read()
    os.close(ours)
    return running.returncode, said, seen


def test_a_terminal_sees_what_is_at_work_and_how_far_it_is(hub):
    code, said, seen = watched(hub, "run", "nightly", "--json")
    assert code == 0
    assert json.loads(said)["kind"] == "nightly", "what is printed can be read by a program"
    assert b"checking and merging  [########################]  2/2" in seen
    for stage in (b"collecting", b"committing", b"delivering", b"moving files away"):
        assert stage in seen
    assert seen.endswith(b"\r\x1b[K"), "the line is gone at the end"
    assert set(seen.replace(b"\x1b[K", b"").replace(b"\r", b"")) <= set(range(32, 127)), "no colour, no other control"


def test_no_line_is_longer_than_the_terminal_is_wide(hub):
    _, _, seen = watched(hub, "run", "nightly", columns=30)
    assert max(len(part) for part in seen.replace(b"\x1b[K", b"").split(b"\r")) <= 29


def test_where_no_terminal_watches_nothing_is_said(hub):
    done = subprocess.run(
        [PROGRAM, "--home", hub.home, "--now", hub.now.isoformat(), "run", "nightly"], capture_output=True, check=True
    )
    assert done.stderr == b""


def test_a_terminal_that_cannot_clear_a_line_gets_none(hub):
    code, _, seen = watched(hub, "run", "nightly", TERM="dumb")
    assert (code, seen) == (0, b"")


def test_an_interrupted_night_leaves_a_clean_line_and_the_next_one_makes_up_for_it(hub):
    code, _, seen = watched(hub, "run", "nightly", interrupt_at=b"committing")
    assert code == 130
    assert seen.endswith(b"\r\x1b[K\r\nInterrupted. Nothing half-done is left; run the same command again.\r\n")
    with hub.catalogue() as catalogue:
        (kept,) = catalogue.runs(hub.now.date())
    assert (kept.exit_code, json.loads(kept.summary or "")["exit_code"]) == (130, 130)
    assert "Interrupted (130)" in (hub.home / "operations" / "index.html").read_text()
    assert hub.run("nightly").exit_code == 0


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (("collecting", 0, 153, 0.2), "collecting  [------------------------]  0/153"),
        (("collecting", 51, 153, 2.4), "collecting  [########----------------]  51/153  2 s"),
        (("collecting", 160, 153, 61), "collecting  [########################]  160/153  61 s"),
        (("tracing", 0, 0, 0), "tracing ..."),
        (("sealing", 1200, 0, 0), "sealing  1,200"),
    ],
)
def test_the_line(told, shown):
    assert line(*told) == shown
