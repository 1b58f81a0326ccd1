"""Who does what is done side by side: processes here, the workers of a cluster, or this process, each holding the run's keys."""

from __future__ import annotations

import dataclasses
import gc
import multiprocessing
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import ParamSpec, TypeVar

from cpis_batch.envelope import keyboxes
from cpis_batch.envelope.opening import GpgHome
from cpis_batch.errors import ConfigFault, Exit
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.task import Keys, Rehearsed
from cpis_batch.runs.worker import end_worker, start_worker

_FEW = 2  # tasks that are done where they are asked for: to start processes, or to introduce workers, would cost more
_GOODBYE_SECONDS = 5.0  # for workers that have nothing to do any more; they take some 20 ms
# Sockets by which processes start each other lie in the temporary folder, under names of 32 characters; 107 are allowed in all.
_LONGEST_FOLDER = 75
_P = ParamSpec("_P")
_T = TypeVar("_T")


def gpg_home(hub: Hub, since: date | None = None) -> GpgHome:
    """An ephemeral gpg home with the hub's accepted keys, for opening messages; those accepted on any day from `since` on."""
    return GpgHome(_accepted(hub, since), hub.home / keyboxes.FOLDER)


def _accepted(hub: Hub, since: date | None) -> list[bytes]:
    return [key.secret for key in hub.hub_keys.accepted(since or hub.business_date)]


class Inline(Executor):
    """Runs each task where it is submitted: for so few tasks that processes would cost more than they save."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run it now."""
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as fault:  # noqa: BLE001 - the future carries it to whoever asks for the result
            future.set_exception(fault)
        return future


def _in_worker(common: Rehearsed, keys: Keys) -> None:
    gc.freeze()  # what was imported before the fork is looked through no more, and stays shared
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    threading.Thread(target=_end_with_the_run, name="end with the run", daemon=True).start()
    start_worker(common, keys)


def _end_with_the_run() -> None:
    """End this worker when the run does, however it ends: a pool whose process was killed would wait for ever, keys in hand."""
    run = multiprocessing.parent_process()
    assert run is not None
    run.join()
    os._exit(Exit.INTERRUPTED)


def worker_count(hub: Hub) -> int:
    """How many workers there may be: the cluster's, or processes here."""
    if hub.cluster:
        return hub.cluster.count
    return hub.settings.intake.workers or os.cpu_count() or 1


@contextmanager
def workers(hub: Hub, tasks: int, since: date | None = None, *, apart: bool = False, opens: bool = True) -> Iterator[Executor]:
    """An executor whose workers hold the keys: processes (forkserver) where there is work for them, else this process.

    `since` is the day of the oldest message that they are to open; without it, the business date. `apart` asks for processes here
    however little there is to do, and with a cluster too: what may kill its process is not to kill this one. Workers of a cluster
    have the keys for as long as the block lasts. Where nothing is to be opened (`opens`), they get none of the keys for that.
    """
    common = Rehearsed(
        home=hub.home,
        environment=hub.settings.service.environment,
        limits=hub.settings.limits,
        partial_wait_minutes=hub.settings.intake.partial_wait_minutes,
        retention_days=hub.settings.retention.days,
        business_date=hub.business_date,
        now=hub.now,
        audit=hub.audit,
        trace=hub.trace,
    )
    current = hub.hub_keys.current(hub.business_date)
    keys = Keys(master=hub.master.key, signer=current.secret, current_hub=current.fingerprint, gpg_home=Path())
    gpg_keys = _accepted(hub, since) if opens else []
    little = tasks <= _FEW
    if hub.cluster and not little and not apart:
        with hub.cluster.session(common, keys, gpg_keys) as executor:
            yield executor
        return
    with GpgHome(gpg_keys, hub.home / keyboxes.FOLDER) as opener:
        keys = dataclasses.replace(keys, gpg_home=opener.path)
        count = min(worker_count(hub), tasks)
        if not apart and (little or count == 1):
            start_worker(common, keys)
            try:
                yield Inline()
            finally:
                end_worker()
            return
        _hold_to_a_short_folder()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["cpis_batch.runs.worker"])
        others = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(count, context, _in_worker, (common, keys))
        try:
            yield pool
        finally:
            _send_home(pool, set(multiprocessing.active_children()) - others)


def _hold_to_a_short_folder() -> None:
    folder = tempfile.gettempdir()
    if (length := len(os.fsencode(folder))) > _LONGEST_FOLDER:
        raise ConfigFault(
            f"The temporary folder's name has {length} characters, and no process can be started in it: {folder}.",
            f"Set TMPDIR to a folder whose whole name has {_LONGEST_FOLDER} at most, or leave it out.",
        )


def _send_home(pool: ProcessPoolExecutor, processes: set[BaseProcess]) -> None:
    """End the workers of a pool that has done its work.

    They say goodbye through one pipe, one after another: where one is killed while it does, the others would wait for their turn
    for ever, and the pool for them.
    """
    pool.shutdown(wait=False, cancel_futures=True)
    deadline = time.monotonic() + _GOODBYE_SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()
        process.join()
