"""What every page of ours promises, shown on the base page."""

import base64
import hashlib
import re
from datetime import UTC, datetime

import pytest
from jinja2 import UndefinedError

from cpis_batch import pages


@pytest.fixture
def in_base():
    """Render a `main` block within the base page, as any template of ours does."""

    def render(main: str, **values: object) -> str:
        source = '{% extends "base.html" %}{% block title %}T{% endblock %}{% block main %}' + main + "{% endblock %}"
        return pages.environment().from_string(source).render(values)

    return render


def test_a_page_takes_nothing_from_outside_and_runs_nothing(in_base):
    made = in_base("<p>x</p>")
    assert not re.search(r'<script|<link|<img|<iframe|src=|href=(?!"#)|url\(|@import|javascript:|\bon\w+=', made)


def test_the_policy_allows_the_style_sheet_of_the_page_and_no_other(in_base):
    made = in_base("<p>x</p>")
    style = re.search(r"<style>(.*?)</style>", made, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', made)[1].replace("&#39;", "'")
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_what_a_partner_wrote_is_shown_as_text(in_base):
    assert "&lt;b onload=x&gt;&amp;&#34;" in in_base("<p>{{ name }}</p>", name='<b onload=x>&"')


def test_a_value_that_is_not_given_is_an_error_and_not_an_empty_place(in_base):
    with pytest.raises(UndefinedError):
        in_base("<p>{{ forgotten }}</p>")


def test_an_hour_that_occurs_twice_is_told_apart():
    assert pages.london(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) == "25 October 2026, 01:30 BST"
    assert pages.london(datetime(2026, 10, 25, 1, 30, tzinfo=UTC)) == "25 October 2026, 01:30 GMT"


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="zone"):
        pages.london(datetime(2026, 10, 25, 1, 30))  # noqa: DTZ001


def _luminance(colour: str) -> float:
    full = "".join(c * 2 for c in colour) if len(colour) == 3 else colour
    parts = [int(full[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_stands_out_from_its_ground_as_wcag_aa_asks():
    style = str(pages.environment().globals["style"])
    screen = style.split("@media print", maxsplit=1)[0]
    for rule in re.findall(r"\{([^{}]*)\}", screen):
        text = re.search(r"(?<![-\w])color: #(\w+)", rule)
        if text:
            ground = re.search(r"background: #(\w+)", rule)
            light, dark = sorted((_luminance(text[1]), _luminance(ground[1] if ground else "fff")), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, rule
