"""Work shared out among processes comes back whole and in order, whatever becomes of the processes."""

from __future__ import annotations

import multiprocessing
import os
import signal

import pytest

from cpis_batch.errors import StateFault
from cpis_batch.runs import in_order, worker
from cpis_batch.runs.hub import opened
from cpis_batch.runs.in_order import rows_of_a_task
from cpis_batch.runs.pool import workers
from tests.builders import HACKNEY, KENT, nhs
from tests.hub import plan_row
from tests.small_england import UNITS, extracts, manifests, small_england


@pytest.fixture
def hub(tmp_path):
    return small_england(tmp_path)


def business_of(hub):
    return opened(hub.home, what="test", business_date=hub.now.date(), now=hub.now)


def dies_in_a_worker(number: int) -> int:
    if number == 2 and multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    assert worker.given(), "it has its keys, wherever it is done"
    return number * 10


def refuses_the_third(number: int) -> int:
    if number == 2:
        raise StateFault("The third cannot be read.", "Restore it.")
    return number


def test_what_a_killed_worker_leaves_undone_is_done_here(hub):
    with business_of(hub) as run, workers(run, 4, apart=True, opens=False) as executor:
        assert list(in_order.in_order(run, executor, dies_in_a_worker, range(6))) == [0, 10, 20, 30, 40, 50]


def test_a_fault_of_a_task_comes_at_its_place(hub):
    with business_of(hub) as run, workers(run, 4, apart=True, opens=False) as executor:
        results = in_order.in_order(run, executor, refuses_the_third, range(6))
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(StateFault, match="third") as fault:
            next(results)
        assert fault.value.advice == "Restore it."


def test_little_is_one_task_and_much_is_several_for_each_worker_none_of_them_too_large(hub):
    with business_of(hub) as run:
        assert rows_of_a_task(run, 230_000) >= 230_000
        assert rows_of_a_task(run, 1_000_000) < 1_000_000 / 2
        assert rows_of_a_task(run, 100_000_000) == rows_of_a_task(run, 13_000_000) <= 250_000


def test_a_release_made_by_processes_is_the_one_made_here_and_leaves_no_rows_behind(hub, tmp_path, monkeypatch):
    apart = small_england(tmp_path / "apart")
    for place in (hub, apart):
        for night, ends in ((0, ""), (14, "2026-12-01")):
            if night:
                place.next_night(night)
            place.drop(HACKNEY, [plan_row(1, end=ends), plan_row(2)])
            place.drop(KENT, [plan_row(3)])
            with monkeypatch.context() as patch:
                if place is apart:
                    patch.setattr(in_order, "_LITTLE", 0)
                    patch.setattr(in_order, "_LEAST_ROWS", 1)
                    patch.setattr("cpis_batch.runs.pool._FEW", 1)
                assert place.run("nightly").released
            with place.catalogue() as catalogue:
                named = set(catalogue.parts_in_use())
                released = catalogue.releases()[-1].rows_part
            lying = {path.stem for path in (place.home / "register").iterdir()}
            assert released in named <= lying
            if not night:
                assert lying == named
    for unit in UNITS:
        assert extracts(apart, unit) == extracts(hub, unit)
        assert [told["file"]["sha256"] for told in manifests(apart, unit)] == [
            told["file"]["sha256"] for told in manifests(hub, unit)
        ]
    changes = {row["nhs_number"]: row["change"] for unit in UNITS for row in extracts(apart, unit)[-1]}
    assert changes == {nhs(1): "CEASED", nhs(2): "UNCHANGED", nhs(3): "UNCHANGED"}
