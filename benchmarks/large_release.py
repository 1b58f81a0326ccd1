"""A release to the CHIS units against the bare writing of the same rows: pyarrow's CSV writer and gpg, a file a unit.

What is bare does not route, compare with the release before, read back, hold to the register, tell in a manifest and a page, or
commit.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from pyarrow import csv

from benchmarks.large_stage import FRIDAY, Large, make
from benchmarks.measure import Cost
from benchmarks.page import Section, Table
from cpis_batch import config
from cpis_batch.catalogue import FILE_NAME, Catalogue
from cpis_batch.envelope import gnupg
from cpis_batch.envelope.gpg_home import GpgHome
from cpis_batch.extracts.batches import split
from cpis_batch.keystore import load_master_key
from cpis_batch.register.store import PartStore
from cpis_batch.sandbox.drops import fingerprint


@dataclass(frozen=True, slots=True)
class Bare:
    """The rows and units of a release; seconds of the program's release stage, and of the bare writing.

    `alone`, where the release was made by a run that did little else: what the whole run cost; `stages`: its seconds by stage.
    """

    scale: float
    rows: int
    units: int
    ours: float
    seconds: float
    alone: Cost | None = None
    stages: dict[str, float] = field(default_factory=dict)


def run(folder: Path, *, las: Sequence[str], scales: Sequence[float], told: Callable[[str], None]) -> list[Bare]:
    """A release alone at each scale, in `folder`, which must not exist; a run before it, not measured, takes everything in."""
    releases = []
    for scale in scales:
        stage = make(folder / f"{scale:g}", scale=scale, las=las)
        stage.put_down(FRIDAY)
        stage.night(FRIDAY, kind="intake")
        cost, document = stage.night(FRIDAY, kind="fortnightly", minutes=60)
        bare = bare_release(stage, document["stages"]["release"])
        releases.append(replace(bare, alone=cost, stages=document["stages"]))
        told(f"{scale:g} times: {bare.rows:,} rows released in {bare.ours:.1f} s, {cost.megabytes:.0f} MB")
        shutil.rmtree(stage.folder)
    return releases


def bare_release(stage: Large, ours: float) -> Bare:
    """Write the rows of the newest release of a home anew, bare, a unit at a time as they lie in its part."""
    with Catalogue(stage.home / FILE_NAME) as catalogue:
        part = catalogue.releases()[-1].rows_part
    store = PartStore(stage.home / "register", load_master_key(stage.home, config.load(stage.home)))
    target = stage.folder / "bare"
    target.mkdir()
    rows, units, seconds = 0, set(), 0.0
    with GpgHome() as gpg:
        gnupg.run(gpg.path, "--import", given=stage.senders.hub_certificate)
        recipient = fingerprint(stage.senders.hub_certificate)
        for group in store.groups(part):
            for code, table in split(group).items():
                assert code not in units, f"the rows of {code} lie in two groups"
                units.add(code)
                rows += table.num_rows
                began = time.monotonic()
                _write(target / f"{code}.csv", table.drop_columns(["chis_code"]), gpg.path, recipient)
                seconds += time.monotonic() - began
    return Bare(stage.scale, rows, len(units), ours, seconds)


def _write(path: Path, table: object, gpg: Path, recipient: str) -> None:
    csv.write_csv(table, path)
    arguments = (
        "--trust-model",
        "always",
        "--compress-algo",
        "none",
        "--recipient",
        recipient,
        "--output",
        f"{path}.pgp",
        "--encrypt",
        str(path),
    )
    subprocess.run(gnupg.command(gpg, *arguments), check=True, env=gnupg.environment(), capture_output=True)
    path.unlink()


_HOW = """\
The release stage of the first night: routed, built against the release before, read back, each row held to the register anew, \
balanced, sealed and signed, with manifest and page, its rows kept for the next, committed; on as many processes as there are \
processors once there is enough to do. Bare: the same rows, a file a unit, written by pyarrow's CSV writer and encrypted by gpg, \
neither signed nor compressed, in one process."""

_ALONE = """\
The same release by a run of its own (`run fortnightly`), from the start of the process to its end, and the delivery of what it \
made: how it grows. 1.0 is linear. Memory is the greatest sum of the proportional set sizes of all processes."""
_DELIVERIES = "deliveries"


def section(releases: Sequence[Bare]) -> Section:
    """The releases in words and figures."""
    rows = tuple(
        (
            f"{one.scale:g}",
            f"{one.rows:,}",
            f"{one.units}",
            f"{one.ours:.1f}",
            f"{one.rows / one.ours:,.0f}",
            f"{one.seconds:.1f}",
            f"{one.rows / one.seconds:,.0f}",
            f"{one.ours / one.seconds:.1f}",
        )
        for one in releases
    )
    headings = (
        "times England",
        "rows",
        "units",
        "seconds",
        "rows a second",
        "bare seconds",
        "bare rows a second",
        "times as long",
    )
    return Section(
        "A release to the CHIS units",
        (_HOW,),
        (Table(headings, rows),),
    )


def growth(releases: Sequence[Bare]) -> Section:
    """What releases alone cost, and how that grows."""
    alone = [(one, one.alone) for one in releases if one.alone]
    costs = tuple(
        (
            f"{one.scale:g}",
            f"{one.rows:,}",
            f"{cost.seconds:.1f}",
            f"{cost.processor_seconds:.1f}",
            f"{cost.megabytes:.0f}",
            f"{one.ours:.1f}",
            f"{one.stages[_DELIVERIES]:.1f}",
        )
        for one, cost in alone
    )
    steps = tuple(
        (
            f"{then.scale:g} against {before.scale:g}",
            *(
                f"{(later / then.rows) / (earlier / before.rows):.2f}"
                for earlier, later in (
                    (first.processor_seconds, last.processor_seconds),
                    (before.ours, then.ours),
                    (before.stages[_DELIVERIES], then.stages[_DELIVERIES]),
                )
            ),
        )
        for (before, first), (then, last) in pairwise(alone)
    )
    headings = ("times England", "rows", "seconds", "processor seconds", "MB at most", "of these the release", "deliveries")
    tables = [Table(headings, costs)]
    if steps:
        tables.append(Table(("a row takes so many times as long", "processor seconds", "release", "deliveries"), steps))
    return Section("A release alone", (_ALONE,), tuple(tables))
