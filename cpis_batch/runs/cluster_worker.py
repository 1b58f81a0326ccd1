"""What a run has the workers of a cluster do: show that they are fit, take keys, work, and forget.

A worker holds the keys of one run at a time, in memory; gpg's home for them is made on its machine, in a memory file system if
there is one. It forgets them when the run says so, and by itself when the run has not been heard of for the time of its lease.
Everything that Dask itself gets to see of a task or its result is sealed, so that Dask can write none of it to a disk or a log.
"""

from __future__ import annotations

import atexit
import os
import pickle
import resource
import secrets
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cpis_batch import files
from cpis_batch.cluster.letters import Channel, Letterbox
from cpis_batch.cluster.likeness import likeness
from cpis_batch.envelope import keyboxes
from cpis_batch.envelope.opening import GpgHome
from cpis_batch.errors import Bug, CpisError, DiskFault, place_of
from cpis_batch.runs import worker
from cpis_batch.runs.task import Keys, Rehearsed

TASK, RESULT = b"task ", b"result "
NONCE = f"{files.TEMPORARY}cluster-"  # so that what a killed run left is swept by the next


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a worker says of itself. Nothing of it is secret."""

    public: bytes  # of its letterbox
    likeness: dict[str, str]
    nonce: str | None  # what it read in the home; None where there is no such file
    spills: str | None  # the setting of Dask's by which it would write to its disk
    busy: bool  # whether it holds another run's keys


@dataclass(frozen=True, slots=True)
class Stranger:
    """In the place of a result: this worker has not been given the keys of the session (it has just come), or forgot them."""

    worker: str


@dataclass(frozen=True, slots=True)
class Given:
    """What a letter holds."""

    session: str
    channel: bytes
    lease: float  # seconds
    common: Rehearsed
    keys: Keys  # without gpg's home, which each worker makes
    gpg_keys: list[bytes]


@dataclass(slots=True)
class _Held:
    session: str
    channel: Channel
    lease: float
    until: float  # of the monotonic clock
    opener: GpgHome
    umask: int


class _Safe:
    """What this process holds, and for how long. For any thread."""

    def __init__(self) -> None:
        self.box = Letterbox()
        self._changed = threading.Condition(threading.RLock())
        self._held: _Held | None = None
        self._at_work = 0

    @property
    def session(self) -> str | None:
        """Whose keys are held."""
        with self._changed:
            self._forget_if_due()
            return self._held.session if self._held else None

    def take(self, given: Given) -> None:
        """Hold what is given in the place of what was held. Bug where another run's tasks are at work here."""
        with self._changed:
            if self._held and self._held.session == given.session:
                return
            if self._at_work:
                raise Bug("A worker was given keys while it works for another run.")
            self._forget()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            umask = os.umask(0o077)
            opener = GpgHome(given.gpg_keys, given.common.home / keyboxes.FOLDER)
            opener.__enter__()
            until = time.monotonic() + given.lease
            self._held = _Held(given.session, Channel(given.channel), given.lease, until, opener, umask)
            worker.start_worker(given.common, replace(given.keys, gpg_home=opener.path))
            threading.Thread(target=self._watch, args=(given.session,), name="forget in time", daemon=True).start()

    def renew(self, session: str) -> None:
        """The run is alive."""
        with self._changed:
            if self._held and self._held.session == session:
                self._held.until = time.monotonic() + self._held.lease

    def begin(self, session: str) -> Channel | None:
        """A task begins; its channel, if the keys are held for it. `end` must follow."""
        with self._changed:
            self._forget_if_due()
            if self._held is None or self._held.session != session:
                return None
            self._at_work += 1
            return self._held.channel

    def end(self) -> None:
        """A task has ended."""
        with self._changed:
            self._at_work -= 1
            self._forget_if_due()
            self._changed.notify_all()

    def forget(self, session: str) -> None:
        """Forget at once; after the task that is at work, if one is."""
        with self._changed:
            if self._held and self._held.session == session:
                self._held.until = float("-inf")
                self._forget_if_due()
                self._changed.notify_all()

    def close(self) -> None:
        """The process ends."""
        with self._changed:
            self._forget()

    def _watch(self, session: str) -> None:
        with self._changed:
            while self._held and self._held.session == session:
                left = self._held.until - time.monotonic()
                self._changed.wait(None if self._at_work else max(0.0, left))
                self._forget_if_due()

    def _forget_if_due(self) -> None:
        if self._held and not self._at_work and time.monotonic() >= self._held.until:
            self._forget()

    def _forget(self) -> None:
        if self._held:
            held, self._held = self._held, None
            worker.end_worker()
            held.opener.__exit__(None, None, None)
            os.umask(held.umask)
            self._changed.notify_all()


_safe: _Safe | None = None
_making = threading.Lock()


def _of_this_process() -> _Safe:
    """Made when it is first asked for: a run that works on its own makes none by importing this."""
    global _safe  # noqa: PLW0603 - a worker of Dask is a process, and has no other place to leave what its tasks need
    with _making:
        if _safe is None:
            _safe = _Safe()
            atexit.register(_safe.close)
        return _safe


def introduce(home: Path, nonce: str, session: str | None, dask_worker: Any) -> Introduction:
    """Say who one is: read the run's nonce file in the home, and write one's own, which the run will look for.

    `session` is that for which keys are to be taken, if any is yet.
    """
    safe = _of_this_process()
    memory = getattr(dask_worker, "memory_manager", None)
    spills = next(
        (f"distributed.worker.memory.{name}" for name in ("target", "spill") if getattr(memory, f"memory_{name}_fraction", True)),
        None,
    )
    found = None
    try:
        found = (home / f"{NONCE}{nonce}").read_text(encoding="ascii")
        files.write(home / answer_name(nonce, safe.box.public), safe.box.public)
    except (OSError, DiskFault):
        found = None
    return Introduction(safe.box.public, likeness(), found, spills, busy=safe.session not in (None, session))


def answer_name(nonce: str, public: bytes) -> str:
    """The name of the file by which a worker shows that it can write into the home."""
    return f"{NONCE}{nonce}-{public.hex()}"


def take(letters: dict[str, bytes], dask_worker: Any) -> None:
    """Open the letter that is for this worker, by its address, and hold what is in it."""
    safe = _of_this_process()
    if letter := letters.get(dask_worker.address):
        given = pickle.loads(safe.box.open(letter))  # noqa: S301 - sealed to this process's own key
        assert isinstance(given, Given)
        try:
            safe.take(given)
        except OSError as fault:
            raise DiskFault(f"A worker cannot make gpg's home: {fault.strerror}.") from None


def renew(session: str) -> None:
    """The run is alive: hold its keys for another lease."""
    _of_this_process().renew(session)


def forget(session: str) -> None:
    """The run has ended."""
    _of_this_process().forget(session)


def perform(session: str, number: bytes, sealed: bytes) -> bytes | Stranger:
    """A sealed task; its sealed result, or the fault that it ended with.

    What comes of a foreign exception is its type and place: its text may quote a record.
    """
    safe = _of_this_process()
    channel = safe.begin(session)
    if channel is None:
        from distributed import get_worker

        return Stranger(get_worker().address)
    try:
        return channel.seal(pickle.dumps(_done(channel.open(sealed, TASK + number))), RESULT + number)
    finally:
        safe.end()


def _done(task: bytes) -> tuple[bool, Any]:
    """Whether it went well, and what came of it."""
    try:
        function, args, kwargs = pickle.loads(task)  # noqa: S301 - opened with the session's key
        return True, function(*args, **kwargs)
    except (CpisError, OSError) as fault:
        return False, fault
    except Exception as fault:  # noqa: BLE001 - the text of a foreign exception may quote a record: only its type and place are told
        return False, Bug(f"A worker met a fault of the program itself, {place_of(fault)}.", "Report it with this line.")


def new_number() -> bytes:
    """What a task and its result are bound to."""
    return secrets.token_bytes(16)
