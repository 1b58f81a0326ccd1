"""make crash-sweep: disturb a small night at every point, run again, and hold the end to that of a night that nothing disturbs.

make crash-sweep                                        # all points of all kinds
make crash-sweep SWEEP="kills disks"                    # of these kinds
make crash-sweep SWEEP="kills --sample 10 --seed 4711"  # ten, one from each of ten equal stretches
make crash-sweep SWEEP='kills --only "KILL night fsync home/outbox/.part-* 3"'
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random, SystemRandom

from cpis_batch import engine
from tests.sweep.many import Trial, tried
from tests.sweep.outcome import MEMORY
from tests.sweep.plan import KINDS, Ground

_TOLD_EVERY_SECONDS = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every point that was tried came out as it must, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweep", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; all without it")
    parser.add_argument("--sample", type=int, metavar="N", help="N points of each kind")
    parser.add_argument(
        "--seed",
        type=int,
        default=SystemRandom().randrange(10**6),
        help="which N, and at which bytes lines break; as it was printed",
    )
    parser.add_argument("--only", metavar="POINT", help="this point alone, as it was printed")
    parser.add_argument("--list", action="store_true", help="name the points, try none")
    parser.add_argument(
        "--jobs", type=int, default=(os.cpu_count() or 1) + 1, help="how many at once; one more than there are cores"
    )
    given = parser.parse_args(arguments)
    if unknown := set(given.kinds) - set(KINDS):
        parser.error(f"there is no kind {', '.join(sorted(unknown))}")
    started, failed = time.monotonic(), 0
    # In memory where there is room: to sync there is quick, and is a call all the same.
    folder = Path(tempfile.mkdtemp(prefix="cpis-sweep-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
    try:
        ground = Ground(folder, given.seed)
        for kind in given.kinds or KINDS:
            failed += _sweep(kind, ground, given)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        engine.close()
        gc.unfreeze()
    used = _processor_seconds()
    print(f"{failed} failed; {time.monotonic() - started:.0f} s by the clock, {used:.0f} s of processors", flush=True)
    return 1 if failed else 0


def _sweep(kind: str, ground: Ground, given: argparse.Namespace) -> int:
    """Try one kind; how many points failed."""
    every = KINDS[kind](ground)
    chosen = [one for one in every if one.name == given.only] if given.only else sample(every, given.sample, given.seed)
    print(f"{kind}: {len(every)} points, {len(chosen)} to be tried, --seed {given.seed}", flush=True)
    if not chosen:
        print(f"{kind}: there is no such point", flush=True)
        return 1
    if given.list:
        print(*(one.name for one in chosen), sep="\n")
        return 0
    work = ground.folder / f"trials-{kind}"
    work.mkdir()
    return _tried(kind, chosen, work, given)


def _tried(kind: str, chosen: Sequence[Trial], folder: Path, given: argparse.Namespace) -> int:
    started = told = time.monotonic()
    failed = 0
    for done, one in enumerate(tried(chosen, folder, given.jobs), 1):
        if one.fault:
            failed += 1
            print(f"{kind}: {one.name} FAILED: {one.fault}", flush=True)
            print(f"  again: make crash-sweep SWEEP='{kind} --seed {given.seed} --only \"{one.name}\"'", flush=True)
        now = time.monotonic()
        if now - told > _TOLD_EVERY_SECONDS or done == len(chosen):
            told = now
            print(f"{kind}: {done} of {len(chosen)} tried, {failed} failed, {now - started:.0f} s", flush=True)
    return failed


def sample(every: Sequence[Trial], count: int | None, seed: int) -> Sequence[Trial]:
    """`count` of the trials, one from each of as many equal stretches; all without a count."""
    if count is None or len(every) <= count:
        return every
    choice = Random(seed)
    edges = [len(every) * step // count for step in range(count + 1)]
    return [choice.choice(every[start:end]) for start, end in pairwise(edges)]


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    sys.exit(main())
