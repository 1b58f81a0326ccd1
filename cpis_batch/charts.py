"""Charts as inline SVG: no script, no style attribute, nothing fetched; a page's style sheet colours them by class.

A chart is never the only place of a figure: the page has the same figures as a table beside it, which is what a screen
reader reads. So a chart is one image with a name and a sentence, and what it is made of is hidden from assistive technology.
Lengths are in the units of the view box, about a pixel each; the picture scales to the width of its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

_LABEL, _BAR, _VALUE, _ROW = 260, 420, 80, 28  # of a chart of bars: label, longest bar, figure, height of one
_CELL, _SIDE, _TOP = 28, 110, 24  # of a chart of cells
_TILE = 44
_LETTER = 7.2  # the width of a letter of a label, at most
SHADES = 5  # classes shade-0 (nothing) to shade-5 (the most)


def bars(name: str, says: str, lines: Sequence[tuple[str, float]]) -> Markup:
    """Horizontal bars, one for each (label, figure), in the order given; the longest fills the width.

    `name` is the accessible name, `says` the sentence that tells what is to be seen.
    """
    most = max((figure for _, figure in lines), default=0) or 1
    parts = []
    for place, (label, figure) in enumerate(lines):
        top = place * _ROW
        width = round(_BAR * figure / most, 1)
        parts.append(
            Markup(
                '<text class="chart-label" x="{0}" y="{1}" text-anchor="end">{2}</text>'
                '<rect class="chart-bar" x="{3}" y="{4}" width="{5}" height="{6}"/>'
                '<text class="chart-figure" x="{7}" y="{1}">{8}</text>'
            ).format(
                _LABEL - 8,
                top + 19,
                _short(label, _LABEL - 8),
                _LABEL,
                top + 4,
                width,
                _ROW - 8,
                _LABEL + width + 6,
                f"{figure:,}",
            )
        )
    return _image(name, says, _LABEL + _BAR + _VALUE, max(len(lines), 1) * _ROW, parts)


def columns(name: str, says: str, lines: Sequence[tuple[str, float]]) -> Markup:
    """Upright columns over time, one for each (label, figure); labels thin out where they would touch."""
    width, height = 760, 160
    step = width / max(len(lines), 1)
    most = max((figure for _, figure in lines), default=0) or 1
    every = max(1, -(-len(lines) * 70 // width))
    parts = [
        Markup('<line class="chart-axis" x1="0" y1="{0}" x2="{1}" y2="{0}"/>').format(height + 20, width),
        Markup('<text class="chart-figure" x="0" y="12">{0}</text>').format(f"{most:,}"),
    ]
    for place, (label, figure) in enumerate(lines):
        tall = round(height * figure / most, 1)
        parts.append(
            Markup('<rect class="chart-bar" x="{0}" y="{1}" width="{2}" height="{3}"/>').format(
                round(place * step + step * 0.1, 1), round(height + 20 - tall, 1), round(step * 0.8, 1), tall
            )
        )
        if place % every == 0:
            parts.append(
                Markup('<text class="chart-label" x="{0}" y="{1}">{2}</text>').format(round(place * step, 1), height + 38, label)
            )
    return _image(name, says, width, height + 46, parts)


def cells(name: str, says: str, figures: Mapping[tuple[str, str], int], *, down: Sequence[str], across: Sequence[str]) -> Markup:
    """A grid whose cells are the darker the greater their figure: `figures` by (row label, column label), absent is 0."""
    most = max(figures.values(), default=0)
    parts = [
        Markup('<text class="chart-label" x="{0}" y="{1}" text-anchor="middle">{2}</text>').format(
            _SIDE + place * _CELL + _CELL / 2, _TOP - 8, label
        )
        for place, label in enumerate(across)
    ]
    for row, left in enumerate(down):
        top = _TOP + row * _CELL
        parts.append(
            Markup('<text class="chart-label" x="{0}" y="{1}" text-anchor="end">{2}</text>').format(_SIDE - 8, top + 19, left)
        )
        for place, label in enumerate(across):
            figure = figures.get((left, label), 0)
            dark = shade(figure, most)
            x = _SIDE + place * _CELL
            parts.append(
                Markup('<rect class="chart-cell shade-{0}" x="{1}" y="{2}" width="{3}" height="{3}"/>').format(
                    dark, x, top, _CELL - 2
                )
            )
            if figure and figure < 1000:
                parts.append(
                    Markup('<text class="chart-on shade-{0}" x="{1}" y="{2}" text-anchor="middle">{3}</text>').format(
                        dark, x + _CELL / 2 - 1, top + 18, figure
                    )
                )
    return _image(name, says, _SIDE + len(across) * _CELL, _TOP + len(down) * _CELL, parts)


def tiles(name: str, says: str, placed: Mapping[tuple[int, int], tuple[str, int | None]]) -> Markup:
    """A tile map: (column, row) -> (short label, shade 0 to SHADES; None where the figure is not shown)."""
    across = 1 + max((column for column, _ in placed), default=0)
    down = 1 + max((row for _, row in placed), default=0)
    parts = []
    for (column, row), (label, dark) in sorted(placed.items()):
        named = "none" if dark is None else str(dark)
        parts.append(
            Markup(
                '<rect class="chart-cell shade-{0}" x="{1}" y="{2}" width="{3}" height="{3}"/>'
                '<text class="chart-on shade-{0}" x="{4}" y="{5}" text-anchor="middle">{6}</text>'
            ).format(
                named, column * _TILE, row * _TILE, _TILE - 2, column * _TILE + _TILE / 2 - 1, row * _TILE + _TILE / 2 + 4, label
            )
        )
    return _image(name, says, across * _TILE, down * _TILE, parts)


def trend(name: str, says: str, points: Sequence[tuple[str, float]], *, line: float, unit: str = "") -> Markup:
    """A line through (label, figure) at even steps, in their order, and a level line that the figures are held to."""
    width, height, left = 700, 140, 60
    figures = [figure for _, figure in points]
    least, most = min([*figures, line]), max([*figures, line])
    room = (most - least) or 1

    def across(place: int) -> float:
        return round(left + place * (width - left - 40) / max(len(points) - 1, 1), 1)

    def down(figure: float) -> float:
        return round(20 + height * (most - figure) / room, 1)

    path = " ".join(f"{across(place)},{down(figure)}" for place, figure in enumerate(figures))
    parts = [
        Markup('<line class="chart-limit" x1="{0}" y1="{1}" x2="{2}" y2="{1}"/>').format(left, down(line), width),
        Markup('<text class="chart-figure" x="0" y="{0}">{1}</text>').format(down(line) + 5, f"{line:g}{unit}"),
        Markup('<polyline class="chart-line" points="{0}"/>').format(path),
    ]
    for place, (label, figure) in enumerate(points):
        parts.append(Markup('<circle class="chart-bar" cx="{0}" cy="{1}" r="4"/>').format(across(place), down(figure)))
        if place in (0, len(points) - 1):
            parts.append(
                Markup('<text class="chart-label" x="{0}" y="{1}" text-anchor="middle">{2}</text>').format(
                    across(place), height + 44, label
                )
            )
    return _image(name, says, width + 40, height + 52, parts)


def shade(figure: int, most: int) -> int:
    """0 for nothing, else 1 to SHADES in equal steps up to `most`."""
    return 0 if not figure else min(SHADES, 1 + (figure * SHADES - 1) // most)


def _short(label: str, room: float) -> str:
    letters = int(room / _LETTER)
    return label if len(label) <= letters else f"{label[: letters - 1]}\N{HORIZONTAL ELLIPSIS}"


def _image(name: str, says: str, width: float, height: float, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="chart" role="img" aria-label="{0}" width="{1}" height="{2}" viewBox="0 0 {1} {2}"'
        ' preserveAspectRatio="xMinYMin meet">'
        '<g aria-hidden="true">{3}</g></svg>'
    ).format(f"{name}. {says}", round(width), round(height), Markup("").join(parts))
