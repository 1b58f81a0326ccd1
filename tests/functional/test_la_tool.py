"""`cpis-la`: an authority's desk in one file. It runs with Python alone, says what the service says, needs nothing of POSIX."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cpis_batch import spec
from tests.envelope_kit import parties

ROOT = Path(__file__).parents[2]
SAMPLES = spec.folder().parent / "sample_data" / "la-extract"
CORPUS = sorted(path for path in SAMPLES.glob("*.csv"))
NOW = "2026-11-20T12:00:00Z"
NEVER_ON_WINDOWS = ("fcntl", "resource", "pwd", "grp", "termios", "pty", "posix")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One worker at a time."""
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The file, built once for all workers, and how to run it: with no packages but its own."""
    shared = tmp_path_factory.getbasetemp().parent / "la-tool"
    with locked(Path(f"{shared}.lock")):
        if not shared.exists():
            made = tmp_path_factory.mktemp("checkout")
            for name in ("pyproject.toml", "README.md", "LICENSE", "Makefile"):
                shutil.copy(ROOT / name, made / name)
            for name in ("cpis_batch", "specs", "requirements"):
                shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
            (made / ".venv").symlink_to(sys.prefix)
            (made / ".stamps").mkdir()
            for stamp in ("run", "test"):
                (made / ".stamps" / stamp).touch()
            subprocess.run(["make", "la-tool", "-o", ".stamps/test"], cwd=made, check=True, capture_output=True, timeout=600)
            shared.mkdir()
            shutil.move(made / "dist" / "cpis-la.pyz", shared / "cpis-la.pyz")
    return [sys.executable, "-I", "-S", str(shared / "cpis-la.pyz")]


@pytest.fixture
def run(tool: list[str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory):
    unpacked = tmp_path_factory.getbasetemp().parent / "la-tool-unpacked"

    def command(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        environment = {"SHIV_ROOT": str(unpacked), "PATH": "/nowhere", "HOME": str(tmp_path), "CPIS_NOW": NOW}
        with locked(Path(f"{unpacked}.lock")):
            return subprocess.run(
                [*tool, *map(str, arguments)], capture_output=True, env=environment, cwd=tmp_path, timeout=120, check=False
            )

    return command


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_one_file_says_of_an_extract_what_the_program_says(run, path: Path) -> None:
    program = str(Path(sys.executable).with_name("cpis-batch"))
    ours = subprocess.run(
        [program, "la", "check", str(path), "--json"], capture_output=True, env=os.environ | {"CPIS_NOW": NOW}, check=False
    )
    done = run("check", path, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (ours.returncode, json.loads(ours.stdout))


def test_it_seals_and_names_an_extract_for_the_hub(run, tmp_path: Path) -> None:
    la, hub = parties("LA", "Hub", expires=datetime.now(UTC).date() + timedelta(days=400))
    (tmp_path / "own.key").write_bytes(la.secret)
    (tmp_path / "own.key").chmod(0o600)
    (tmp_path / "hub.asc").write_bytes(hub.certificate)
    done = run("seal", SAMPLES / "full.csv", "--key", "own.key", "--hub", "hub.asc", "--out", ".")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("CPIS_LA_*.csv.pgp"))) == 1


def test_a_desk_without_what_only_posix_has_can_check_and_seal(tmp_path: Path) -> None:
    """Windows has none of these modules: nothing that a desk's commands import may want one of ours to."""
    script = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        caller = sys._getframe(1)
        while "importlib" in caller.f_code.co_filename:
            caller = caller.f_back
        if name in {NEVER_ON_WINDOWS!r} and "cpis_batch" in caller.f_code.co_filename:
            raise ImportError(name + " is not there on Windows: " + caller.f_code.co_filename)
for name in {NEVER_ON_WINDOWS!r}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Blocked())
from cpis_batch.cli.desk import desk
import cpis_batch.intake.answering, cpis_batch.intake.check, cpis_batch.intake.read, cpis_batch.intake.answer_file
import cpis_batch.envelope.sealing, cpis_batch.envelope.desk, cpis_batch.envelope.certificates
import cpis_batch.extracts.desk, cpis_batch.extracts.manifest, cpis_batch.files, cpis_batch.config
desk(["check", {str(SAMPLES / "full.csv")!r}], standalone_mode=False)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"10 of 10 rows would load" in done.stdout
