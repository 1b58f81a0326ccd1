"""One run at a time in a home: `flock`, so that no lock outlives its process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpis_batch.errors import Locked

FILE_NAME = "run.lock"


@contextmanager
def exclusive(home: Path, what: str) -> Iterator[None]:
    """Hold the home's lock while the block runs. Locked, naming the run that holds it, where another process does."""
    handle = os.open(home / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another run"
            raise Locked(
                f"{holder} holds this home.", "Wait for it to end; a second run changes nothing that the first does not do."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{what} (process {os.getpid()})\n".encode(), 0)
        yield
    finally:
        os.close(handle)
