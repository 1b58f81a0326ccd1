"""`make screenshots`: the first screens of every page, into docs/screenshots/, for whoever wants to see what people get."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, sync_playwright

from desk_page import build
from tests.extracts import d, extract
from tests.pages.conftest import QUIET
from tests.pages.made import PAGES, page_of

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
WIDTH, HEIGHT = 960, 1200


def _desk(browser: Browser) -> None:
    """The desk page with a file in which something of everything is wrong."""
    rows = [d(n, start_date="01/02/2024") for n in range(1, 40)]
    rows += [d(40, nhs_number="9.99E+09"), d(41, given_name=""), *(d(n) for n in range(42, 340))]
    with TemporaryDirectory() as folder:
        path = Path(folder, "cpis-desk.html")
        path.write_bytes(build.page())
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(path.as_uri())
        page.evaluate("cpisDesk.ready")
        page.fill("#day", "2026-11-20", force=True)
        page.set_input_files("#file", {"name": "extract.csv", "mimeType": "text/csv", "buffer": extract(*rows)})
        page.wait_for_selector("#result:not([hidden])")
        page.screenshot(path=FOLDER / "desk.png")
        print("wrote docs/screenshots/desk.png")


def main() -> None:
    """Write a picture of each page."""
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for name in PAGES:
            page.set_content(page_of(name).decode())
            page.screenshot(path=FOLDER / f"{name}.png", clip={"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT})
            print(f"wrote {(FOLDER / name).relative_to(FOLDER.parents[1])}.png")
        _desk(browser)
        browser.close()


if __name__ == "__main__":
    main()
