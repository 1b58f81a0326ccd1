"""The points of a night: its mutating calls, named by what they touch, so that the same point is met again in another night.

A point is written as it is asked for, `night fsync home/outbox/.part-* 3`: the program that makes the call, the call, the file
with chance taken out of its name, and which one of this name it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.sweep.gate import Call
from tests.sweep.outcome import GPG_HOME, MEMORY

_CHANCE = re.compile(r"[0-9a-f]{12,}|(?<=/)\.#lk0x.*|(?<=\.)[0-9]+(?=\.tmp$)", re.IGNORECASE)
OF_THE_SWEEP = frozenset({"stdout", "stderr"})  # opened by `trial.command`; what is written there is the program's
_STREAMS = frozenset({"pipe", "socket"})
_NO_FILE = "/dev/"  # null and its like; gpg's homes lie deeper
# The agent takes its sockets away at the same moment as we do: which of both it is, is chance.
_BY_CHANCE = re.compile(r"S\.gpg-agent")


@dataclass(frozen=True, slots=True)
class Point:
    """The nth call of one name that one program makes on one file."""

    program: str
    call: str
    place: str
    nth: int

    def __str__(self) -> str:
        return f"{self.program} {self.call} {self.place} {self.nth}"

    @property
    def by_stream(self) -> bool:
        """Whether it is about a pipe or a socket, and no file."""
        return self.place in _STREAMS

    @classmethod
    def of(cls, text: str) -> Point:
        """A point as it is written."""
        program, call, place, nth = text.split()
        return cls(program, call, place, int(nth))


class Naming:
    """Names the calls of one night, in the order in which they are made; `folder` is where the night's hub lies."""

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}/"
        self._met: Counter[tuple[str, str, str]] = Counter()

    def point(self, call: Call) -> Point | None:
        """The point that a call is; None where it is none of the program's, or where chance decides."""
        place = self._place(call.paths[-1])
        if place is None or _BY_CHANCE.search(place) or (call.name == "openat" and place in OF_THE_SWEEP):
            return None
        name = (call.program, call.name, place)
        self._met[name] += 1
        return Point(*name, self._met[name])

    def _place(self, path: str) -> str | None:
        if path.startswith(self._folder):
            place = path.removeprefix(self._folder)
            if place.startswith("tmp/"):
                return "tmp/*"
        elif path.startswith(f"{MEMORY}/{GPG_HOME}"):
            place = f"memory/{path.removeprefix(f'{MEMORY}/')}"
        else:
            return None if path.startswith(_NO_FILE) else _kind(path)
        return _CHANCE.sub("*", place).replace(" ", "_")


def _kind(path: str) -> str | None:
    """A pipe or socket by its kind: gpg is fed and heard through them."""
    kind = path.partition(":")[0]
    return kind if kind in _STREAMS else None


def on_files(points: Iterable[Point], program: str) -> list[Point]:
    """The points of one program at which a disk is changed, those in memory included."""
    return [point for point in points if point.program == program and not point.by_stream]
