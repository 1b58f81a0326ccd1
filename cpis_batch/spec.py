"""The formats of specs/, loaded as the Frictionless Table Schemas they are, so that page, schema and reader agree.

Beside the standard's `name`, `type`, `title`, `description` and `constraints` each field carries `obligation`:
`Mandatory` (a fault keeps the row out), `Required` or `Optional` (a fault warns).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec


class Constraints(msgspec.Struct, frozen=True, rename="camel"):
    """What the standard lets a field be held to; only these are used."""

    required: bool = False
    enum: tuple[str, ...] | None = None
    pattern: str | None = None
    max_length: int | None = None


class Field(msgspec.Struct, frozen=True):
    """One column, in its place."""

    name: str
    type: str
    title: str = ""
    description: str = ""
    format: str = "default"
    obligation: str = "Mandatory"
    constraints: Constraints = Constraints()


class TableSchema(msgspec.Struct, frozen=True, rename="camel"):
    """A Table Schema (Frictionless, v1): fields in the order of the columns."""

    fields: tuple[Field, ...]
    title: str = ""
    description: str = ""
    missing_values: tuple[str, ...] = ("",)
    primary_key: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(field.name for field in self.fields)


def folder() -> Path:
    """Where specs/ lies: inside the installed package, or at the top of a checkout."""
    inside = Path(__file__).parent / "specs"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "specs"


@cache
def table_schema(name: str, version: str, part: str) -> TableSchema:
    """The schema `specs/<name>/<version>/<part>.schema.json`."""
    return msgspec.json.decode((folder() / name / version / f"{part}.schema.json").read_bytes(), type=TableSchema)
