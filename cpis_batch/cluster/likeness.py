"""What must be the same on every machine for the same night to come to the same digests."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import cpis_batch
from cpis_batch import spec

_PROGRAM, _FORMATS = (".py", ".csv", ".html", ".css"), (".json",)  # the readers load the published schemas
_LIBRARIES = ("duckdb", "pyarrow", "msgspec", "pysequoia", "cryptography")  # that decide what is read, written and sealed


@cache
def likeness() -> dict[str, str]:
    """Versions of the program, of Python and of libraries, and a digest of the program's own files: 15 ms, once a process."""
    digest = hashlib.sha256()
    for root, kinds in ((Path(cpis_batch.__file__).parent, _PROGRAM), (spec.folder(), _FORMATS)):
        for path in sorted(path for path in root.rglob("*") if path.suffix in kinds):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return {
        "cpis-batch": cpis_batch.__version__,
        "its files": digest.hexdigest()[:16],
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{library: version(library) for library in _LIBRARIES},
    }


def differences(here: dict[str, str], there: dict[str, str]) -> list[str]:
    """What is not the same, in words: `pyarrow 25.0 and not 26.0`."""
    return [f"{what} {there.get(what, 'missing')} and not {value}" for what, value in here.items() if there.get(what) != value]
