"""A line of progress for whoever watches at a terminal: what is at work, how much of it is done, for how long.

It goes to stderr, so that what a command prints can be piped and read by programs; where stderr is no terminal there is none.
No colour is used, so `NO_COLOR` has nothing to turn off.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cpis_batch.runs.intake import Progress

_BACK, _CLEAR = "\r", "\x1b[K"
_EVERY = 0.1  # seconds between two drawings of one stage: more often nobody sees, and a slow line would hold up the run
_BAR = 24


@contextmanager
def bar() -> Iterator[Progress]:
    """What to tell of each step (stage, done, of; `of` is 0 where nobody knows). The line is gone when the block ends."""
    if not _watched():
        yield lambda *_: None
        return
    shown = _Shown()
    try:
        yield shown
    finally:
        wipe()


def wipe() -> None:
    """Clear the line, for something else to be printed there."""
    if _watched():
        click.echo(f"{_BACK}{_CLEAR}", err=True, nl=False)


def warn(warnings: Iterable[str]) -> None:
    """Say on stderr what went wrong beside the work itself."""
    for warning in warnings:
        click.echo(f"cpis-batch: {warning}", err=True)


def _watched() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class _Shown:
    def __init__(self) -> None:
        self.stage = ""
        self.began = self.drawn = 0.0

    def __call__(self, stage: str, done: int, of: int) -> None:
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.began = stage, now
        elif now - self.drawn < _EVERY and (done < of or not of):
            return
        self.drawn = now
        width = shutil.get_terminal_size().columns - 1  # a line that fills the last column would wrap, and stay there
        click.echo(f"{_BACK}{line(stage, done, of, now - self.began)[:width]}{_CLEAR}", err=True, nl=False)


def line(stage: str, done: int, of: int, seconds: float) -> str:
    """The line: `collecting  [########----------------]  51/153  2 s`; without a bar where nobody knows how much there is."""
    clock = f"  {seconds:.0f} s" if seconds >= 1 else ""
    if not of:
        return f"{stage}{f'  {done:,}' if done else ' ...'}{clock}"
    full = min(_BAR, _BAR * done // of)
    return f"{stage}  [{'#' * full}{'-' * (_BAR - full)}]  {done:,}/{of:,}{clock}"
