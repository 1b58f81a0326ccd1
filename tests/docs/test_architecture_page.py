"""The page on the layout is true: what it calls pure is, every room that it names is there, and borders are where it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.papers import ROOT

_PACKAGE = ROOT / "cpis_batch"
_PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_WORLD = {
    "click",
    "logging",
    "multiprocessing",
    "os",
    "paramiko",
    "random",
    "resource",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}
_EFFECTS = {"catalogue", "cli", "delivery", "exchange", "files", "keystore", "runs", "sandbox", "ssh_keys"}


def section(heading: str) -> str:
    return _PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]


def files_of(room: str) -> list[Path]:
    """The modules of a room: itself, or all in it."""
    path = _PACKAGE.joinpath(*room.split("."))
    return sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it, but not for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {id(one) for block in ast.walk(tree) if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
                   for one in ast.walk(block)}  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def modules() -> list[Path]:
    return sorted(_PACKAGE.rglob("*.py"))


CORE = re.findall(r"`([a-z_.]+)`", section("The functional core").partition("\n- ")[2])


@pytest.mark.parametrize("room", CORE)
def test_the_functional_core_touches_nothing_of_the_world(room):
    for path in files_of(room):
        found = set(imported(path))
        assert not {name for name in found if name.split(".")[0] in _WORLD}, path.name
        assert not {name for name in found if name.startswith("cpis_batch.") and name.split(".")[1] in _EFFECTS}, path.name


def test_the_clock_is_read_where_the_page_says():
    asks = re.compile(r"datetime\.now\(|datetime\.utcnow\(|date\.today\(|time\.time\(")
    reading = {str(path.relative_to(_PACKAGE)) for path in modules() if asks.search(path.read_text(encoding="utf-8"))}
    assert reading == {"cli/context.py", "envelope/sealing.py"}


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("paramiko", {"exchange", "sandbox"}),
        ("sqlite3", {"catalogue", "runs/verify.py"}),
        ("click", {"cli"}),
        ("pysequoia", {"envelope", "sandbox"}),
    ],
)
def test_a_library_is_known_where_the_page_says(library, rooms):
    knowing = {
        str(path.relative_to(_PACKAGE)) for path in modules() if any(name.split(".")[0] == library for name in imported(path))
    }
    assert knowing
    assert {name for name in knowing if name.split("/")[0] not in rooms and name not in rooms} == set()


def test_nothing_but_the_command_line_knows_the_rehearsal():
    outside = [path for path in modules() if path.relative_to(_PACKAGE).parts[0] not in ("sandbox", "cli")]
    assert not [path.name for path in outside if any(name.startswith("cpis_batch.sandbox") for name in imported(path))]


def test_every_room_of_the_table_is_there_and_so_is_what_it_is_said_to_have():
    rows = [line.split("|", 2) for line in section("The interfaces between the rooms").splitlines() if line.startswith("| `")]
    for _, rooms, told in rows:
        first, *others = re.findall(r"`([a-z_.]+)`", rooms)
        named = [first, *(f"{first.rpartition('.')[0]}{other}" for other in others)]
        for room in named:
            assert find_spec(f"cpis_batch.{room}"), room
        text = "".join(path.read_text(encoding="utf-8") for room in named for path in files_of(room))
        for name in re.findall(r"(?<![.\w/])([A-Za-z_]+)\(", " ".join(re.findall(r"`([^`]+)`", told))):
            assert re.search(rf"\b(def|class) {name}\b", text), f"{first}: {name}"
