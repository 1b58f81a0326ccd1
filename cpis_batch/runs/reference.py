"""The home's reference tables brought up to date by public lists, each dated; and a vesting day rehearsed on the register."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa

from cpis_batch import audit_key, catalogue, config, files, organisations
from cpis_batch.audit.entry import Deed, Kind
from cpis_batch.catalogue import Catalogue
from cpis_batch.demographics import places
from cpis_batch.demographics.schema import PERSONS
from cpis_batch.errors import UsageFault
from cpis_batch.geography import boards, lookups, practices, rehearsal, revision
from cpis_batch.geography.revision import Revised
from cpis_batch.keystore import load_master_key
from cpis_batch.organisations import TABLES, Organisations
from cpis_batch.register import view
from cpis_batch.register.store import PartStore
from cpis_batch.runs import lock

FOLDER = "reference"
DATED = tuple(name for name, columns in TABLES.items() if "valid_from" in columns)


@dataclass(frozen=True, slots=True)
class Change:
    """What a list would make of a table. `after` are all tables with it, which hold together; `source` is the list's SHA-256."""

    name: str
    revised: Revised
    after: Organisations
    source: str
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def changes(self) -> bool:
        """Whether the table would be another one."""
        return any(self.revised.counts.get(name) for name in ("new", "changed", "ended"))


def of_practices(home: Path, data: bytes, *, areas: bytes | None, on: date) -> Change:
    """What `epraccur` makes of practice_chis. `areas`: a CSV `area_code,chis_code`, for ICBs or commissioners with several units.

    InputRefused where a list does not read; ConfigFault where the tables would contradict each other.
    """
    known = organisations.load(home / FOLDER)
    units = practices.units_of_areas(known.tables, on)
    if areas is not None:
        units |= practices.read_areas(areas)
    listed = practices.read(data, units, on=on)
    ends = dict(zip(*(known.tables["chis_units"][name].to_pylist() for name in ("chis_code", "valid_to")), strict=True))
    revised = revision.revise(known.tables["practice_chis"], listed, on=on, until=ends)
    return _change(known, "practice_chis", revised, data, listed.left_out)


def of_places(home: Path, data: bytes, *, on: date) -> Change:
    """What an ONS lookup of lower to upper tier makes of lower_to_upper_tier. Faults as of `of_practices`."""
    known = organisations.load(home / FOLDER)
    listed = lookups.read(data)
    names = ("lower_tier_name", "upper_tier_name")
    revised = revision.revise(known.tables["lower_to_upper_tier"], listed, on=on, names=names)
    return _change(known, "lower_to_upper_tier", revised, data, listed.left_out)


def of_boards(home: Path, data: bytes, *, on: date) -> list[Change]:
    """What an ONS lookup of areas to ICBs makes of integrated_care_boards and local_authority_icb. Faults likewise."""
    known = organisations.load(home / FOLDER)
    lookup = boards.read(data)
    named = boards.revised_boards(known.tables["integrated_care_boards"], lookup, on=on)
    tiers = known.tables["lower_to_upper_tier"]
    linked, left_out = boards.revised_links(known.tables["local_authority_icb"], lookup, named.table, tiers, on=on)
    after = replace(
        known,
        tables={**known.tables, "integrated_care_boards": named.table, "local_authority_icb": linked.table},
        version="",
    )
    digest = files.digest_of(data)
    return [
        Change("integrated_care_boards", named, after, digest),
        Change("local_authority_icb", linked, after, digest, left_out),
    ]


def of_rows(home: Path, names_and_data: Mapping[str, bytes]) -> list[Change]:
    """What rows of our own layouts make of the dated tables of those names, together: a merger takes several. Faults likewise."""
    known = organisations.load(home / FOLDER)
    revised = {}
    for name, data in names_and_data.items():
        if name not in DATED:
            raise UsageFault(f"{name} is no dated table.", f"These are: {', '.join(DATED)}.")
        revised[name] = revision.replaced(known.tables[name], organisations.read_table(Path(f"{name}.csv"), data, TABLES[name]))
    after = Organisations({**known.tables, **{name: one.table for name, one in revised.items()}}, "")
    return [Change(name, one, after, files.digest_of(names_and_data[name])) for name, one in revised.items()]


def _change(known: Organisations, name: str, revised: Revised, data: bytes, left_out: Counter[str]) -> Change:
    after = replace(known, tables={**known.tables, name: revised.table}, version="")
    return Change(name, revised, after, files.digest_of(data), left_out)


def write(home: Path, changes: list[Change], *, now: datetime) -> None:
    """Put the tables into the home's reference folder, told in the audit log. Locked where a run is at work.

    The entry is written first: a kill in between leaves an entry without its table, never a table without its entry.
    """
    master = load_master_key(home, config.load(home))
    with lock.exclusive(home, "reference import"), Catalogue(home / catalogue.FILE_NAME) as opened, files.names_together():
        opened.sign_with(audit_key.load(home, master, opened.audit_key()))
        for change in changes:
            data = _csv(change.revised.table)
            facts = {"command": "reference import", "table": change.name, "list": change.source, "sha256": files.digest_of(data)}
            opened.tell(Deed(Kind.COMMAND, facts | change.revised.counts), now)
            files.write(home / FOLDER / f"{change.name}.csv", data)


def _csv(table: pa.Table) -> bytes:
    """A table as the packaged ones are written, for people to read and mend: quotes where they are needed alone."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(row.values() for row in table.to_pylist())
    return text.getvalue().encode()


def rehearsed(home: Path, *, today: date, on: date) -> pa.Table:
    """rehearsal.LANDINGS of the register as it stands, on a day to come. UsageFault where the day is past."""
    if on < today:
        raise UsageFault(f"{on} is past.", "Rehearse a day that is still to come.")
    settings = config.load(home)
    known = organisations.load(home / FOLDER)
    store = PartStore(home / "register", load_master_key(home, settings))
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        parts = [store.read(version.plans_part) for version in opened.las()]
        traced = {part.name: part.part for part in opened.trace_parts()}.get("PERSONS")
    if not parts:
        return rehearsal.LANDINGS.empty_table()
    active = view.active(pa.concat_tables(parts), on)
    persons = places.places(store.read(traced) if traced else PERSONS.empty_table(), active)
    return rehearsal.rehearse(
        active,
        persons,
        known.routing_reference(),
        known.tables["lower_to_upper_tier"],
        today=today,
        on=on,
        policy=settings.extracts.policy,
    )
