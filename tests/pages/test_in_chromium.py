"""Every page in a real browser: WCAG 2.2 AA as far as axe-core sees it, by keyboard, on a phone, on paper, asking for nothing."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.pages.made import PAGES, page_of

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
STOPS = "a[href], summary, [tabindex='0']"
PHONE = 320  # CSS pixels: what WCAG 2.2 (1.4.10) holds reflow to
everywhere = pytest.mark.parametrize("name", PAGES)


@everywhere
def test_axe_finds_nothing_wrong(opened, name):
    found = Axe().run(opened(name), options=RULES)
    assert found.violations_count == 0, found.generate_report()


def test_axe_would_find_what_is_wrong(opened):
    page = opened("answer")
    page.evaluate("document.documentElement.removeAttribute('lang'); document.querySelector('h1').outerHTML = '<h4>?</h4>'")
    assert Axe().run(page, options=RULES).violations_count >= 2


@everywhere
def test_f75_a_page_asks_for_nothing_but_itself_and_its_policy_is_kept(opened, name):
    page = opened(name)
    assert [url.rpartition("/")[2] for url in page.asked] == [f"{name}.html"]
    assert page.said == [], "a policy that refuses something says so in the console"
    policy = page.locator('meta[http-equiv="Content-Security-Policy"]').get_attribute("content")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert page.evaluate("getComputedStyle(document.querySelector('header')).backgroundColor") == "rgb(0, 94, 184)", "styled"
    assert page.locator("script, link, img, iframe, object, embed, form").count() == 0


@everywhere
def test_the_policy_stops_what_a_page_must_not_do(opened, name):
    page = opened(name)
    page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s) }"""
    )
    assert page.evaluate("window.ran") is None


@everywhere
def test_it_can_be_read_with_the_keyboard_alone(opened, name):
    page = opened(name)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the first stop leads past the head"
    assert page.locator(".skip").bounding_box()["x"] >= 0, "and is seen when it is reached"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    stops = page.locator(STOPS).count()
    reached = set()
    for _ in range(stops + 2):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("[...document.querySelectorAll('a[href], summary, [tabindex=\"0\"]')].indexOf(document.activeElement)")
        )
    hidden = page.locator("details:not([open]) [tabindex='0']").count()
    assert len(reached - {-1}) >= stops - hidden - 1
    for place in range(page.locator("summary").count()):
        page.locator("summary").nth(place).focus()
        page.keyboard.press("Enter")
    assert page.locator("details:not([open])").count() == 0, "every chart's table opens"


@everywhere
def test_on_a_phone_the_page_itself_never_scrolls_sideways(opened, name):
    page = opened(name, width=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert page.locator('meta[name="viewport"]').get_attribute("content") == "width=device-width, initial-scale=1"


@everywhere
def test_it_prints(opened, name):
    printed = opened(name).pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 40


@everywhere
def test_it_is_in_british_english_and_has_one_heading_of_the_first_rank(opened, name):
    page = opened(name)
    assert page.locator("html").get_attribute("lang") == "en-GB"
    assert page.locator("h1").count() == 1
    assert page.title()


@everywhere
def test_a_chart_has_a_name_and_the_table_of_its_figures(opened, name):
    page = opened(name)
    for place in range(page.locator("svg").count()):
        chart = page.locator("svg").nth(place)
        assert chart.get_attribute("role") == "img"
        assert chart.get_attribute("aria-label")
        figure = page.locator("figure").nth(place)
        assert figure.locator("table").count() == 1 or figure.locator("xpath=following-sibling::*//table").count() >= 1


@everywhere
def test_no_inline_style_is_in_it(name):
    assert not re.search(rb"<[^>]*\sstyle=", page_of(name))
