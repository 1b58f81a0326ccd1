"""What each CHIS unit is sent in a fortnight: its rows, what changed since its extract before, the file and its name.

A unit's extract is complete: every plan that it is to show. Beside these stand, first in the file, the rows that it had
in the extract before and has no longer (CEASED), so that flags are taken down. Whether such a plan has ended, was deleted
or moved to another unit is not told: the unit needs none of it, and a move would disclose where the child is now.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from cpis_batch.csv_text import to_csv
from cpis_batch.engine import query
from cpis_batch.errors import Bug
from cpis_batch.extracts.batches import split
from cpis_batch.extracts.schedule import Fortnight
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import ExtractChange

FORMAT, VERSION = "chis-extract", "1.0"

# How an authority stands on the night of the release: its name, the phones of its newest merged extract (null where it gave
# none) and the instant at which it took that extract from its case system. A row an authority.
LA_STATE = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("la_name", pa.string(), nullable=False),
        pa.field("office_phone", pa.string()),
        pa.field("emergency_phone", pa.string()),
        pa.field("data_as_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)

# A release: the rows of all units, sorted by unit and then as they stand in the file. What is kept of it until the next
# release is this table; the file has the columns after `chis_code`.
EXTRACT = pa.schema(
    [
        pa.field("chis_code", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("date_of_birth", pa.date32(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("start_date", pa.date32(), nullable=False),
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("la_name", pa.string(), nullable=False),
        pa.field("office_phone", pa.string()),
        pa.field("emergency_phone", pa.string()),
        pa.field("data_as_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("routing_basis", pa.string(), nullable=False),
        pa.field("change", pa.string(), nullable=False),
    ]
)

_KEY = "chis_code, la_code, nhs_number, plan_type, start_date"
_PERSON = "chis_code, la_code, nhs_number, plan_type"
_TOLD = ("date_of_birth", "la_name", "office_phone", "emergency_phone", "routing_basis")

# A start date that the authority corrected makes another key of the same plan. Such rows are paired, per unit, authority,
# person and type in the order of their start dates, so that the unit reads one CHANGED row and not a CEASED beside a NEW.
_BUILD = f"""
WITH
  before AS (SELECT * FROM previous WHERE change <> '{ExtractChange.CEASED}'),
  now AS (SELECT routed.*, la_name, office_phone, emergency_phone, data_as_at FROM routed JOIN la_state USING (la_code)),
  appeared AS (SELECT *, row_number() OVER (PARTITION BY {_PERSON} ORDER BY start_date) AS place
               FROM now ANTI JOIN before USING ({_KEY})),
  gone AS (SELECT *, row_number() OVER (PARTITION BY {_PERSON} ORDER BY start_date) AS place
           FROM before ANTI JOIN now USING ({_KEY})),
  held AS (
    SELECT now.*, CASE WHEN {" AND ".join(f"now.{name} IS NOT DISTINCT FROM before.{name}" for name in _TOLD)}
                       THEN '{ExtractChange.UNCHANGED}' ELSE '{ExtractChange.CHANGED}' END AS change
    FROM now JOIN before USING ({_KEY})),
  met AS (
    SELECT appeared.*, CASE WHEN gone.place IS NULL THEN '{ExtractChange.NEW}' ELSE '{ExtractChange.CHANGED}' END AS change
    FROM appeared LEFT JOIN gone USING ({_PERSON}, place)),
  ceased AS (
    SELECT gone.* REPLACE (coalesce(la_state.data_as_at, gone.data_as_at) AS data_as_at, '{ExtractChange.CEASED}' AS change)
    FROM gone ANTI JOIN appeared USING ({_PERSON}, place) LEFT JOIN la_state ON la_state.la_code = gone.la_code)
SELECT {", ".join(EXTRACT.names)} FROM (
  SELECT {", ".join(EXTRACT.names)} FROM held UNION ALL
  SELECT {", ".join(EXTRACT.names)} FROM met UNION ALL
  SELECT {", ".join(EXTRACT.names)} FROM ceased)
ORDER BY chis_code, change <> '{ExtractChange.CEASED}', nhs_number, plan_type, la_code, start_date
"""


def build(routed: pa.Table, previous: pa.Table | None, la_state: pa.Table) -> pa.Table:
    """The release (EXTRACT) to some units: `routed` (routing.ROUTED) with its authorities' LA_STATE, against the one before.

    `previous` are all rows that these units had in that, its CEASED rows included, or None before the first. Bug where an
    authority with plans has no state, or two.
    """
    states = query("SELECT la_code, count(*) AS n FROM la_state GROUP BY ALL", {"la_state": la_state})
    astray = query(
        "SELECT DISTINCT la_code FROM routed ANTI JOIN (SELECT la_code FROM states WHERE n = 1) AS once USING (la_code)",
        {"routed": routed, "states": states},
    )
    if astray.num_rows:
        codes = ", ".join(sorted(astray["la_code"].to_pylist())[:5])
        raise Bug(f"CHIS extract: authorities with plans have no state, or two: {codes}.", "Nothing was released.")
    before = EXTRACT.empty_table() if previous is None else previous
    return query(_BUILD, {"routed": routed, "previous": before, "la_state": la_state}).cast(EXTRACT)


def by_unit(extract: pa.Table, units: Collection[str]) -> dict[str, pa.Table]:
    """The extract of each of `units`, in order, empty where it has no rows; and of any other that has rows to be told.

    The latter is a unit that is closed, or that a home's tables no longer have, and whose flags have to come down.
    """
    files = split(extract)
    return {code: files.get(code, EXTRACT.empty_table()) for code in sorted({*units, *files})}


def unit_csv(table: pa.Table) -> bytes:
    """The file of one unit (rows of one `chis_code`): the columns of the specification, whose order it is."""
    return to_csv(table.select(table_schema(FORMAT, VERSION, "extract").names))


def file_name(unit: str, fortnight: Fortnight, sequence: int) -> str:
    """The name under which a unit finds its extract. `sequence` rises by one with each extract to that unit."""
    return f"CPIS_CHIS_{unit}_{fortnight.label}_{sequence:04}.csv.pgp"


def summary_name(unit: str, fortnight: Fortnight, sequence: int) -> str:
    """The name of the page that goes with the extract."""
    return f"CPIS_CHIS_{unit}_{fortnight.label}_{sequence:04}.summary.html.pgp"


def manifest_name(unit: str, fortnight: Fortnight, sequence: int) -> str:
    """The name of the manifest that goes with the extract."""
    return f"CPIS_CHIS_{unit}_{fortnight.label}_{sequence:04}.manifest.json.pgp"
