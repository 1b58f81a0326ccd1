"""The page of the last benchmark, docs/performance.md: every figure on it comes from the run that wrote it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_WORDS = """\
Written by `make bench`: no figure here is typed by hand. Compare ratios; seconds are this machine's. Larger Englands are in \
[how it grows](performance-large.md)."""
_PACKAGES = ("duckdb", "pyarrow", "paramiko", "pysequoia", "cryptography", "numpy")


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows of text."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.headings, *self.rows, strict=True)]
        lines = [self.headings, tuple("-" * width for width in widths), *self.rows]
        return "\n".join(
            f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
        )


@dataclass(frozen=True, slots=True)
class Section:
    """One benchmark: what was measured and how, and its tables."""

    title: str
    words: tuple[str, ...]
    tables: tuple[Table, ...]

    def __str__(self) -> str:
        return "\n\n".join((f"## {self.title}", *self.words, *map(str, self.tables)))


def page(sections: Sequence[Section], load: float) -> str:
    """The whole page; `load` is the machine's load average before the first measurement."""
    head = (
        "# How fast, how big",
        _WORDS,
        machine(load),
    )
    return "\n\n".join((*head, *map(str, sections))) + "\n"


def renewed(before: str, sections: Sequence[Section], load: float) -> str:
    """A page with these sections measured anew, in their places or at its end, and the others as they stand `before`."""
    _, *parts = before.split("\n## ")
    kept = {part.partition("\n")[0]: f"## {part.strip()}" for part in parts}
    measured = {section.title: str(section) for section in sections}
    others = [title for title in kept if title not in measured]
    if not others:
        return page(sections, load)
    told = f"Measured in the last run: {'; '.join(measured)}. Written by an earlier one: {'; '.join(others)}."
    return "\n\n".join(("# How fast, how big", _WORDS, told, machine(load), *(kept | measured).values())) + "\n"


def machine(load: float) -> str:
    """What it was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Machine: {_processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GB of memory,"
        f" {platform.system()} {platform.release()}; load average before the first measurement {load:.1f} (0.0 is a machine that"
        f" did nothing else). Python {platform.python_version()}, {packages}, {_first_line('gpg', '--version')},"
        f" {_first_line('ssh', '-V').partition(',')[0]}."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).splitlines()[0]
