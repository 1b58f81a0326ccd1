"""Where the seconds of a night go: the first and the second night of England under a sampling profiler (pyinstrument).

One process does it all (`[intake] workers = 1`), so that one profile has everything but gpg and the threads that fetch and
deliver, for which it waits. The profiler weighs more on Python than on what is compiled: shares are to be compared, and not to be
added to the seconds of the other parts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.page import Section, Table
from benchmarks.stage import Stage, staged
from cpis_batch import config
from cpis_batch.errors import Exit

NIGHTS = ("first", "second")
_EVERY = "0.001"  # seconds between two looks
_SHOWN = 16
_PACKAGE = "/cpis_batch/"


@dataclass(slots=True)
class Profile:
    """Seconds of one night by module: in its own lines and the libraries that these call; with all of ours below it; in all."""

    own: Counter[str]
    whole: Counter[str]
    seconds: float


def run(folder: Path, *, las: Sequence[str], scale: float, told: Callable[[str], None]) -> list[Profile]:
    """Profile both nights in `folder`, which must not exist."""
    found = []
    with staged(folder, las=las, scale=scale) as stage:
        stage.set()
        settings = stage.home / config.FILE_NAME
        settings.write_text(settings.read_text(encoding="utf-8") + "\n[intake]\nworkers = 1\n", encoding="utf-8")
        for evening in stage.evenings:
            stage.put_down(evening)
            found.append(_profiled(stage, str(evening.on), evening.now.isoformat()))
            told(f"The night of {evening.on}: {found[-1].seconds:.1f} s under the profiler")
    return found


def _profiled(stage: Stage, on: str, now: str) -> Profile:
    from pyinstrument.session import Session

    kept = stage.folder / "night.pyisession"
    profiler = [sys.executable, "-m", "pyinstrument", "-r", "pyisession", "-i", _EVERY, "-o", str(kept)]
    command = [*profiler, "-m", "cpis_batch", "--home", str(stage.home), "run", "nightly", "--date", on, "--json"]
    done = subprocess.run(command, env=os.environ | {"CPIS_NOW": now}, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode in {Exit.DONE, Exit.PERSON_NEEDED}, f"the night of {on} ended with {done.returncode}"
    root = Session.load(str(kept)).root_frame()
    found = Profile(Counter(), Counter(), root.time)
    _add(root, "", frozenset(), found)
    return found


def _add(frame: Any, module: str, above: frozenset[str], found: Profile) -> None:
    """Add a frame and all below it: what is no module of ours is the module's that called it."""
    path = frame.file_path or ""
    if _PACKAGE in path and "site-packages" not in path:
        module = path.rpartition(_PACKAGE)[2]
    found.own[module] += frame.time - sum(child.time for child in frame.children)
    if module and module not in above:
        found.whole[module] += frame.time
        above |= {module}
    for child in frame.children:
        _add(child, module, above, found)


def section(profiles: Sequence[Profile]) -> Section:
    """The profiles in words and figures."""
    shown = [module for module, _ in sum((one.own for one in profiles), Counter()).most_common(_SHOWN) if module]
    rows = tuple(
        (f"`{module}`", *(cell for one in profiles for cell in (_share(one, one.own[module]), _share(one, one.whole[module]))))
        for module in shown
    )
    left = ("all others", *(cell for one in profiles for cell in (_share(one, _rest(one, shown)), "")))
    words = (
        "The program under a sampling profiler, all in one process: the share of each module, with the libraries that it calls,"
        " and with all of ours that it calls too. "
        + ", ".join(f"{name} night {one.seconds:.1f} s" for name, one in zip(NIGHTS, profiles, strict=False))
        + ". What was found so and done about it: [where a night's time went](profile.md)."
    )
    headings = ("module", *(f"{name} night, {what}" for name in NIGHTS for what in ("itself", "with what it calls")))
    return Section("Where a night's time goes", (words,), (Table(headings, (*rows, left)),))


def _rest(one: Profile, shown: Sequence[str]) -> float:
    return one.seconds - sum(one.own[module] for module in shown)


def _share(one: Profile, seconds: float) -> str:
    return f"{100 * seconds / one.seconds:.1f}%"
