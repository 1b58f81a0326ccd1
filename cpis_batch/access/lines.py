"""What an authority is told of accesses, in a form that can be held for a month of one authority: LINES, and REPORT made of them.

The same rows as `access.report` makes for a night, which joins and writes out everything at once; here what repeats stays a
number into a list of words until a slice of it is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access.held import PERSONS, numbers
from cpis_batch.access.reference import AccessReference
from cpis_batch.access.schema import EVENTS, REPORT
from cpis_batch.engine import query

SLICE = 50_000  # lines written out at a time: 20 MB of text
_LONDON = pa.timestamp("us", tz="Europe/London")
_INSTANTS = 1 << 54  # microseconds since 1970, until the year 2540
_WORD = pa.dictionary(pa.int32(), pa.string())
WORDS = ("author_kind", "author_name", "job_role", "responsible_person", "organisation_code", "organisation_name", "care_setting")

# What the views of a month need of an event; and the rest, which only the lines of the month do.
NARROW = ["event_id", "accessed_at", "nhs_number", "organisation_code", "care_setting", "notifies_la"]
WIDE = [name for name in EVENTS.names if name != "line"]

# A row an authority and event, by authority, time and event id. Of an access before the month, what only its lines need is null.
LINES = pa.schema(
    [
        pa.field("la_code", _WORD),
        pa.field("event_id", pa.string()),
        pa.field("accessed_at", EVENTS.field("accessed_at").type),
        pa.field("that_day", pa.date32()),  # in England
        *(pa.field(name, _WORD) for name in WORDS),
        pa.field("nhs_number", pa.string()),
        pa.field("child_id", pa.string()),
        pa.field("plan_types", _WORD),
        pa.field("out_of_area", _WORD),
    ]
)

# Over numbers: a join of text took twice as long.
_TOLD = """
WITH placed AS (
    SELECT place, organisation, that_day, bool_or(la_gss_code = la_code) AS inside
    FROM (SELECT DISTINCT place, organisation, that_day FROM looks)
    JOIN las USING (place) JOIN organisations USING (organisation) JOIN areas ON ods_code = organisation_code
    WHERE coalesce(valid_from <= that_day, true) AND coalesce(valid_to >= that_day, true)
    GROUP BY place, organisation, that_day
)
SELECT row, period, inside
FROM looks JOIN periods USING (person) LEFT JOIN placed USING (place, organisation, that_day)
WHERE that_day BETWEEN from_day AND to_day
"""


def told(looks: pa.Table, periods: pa.Table, reference: AccessReference) -> pa.Table:
    """LINES, in no order, of those `looks` that their authority is told: la_code, and NARROW or WIDE without the flag.

    Looks come sifted, each event once an authority; `periods` are `held.periods` of those authorities.
    """
    las, organisations = encoded(looks["la_code"]), encoded(looks["organisation_code"])
    places = dict(zip(las.dictionary.to_pylist(), range(len(las.dictionary)), strict=True))
    day = looks["accessed_at"].cast(_LONDON).cast(pa.date32())
    place = las.indices.to_numpy().astype(np.int64)
    theirs = encoded(periods["la_code"])
    own = np.array([places.get(code, -1) for code in theirs.dictionary.to_pylist()], np.int64)[theirs.indices.to_numpy()]
    found = query(
        _TOLD,
        {
            "looks": pa.table(
                {
                    "row": np.arange(looks.num_rows),
                    "person": place * PERSONS + numbers(looks["nhs_number"]),
                    "place": place,
                    "organisation": organisations.indices,
                    "that_day": day,
                }
            ),
            "periods": pa.table(
                {
                    "period": np.arange(periods.num_rows),
                    "person": own * PERSONS + numbers(periods["nhs_number"]),
                    "from_day": periods["from_day"],
                    "to_day": periods["to_day"],
                }
            ),
            "las": pa.table({"place": np.arange(len(las.dictionary)), "la_code": las.dictionary}),
            "organisations": pa.table(
                {
                    "organisation": pa.array(np.arange(len(organisations.dictionary)), organisations.indices.type),
                    "organisation_code": organisations.dictionary,
                }
            ),
            "areas": reference.organisation_areas,
        },
    )
    rows = looks.append_column("that_day", day).take(found["row"])
    for name in ("child_id", "plan_types"):
        rows = rows.append_column(name, periods[name].take(found["period"]))
    return _as(rows.append_column("out_of_area", pc.if_else(found["inside"], "N", "Y")), LINES)


def _as(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def ordered(parts: list[pa.Table]) -> pa.Table:
    """LINES of many parts as one, by authority, time and event id. The parts are taken from the list, and never held twice."""
    rows = pa.concat_tables([LINES.empty_table(), *parts]).unify_dictionaries()
    parts.clear()
    las = encoded(rows["la_code"])
    rank = np.argsort(np.argsort(las.dictionary.to_numpy(zero_copy_only=False)))
    at = rank[las.indices.to_numpy()] * _INSTANTS + rows["accessed_at"].cast(pa.int64()).to_numpy()
    order = np.argsort(at, kind="stable")
    at = at[order]
    same = np.flatnonzero(at[1:] == at[:-1])
    tied = np.union1d(same, same + 1)  # accesses of one instant, which are in order of their ids
    ids = pa.table({"at": at[tied], "event_id": rows["event_id"].take(pa.array(order[tied]))})
    order[tied] = order[tied][pc.sort_indices(ids, [("at", "ascending"), ("event_id", "ascending")]).to_numpy()]
    columns = []
    for name in LINES.names:  # one after the other, each let go before the next
        columns.append(rows[name].combine_chunks().take(pa.array(order)))
        rows = rows.drop_columns([name])
    return pa.table(columns, schema=LINES)


def encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """A column of words as one array of numbers into a list of them."""
    whole = column.combine_chunks()
    return whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()


def report_id(la_code: str, lines: pa.Table) -> str:
    """As `access.report` makes it: of the authority and its events alone."""
    made = hashlib.sha256(la_code.encode())
    ids = lines["event_id"].take(pc.sort_indices(lines["event_id"]))
    for place in range(0, len(ids), SLICE):
        made.update(("\n" if place else "").encode() + "\n".join(ids.slice(place, SLICE).to_pylist()).encode())
    return f"ASN-{la_code}-{made.hexdigest()[:16]}"


def slices(la_code: str, lines: pa.Table, reference: AccessReference) -> Iterator[pa.Table]:
    """REPORT of one authority's LINES, in their order, so much at a time as is to be written at once."""
    named = report_id(la_code, lines)
    for place in range(0, lines.num_rows, SLICE):
        yield _report(named, lines.slice(place, SLICE), reference)


def _report(named: str, rows: pa.Table, reference: AccessReference) -> pa.Table:
    settings, roles = reference.care_settings, reference.job_roles
    code = rows["care_setting"].cast(pa.string())
    role = rows["job_role"].cast(pa.string())
    columns = {name: rows[name] for name in REPORT.names if name in rows.column_names} | {
        "report_id": pa.array([named] * rows.num_rows, pa.string()),
        "accessed_at_local": _local(rows["accessed_at"]),
        "job_role": pc.coalesce(roles["display"].take(pc.index_in(role, value_set=roles["code"])), role),
        "care_setting_code": code,
        "care_setting": settings["name"].take(pc.index_in(code, value_set=settings["code"])),
    }
    return pa.table([columns[field.name].cast(field.type) for field in REPORT], schema=REPORT)


def _local(instants: pa.ChunkedArray) -> pa.ChunkedArray:
    """What clocks in England showed, with their offset."""
    seconds = pc.floor_temporal(instants, unit="second").cast(pa.timestamp("s", tz="UTC"))
    there = pc.local_timestamp(seconds.cast(pa.timestamp("s", tz="Europe/London")))
    winter = pc.equal(there, pc.local_timestamp(seconds))
    return pc.binary_join_element_wise(pc.strftime(there, "%Y-%m-%dT%H:%M:%S"), pc.if_else(winter, "+00:00", "+01:00"), "")
