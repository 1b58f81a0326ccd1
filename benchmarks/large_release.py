"""A release to the CHIS units against the bare writing of the same rows: pyarrow's CSV writer and gpg, a file a unit.

What is bare does not route, compare with the release before, read back, hold to the register, tell in a manifest and a page, or
commit.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyarrow import csv

from benchmarks.large_stage import Large
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
    """The rows and units of a release; seconds of the program's release stage, and of the bare writing."""

    scale: float
    rows: int
    units: int
    ours: float
    seconds: float


def bare_release(stage: Large, ours: float) -> Bare:
    """Write the rows of the newest release of a home anew, bare."""
    with Catalogue(stage.home / FILE_NAME) as catalogue:
        part = catalogue.releases()[-1].rows_part
    rows = PartStore(stage.home / "register", load_master_key(stage.home, config.load(stage.home))).read(part)
    units = {code: table.drop_columns(["chis_code"]) for code, table in split(rows).items()}
    target = stage.folder / "bare"
    target.mkdir()
    with GpgHome() as gpg:
        gnupg.run(gpg.path, "--import", given=stage.senders.hub_certificate)
        recipient = fingerprint(stage.senders.hub_certificate)
        began = time.monotonic()
        for code, table in units.items():
            _write(target / f"{code}.csv", table, gpg.path, recipient)
        seconds = time.monotonic() - began
    return Bare(stage.scale, rows.num_rows, len(units), ours, seconds)


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
balanced, sealed, with manifest and page, committed. Bare: the same rows, a file a unit, written by pyarrow's CSV writer and \
encrypted by gpg, neither signed nor compressed. Both in one process."""


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
