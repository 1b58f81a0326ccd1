"""`--help` answers at once, since nothing large is imported before it is needed. How long it takes is for the benchmarks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cpis_batch.cli import _COMMANDS

LARGE = {
    "cryptography", "distributed", "duckdb", "highspy", "jinja2", "numpy", "odfdo", "paramiko", "prometheus_client", "pyarrow",
    "pysequoia", "xlsxwriter",
}  # fmt: skip
_ASK = """
import sys
from {module} import main

try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def loaded(module: str, *arguments: str) -> set[str]:
    """Which modules a command has imported by its end."""
    script = _ASK.format(module=module)
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=60)
    assert "Usage:" in done.stdout
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("command", ["", *_COMMANDS])
def test_help_loads_no_large_library(command):
    assert not loaded("cpis_batch.cli", *([command] if command else []), "--help") & LARGE


def test_the_help_of_the_desk_loads_none_either():
    assert not loaded("cpis_batch.cli.desk", "--help") & LARGE


def test_a_large_library_would_be_seen():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, cpis_batch.engine; print(*sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert {"duckdb", "pyarrow"} <= set(done.stdout.split())
