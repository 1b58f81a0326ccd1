"""Which CHIS unit each plan belongs to, on a date, and why; what belongs nowhere is listed with a reason.

A child belongs to the unit of the registered GP practice; failing that, of the residence; failing that, of the sending
authority. Under the policy `all` the plan goes to every unit that one of these three leads to, once each. Sensitive persons
are routed by the sending authority alone: it tells nothing of where they are. A person whom the trace reports dead is on nobody's
list to contact (FAULTS F52): the plan stands, goes to no unit, and is listed until the authority has ended it.

Rows that still come under the code of an abolished authority follow that code's own row in `la_chis` if there is one on
that date, else the authorities that took over, if these all have the same unit.

Names do not pass through here, so that nothing after it can disclose one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.engine import query
from cpis_batch.errors import Bug
from cpis_batch.vocabulary import RoutingBasis

# What is known of a person's places, a row a person at most: ODS code of the GP practice, GSS code of the district or
# authority of residence, whether the record is sensitive (S-flagged), and whether it has a date of death.
PERSONS = pa.schema(
    [
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("practice_code", pa.string()),
        pa.field("residence_code", pa.string()),
        pa.field("sensitive", pa.bool_(), nullable=False),
        pa.field("deceased", pa.bool_(), nullable=False),
    ]
)

_PLAN = [
    pa.field("la_code", pa.string(), nullable=False),
    pa.field("nhs_number", pa.string(), nullable=False),
    pa.field("plan_type", pa.string(), nullable=False),
    pa.field("start_date", pa.date32(), nullable=False),
    pa.field("date_of_birth", pa.date32(), nullable=False),
]
ROUTED = pa.schema(
    [*_PLAN, pa.field("chis_code", pa.string(), nullable=False), pa.field("routing_basis", pa.string(), nullable=False)]
)
UNROUTABLE = pa.schema([*_PLAN, pa.field("reason", pa.string(), nullable=False)])


class Unroutable(StrEnum):
    """Why nothing leads from a plan to a unit."""

    UNKNOWN_LA = "UNKNOWN_LA"  # the reference tables do not have the authority
    LA_NOT_YET = "LA_NOT_YET"  # it does not exist yet on that date
    LA_HAS_NO_UNIT = "LA_HAS_NO_UNIT"  # neither it nor a successor is served by a unit on that date
    SUCCESSORS_DIFFER = "SUCCESSORS_DIFFER"  # it is abolished, and those that took over have different units
    DECEASED = "DECEASED"  # PDS has a date of death: nobody is to be contacted before the authority has looked


@dataclass(frozen=True, slots=True)
class Reference:
    """The date-effective tables that routing stands on, as `organisations` has them.

    `local_authorities`: gss_code, valid_from, valid_to, successors. The others: the code of an authority (la_gss_code), a
    practice (practice_code) or a place (residence_code), chis_code, valid_from, valid_to.
    """

    local_authorities: pa.Table
    la_chis: pa.Table
    practice_chis: pa.Table
    residence_chis: pa.Table


@dataclass(frozen=True, slots=True)
class Routed:
    """Every active plan, in one of two tables: `rows` (ROUTED, a row a plan and unit) or `unroutable` (UNROUTABLE)."""

    rows: pa.Table
    unroutable: pa.Table


_STANDS = "valid_from <= $on AND (valid_to IS NULL OR valid_to >= $on)"

_LA_UNITS = f"""
WITH RECURSIVE
  heirs(la_code, heir) AS (
    SELECT gss_code, gss_code FROM local_authorities
    UNION
    SELECT la_code, next_heir
    FROM (SELECT heirs.la_code, unnest(string_split(gone.successors, ' ')) AS next_heir
          FROM heirs JOIN local_authorities AS gone ON gone.gss_code = heirs.heir AND gone.valid_to < $on) AS steps),
  served AS (SELECT la_gss_code, chis_code FROM la_chis WHERE {_STANDS}),
  inherited AS (
    SELECT la_code, count(DISTINCT coalesce(chis_code, '')) AS units, any_value(chis_code) AS chis_code
    FROM heirs JOIN local_authorities ON gss_code = heir AND {_STANDS}
    LEFT JOIN served ON la_gss_code = heir
    GROUP BY la_code)
SELECT authority.gss_code AS la_code,
       coalesce(own.chis_code, CASE WHEN inherited.units = 1 THEN inherited.chis_code END) AS chis_code,
       CASE WHEN authority.valid_from > $on THEN '{Unroutable.LA_NOT_YET}'
            WHEN inherited.units > 1 THEN '{Unroutable.SUCCESSORS_DIFFER}'
            ELSE '{Unroutable.LA_HAS_NO_UNIT}' END AS reason
FROM local_authorities AS authority
LEFT JOIN served AS own ON own.la_gss_code = authority.gss_code
LEFT JOIN inherited ON inherited.la_code = authority.gss_code
"""

_PLACED = f"""
SELECT plan.la_code, plan.nhs_number, plan.plan_type, plan.start_date, plan.date_of_birth,
       CASE WHEN NOT dead THEN practices.chis_code END AS by_practice,
       CASE WHEN NOT dead THEN residences.chis_code END AS by_residence,
       CASE WHEN NOT dead THEN las.chis_code END AS by_la,
       CASE WHEN dead THEN '{Unroutable.DECEASED}' ELSE las.reason END AS reason
FROM (SELECT plans.*, coalesce(deceased, false) AS dead,
             CASE WHEN NOT sensitive THEN practice_code END AS practice_code,
             CASE WHEN NOT sensitive THEN residence_code END AS residence_code
      FROM plans LEFT JOIN persons USING (nhs_number)) AS plan
LEFT JOIN practices USING (practice_code)
LEFT JOIN residences USING (residence_code)
LEFT JOIN las USING (la_code)
"""

_COLUMNS = "la_code, nhs_number, plan_type, start_date, date_of_birth"

_FIRST = f"""
SELECT {_COLUMNS}, coalesce(by_practice, by_residence, by_la) AS chis_code,
       CASE WHEN by_practice IS NOT NULL THEN '{RoutingBasis.PRACTICE}'
            WHEN by_residence IS NOT NULL THEN '{RoutingBasis.RESIDENCE}'
            ELSE '{RoutingBasis.SENDING_LA}' END AS routing_basis
FROM placed WHERE chis_code IS NOT NULL
"""

_ALL = f"""
SELECT {_COLUMNS}, by_practice AS chis_code, '{RoutingBasis.PRACTICE}' AS routing_basis
FROM placed WHERE by_practice IS NOT NULL
UNION ALL
SELECT {_COLUMNS}, by_residence, '{RoutingBasis.RESIDENCE}'
FROM placed WHERE by_residence IS NOT NULL AND by_residence IS DISTINCT FROM by_practice
UNION ALL
SELECT {_COLUMNS}, by_la, '{RoutingBasis.SENDING_LA}'
FROM placed WHERE by_la IS NOT NULL AND by_la IS DISTINCT FROM by_practice AND by_la IS DISTINCT FROM by_residence
"""

_NOWHERE = f"""
SELECT {_COLUMNS}, coalesce(reason, '{Unroutable.UNKNOWN_LA}') AS reason
FROM placed WHERE by_practice IS NULL AND by_residence IS NULL AND by_la IS NULL
"""


def route(
    active: pa.Table, persons: pa.Table, reference: Reference, *, on: date, policy: Literal["first", "all"] = "first"
) -> Routed:
    """Find the unit or units of each active plan (register.schema.PLANS, of any number of authorities) on the date `on`.

    Bug where a table says two things of one code or person on that date: a plan would go to two units.
    """
    las = units_of_authorities(reference, on)
    practices = _standing(reference.practice_chis, "practice_code", on)
    residences = _standing(reference.residence_chis, "residence_code", on)
    _once(las, "la_code")
    _once(practices, "practice_code")
    _once(residences, "residence_code")
    _once(persons, "nhs_number")
    tables = {"plans": active, "persons": persons, "practices": practices, "residences": residences, "las": las}
    placed = query(_PLACED, tables)
    rows = query(_FIRST if policy == "first" else _ALL, {"placed": placed})
    return Routed(rows.cast(ROUTED), query(_NOWHERE, {"placed": placed}).cast(UNROUTABLE))


def units_of_authorities(reference: Reference, on: date) -> pa.Table:
    """la_code, chis_code (null where no unit is found) and reason (Unroutable, where it is) of every authority there ever was."""
    return query(_LA_UNITS, {"local_authorities": reference.local_authorities, "la_chis": reference.la_chis}, {"on": on})


def _standing(table: pa.Table, code: str, on: date) -> pa.Table:
    return query(f"SELECT {code}, chis_code FROM dated WHERE {_STANDS}", {"dated": table}, {"on": on})


def _once(table: pa.Table, column: str) -> None:
    repeated = table.num_rows - pc.count_distinct(table[column], mode="all").as_py()
    if repeated:
        raise Bug(f"Routing: {repeated:,} rows repeat a {column} on one day.", "Mend the reference or trace tables.")
