"""An intake for England by local processes and by one, two and three workers of a Dask cluster on this machine, in turn.

Scheduler and workers are up before it begins, over TLS on loopback, and the files lie in a folder in the place of a server.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from benchmarks.measure import measured
from benchmarks.month import BEGINS, SEED, drops
from benchmarks.page import Section, Table
from benchmarks.stage import at_night
from cpis_batch import catalogue
from cpis_batch.catalogue import Catalogue
from cpis_batch.sandbox import home as sandbox_home
from cpis_batch.sandbox.england import make_england
from tests.integration.dask_cluster import DaskCluster, dask_cluster

LOCAL = "local processes"
WORKERS = (1, 2, 3)


@dataclass(slots=True)
class Scaling:
    """Seconds of every round, by who worked: the command's, and those of them in which work was done side by side."""

    authorities: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    side_by_side: dict[str, list[float]] = field(default_factory=dict)
    digests: set[str] = field(default_factory=set)


def run(
    folder: Path, *, las: Sequence[str], scale: float, rounds: int, counts: Sequence[int] = WORKERS, told: Callable[[str], None]
) -> Scaling:
    """Measure in `folder`, which must not exist. AssertionError where two runs come to different registers."""
    folder.mkdir(parents=True)
    home, pristine = folder / "home", folder / "pristine"
    now = at_night(BEGINS)
    senders = sandbox_home.make_home(home, las=las, starts=BEGINS, expires=date(2036, 12, 31), anchor=BEGINS + timedelta(days=9))
    senders.put_down(drops(make_england(seed=SEED, on=BEGINS, scale=scale, las=las), 1, now - timedelta(hours=3)))
    scaling = Scaling(len(las))
    with ExitStack() as up:
        clusters: dict[str, DaskCluster | None] = {LOCAL: None}
        for count in counts:
            name = f"{count} worker{'s' if count > 1 else ''} of a cluster"
            clusters[name] = up.enter_context(dask_cluster(folder / f"cluster-{count}", count))
        shutil.copytree(home, pristine)
        for number in range(1, rounds + 1):
            for name, cluster in clusters.items():
                shutil.rmtree(home)
                shutil.copytree(pristine, home)
                if cluster:
                    cluster.configure(home)
                _intake(folder, home, scaling, name, ["--cluster", cluster.address] if cluster else [], now.isoformat())
                told(f"Round {number} of {rounds}: {name}, {scaling.seconds[name][-1]:.1f} s")
    return scaling


def _intake(folder: Path, home: Path, scaling: Scaling, name: str, cluster: Sequence[str], now: str) -> None:
    told = folder / "told.json"
    program = Path(sys.executable).with_name("cpis-batch")
    words = [str(program), "--home", str(home), "run", "intake", "--json", *cluster]
    cost = measured(words, env={"CPIS_NOW": now}, stdout=told)
    document = json.loads(told.read_bytes())
    assert cost.status == 0, f"{name} ended with {cost.status}"
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        head = opened.head()
    assert head
    scaling.digests.add(head.register_digest)
    assert len(scaling.digests) == 1, "another register"
    scaling.seconds.setdefault(name, []).append(cost.seconds)
    stages = document["stages"]
    scaling.side_by_side.setdefault(name, []).append(stages["check and merge"] + stages["answers"])


_HOW = """\
{authorities} authorities' full extracts, taken in by `cpis-batch run intake` over a folder, from the start of the process to \
its end: by local processes (one a core), and by workers of a Dask cluster on the same machine, a thread each, which are up \
before. Side by side are checking, merging and answering; the rest the run does alone. More workers than cores show nothing but \
their cost. Every run comes to the same register."""


def section(scaling: Scaling) -> Section:
    """The scaling in words and figures: medians of the rounds."""
    rows = tuple(
        (name, f"{median(seconds):.1f}", f"{median(scaling.side_by_side[name]):.1f}") for name, seconds in scaling.seconds.items()
    )
    headings = ("who works", "seconds", "of them side by side")
    return Section("On a cluster", (_HOW.format(authorities=scaling.authorities),), (Table(headings, rows),))
