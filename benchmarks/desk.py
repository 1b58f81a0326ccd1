"""The desk page in Chromium: how soon it can check, and how long a file of ten thousand rows takes."""

from __future__ import annotations

import shutil
import tempfile
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

from benchmarks.page import Section, Table
from desk_page import build
from tests.extracts import d, extract
from tests.pages.conftest import QUIET

ROWS, ROUNDS = 10_000, 5
MOST_SECONDS = 2.0
_CHECK = """async data => {
    const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0))
    const begun = performance.now()
    const {verdict} = await cpisDesk.check(bytes.buffer, {today: '2026-11-20', laCode: ''})
    return [(performance.now() - begun) / 1000, verdict.rows, verdict.faults.length]
}"""


@dataclass(frozen=True, slots=True)
class Checked:
    """Files of one kind: seconds of the first check after the page was opened, and of those after it."""

    name: str
    rows: int
    faults: int
    first: float
    later: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """`ready`: seconds from opening the page until it can check, each round."""

    megabytes: float
    ready: tuple[float, ...]
    checked: tuple[Checked, ...]


def measure(rows: int = ROWS, rounds: int = ROUNDS) -> Desk:
    """Open the page from a file, off the network, once for each kind of file, and check it there `rounds` times."""
    odd = ({"start_date": "01/02/2024"}, {"family_name": "Zoe\u0308"}, {"nhs_number": "9.99E+09"})
    files = {
        "in order": [d(child) for child in range(1, rows + 1)],
        "one row in ten with a fault": [d(n, **odd[n // 10 % 3]) if n % 10 == 0 else d(n) for n in range(1, rows + 1)],
        "every row with a fault": [d(n, **odd[n % 3]) for n in range(1, rows + 1)],
    }
    made = build.page()
    ready, checked = [], []
    with tempfile.TemporaryDirectory(prefix="cpis-bench-") as scratch, sync_playwright() as playwright:
        path = Path(scratch, "cpis-desk.html")
        path.write_bytes(made)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        for name, lines in files.items():
            context = browser.new_context(offline=True)
            page = context.new_page()
            page.goto(path.as_uri())
            ready.append(page.evaluate("cpisDesk.ready.then(() => performance.now() / 1000)"))
            data = b64encode(extract(*lines)).decode()
            (first, read, faults), *later = (page.evaluate(_CHECK, data) for _ in range(rounds))
            checked.append(Checked(name, read, faults, first, tuple(seconds for seconds, *_ in later) or (first,)))
            context.close()
        browser.close()
    return Desk(len(made) / 1e6, tuple(ready), tuple(checked))


def section(found: Desk) -> Section:
    """What was measured, for the page."""
    rows = tuple(
        (one.name, f"{one.rows:,}", f"{one.faults:,}", f"{one.first:.2f}", f"{median(one.later):.2f}", f"{max(one.later):.2f}")
        for one in found.checked
    )
    most = max(max(one.first, *one.later) for one in found.checked)
    claim = (f"{found.checked[0].rows:,} rows, whatever is in them: under {MOST_SECONDS:.0f} s", f"{most:.2f} s")
    ready = f"{median(found.ready):.1f} s after it is opened ({min(found.ready):.1f} to {max(found.ready):.1f})"
    words = (
        f"`make desk-page` makes one file of {found.megabytes:.1f} MB, opened in Chromium from disk, off the network. It can"
        f" check {ready}; that is spent unpacking and compiling DuckDB, once. A check is from the bytes of a file to the verdict"
        " with all its faults, in the page."
    )
    headings = ("a file", "rows", "faults", "first check, s", "later, median s", "later, most s")
    met = Table(("asked for", "measured", "met"), ((*claim, "yes" if most < MOST_SECONDS else "NO"),))
    return Section("The desk page", (words,), (Table(headings, rows), met))
