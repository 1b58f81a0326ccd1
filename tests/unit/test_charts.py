"""Charts are pictures with a name; whatever a label holds stays text, and a policy without inline styles lets them be."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from cpis_batch import charts

BAD = '"><script>alert(1)</script>'
MADE = {
    "bars": charts.bars("Accesses", "Most at A.", [(BAD, 3), ("B", 0)]),
    "columns": charts.columns("Accesses", "Most on day 1.", [(BAD, 3), ("2", 0)]),
    "cells": charts.cells("Accesses", "Most at 9.", {(BAD, "9"): 4}, down=[BAD], across=["9", "10"]),
    "tiles": charts.tiles("England", "Most in the north.", {(0, 0): (BAD, 5), (1, 2): ("B", None)}),
    "trend": charts.trend("Match rate", "Going up.", [(BAD, 94.2), ("now", 96.1)], line=95, unit="%"),
    "nothing": charts.bars("Accesses", "There were none.", []),
}


@pytest.mark.parametrize("chart", MADE.values(), ids=MADE)
def test_a_chart_is_one_named_image_without_scripts_or_styles(chart):
    root = ET.fromstring(chart)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert {element.tag for element in root.iter()} <= {"svg", "g", "rect", "text", "line", "polyline", "circle"}
    assert not any(name == "style" or name.startswith("on") for element in root.iter() for name in element.attrib)


def test_lengths_are_in_proportion():
    widths = [float(bar.get("width")) for bar in ET.fromstring(charts.bars("a", "b", [("x", 4), ("y", 1)])).iter("rect")]
    assert widths[0] == 4 * widths[1]


def test_only_nothing_has_no_shade():
    assert [charts.shade(figure, 10) for figure in (0, 1, 2, 3, 9, 10)] == [0, 1, 1, 2, 5, 5]
