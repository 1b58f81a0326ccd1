"""A Chromium that stays open, and pages opened in it from files, as their readers open them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.pages.made import page_of

# A browser for tests talks to nobody by itself.
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
Opened = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "chromium is needed: make tools-test"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Open a page of `made.PAGES`; what it asks for besides itself, and what the console says, is in `.asked` and `.said`."""
    contexts = []

    def one(name: str, *, width: int = 1000) -> Page:
        path = tmp_path / f"{name}.html"
        path.write_bytes(page_of(name))
        context = browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
        contexts.append(context)
        page = context.new_page()
        page.asked, page.said = [], []  # type: ignore[attr-defined]
        page.on("request", lambda request: page.asked.append(request.url))  # type: ignore[attr-defined]
        page.on("console", lambda message: page.said.append(message.text))  # type: ignore[attr-defined]
        page.goto(path.as_uri())
        return page

    yield one
    for context in contexts:
        context.close()
