"""Who is who in England, by date: authorities, ICBs, NHS regions, CHIS units, who serves whom; and on which days all rest.

The facts are the CSV files of `reference/` (their README tells sources and licence); a home replaces any of them with a
file of the same name in its own `reference/`. Every row that can change holds `valid_from` and `valid_to`, both days
included, an empty `valid_to` for what still stands: a merger or a split is rows added, never code.

Authorities are known by their GSS code alone. A bare three-digit code is refused: 33 of them mean different authorities
in the lists of the Department for Education and of the ODS.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from cpis_batch.engine import query
from cpis_batch.errors import ConfigFault, UsageFault, where_in_csv
from cpis_batch.extracts.routing import Reference
from cpis_batch.working_days import WorkingDays

_TEXT, _DAY = pa.string(), pa.date32()
_PERIOD = {"valid_from": _DAY, "valid_to": _DAY}

# The tables, by file name without `.csv`, with their columns in order. `successors` are GSS codes between spaces;
# `principal` is Y for the one ICB that stands for an authority whose area two or three share.
TABLES: Mapping[str, Mapping[str, pa.DataType]] = {
    "local_authorities": {
        "gss_code": _TEXT,
        "name": _TEXT,
        "la_type": _TEXT,
        "region_gss_code": _TEXT,
        "region": _TEXT,
        **_PERIOD,
        "successors": _TEXT,
    },
    "lower_to_upper_tier": {
        "lower_tier_gss_code": _TEXT,
        "lower_tier_name": _TEXT,
        "upper_tier_gss_code": _TEXT,
        "upper_tier_name": _TEXT,
        **_PERIOD,
    },
    "nhs_regions": {"ods_code": _TEXT, "gss_code": _TEXT, "name": _TEXT},
    "integrated_care_boards": {"ods_code": _TEXT, "gss_code": _TEXT, "name": _TEXT, "nhs_region_ods_code": _TEXT, **_PERIOD},
    "local_authority_icb": {
        "la_gss_code": _TEXT,
        "icb_ods_code": _TEXT,
        "nhs_region_ods_code": _TEXT,
        "principal": _TEXT,
        **_PERIOD,
    },
    "chis_units": {"chis_code": _TEXT, "name": _TEXT, "nhs_region_ods_code": _TEXT, **_PERIOD},
    "la_chis": {"la_gss_code": _TEXT, "chis_code": _TEXT, **_PERIOD},
    "practice_chis": {"practice_code": _TEXT, "chis_code": _TEXT, **_PERIOD},
    "bank_holidays": {"day": _DAY, "name": _TEXT, "rule": _TEXT},
}

_GSS_CODE = re.compile(r"E(06|08|09|10)[0-9]{6}")
_A_CODE = re.compile(r"[A-Z]{1,6}[0-9][A-Z0-9]{0,8}")  # what may be repeated to an operator: no name, no number of a person
_THREE_DIGITS = re.compile(r"[0-9]{3}")


def la_code(text: str) -> str:
    """`text` if it has the form of the GSS code of an authority with children's services; else UsageFault, without the text."""
    if _THREE_DIGITS.fullmatch(text):
        raise UsageFault(
            "A three-digit code does not say which authority is meant.",
            "The Department for Education and the ODS use the same digits for different ones. Give the GSS code: E09000012.",
        )
    if not _GSS_CODE.fullmatch(text):
        raise UsageFault("This is not the GSS code of an authority with children's services.", "They look like E09000012.")
    return text


@dataclass(frozen=True, slots=True)
class LocalAuthority:
    """An authority with children's services, and the days from and to which its code stands."""

    code: str
    name: str
    la_type: str
    region_code: str
    region: str
    valid_from: date
    valid_to: date | None
    successors: tuple[str, ...]

    def stands_on(self, day: date) -> bool:
        """Whether it exists on `day`."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class ChisUnit:
    """A Child Health Information Service."""

    code: str
    name: str
    nhs_region: str


@dataclass(frozen=True)
class Organisations:
    """The reference tables (columns in TABLES) and the questions asked of them.

    `version` is the SHA-256 of the files read: a commit names it, so that a rerun can tell whether the world has changed.
    """

    tables: Mapping[str, pa.Table]
    version: str

    def __post_init__(self) -> None:
        _hold_together(self.tables)

    @cached_property
    def _authorities(self) -> dict[str, LocalAuthority]:
        return {
            row["gss_code"]: LocalAuthority(
                code=row["gss_code"],
                name=row["name"],
                la_type=row["la_type"],
                region_code=row["region_gss_code"],
                region=row["region"],
                valid_from=row["valid_from"],
                valid_to=row["valid_to"],
                successors=tuple((row["successors"] or "").split()),
            )
            for row in self.tables["local_authorities"].to_pylist()
        }

    @cached_property
    def _principal_icbs(self) -> list[dict[str, Any]]:
        return [row for row in self.tables["local_authority_icb"].to_pylist() if row["principal"] == "Y"]

    @cached_property
    def _units_of_las(self) -> list[dict[str, Any]]:
        links: list[dict[str, Any]] = self.tables["la_chis"].to_pylist()
        return links

    def la(self, code: str, on: date) -> LocalAuthority | None:
        """The authority with this GSS code, if it exists on `on`. UsageFault where `code` is no GSS code."""
        found = self._authorities.get(la_code(code))
        return found if found and found.stands_on(on) else None

    def las_on(self, on: date) -> tuple[LocalAuthority, ...]:
        """Every authority that exists on `on`, by code; 153 of them today."""
        return tuple(la for _, la in sorted(self._authorities.items()) if la.stands_on(on))

    def successors(self, code: str, on: date) -> tuple[str, ...]:
        """Who answers on `on` for the area of `code`: itself, those that took over from it in any number of steps, or nobody."""
        heirs, seen, look = set(), set(), [la_code(code)]
        while look:
            current = self._authorities.get(look.pop())
            if current is None or current.code in seen:
                continue
            seen.add(current.code)
            if current.stands_on(on):
                heirs.add(current.code)
            elif current.valid_to is not None and current.valid_to < on:
                look.extend(current.successors)
        return tuple(sorted(heirs))

    def icb_of(self, code: str, on: date) -> str | None:
        """The ODS code of the principal ICB of an authority on `on`; for an abolished one that of its first successor.

        None before July 2022, when there were none.
        """
        found = self._authorities.get(la_code(code))
        standing = {
            row["la_gss_code"]: row["icb_ods_code"]
            for row in self._principal_icbs
            if row["valid_from"] <= on and (row["valid_to"] is None or on <= row["valid_to"])
        }
        candidates = (found.code, *found.successors) if found else ()
        return next((standing[candidate] for candidate in candidates if candidate in standing), None)

    def units_on(self, on: date) -> tuple[ChisUnit, ...]:
        """Every CHIS unit that exists on `on`, by code."""
        found = query(
            """SELECT chis_code, name, nhs_region_ods_code FROM units
               WHERE valid_from <= $on AND (valid_to IS NULL OR valid_to >= $on) ORDER BY chis_code""",
            {"units": self.tables["chis_units"]},
            {"on": on},
        )
        return tuple(ChisUnit(row["chis_code"], row["name"], row["nhs_region_ods_code"]) for row in found.to_pylist())

    def las_of_unit(self, chis_code: str, on: date) -> tuple[LocalAuthority, ...]:
        """The authorities whose area the unit serves on `on`, by code."""
        served = {
            link["la_gss_code"]
            for link in self._units_of_las
            if link["chis_code"] == chis_code
            and link["valid_from"] <= on
            and (link["valid_to"] is None or link["valid_to"] >= on)
        }
        return tuple(self._authorities[code] for code in sorted(served))

    @cached_property
    def working_days(self) -> WorkingDays:
        """England's calendar."""
        return WorkingDays(frozenset(self.tables["bank_holidays"]["day"].to_pylist()))

    def routing_reference(self) -> Reference:
        """The tables that `extracts.routing` stands on."""
        return Reference(
            local_authorities=self.tables["local_authorities"],
            la_chis=self.tables["la_chis"],
            practice_chis=self.tables["practice_chis"],
            residence_chis=self.residence_chis,
        )

    @cached_property
    def residence_chis(self) -> pa.Table:
        """residence_code, chis_code, valid_from, valid_to: an authority's own code, and those of the districts of a county."""
        return query(
            """SELECT la_gss_code AS residence_code, chis_code, valid_from, valid_to FROM links
               UNION ALL
               SELECT lower_tier_gss_code, chis_code, greatest(tiers.valid_from, links.valid_from) AS valid_from,
                   least(tiers.valid_to, links.valid_to) AS valid_to
               FROM tiers JOIN links ON la_gss_code = upper_tier_gss_code
               WHERE lower_tier_gss_code <> upper_tier_gss_code
                   AND tiers.valid_from <= coalesce(links.valid_to, DATE '9999-12-31')
                   AND links.valid_from <= coalesce(tiers.valid_to, DATE '9999-12-31')
               ORDER BY ALL""",
            {"links": self.tables["la_chis"], "tiers": self.tables["lower_to_upper_tier"]},
        )


def load(overrides: Path | None = None) -> Organisations:
    """The packaged tables, each replaced by the file of its name in `overrides` (a home's `reference/`) if there is one.

    ConfigFault names the file where one does not read or the tables do not hold together.
    """
    packaged = Path(__file__).parent / "reference"
    tables: dict[str, pa.Table] = {}
    version = hashlib.sha256()
    for name, columns in TABLES.items():
        path = packaged / f"{name}.csv"
        if overrides is not None and (overrides / path.name).exists():
            path = overrides / path.name
        data = path.read_bytes()
        version.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
        tables[name] = read_table(path, data, columns)
    return Organisations(tables, version.hexdigest())


def read_table(path: Path, data: bytes, columns: Mapping[str, pa.DataType]) -> pa.Table:
    """The bytes of a reference table. ConfigFault, naming `path`, where it does not read or has other columns."""
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            convert_options=csv.ConvertOptions(column_types=columns, null_values=[""], strings_can_be_null=True),
        )
    except pa.ArrowInvalid as fault:
        raise ConfigFault(
            f"{path} does not read: {where_in_csv(fault)}.", "Write it as CSV in UTF-8 with the packaged columns and ISO dates."
        ) from None
    if table.column_names != list(columns):
        raise ConfigFault(f"{path}: the columns are not {', '.join(columns)}.", "Keep the packaged file's columns, in its order.")
    return table


def _contradictions() -> dict[str, str]:
    """What would send a child to two units, or to one that does not exist: for each a query that must find nothing."""
    found = {
        "local_authorities.csv: a code that is no GSS code, or is there twice": f"""
            SELECT gss_code FROM local_authorities GROUP BY gss_code
            HAVING count(*) > 1 OR NOT regexp_full_match(gss_code, '{_GSS_CODE.pattern}')""",
        "local_authorities.csv: a successor that is not in it": """
            SELECT heir FROM (SELECT unnest(string_split(successors, ' ')) AS heir FROM local_authorities) AS named
            ANTI JOIN local_authorities ON heir = gss_code""",
        "la_chis.csv: an authority that local_authorities.csv does not have": """
            SELECT la_gss_code FROM la_chis ANTI JOIN local_authorities ON la_gss_code = gss_code""",
    }
    for table, columns in TABLES.items():
        if "valid_from" in columns:
            found[f"{table}.csv: a period without a first day, or that ends before it begins"] = f"""
                SELECT {next(iter(columns))} FROM {table} WHERE valid_from IS NULL OR valid_to < valid_from"""
    for table, code in (("la_chis", "la_gss_code"), ("practice_chis", "practice_code")):
        found[f"{table}.csv: a unit that chis_units.csv does not have on those days"] = f"""
            SELECT {code} FROM {table} AS link ANTI JOIN chis_units AS unit
            ON link.chis_code = unit.chis_code AND link.valid_from >= unit.valid_from
            AND coalesce(link.valid_to, DATE '9999-12-31') <= coalesce(unit.valid_to, DATE '9999-12-31')"""
        found[f"{table}.csv: two units for one code on one day"] = _twice(table, code)
    found["local_authority_icb.csv: two principal ICBs for one authority on one day"] = _twice(
        "(FROM local_authority_icb WHERE principal = 'Y')", "la_gss_code"
    )
    found["local_authority_icb.csv: an ICB that integrated_care_boards.csv does not have"] = """
        SELECT icb_ods_code FROM local_authority_icb ANTI JOIN integrated_care_boards ON icb_ods_code = ods_code"""
    found["bank_holidays.csv: a row without a day, or a day that is there twice"] = """
        SELECT day FROM bank_holidays GROUP BY day HAVING count(*) > 1 OR day IS NULL"""
    found["lower_to_upper_tier.csv: two authorities for one place on one day"] = _twice(
        "lower_to_upper_tier", "lower_tier_gss_code"
    )
    found["chis_units.csv: a unit that is there twice"] = "SELECT chis_code FROM chis_units GROUP BY ALL HAVING count(*) > 1"
    return found


def _twice(table: str, code: str) -> str:
    return f"""
        SELECT {code} FROM {table}
        QUALIFY valid_from <= lag(coalesce(valid_to, DATE '9999-12-31')) OVER (PARTITION BY {code} ORDER BY valid_from)"""


def _hold_together(tables: Mapping[str, pa.Table]) -> None:
    for what, sql in _contradictions().items():
        found = query(sql, {name: table for name, table in tables.items() if name in sql})  # to register one takes 0.6 ms
        if found.num_rows:
            codes = sorted({value for value in map(str, found.column(0).to_pylist()) if _A_CODE.fullmatch(value)})[:5]
            told = ", ".join(codes) or "something that is no code"
            raise ConfigFault(
                f"Reference {what}: {told}.",
                "Mend the file in the home's reference/ folder.",
            )
