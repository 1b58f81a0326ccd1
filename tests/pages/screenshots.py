"""`make screenshots`: the first screens of every page, into docs/screenshots/, for whoever wants to see what people get."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.pages.conftest import QUIET
from tests.pages.made import PAGES, page_of

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
WIDTH, HEIGHT = 960, 1200


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
        browser.close()


if __name__ == "__main__":
    main()
