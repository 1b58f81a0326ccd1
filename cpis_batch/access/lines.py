"""What an authority is told of accesses, in a form that can be held for a month of one authority: LINES, and REPORT made of them.

The same rows as `access.report` makes for a night, which joins and writes out everything at once; here what repeats stays a
number into a list of words until a slice of it is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access import held
from cpis_batch.access.held import Periods, encoded, numbers
from cpis_batch.access.reference import AccessReference
from cpis_batch.access.schema import EVENTS, REPORT
from cpis_batch.engine import query

SLICE = 50_000  # lines written out at a time: 20 MB of text
_LONDON = pa.timestamp("us", tz="Europe/London")
_HOUR = 3_600_000_000  # microseconds
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
        pa.field("nhs_number", _WORD),  # numbers into what the authority holds, where one may stand several times
        pa.field("child_id", _WORD),
        pa.field("plan_types", _WORD),
        pa.field("out_of_area", _WORD),
    ]
)

# Whether an organisation lies in an authority on a day; nothing of one whose area nobody knows.
_INSIDE = """
SELECT spot, bool_or(la_gss_code = la_code) AS inside FROM spots JOIN areas ON ods_code = organisation_code
WHERE coalesce(valid_from <= that_day, true) AND coalesce(valid_to >= that_day, true) GROUP BY spot
"""


def told(looks: pa.Table, periods: Periods, reference: AccessReference) -> pa.Table:
    """LINES, in no order, of those `looks` that their authority is told: la_code, and NARROW or WIDE without the flag.

    Looks come sifted, each event once an authority; `periods` are those of these authorities' plans.
    """
    coded = {name: encoded(looks[name]) for name in ("la_code", *WORDS) if name in looks.column_names}
    day = by_the_hour(looks["accessed_at"], lambda begun: begun.cast(_LONDON).cast(pa.date32()))
    found = periods.of(coded["la_code"], numbers(looks["nhs_number"]), held.days(day))
    row = np.flatnonzero(found >= 0)
    period, rows = pa.array(found[row], pa.int32()), pa.array(row)
    own = periods.table
    columns = {name: looks[name].take(rows) for name in ("event_id", "accessed_at")}
    columns |= {name: column.take(rows) for name, column in coded.items()}
    columns["that_day"] = day.take(rows)
    for name in ("nhs_number", "child_id"):
        columns[name] = pa.DictionaryArray.from_arrays(period, own[name].combine_chunks())
    columns["plan_types"] = encoded(own["plan_types"]).take(period)
    columns["out_of_area"] = _out_of_area(columns["la_code"], columns["organisation_code"], columns["that_day"], reference)
    return pa.table(
        [columns[field.name].cast(field.type) if field.name in columns else pa.nulls(len(row), field.type) for field in LINES],
        schema=LINES,
    )


def by_the_hour(instants: pa.ChunkedArray, told: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """What is `told` of instants (UTC), where it is the same for all within an hour: worked out once an hour."""
    hours = pa.array(instants.cast(pa.int64()).to_numpy() // _HOUR).dictionary_encode()
    begun = pa.array(hours.dictionary.to_numpy() * _HOUR).cast(EVENTS.field("accessed_at").type)
    return told(begun).take(hours.indices)


def _out_of_area(
    las: pa.DictionaryArray, organisations: pa.DictionaryArray, day: pa.Array, reference: AccessReference
) -> pa.DictionaryArray:
    """N, Y, or nothing where no area is known, of each access: asked once a place and day."""
    most = len(organisations.dictionary)
    place = las.indices.to_numpy().astype(np.int64) * (most + 1)
    place += organisations.indices.fill_null(most).to_numpy()
    spots = pa.array(held.person_days(place, held.days(day))).dictionary_encode()
    _, first = np.unique(spots.indices.to_numpy(), return_index=True)
    at = pa.array(first)
    found = query(
        _INSIDE,
        {
            "spots": pa.table(
                {
                    "spot": np.arange(len(first)),
                    "la_code": las.take(at),
                    "organisation_code": organisations.take(at),
                    "that_day": day.take(at),
                }
            ),
            "areas": reference.organisation_areas,
        },
    )
    answers = np.full(len(first), 2)
    known = found.filter(pc.is_valid(found["inside"]))
    answers[known["spot"].to_numpy()] = np.where(known["inside"].to_numpy(), 0, 1)
    answer = answers[spots.indices.to_numpy()]
    return pa.DictionaryArray.from_arrays(pa.array(answer, pa.int32(), mask=answer == 2), ["N", "Y"])


def ordered(parts: list[pa.Table]) -> pa.Table:
    """LINES of many parts as one, by authority, time and event id. The parts are taken from the list, and never held twice."""
    rows = pa.concat_tables(parts or [LINES.empty_table()]).unify_dictionaries()
    parts.clear()
    las = encoded(rows["la_code"])
    rank = np.argsort(np.argsort(las.dictionary.to_numpy(zero_copy_only=False)))
    at = rank[las.indices.to_numpy()] * _INSTANTS + rows["accessed_at"].cast(pa.int64()).to_numpy()
    if _is_ordered(at, rows["event_id"]):  # as parts of events are: nothing has to be moved
        return rows.combine_chunks()
    order = np.argsort(at)
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


def _is_ordered(at: npt.NDArray[np.int64], ids: pa.ChunkedArray) -> bool:
    if np.any(at[1:] < at[:-1]):
        return False
    whole = ids.combine_chunks()
    return not np.any((at[1:] == at[:-1]) & ~pc.less(whole[:-1], whole[1:]).to_numpy(zero_copy_only=False))


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
