"""`python -m benchmarks`: measures, prints the tables, writes docs/performance.md."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from functools import partial
from pathlib import Path

from benchmarks import cluster, desk, envelopes, fetch, guards, month, night, papers, profile, trace, trace_nights, validation
from benchmarks.page import Section, renewed
from cpis_batch.sandbox.volumes import choose, volumes

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
WORK = Path(__file__).parent.parent / "bench-work"
QUICK_LAS, QUICK_SCALE, QUICK_ROWS, QUICK_NIGHTS, QUICK_BYTES = 6, 0.1, 2_000, 3, 3_000_000
OFTEN = 4  # rounds at least of what is a few percent of a night: less would tell the machine's mood
STAGES = (
    "night",
    "profile",
    "guards",
    "fetch",
    "envelopes",
    "validation",
    "papers",
    "trace",
    "trace-nights",
    "month",
    "desk",
    "cluster",
)


def main(arguments: list[str] | None = None) -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small England, one round: shows that it runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", choices=STAGES, action="append", help="this stage; may be given again. With --page its part is renewed"
    )
    parser.add_argument("--page", type=Path, help="where to write the page; by default docs/performance.md, with --quick nowhere")
    given = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    told = partial(print, file=sys.stderr, flush=True)
    shutil.rmtree(WORK, ignore_errors=True)
    stages = given.only or STAGES
    las, scale, rounds = (choose(QUICK_LAS), QUICK_SCALE, 1) if given.quick else (tuple(volumes()), 1.0, given.rounds)
    often = 1 if given.quick else max(rounds, OFTEN)
    nights = QUICK_NIGHTS if given.quick else month.NIGHTS
    sections: list[Section] = []
    try:
        if "night" in stages:
            sections.append(night.section(night.run(WORK / "night", las=las, scale=scale, rounds=rounds, told=told)))
        if "profile" in stages:
            sections.append(profile.section(profile.run(WORK / "profile", las=las, scale=scale, told=told)))
        if "guards" in stages:
            sections.append(guards.section(guards.run(WORK / "guards", las=las, scale=scale, rounds=often, told=told)))
        if "fetch" in stages:
            quick = {"files": QUICK_LAS, "large_bytes": QUICK_BYTES} if given.quick else {}
            sections.append(fetch.section(fetch.run(WORK / "fetch", rounds=rounds, told=told, **quick)))
        if "envelopes" in stages:
            raced = envelopes.run(WORK / "envelopes", las=las, scale=scale, rounds=rounds, told=told)
            sections.append(envelopes.section(raced))
        if "validation" in stages:
            told(f"Validating {QUICK_ROWS if given.quick else validation.ROWS:,} rows...")
            judged = validation.measure(QUICK_ROWS, repeats=1) if given.quick else validation.measure()
            sections.append(validation.section(judged))
        if "papers" in stages:
            told("Rendering and sealing answers and access reports...")
            sections.append(papers.section(papers.measure(las, scale)))
        if "trace" in stages:
            told("Tracing...")
            sections.append(trace.section(trace.measure(las, scale)))
        if "trace-nights" in stages:
            found_nights = trace_nights.run(WORK / "trace-nights", las=las, scale=scale, rounds=often, told=told)
            sections.append(trace_nights.section(found_nights))
        if "month" in stages:
            found = month.run(WORK / "month", las=las, scale=scale, rounds=rounds, nights=nights, told=told)
            sections.append(month.section(found))
        if "desk" in stages:
            told("Checking at the desk, in Chromium...")
            sections.append(desk.section(desk.measure(QUICK_ROWS, rounds=1) if given.quick else desk.measure()))
        if "cluster" in stages:
            scaling = cluster.run(WORK / "cluster", las=las, scale=scale, rounds=rounds, told=told)
            sections.append(cluster.section(scaling))
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    target = given.page or (None if given.quick or given.only else PAGE)
    before = target.read_text(encoding="utf-8") if target and given.only and target.exists() else ""
    text = renewed(before, sections, load)
    print(text)
    if target:
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
