"""A hub with three CHIS units instead of all of England's, so that a release takes no longer than the rest of a night.

Hackney's children belong to NORTH_EAST_LONDON and Kent's to KENT_AND_MEDWAY; no child belongs to NORTH_CENTRAL_LONDON
unless a test gives it an authority.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

from cpis_batch import organisations
from tests.hub import Hub

NORTH_CENTRAL_LONDON, NORTH_EAST_LONDON, KENT_AND_MEDWAY = UNITS = ("CHIS01", "CHIS02", "CHIS19")
_PACKAGED = Path(organisations.__file__).parent / "reference"


def small_england(folder: Path, **more: Any) -> Hub:
    """Hub.make with the reference tables of a home whose area has these units alone."""
    hub = Hub.make(folder, **more)
    for name, column in (("chis_units", 0), ("la_chis", 1)):
        heading, *lines = (_PACKAGED / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        replace_table(hub, name, [heading, *(line for line in lines if line.split(",")[column] in UNITS)])
    for partner in (hub.home / "partners").glob("CHIS*"):
        if partner.name not in UNITS:
            shutil.rmtree(partner)
            shutil.rmtree(hub.root / partner.name)
    return hub


def replace_table(hub: Hub, name: str, lines: list[str]) -> None:
    """A reference table of the home's own."""
    (hub.home / "reference" / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def table_lines(hub: Hub, name: str) -> list[str]:
    """The lines of a reference table as the home has it, its heading first."""
    return (hub.home / "reference" / f"{name}.csv").read_text(encoding="utf-8").splitlines()


def extracts(hub: Hub, unit: str) -> list[list[dict[str, str]]]:
    """The rows of every extract that lies for a unit, oldest first."""
    lying = [path for path in hub.outbound(unit) if path.name.endswith(".csv.pgp")]
    return [_rows(hub.opened(path, "CHIS").decode()) for path in lying]


def manifests(hub: Hub, unit: str) -> list[dict[str, Any]]:
    """Every manifest that lies for a unit, oldest first."""
    lying = [path for path in hub.outbound(unit) if path.name.endswith(".manifest.json.pgp")]
    return [json.loads(hub.opened(path, "CHIS")) for path in lying]


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))
