"""F62, F68, F70: the processes of a run: one at a time in a home, none of which leaves a core, a wide mode or a word to be read.

gpg is the real one behind a script, which looks round among the run's processes first; and waits there, where a test says so.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cpis_batch import config
from tests.builders import HACKNEY, KENT, nhs
from tests.hub import Hub, keys, plan_row
from tests.small_england import small_england

PROGRAM = Path(sys.executable).with_name("cpis-batch")
CAMDEN, ISLINGTON = "E09000007", "E09000019"

# For each process of the session, and the agent of this gpg: name, limit of core files, umask, arguments, environment. Each
# look has a file of its own, since gpg may write no more than 64 KiB.
LOOKS = """
session=$(cut -d' ' -f6 /proc/$$/stat)
for process in /proc/[0-9]*; do
  words=$(tr '\\0' ' ' < $process/cmdline 2>/dev/null)
  belongs=$(cut -d' ' -f6 $process/stat 2>/dev/null)
  case "$words" in *"gpg-agent --homedir $HOMEDIR"*) belongs=$session;; esac
  [ "$belongs" = "$session" ] || continue
  [ -n "$words" ] || continue
  core=$(grep 'Max core file size' $process/limits)
  mask=$(grep Umask $process/status)
  printf '%s\\n' "PROCESS $words" "$core" "$mask" >> LOG.$$
  tr '\\0' '\\n' < $process/environ >> LOG.$$
done
"""


class Gpg:
    """The script in gpg's place. While a test holds it back, each decryption says so on a pipe and waits."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.log, held, there = folder / "log", folder / "held", folder / "there"
        real = shutil.which("gpg")
        assert real, "install gnupg"
        os.mkfifo(there)
        self._there = os.open(there, os.O_RDWR)
        self._held = os.open(held, os.O_RDWR | os.O_CREAT)
        script = folder / "bin" / "gpg"
        script.parent.mkdir()
        script.write_text(
            '#!/bin/sh\ncase "$*" in *--decrypt*)\n'
            "for word; do case $word in --homedir=*) HOMEDIR=${word#--homedir=};; esac; done\n"
            f"{LOOKS.replace('LOG', str(self.log))}\n"
            f'echo there > {there}; flock --shared {held} true;;\nesac\nexec {real} "$@"\n'
        )
        script.chmod(0o755)
        self.path = f"{script.parent}:{os.environ['PATH']}"

    def hold_back(self) -> None:
        """Let none go on that comes from now."""
        fcntl.flock(self._held, fcntl.LOCK_EX)

    def wait_for_one(self, run: subprocess.Popen[str]) -> None:
        """Wait until one of a run's is there."""
        ended = os.pidfd_open(run.pid)
        ready, _, _ = select.select([self._there, ended], [], [])
        os.close(ended)
        assert self._there in ready, "the run ended before it opened a file"
        assert os.read(self._there, 6) == b"there\n"

    def let_go(self) -> None:
        """Let all go on."""
        fcntl.flock(self._held, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let all go on, and be done."""
        for handle in (self._there, self._held):
            os.close(handle)


@pytest.fixture
def gpg(tmp_path) -> Iterator[Gpg]:
    script = Gpg(tmp_path / "gpg")
    yield script
    script.close()


def environment(hub: Hub, gpg: Gpg | None = None) -> dict[str, str]:
    return {
        "CPIS_HOME": str(hub.home),
        "CPIS_NOW": hub.now.isoformat(),
        "HOME": str(hub.home.parent),
        "PATH": gpg.path if gpg else os.environ["PATH"],
    }


@pytest.fixture
def hub(tmp_path) -> Hub:
    hub = small_england(tmp_path / "hub", las=(HACKNEY, KENT, CAMDEN, ISLINGTON))
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace("[intake]\n", "[intake]\nworkers = 2\n"))
    for number, la in enumerate((HACKNEY, KENT, CAMDEN, ISLINGTON)):
        hub.drop(la, [plan_row(number, family=f"Quillcanary{number}")])
    return hub


def test_f68_f70_no_process_of_a_run_may_leave_a_core_or_shows_a_record_or_a_key(hub, gpg):
    done = subprocess.run(
        ["sh", "-c", 'umask 000; ulimit -c unlimited 2>/dev/null; exec "$@"', "sh", PROGRAM, "run", "nightly"],
        env=environment(hub, gpg), start_new_session=True, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = "".join(log.read_text() for log in gpg.log.parent.glob("log.*"))
    found = re.findall(r"^PROCESS (.*)\n(.*)\nUmask:\t(.*)$", seen, re.MULTILINE)
    for what in ("cpis-batch run nightly", "multiprocessing.forkserver", "gpg-agent --homedir", "--decrypt"):
        assert [words for words, _, _ in found if what in words], f"{what} was not there to be looked at"
    assert len([words for words, _, _ in found if "multiprocessing.forkserver" in words]) > 4, "the workers, too"
    for words, core, umask in found:
        assert core.split()[4:6] == ["0", "0"], words
        assert umask == "0077", words
    master = (hub.home / "keys" / "master.key").read_text().strip()
    shown = [master, nhs(1), "canary", "PRIVATE", keys(KENT).secret[-16:].hex()]
    assert not [word for word in shown if word.lower() in seen.lower()]


def test_f70_whatever_the_umask_of_the_caller_a_home_is_its_owners_alone(tmp_path):
    """Made by the commands, as an operator would, and used for a night with every kind of file."""
    hub = small_england(tmp_path / "hub", las=(HACKNEY, KENT))
    home = tmp_path / "home"

    def typed(*words: str) -> None:
        told = environment(hub) | {"CPIS_HOME": str(home)}
        done = subprocess.run(
            ["sh", "-c", 'umask 000; exec "$@"', "sh", PROGRAM, *words], env=told, capture_output=True, check=False, timeout=120
        )
        assert done.returncode in (0, 3), (words, done.stderr)

    typed("init", "--environment", "TEST")
    typed("keys", "make", "hub", "--to", "2039-01-01")
    typed("keys", "make", "ssh")
    (home / config.FILE_NAME).write_text((hub.home / config.FILE_NAME).read_text())
    for source in ("partners", "reference"):
        shutil.copytree(hub.home / source, home / source, dirs_exist_ok=True, copy_function=shutil.copyfile)
    for path in home.rglob("*"):
        if path.parts[len(home.parts)] in ("partners", "reference"):
            path.chmod(0o700 if path.is_dir() else 0o600)  # ours, not the program's
    ours = Hub(home, hub.root, hub.now)
    for la in (HACKNEY, KENT):
        ours.drop(la, [plan_row(1)])
    typed("run", "nightly")
    typed("status", "--json")
    typed("register", "verify")
    modes = {str(path.relative_to(home)): stat.S_IMODE(path.lstat().st_mode) for path in (home, *home.rglob("*"))}
    assert len(modes) > 40
    assert {path: oct(mode) for path, mode in modes.items() if mode != (0o700 if (home / path).is_dir() else 0o600)} == {}


@pytest.fixture
def at_work(hub, gpg) -> Iterator[subprocess.Popen[str]]:
    """A run that has begun to open a file, and waits there."""
    gpg.hold_back()
    words = [PROGRAM, "run", "intake"]
    with subprocess.Popen(words, env=environment(hub, gpg), stdout=subprocess.DEVNULL, start_new_session=True) as process:
        gpg.wait_for_one(process)
        yield process
        process.kill()
        gpg.let_go()


def test_f62_of_eight_runs_at_once_one_works_and_seven_end_with_75_and_name_it(hub, gpg, at_work):
    others = [
        subprocess.Popen([PROGRAM, "run", kind], env=environment(hub), text=True, stderr=subprocess.PIPE)
        for kind in ("nightly", "intake", "fortnightly", "nightly", "intake", "fortnightly", "nightly")
    ]
    ended = [(one.communicate(timeout=120)[1], one.returncode) for one in others]
    assert {code for _, code in ended} == {75}
    for said, _ in ended:
        assert f"run intake of {hub.now.date()} (process {at_work.pid})" in said
    assert at_work.poll() is None
    gpg.let_go()
    assert at_work.wait(120) == 0
    assert len(hub.acknowledgements(KENT)) == 1


def test_f62_neither_lock_nor_worker_outlives_a_run_that_is_killed_while_gpg_still_works(hub, at_work):
    left = [os.pidfd_open(pid) for pid in of_the_run(hub) if pid != at_work.pid]
    assert len(left) >= 3, "a process that forks, and two workers"
    at_work.kill()
    at_work.wait(20)
    night = hub.run("nightly")
    assert night.exit_code == 0
    assert len(hub.acknowledgements(KENT)) == 1
    assert hub.active(ISLINGTON) == {(nhs(3), "CPP")}
    for handle in left:
        assert select.select([handle], [], [], 60)[0], "a worker, or who forks them, waits for a run that is no more"
        os.close(handle)


def of_the_run(hub: Hub) -> list[int]:
    """The Python processes that were started with this home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            given, words = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
            if f"CPIS_HOME={hub.home}".encode() in given.split(b"\0") and (b"forkserver" in words or b"cpis-batch" in words):
                found.append(int(process.name))
    return found
