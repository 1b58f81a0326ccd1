"""What the access reports look up: care settings, what is withheld, job roles, where organisations lie.

Files of `reference/`, packaged, and of the same name in a home's own `reference/`:

| file | columns | a home's file |
|---|---|---|
| care_settings.csv | code, name, care (SCHEDULED or UNSCHEDULED) | adds settings, or renames |
| withheld_settings.csv | code, reason | adds; a setting that we withhold is never un-withheld by a file |
| withheld_organisations.csv | ods_code, name, reason | adds, likewise |
| sds_job_roles.csv | code, display | adds roles, or renames |
| organisation_areas.csv | ods_code, la_gss_code, valid_from, valid_to | adds; both days included, empty: without end |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from cpis_batch.engine import query
from cpis_batch.errors import ConfigFault, where_in_csv

_PACKAGED = Path(__file__).parent.parent / "reference"
_CARE = ("SCHEDULED", "UNSCHEDULED")


def _texts(*names: str) -> pa.Schema:
    return pa.schema([pa.field(name, pa.string()) for name in names])


CARE_SETTINGS = _texts("code", "name", "care")
WITHHELD_SETTINGS = _texts("code", "reason")
WITHHELD_ORGANISATIONS = _texts("ods_code", "name", "reason")
JOB_ROLES = _texts("code", "display")
ORGANISATION_AREAS = pa.schema(
    [
        pa.field("ods_code", pa.string()),
        pa.field("la_gss_code", pa.string()),
        pa.field("valid_from", pa.date32()),
        pa.field("valid_to", pa.date32()),
    ]
)


@dataclass(frozen=True)
class AccessReference:
    """The five tables, each with the schema of its name above and each key once (an area may have several periods)."""

    care_settings: pa.Table
    withheld_settings: pa.Table
    withheld_organisations: pa.Table
    job_roles: pa.Table
    organisation_areas: pa.Table


def load(overrides: Path | None = None) -> AccessReference:
    """The packaged tables with those of `overrides` (a home's `reference/`) added.

    ConfigFault names the file where one does not read, lacks a column or has an empty key.
    """
    care_settings = _gather("care_settings", CARE_SETTINGS, overrides)
    if not set(care_settings["care"].to_pylist()) <= set(_CARE):
        raise ConfigFault("care_settings.csv: `care` is neither SCHEDULED nor UNSCHEDULED.", "Mend that column.")
    return AccessReference(
        care_settings=care_settings,
        withheld_settings=_gather("withheld_settings", WITHHELD_SETTINGS, overrides),
        withheld_organisations=_gather("withheld_organisations", WITHHELD_ORGANISATIONS, overrides),
        job_roles=_gather("sds_job_roles", JOB_ROLES, overrides),
        organisation_areas=_gather("organisation_areas", ORGANISATION_AREAS, overrides, key="ods_code, la_gss_code, valid_from"),
    )


def _gather(name: str, schema: pa.Schema, overrides: Path | None, *, key: str | None = None) -> pa.Table:
    """The packaged rows and the home's, the home's where both have the key (its first column unless given)."""
    tables = [_read(_PACKAGED / f"{name}.csv", schema)]
    if overrides is not None and (path := overrides / f"{name}.csv").exists():
        tables.append(_read(path, schema))
    return query(
        f"""SELECT {", ".join(schema.names)} FROM (SELECT *, 0 AS home FROM packaged UNION ALL SELECT *, 1 FROM own)
            QUALIFY row_number() OVER (PARTITION BY {key or schema.names[0]} ORDER BY home DESC) = 1 ORDER BY ALL""",
        {"packaged": tables[0], "own": tables[1] if len(tables) > 1 else schema.empty_table()},
    ).cast(schema)


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = csv.read_csv(
            pa.BufferReader(path.read_bytes()),
            convert_options=csv.ConvertOptions(column_types=schema, null_values=[""], strings_can_be_null=True),
        )
    except (OSError, pa.ArrowInvalid) as fault:
        why = fault.strerror if isinstance(fault, OSError) else where_in_csv(fault)
        raise ConfigFault(f"{path} does not read: {why}.", "Write it as CSV in UTF-8 with the packaged columns.") from None
    if table.column_names != schema.names:
        raise ConfigFault(f"{path}: the columns are not {', '.join(schema.names)}.", "Keep the packaged columns, in their order.")
    if table.column(0).null_count:
        raise ConfigFault(f"{path}: a row without {schema.names[0]}.", "Fill that column in every row, or remove the row.")
    return table.cast(schema)
