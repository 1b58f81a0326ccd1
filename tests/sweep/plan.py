"""What is swept: the trials of every kind, and the evenings that they start from, each recorded undisturbed first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from cpis_batch.errors import Exit
from tests.hub import Hub
from tests.sweep import lines, outcome, power, trial
from tests.sweep.evening import before_the_night, copy_of, with_workers
from tests.sweep.many import Trial
from tests.sweep.points import Point, on_files

CUTS_OF_A_FILE, CUTS_OF_A_NIGHT = 81, 42  # places at which the line breaks, for each action and direction
PIPES_OF_GPG = 16  # one in so many of the calls by which gpg and its agent hear and answer: they are some 450, and much alike


@dataclass(frozen=True)
class Evening:
    """An evening; the points of a night after it, what that came to, and what it wrote."""

    hub: Hub
    points: list[Point]
    whole: dict[str, Any]
    log: power.Log


class Ground:
    """The evenings, in a folder, each made when it is first asked for. `seed` decides at which bytes lines break."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed

    @cached_property
    def one_after_another(self) -> Evening:
        """One process does all, and to each partner by itself."""
        return self._evening("one-after-another", workers=1)

    @cached_property
    def side_by_side(self) -> Evening:
        """Two worker processes, and one server to which all is delivered at once."""
        return self._evening("side-by-side", workers=2, side_by_side=True)

    def _evening(self, name: str, workers: int, **more: Any) -> Evening:
        folder = self.folder / name
        hub = before_the_night(folder / "evening", **more)
        trial.warmed(hub, folder / "warm")
        with_workers(hub, workers)
        log = power.Log(folder / "undisturbed")
        points, whole = trial.recorded(hub, folder / "undisturbed", log)
        return Evening(hub, points, whole, log)


def kills(ground: Ground) -> list[Trial]:
    """SIGKILL at every mutating call of the night, one process doing all."""
    return _at_every_call(ground.one_after_another, ["KILL"])


def disks(ground: Ground) -> list[Trial]:
    """ENOSPC, from then on, and EIO, once, at every mutating call of the night."""
    return _at_every_call(ground.one_after_another, ["ENOSPC", "EIO"])


def workers(ground: Ground) -> list[Trial]:
    """SIGKILL of whatever else is at work, a worker process, gpg, its agent; and of the night while it delivers side by side."""
    points = ground.side_by_side.points
    chosen = [point for point in points if point.program == "worker" or (point.program != "night" and not point.by_stream)]
    chosen += [point for point in points if point.program.startswith("gpg") and point.by_stream][::PIPES_OF_GPG]
    chosen += [point for point in on_files(points, "night") if "/outbound/" in point.place]
    return _disturbed(ground.side_by_side, "KILL", chosen)


def _at_every_call(evening: Evening, faults: Iterable[str]) -> list[Trial]:
    return [one for fault in faults for one in _disturbed(evening, fault, on_files(evening.points, "night"))]


def _disturbed(evening: Evening, fault: str, points: Iterable[Point]) -> list[Trial]:
    run = partial(trial.disturbed, evening.hub, evening.whole, fault)
    return [Trial(f"{fault} {point}", partial(run, point)) for point in points]


def powers(ground: Ground) -> list[Trial]:
    """The power goes at every moment of the night, and takes with it what was not synced."""
    evening = ground.one_after_another
    start = ground.folder / "start"
    hub = copy_of(evening.hub, start)
    power.hold_to_what_stands(start, evening.log)

    def survived(tree: power.Tree, seen: dict[str, bytes], folder: Path) -> None:
        back = tree.written(hub, folder)
        (folder / "tmp").mkdir(exist_ok=True)
        code = trial.command(back)
        assert code == Exit.PERSON_NEEDED, f"run again, it ended with {code}: {trial.said(folder)}"
        taken = {folder / name: data for name, data in seen.items() if name.startswith("served/") and "/outbound/CPIS" in name}
        outcome.hold_to_what_was_delivered(taken, back)
        trial.hold_to_the_same_end(trial.judged(back), evening.whole)

    return [Trial(str(moment), partial(survived, tree, seen)) for moment, tree, seen in power.moments(start, evening.log.events)]


def cuts(ground: Ground) -> list[Trial]:
    """The line to a server breaks at many bytes, each way, while one file is collected or delivered, and in a night."""
    found = [
        Trial(f"{action} {direction} {at}", partial(lines.cut, action, direction, at))
        for (action, direction), length in lines.lengths(ground.folder / "lengths").items()
        for at in lines.offsets(length, CUTS_OF_A_FILE, ground.seed)
    ]
    hub = before_the_night(ground.folder / "over-a-line" / "evening", side_by_side=True)
    passed, whole = lines.night_over_a_line(hub, ground.folder / "over-a-line" / "undisturbed")
    return found + [
        Trial(f"night {direction} {at}", partial(lines.night_cut, hub, whole, direction, at))
        for direction, length in passed.items()
        for at in lines.offsets(int(length * 0.98), CUTS_OF_A_NIGHT, ground.seed)  # how a session ends differs by some bytes
    ]


KINDS: dict[str, Callable[[Ground], list[Trial]]] = {
    "kills": kills,
    "disks": disks,
    "workers": workers,
    "power": powers,
    "lines": cuts,
}
