"""`python -m benchmarks.large`: measures what is large, prints the tables, writes docs/performance-large.md."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from functools import partial
from pathlib import Path

from benchmarks import large_access, large_merge, large_night, large_release, large_validation
from benchmarks.large_stage import SCALES
from benchmarks.page import Section, machine
from cpis_batch.sandbox.volumes import choose, volumes

PAGE = Path(__file__).parent.parent / "docs" / "performance-large.md"
WORK = Path(__file__).parent.parent / "bench-large-work"
QUICK_LAS, QUICK_SCALES, QUICK_EVENTS = 4, (0.2, 4.0), (2_000, 20_000)
STAGES = ("validation", "merge", "nights", "access", "release")
ALL = STAGES[:4]  # the nights make a release as well
_WORDS = """\
Written by `make bench-large`: no figure here is typed by hand. Compare ratios; seconds are this machine's. Everyday sizes \
are in [how fast, how big](performance.md)."""


def main(arguments: list[str] | None = None) -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small England at two sizes: shows that it runs")
    parser.add_argument("--only", choices=STAGES, action="append", help="this stage; may be given again. No page without --page")
    parser.add_argument(
        "--page", type=Path, help="where to write the page; by default docs/performance-large.md, --quick: nowhere"
    )
    parser.add_argument(
        "--scale", type=float, action="append", help="so many times England, for nights and release; may be given again"
    )
    parser.add_argument("--work", type=Path, default=WORK, help="a folder for what is measured on, some 15 GB; it is removed")
    given = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    told = partial(print, file=sys.stderr, flush=True)
    las = choose(QUICK_LAS) if given.quick else tuple(volumes())
    largest = QUICK_SCALES[-1] if given.quick else large_merge.SCALE
    rows = QUICK_SCALES[-1] if given.quick else large_validation.SCALE
    stages = given.only or ALL
    scales = tuple(sorted(given.scale or (QUICK_SCALES if given.quick else SCALES)))
    sections: list[Section] = []
    shutil.rmtree(given.work, ignore_errors=True)
    try:
        if "validation" in stages:
            sections.append(
                large_validation.section(large_validation.run(given.work / "validation", las=las, scale=rows, told=told))
            )
            shutil.rmtree(given.work / "validation")
        if "merge" in stages:
            sections.append(large_merge.section(large_merge.run(given.work / "merge", las=las, scale=largest, told=told)))
            shutil.rmtree(given.work / "merge")
        if "nights" in stages:
            sizes = large_night.run(given.work / "nights", las=las, scales=scales, told=told)
            sections += [large_night.section(sizes), large_release.section([size.bare for size in sizes if size.bare])]
            shutil.rmtree(given.work / "nights")
        if "access" in stages:
            counts = QUICK_EVENTS if given.quick else large_access.EVENTS
            found = large_access.run(given.work / "access", las=las, scale=largest, sizes=counts, told=told)
            sections.append(large_access.section(found))
        if "release" in stages:
            releases = large_release.run(given.work / "release", las=las, scales=scales, told=told)
            sections += [large_release.section(releases), large_release.growth(releases)]
    finally:
        shutil.rmtree(given.work, ignore_errors=True)
    text = page(sections, load)
    print(text)
    if target := given.page or (None if given.quick or given.only else PAGE):
        target.write_text(text, encoding="utf-8")


def page(sections: list[Section], load: float) -> str:
    """The whole page; `load` is the machine's load average before the first measurement."""
    head = (
        "# How it grows",
        _WORDS,
        machine(load),
    )
    return "\n\n".join((*head, *map(str, sections))) + "\n"


if __name__ == "__main__":
    main()
