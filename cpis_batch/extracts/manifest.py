"""The manifest that goes with each CHIS extract: what the file is, what to count after loading it, how old the data are.

Its JSON Schema is `specs/chis-extract/1.0/manifest.json-schema.json`. It is sealed to the unit like the extract itself, so
small counts in it disclose nothing to others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import date, datetime

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.business_time import days_between, text_of
from cpis_batch.errors import InputRefused
from cpis_batch.extracts.chis import VERSION, file_name
from cpis_batch.extracts.schedule import Release
from cpis_batch.organisations import ChisUnit, LocalAuthority
from cpis_batch.vocabulary import Environment, ExtractChange, PlanType


class _Fortnight(msgspec.Struct, frozen=True):
    label: str
    starts: date
    ends: date
    covers_missed: tuple[str, ...]


class File(msgspec.Struct, frozen=True):
    """What a manifest says of its extract's file; `rows` without the heading."""

    name: str
    sha256: str
    bytes: int
    rows: int


class _Told(msgspec.Struct, frozen=True):
    """What a unit's desk reads of a manifest. There may be more: the form is only ever added to."""

    file: File


class _Authority(msgspec.Struct, frozen=True):
    la_code: str
    la_name: str
    data_as_at: str | None
    age_days: int | None
    active_rows: int


class Manifest(msgspec.Struct, frozen=True):
    """All that a manifest says (manifest.json-schema.json)."""

    format: str
    version: str
    environment: str
    unit: str
    unit_name: str
    fortnight: _Fortnight
    sequence: int
    released_at: str
    file: File
    active_rows: int
    active_persons: int
    counts: dict[str, dict[str, int]]
    authorities: tuple[_Authority, ...]


def manifest(
    *,
    unit: ChisUnit,
    environment: Environment,
    release: Release,
    sequence: int,
    rows: pa.Table,
    csv: bytes,
    la_state: pa.Table,
    las: Collection[LocalAuthority],
    released_at: datetime,
) -> bytes:
    """The manifest of one unit's extract: its `rows` (chis.EXTRACT) and their `csv`, as JSON in UTF-8.

    `la_state` (chis.LA_STATE) tells how old each authority's data are. `las` are the authorities whose area the unit
    serves (Organisations.las_of_unit): they are listed even without a row, since "nothing has come from them" is not
    "no children".
    """
    counted = rows.group_by(["plan_type", "change"]).aggregate([([], "count_all")])
    counts = {str(kind): {str(change): 0 for change in ExtractChange} for kind in PlanType}
    for row in counted.to_pylist():
        counts[row["plan_type"]][row["change"]] = row["count_all"]
    active = rows.filter(pc.not_equal(rows["change"], ExtractChange.CEASED))
    return msgspec.json.format(
        msgspec.json.encode(
            Manifest(
                format="CPIS-CHIS-MANIFEST",
                version=VERSION,
                environment=environment,
                unit=unit.code,
                unit_name=unit.name,
                fortnight=_Fortnight(
                    label=release.fortnight.label,
                    starts=release.fortnight.starts,
                    ends=release.fortnight.ends,
                    covers_missed=tuple(missed.label for missed in release.missed),
                ),
                sequence=sequence,
                released_at=text_of(released_at),
                file=File(
                    name=file_name(unit.code, release.fortnight, sequence),
                    sha256=hashlib.sha256(csv).hexdigest(),
                    bytes=len(csv),
                    rows=rows.num_rows,
                ),
                active_rows=active.num_rows,
                active_persons=pc.count_distinct(active["nhs_number"]).as_py(),
                counts=counts,
                authorities=_authorities(active, la_state, las, released_at),
            )
        ),
        indent=2,
    )


def described(data: bytes) -> File:
    """The file that a manifest speaks of. InputRefused where `data` is no manifest."""
    try:
        return msgspec.json.decode(data, type=_Told).file
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InputRefused("What was given as the manifest is none.", "Collect it again, and the extract with it.") from None


def _authorities(
    active: pa.Table, la_state: pa.Table, las: Collection[LocalAuthority], released_at: datetime
) -> tuple[_Authority, ...]:
    told = active.group_by(["la_code", "la_name"]).aggregate([([], "count_all")]).to_pylist()
    names = {la.code: la.name for la in las} | {row["la_code"]: row["la_name"] for row in told}
    counts = {row["la_code"]: row["count_all"] for row in told}
    ages = {row["la_code"]: row["data_as_at"] for row in la_state.to_pylist()}
    return tuple(
        _Authority(
            la_code=code,
            la_name=name,
            data_as_at=text_of(ages[code]) if code in ages else None,
            age_days=days_between(ages[code], released_at) if code in ages else None,
            active_rows=counts.get(code, 0),
        )
        for code, name in sorted(names.items())
    )
