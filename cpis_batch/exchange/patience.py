"""How long, and how often, we wait for a partner's server: one deadline an operation, a few tries, a longer pause each time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from cpis_batch.errors import PartnerUnreachable

TRIES = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0

_T = TypeVar("_T")


class Deadline:
    """The moment by which an operation must be over, its further tries included. Seconds, on a clock that never goes back."""

    def __init__(self, seconds: float, what: str) -> None:
        self._ends = time.monotonic() + seconds
        self._message = f"{what} was not done within {seconds:g} seconds."

    def remaining(self) -> float:
        """Seconds left, above zero. PartnerUnreachable once there are none."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise PartnerUnreachable(self._message, "The next run tries again; if it stays so, tell the partner.")
        return left

    def passed(self) -> bool:
        """Whether there are none left."""
        return time.monotonic() >= self._ends


def pause_before(attempt: int) -> float:
    """Seconds to wait before the try number `attempt` (the second is 2): it doubles, and varies so that clients spread."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 2))
    return random.uniform(longest / 2, longest)  # noqa: S311  no secret hangs on it


def persist(action: Callable[[], _T], *, sleep: Callable[[float], None], give_up: Callable[[], bool] = lambda: False) -> _T:
    """Do `action`, again where it is PartnerUnreachable, `TRIES` times at most; at once the last fault where `give_up()`."""
    for attempt in range(2, TRIES + 1):
        try:
            return action()
        except PartnerUnreachable:
            if give_up():
                raise
            sleep(pause_before(attempt))
    return action()
