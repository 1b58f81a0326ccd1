"""What the brake, the ledger and the audit log cost a night: the same two nights with them and without, in turn.

One process each, so that what is taken out in it is taken out of all of the night; the figures are processor seconds of that
process and all that it starts (gpg), which another program on the machine disturbs least.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.measure import Cost, measured
from benchmarks.page import Section, Table
from benchmarks.stage import Evening, Stage, staged
from cpis_batch import catalogue, config
from cpis_batch.catalogue import Catalogue

MOST_SHARE = 0.10  # issue 3
WITH, WITHOUT = "with", "without"
NIGHTS = ("first night, empty register", "second night, after a weekend")


@dataclass(slots=True)
class Compared:
    """Costs by night and by whether the guards were there, in the order of the rounds."""

    authorities: int
    costs: dict[tuple[str, str], list[Cost]] = field(default_factory=dict)
    digests: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def shares(self, night: str) -> list[float]:
        """Of each round, by what share of the night without them the night with them costs more."""
        pairs = zip(self.costs[night, WITH], self.costs[night, WITHOUT], strict=True)
        return [one.processor_seconds / other.processor_seconds - 1 for one, other in pairs]


def run(folder: Path, *, las: Sequence[str], scale: float, rounds: int, told: Callable[[str], None]) -> Compared:
    """Measure in `folder`, which must not exist. AssertionError where both do not come to one register."""
    told(f"Staging {len(las)} authorities...")
    compared = Compared(len(las))
    with staged(folder, las=las, scale=scale) as stage:
        for number in range(1, rounds + 1):
            for guards in (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH):
                stage.set()
                _in_one_process(stage)
                for name, evening in zip(NIGHTS, stage.evenings, strict=True):
                    stage.put_down(evening)
                    _night(stage, compared, evening, name, guards)
                _held_to(stage, guards)
            told(f"Round {number} of {rounds}: {', '.join(f'{compared.shares(name)[-1]:+.1%}' for name in NIGHTS)}")
    for name in NIGHTS:
        assert compared.digests[name, WITH] == compared.digests[name, WITHOUT], "other registers"
    return compared


def _in_one_process(stage: Stage) -> None:
    path = stage.home / config.FILE_NAME
    head, _, more = path.read_text(encoding="utf-8").partition("[intake]\n")
    path.write_text(f"{head}\n[intake]\nworkers = 1\n{more}", encoding="utf-8")


def _held_to(stage: Stage, guards: str) -> None:
    """That the guards were there, or were not: balances and entries of commits in the log, or none."""
    with Catalogue(stage.home / catalogue.FILE_NAME) as opened:
        balances = opened.one("SELECT count(*) FROM balances")
        told = opened.one("SELECT count(*) FROM audit WHERE kind = 'COMMIT'")
    assert (balances > 0, told > 0) == ((True, True) if guards == WITH else (False, False)), (balances, told)


def _night(stage: Stage, compared: Compared, evening: Evening, name: str, guards: str) -> None:
    program = ["-m", "cpis_batch"] if guards == WITH else ["-m", "benchmarks.bare"]
    arguments = ["--home", str(stage.home), "run", "nightly", "--date", str(evening.on), "--json"]
    told, now = stage.folder / "night.json", {"CPIS_NOW": evening.now.isoformat()}
    cost = measured([sys.executable, *program, *arguments], env=now, stdout=told)
    document = json.loads(told.read_bytes())
    amiss = {name: document[name] for name in ("failed", "stopped", "undelivered") if document[name]}
    assert not amiss, amiss
    compared.costs.setdefault((name, guards), []).append(cost)
    measured([sys.executable, "-m", "cpis_batch", "--home", str(stage.home), "status", "--json"], env=now, stdout=told)
    compared.digests.setdefault((name, guards), set()).add(json.loads(told.read_bytes())["register_digest"])


_WORDS = """\
The two nights of the benchmark above, in one process each: with the mass-change brake, the ledger (every step counted against \
the one before it, parts counted as written, balances, the check inside each commit) and the audit log; and with these three \
taken out of the same program by a launcher of the benchmark's own. Both come to the same register. They take turns, the order \
alternates, and a share is of two nights of one round."""


def section(compared: Compared) -> Section:
    """The comparison in words and figures."""
    rows, targets = [], []
    for name in NIGHTS:
        seconds = [median(cost.processor_seconds for cost in compared.costs[name, guards]) for guards in (WITH, WITHOUT)]
        shares = compared.shares(name)
        told = " ".join(f"{share:+.1%}" for share in shares)
        rows.append((name, *(f"{one:.1f}" for one in seconds), told, f"{median(shares):+.1%}"))
        met = "yes" if median(shares) <= MOST_SHARE else "NO"
        targets.append((f"{name}: at most {MOST_SHARE:.0%} more", f"{median(shares):+.1%}", met))
    return Section(
        "Brake, ledger and audit log",
        (_WORDS,),
        (
            Table(("night", "processor seconds with", "without", "more, each round", "median"), tuple(rows)),
            Table(("asked for", "measured", "met"), tuple(targets)),
        ),
    )
