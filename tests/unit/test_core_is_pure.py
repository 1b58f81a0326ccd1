"""The functional core leads nowhere into the world, by way of no other module of ours, however deep.

What each module of the list in docs/architecture.md imports itself is held in tests/docs; here everything is followed that
those import in turn, inside functions too: a clock or a file three modules away makes a function impure all the same.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import cpis_batch

PACKAGE = Path(cpis_batch.__file__).parent
WORLD = frozenset(
    {"click", "logging", "os", "paramiko", "random", "secrets", "shutil", "socket", "sqlite3", "subprocess", "time"}
)
CLOCK = re.compile(r"datetime\.now\(|datetime\.utcnow\(|date\.today\(|time\.time\(")


def _path(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _listed() -> list[str]:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = re.findall(r"`([a-z_.]+)`", page.partition("## The functional core")[2].partition("\n- ")[2].partition("\n## ")[0])
    modules = set(rooms)
    for room in rooms:
        modules |= {f"{room}.{one.stem}" for one in PACKAGE.joinpath(*room.split(".")).glob("*.py") if one.stem != "__init__"}
    return sorted(modules)


CORE = _listed()


@cache
def _imports(module: str) -> frozenset[str]:
    """Every module that one imports, by full name; `from a import b` gives a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_path(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def _ways(module: str) -> dict[str, str]:
    """Every module of ours that one leads to, itself included, with the way there."""
    ways, look = {module: module}, [module]
    while look:
        current = look.pop()
        inside = {name.removeprefix("cpis_batch.") for name in _imports(current) if name.startswith("cpis_batch.")}
        for name in sorted(inside - ways.keys()):
            if _path(name).exists():
                ways[name] = f"{ways[current]} > {name}"
                look.append(name)
    return ways


def test_the_page_lists_what_the_design_calls_the_core():
    core = {"intake.read", "intake.rules", "intake.check", "register.merge", "register.guard", "register.history",
            "extracts.schedule", "extracts.routing", "extracts.chis", "access.report"}  # fmt: skip
    assert core <= set(CORE)


@pytest.mark.parametrize("module", CORE)
def test_the_core_leads_nowhere_into_the_world(module):
    found = {
        way: touched for name, way in _ways(module).items() if (touched := {i.partition(".")[0] for i in _imports(name)} & WORLD)
    }
    assert found == {}


@pytest.mark.parametrize("module", CORE)
def test_nothing_that_the_core_leads_to_asks_for_the_time(module):
    assert [way for name, way in _ways(module).items() if CLOCK.search(_path(name).read_text(encoding="utf-8"))] == []
