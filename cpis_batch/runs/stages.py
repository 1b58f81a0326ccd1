"""How long each stage of a run took, by the clock on the wall."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stages:
    """A stopwatch that is told which stage is at work. `seconds` by stage, in the order in which they first began.

    A stage within another has its time for itself, so that all together are never more than the run took. For the thread of the
    run alone.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._at_work: list[str] = []
        self._began = self._since = time.monotonic()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """The block is of this stage."""
        self._turn()
        self._at_work.append(stage)
        self.seconds.setdefault(stage, 0.0)
        try:
            yield
        finally:
            self._turn()
            self._at_work.pop()

    def so_far(self, stage: str) -> None:
        """What has passed since the stopwatch was made, and was no other stage's, was of this one."""
        now = time.monotonic()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now

    def share(self, stage: str, whole: str, fraction: float) -> None:
        """So much of what `whole` has taken was of another stage: for work that was done side by side, and measured apart."""
        taken = self.seconds[whole] * fraction
        self.seconds[whole] -= taken
        self.seconds[stage] = self.seconds.get(stage, 0.0) + taken

    @property
    def elapsed(self) -> float:
        """Seconds since the stopwatch was made."""
        return time.monotonic() - self._began

    def _turn(self) -> None:
        now = time.monotonic()
        if self._at_work:
            self.seconds[self._at_work[-1]] += now - self._since
        self._since = now
