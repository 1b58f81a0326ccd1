"""The workers of a Dask cluster as an executor: the run's side. The only module that imports Dask, when a run is given a cluster.

Connected once a run, and everything checked before anything is sent: TLS, the same program, the same home, no spilling to disk.
"""

from __future__ import annotations

import os
import pickle
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import dask
import distributed
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker, NoValidWorkerError

from cpis_batch import files
from cpis_batch.cluster import address as addresses
from cpis_batch.cluster.letters import Channel, letter_to
from cpis_batch.cluster.likeness import differences, likeness
from cpis_batch.config import Settings
from cpis_batch.errors import Bug, ClusterUnreachable, ConfigFault, Locked, place_of
from cpis_batch.runs import cluster_worker
from cpis_batch.runs.cluster_worker import Given, Introduction, Stranger
from cpis_batch.runs.task import Keys, Rehearsed

_P = ParamSpec("_P")
_T = TypeVar("_T")
_LOST = (OSError, TimeoutError, CommClosedError)
_CLIENT = {  # of Dask's own settings, for this process
    "distributed.admin.large-graph-warning-threshold": "1GiB",  # a sealed task is bytes, and no graph
    "distributed.comm.timeouts.connect": "15s",
}
_SCHEDULER = {  # what has to be set on the scheduler, and why
    "allowed-failures": "a file that kills its worker would be given to one worker after another until none is left",
    "no-workers-timeout": "a run whose workers are all gone would wait for ever",
}
_MOST_FAILURES = 1
_MOST_TRIES = 5  # of a task with workers that have only just come, or forgot


class BrokenCluster(BrokenExecutor):
    """A task's workers died under it, one after another, or there is none left to do it."""


@dataclass(frozen=True)
class Cluster:
    """A scheduler that answers and workers that are fit."""

    client: Any  # distributed.Client, which has no types of its own
    home: Path
    encrypted: bool
    lease: float
    lost: threading.Event

    @property
    def count(self) -> int:
        """How many workers there are."""
        return len(self.client.scheduler_info(n_workers=-1)["workers"])

    def introductions(self, session: str | None = None, only: list[str] | None = None) -> dict[str, Introduction]:
        """What all workers (or those named) say of themselves, by address; only if every one of them is fit.

        ConfigFault, ClusterUnreachable, and Locked where one works for another run.
        """
        nonce = secrets.token_hex(16)
        path = self.home / f"{cluster_worker.NONCE}{nonce}"
        files.write(path, nonce.encode("ascii"))
        try:
            found = self.run(cluster_worker.introduce, self.home, nonce, session, workers=only)
            if not found:
                raise ClusterUnreachable("The scheduler has no workers.", "Start some: see docs/cluster.md.")
            for worker, said in found.items():
                self._hold_to_fitness(worker, said, nonce)
            return found
        finally:
            for left in self.home.glob(f"{path.name}*"):
                left.unlink(missing_ok=True)

    def _hold_to_fitness(self, worker: str, said: Introduction | Exception, nonce: str) -> None:
        if isinstance(said, Exception):
            raise ConfigFault(
                f"The worker {worker} cannot work for this run: {place_of(said)}.",
                f"Install cpis-batch[cluster] there, the same version as here ({likeness()['cpis-batch']}).",
            ) from None
        if not addresses.fit(worker, encrypted=self.encrypted):
            raise ConfigFault(
                f"The worker {worker} speaks without TLS, or from another machine while the scheduler is asked without TLS.",
                "Start scheduler and workers with TLS, and write --cluster tls://HOST:PORT.",
            )
        if unlike := differences(likeness(), said.likeness):
            raise ConfigFault(
                f"The worker {worker} is not like this machine: {'; '.join(unlike)}. The same night would come to other digests.",
                "Install the same locked requirements on all machines.",
            )
        if said.spills:
            raise ConfigFault(
                f"The worker {worker} may write what it is given to its disk: {said.spills} is on.",
                "Set it to false there, as docs/cluster.md shows, and start the worker anew.",
            )
        if said.nonce != nonce:
            raise ConfigFault(
                f"The worker {worker} does not see this home, or may not write into it: {self.home}.",
                "Mount the one folder at the same path on all machines, for the same user.",
            )
        if not (self.home / cluster_worker.answer_name(nonce, said.public)).is_file():
            raise ConfigFault(
                f"What the worker {worker} wrote into {self.home} is not seen here.",
                "Mount the one folder at the same path on all machines, for the same user.",
            )
        if said.busy:
            raise Locked(
                f"The worker {worker} works for another run.", "Wait until that has ended; or give each run its own cluster."
            )

    def run(self, function: Callable[..., Any], *args: Any, workers: list[str] | None = None) -> dict[str, Any]:
        """What a function comes to on every worker, or the exception that it raised there; ClusterUnreachable."""
        try:
            found: dict[str, Any] = self.client.run(function, *args, workers=workers, on_error="return")
        except _LOST:
            self.lost.set()
            raise _unreachable() from None
        return {worker: said for worker, said in found.items() if not isinstance(said, _LOST)}  # these have just gone

    @contextmanager
    def session(self, common: Rehearsed, keys: Keys, gpg_keys: list[bytes]) -> Iterator[Executor]:
        """An executor whose workers hold what is given, until the block ends; `gpg_keys` are for their gpg to open with."""
        given = Given(secrets.token_hex(16), Channel.new_key(), self.lease, common, keys, gpg_keys)
        session = _Session(self, given)
        session.introduce()
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(given.session, ended), name="renew the lease", daemon=True)
        renewing.start()
        try:
            yield session
        finally:
            ended.set()
            renewing.join()
            session.end()

    def _renew(self, session: str, ended: threading.Event) -> None:
        while not ended.wait(self.lease / 3):
            if self.lost.is_set():
                return
            with suppress(ClusterUnreachable):
                self.run(cluster_worker.renew, session)


def _unreachable() -> ClusterUnreachable:
    return ClusterUnreachable(
        "The cluster's scheduler was lost. Nothing of this step is committed.",
        "Start the scheduler and its workers anew, then run the same command again; or leave --cluster out.",
    )


@contextmanager
def connected(address: str, settings: Settings, home: Path) -> Iterator[Cluster]:
    """A cluster that was looked over and found fit. UsageFault, ConfigFault, KeyFault, ClusterUnreachable, Locked."""
    tls = addresses.tls_of(address, settings.cluster, home)
    security = (
        distributed.Security(
            tls_ca_file=str(tls.ca), tls_client_cert=str(tls.certificate), tls_client_key=str(tls.key), require_encryption=True
        )
        if tls
        else distributed.Security(require_encryption=False)
    )
    with dask.config.set(_CLIENT):
        try:
            client = distributed.Client(
                address, security=security, timeout=settings.cluster.connect_seconds, set_as_default=False, name="cpis-batch"
            )
        except (*_LOST, ValueError) as fault:
            raise ClusterUnreachable(
                f"The scheduler at {address} does not answer ({type(fault).__name__}).",
                "Start it; with tls:// see whether its certificate and ours are of the authority that [cluster] ca names.",
            ) from None
        try:
            cluster = Cluster(client, home, tls is not None, settings.cluster.lease_seconds, threading.Event())
            _hold_to_settings(client)
            cluster.introductions()
            yield cluster
        finally:
            with suppress(*_LOST):
                client.close(timeout=5)


def _hold_to_settings(client: Any) -> None:
    """ConfigFault where the scheduler's own settings would let one bad file end the cluster, or a run wait for ever."""
    try:
        found: Mapping[str, Any] = client.run_on_scheduler(_settings_of)
    except _LOST:
        raise _unreachable() from None
    except Exception as fault:  # noqa: BLE001 - whatever the scheduler could not import
        raise ConfigFault(
            f"The scheduler cannot work for this run: {place_of(fault)}.",
            "Install cpis-batch[cluster] there, too.",
        ) from None
    wrong = [
        name
        for name, right in (
            ("allowed-failures", found["allowed-failures"] <= _MOST_FAILURES),
            ("no-workers-timeout", found["no-workers-timeout"] is not None),
        )
        if not right
    ]
    if wrong:
        why = "; ".join(f"distributed.scheduler.{name} is {found[name]}: {_SCHEDULER[name]}" for name in wrong)
        raise ConfigFault(f"The scheduler is not set up for this: {why}.", "Set it as docs/cluster.md shows, and start it anew.")


def _settings_of(dask_scheduler: Any) -> dict[str, Any]:
    """On the scheduler: the settings that matter."""
    return {"allowed-failures": dask_scheduler.allowed_failures, "no-workers-timeout": dask_scheduler.no_workers_timeout}


class _Session(Executor):
    """Sealed tasks out, sealed results in. A worker that has just come is given the keys, and its task once more."""

    def __init__(self, cluster: Cluster, given: Given) -> None:
        self._cluster, self._given = cluster, given
        self._channel = Channel(given.channel)
        self._open: dict[Future[Any], Any] = {}
        self._ended = False
        self._lock = threading.Lock()

    def introduce(self, only: list[str] | None = None) -> None:
        """Give the keys to all workers, or those named, that are fit."""
        known = self._cluster.introductions(self._given.session, only)
        plaintext = pickle.dumps(self._given)
        letters = {worker: letter_to(said.public, plaintext) for worker, said in known.items()}
        for worker, said in self._cluster.run(cluster_worker.take, letters, workers=only).items():
            if isinstance(said, Exception):
                raise ConfigFault(
                    f"The worker {worker} could not take its keys: {place_of(said)}.", "See whether gpg is installed there."
                ) from None

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have it done by some worker. The future raises BrokenCluster, ClusterUnreachable, or what the task did."""
        future: Future[_T] = Future()
        number = cluster_worker.new_number()
        self._send(
            future, number, self._channel.seal(pickle.dumps((fn, args, kwargs)), cluster_worker.TASK + number), _MOST_TRIES
        )
        return future

    def end(self) -> None:
        """Have the workers forget, and nothing more begun."""
        with self._lock:
            left = list(self._open.values())
            self._open.clear()
            self._ended = True
        if self._cluster.lost.is_set():
            return
        with suppress(*_LOST, ClusterUnreachable):
            if left:
                self._cluster.client.cancel(left, force=True)
            self._cluster.run(cluster_worker.forget, self._given.session)

    def _send(self, future: Future[Any], number: bytes, sealed: bytes, tries: int) -> None:
        if self._cluster.lost.is_set():
            raise _unreachable()
        remote = self._cluster.client.submit(
            cluster_worker.perform, self._given.session, number, sealed, key=f"cpis-batch-{number.hex()}-{os.urandom(4).hex()}",
            pure=False,
        )  # fmt: skip
        with self._lock:
            self._open[future] = remote
        remote.add_done_callback(partial(self._done, future, number, sealed, tries))

    def _done(self, future: Future[Any], number: bytes, sealed: bytes, tries: int, remote: Any) -> None:
        """In a thread of Dask's, which would swallow what is raised here."""
        with self._lock:
            self._open.pop(future, None)
            if self._ended:
                future.cancel()
                return
        try:
            found = self._result(remote)
            if isinstance(found, Stranger):
                if not tries:
                    raise BrokenCluster  # noqa: TRY301 - the future carries it
                self.introduce([found.worker])
                self._send(future, number, sealed, tries - 1)
                return
            well, came = pickle.loads(self._channel.open(found, cluster_worker.RESULT + number))  # noqa: S301 - the session's key
        except Exception as fault:  # noqa: BLE001 - the future carries it to whoever asks for the result
            well, came = False, fault
        if well:
            future.set_result(came)
        else:
            future.set_exception(came)

    def _result(self, remote: Any) -> bytes | Stranger:
        if remote.status in ("cancelled", "lost"):
            self._cluster.lost.set()
            raise _unreachable()
        try:
            found: bytes | Stranger = remote.result()
        except (KilledWorker, NoValidWorkerError):
            raise BrokenCluster from None
        except (*_LOST, distributed.client.FuturesCancelledError):
            self._cluster.lost.set()
            raise _unreachable() from None
        except Exception as fault:  # noqa: BLE001 - of Dask, not of the task: what a task raises comes sealed
            raise Bug(f"The cluster failed a task: {place_of(fault)}.", "Look into the workers' logs.") from None
        return found
