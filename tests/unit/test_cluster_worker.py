"""What a worker of a cluster holds, for how long, and what it tells of a task that went wrong: without Dask."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from cpis_batch.audit.entry import Head
from cpis_batch.cluster.letters import Channel, letter_to
from cpis_batch.config import Limits
from cpis_batch.errors import Bug, DiskFault
from cpis_batch.runs import cluster_worker, worker
from cpis_batch.runs.cluster_worker import RESULT, TASK, Given
from cpis_batch.runs.task import Keys, Rehearsed
from cpis_batch.runs.trace_service import TraceService
from cpis_batch.vocabulary import Environment
from tests.hub import keys

ADDRESS = "tls://127.0.0.1:40001"
NUMBER = b"0123456789abcdef"
DASK_WORKER = SimpleNamespace(
    address=ADDRESS, memory_manager=SimpleNamespace(memory_target_fraction=False, memory_spill_fraction=False)
)


def given(folder: Path, session: str = "one", lease: float = 600.0) -> Given:
    common = Rehearsed(
        home=folder,
        environment=Environment.TEST,
        limits=Limits(),
        partial_wait_minutes=120,
        retention_days=365,
        business_date=date(2026, 11, 20),
        now=datetime(2026, 11, 20, 2, tzinfo=UTC),
        audit=Head(0, ""),
        trace=TraceService(),
    )
    secret = keys("HUB").secret
    held = Keys(master=bytes(32), signer=secret, current_hub="", gpg_home=Path())
    return Given(session, Channel.new_key(), lease, common, held, [secret])


@pytest.fixture
def letter(tmp_path):
    """Hands over a letter as a run does; whatever was taken is forgotten in the end."""
    taken = []

    def put(what: Given) -> Given:
        said = introduced(tmp_path)
        cluster_worker.take({ADDRESS: letter_to(said.public, pickle.dumps(what))}, DASK_WORKER)
        taken.append(what)
        return what

    yield put
    for what in taken:
        cluster_worker.forget(what.session)


def introduced(
    folder: Path, session: str | None = None, dask_worker: SimpleNamespace = DASK_WORKER
) -> cluster_worker.Introduction:
    (folder / f"{cluster_worker.NONCE}abc").write_text("abc")
    return cluster_worker.introduce(folder, "abc", session, dask_worker)


def performed(what: Given, function, *args):
    channel = Channel(what.channel)
    sealed = channel.seal(pickle.dumps((function, args, {})), TASK + NUMBER)
    answer = cluster_worker.perform(what.session, NUMBER, sealed)
    assert isinstance(answer, bytes)
    return pickle.loads(channel.open(answer, RESULT + NUMBER))


def gpg_home() -> Path:
    return worker.given()[1].gpg_home


def broken(text: str) -> None:
    raise ValueError(text)


def full(text: str) -> None:
    raise DiskFault(text, "make room")


def test_what_is_given_is_held_until_the_run_has_ended(tmp_path, letter):
    what = letter(given(tmp_path))
    lies = gpg_home()
    assert (lies / "private-keys-v1.d").is_dir()
    assert performed(what, pow, 2, 5) == (True, 32)
    cluster_worker.forget(what.session)
    assert not lies.exists()
    with pytest.raises(AssertionError):
        worker.given()


def test_a_run_that_falls_silent_is_forgotten_when_its_lease_is_over(tmp_path, letter):
    letter(given(tmp_path, lease=0.01))
    safe = cluster_worker._of_this_process()
    with safe._changed:
        assert safe._changed.wait_for(lambda: safe._held is None, timeout=60)
    with pytest.raises(AssertionError):
        worker.given()


def test_nothing_is_forgotten_under_a_task_that_is_at_work(tmp_path, letter):
    what = letter(given(tmp_path))
    lies = gpg_home()
    safe = cluster_worker._of_this_process()
    assert safe.begin(what.session)
    cluster_worker.forget(what.session)
    assert lies.exists()
    assert introduced(tmp_path).busy
    safe.end()
    assert not lies.exists()
    assert not introduced(tmp_path).busy


def test_a_worker_holds_one_runs_keys_and_says_that_it_is_taken(tmp_path, letter):
    letter(given(tmp_path, "one"))
    assert introduced(tmp_path).busy
    assert introduced(tmp_path, "other").busy
    assert not introduced(tmp_path, "one").busy


def test_what_a_foreign_exception_quotes_does_not_cross(tmp_path, letter):
    what = letter(given(tmp_path))
    well, fault = performed(what, broken, "Quillcanary")
    assert not well
    assert isinstance(fault, Bug)
    assert "ValueError at test_cluster_worker.py" in fault.message
    assert "Quillcanary" not in str(fault)
    well, fault = performed(what, full, "the disk is full")
    assert (well, type(fault), fault.advice) == (False, DiskFault, "make room")


def test_a_worker_that_spills_or_does_not_see_the_home_says_so(tmp_path):
    assert introduced(tmp_path).spills is None
    for name in ("target", "spill"):
        memory = {"memory_target_fraction": False, "memory_spill_fraction": False} | {f"memory_{name}_fraction": 0.6}
        spilling = SimpleNamespace(address=ADDRESS, memory_manager=SimpleNamespace(**memory))
        assert introduced(tmp_path, dask_worker=spilling).spills == f"distributed.worker.memory.{name}"
    assert introduced(tmp_path).nonce == "abc"
    elsewhere = tmp_path / "elsewhere"
    assert cluster_worker.introduce(elsewhere, "abc", None, DASK_WORKER).nonce is None
    assert not elsewhere.exists()
