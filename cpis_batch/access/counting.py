"""Accesses counted, by whatever they were at, by person and by plan, for any authorities at once: LINES in, small tables out.

Everything is a whole number while it is counted: an authority, a code and a person are one number together, and numbers are
sorted in a twentieth of the time that text takes. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access.held import PERSONS, numbers
from cpis_batch.access.lines import encoded
from cpis_batch.engine import query

# Accesses by `kind` of what they were at (SETTING, ORGANISATION, DAY, HOUR, AREA; ALL of them): its code, and its name where that
# came with the accesses. HOUR is weekday (1 is Monday) and hour; `place` is that of the first of them among the month's lines.
TALLIES = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("code", pa.string()),
        pa.field("name", pa.string()),
        pa.field("accesses", pa.int64(), nullable=False),
        pa.field("people", pa.int64(), nullable=False),
        pa.field("place", pa.int64(), nullable=False),
    ]
)

Numbers = npt.NDArray[np.int64]
_ROOM = 1 << 16  # days of a person, with room before them that no other person's reach into
_KINDS = {"CPP": 1, "LAC": 2, "UCPP": 4}


def tallies(lines: pa.Table) -> pa.Table:
    """TALLIES of LINES, each authority's by kind and by when the first of them came."""
    place, las = _coded(lines["la_code"])
    person = numbers(lines["nhs_number"])
    day = lines["that_day"].cast(pa.int32()).to_numpy().astype(np.int64)
    first, last = (int(day.min()), int(day.max())) if len(day) else (0, 0)
    days = [str(date.fromordinal(number + _EPOCH)) for number in range(first, last + 1)]
    names = lines["organisation_name"]
    nobody: Sequence[str | None] = [""]
    parts = [
        _tally("ALL", place, las, np.zeros_like(place), nobody, person),
        _tally("SETTING", place, las, *_coded(lines["care_setting"]), person),
        _tally("ORGANISATION", place, las, *_coded(lines["organisation_code"]), person, names),
        _tally("DAY", place, las, day - first, days),
        _tally("HOUR", place, las, _hour_of_week(lines["accessed_at"]), [str(hour) for hour in range(800)]),
        _tally("AREA", place, las, *_coded(lines["out_of_area"])),
    ]
    return pa.concat_tables(parts).sort_by([(name, "ascending") for name in ("la_code", "kind", "place")])


def _tally(
    kind: str,
    place: Numbers,
    las: Sequence[str | None],
    code: Numbers,
    codes: Sequence[str | None],
    person: Numbers | None = None,
    names: pa.ChunkedArray | None = None,
) -> pa.Table:
    key = place * len(codes) + code
    size = len(las) * len(codes)
    accesses = np.bincount(key, minlength=size)
    people = np.zeros(size, np.int64)
    if person is not None:
        people = np.bincount(_distinct(key * PERSONS + person) // PERSONS, minlength=size)
    found = np.flatnonzero(accesses)
    named = pa.nulls(len(found), pa.string())
    if names is not None:
        having = np.flatnonzero(names.is_valid().to_numpy())
        at = _first(key[having], having, size)[found]
        named = names.take(pa.array(at, mask=at < 0)).cast(pa.string()).combine_chunks()
    columns = [
        pa.array(las).take(pa.array(found // len(codes))),
        pa.array([kind] * len(found), pa.string()),
        pa.array(codes, pa.string()).take(pa.array(found % len(codes))),
        named,
        pa.array(accesses[found]),
        pa.array(people[found]),
        pa.array(_first(key, np.arange(len(key)), size)[found]),
    ]
    return pa.table([column.cast(field.type) for column, field in zip(columns, TALLIES, strict=True)], schema=TALLIES)


def _first(key: Numbers, rows: Numbers, size: int) -> Numbers:
    """Of each key the first of the `rows`, which are in order; -1 where there is none."""
    first = np.full(size, -1)
    first[key[::-1]] = rows[::-1]
    return first


def _distinct(values: Numbers) -> Numbers:
    """Each once, in order. The values are sorted where they are."""
    values.sort()
    return values[np.flatnonzero(np.diff(values, prepend=-1))]


def busiest(lines: pa.Table, first: date, days: int) -> pa.Table:
    """Of each person looked at from the day `first` on: the `days` up to such a day in which that was most often, the last such.

    la_code, child_id, nhs_number, times, first_day, last_day, organisations. LINES of the `days` before `first` too.
    """
    place, _ = _coded(lines["la_code"])
    organisation, organisations = _coded(lines["organisation_code"])
    day = lines["that_day"].cast(pa.int32()).to_numpy() - (first.toordinal() - _EPOCH) + 2 * days
    at = (place * PERSONS + numbers(lines["nhs_number"])) * _ROOM + day
    order = np.argsort(at)
    at, day = at[order], day[order]
    # a person's days lie side by side, so that those before a day are counted without a look at each of them
    before, after = np.searchsorted(at, at - (days - 1)), np.searchsorted(at, at, side="right")
    begins = np.flatnonzero(np.diff(at // _ROOM, prepend=-1))
    score = np.where(day >= 2 * days, (after - before) * _ROOM + day, 0)
    best = np.maximum.reduceat(score, begins) if len(begins) else score
    last = np.repeat(best % _ROOM, np.diff(begins, append=len(at)))
    kept = order[(day <= last) & (day > last - days)]  # nothing of a person whose best is nought
    which = np.repeat(np.cumsum(best > 0) - 1, np.diff(begins, append=len(at)))[(day <= last) & (day > last - days)]
    different = _distinct(which * len(organisations) + organisation[kept]) // len(organisations)
    opens = np.flatnonzero(np.diff(which, prepend=-1))
    times = np.diff(opens, append=len(which))
    closes = opens + times - 1
    childs = query(
        "SELECT max(child_id) AS child_id FROM looks GROUP BY which ORDER BY which",
        {"looks": pa.table({"which": which, "child_id": lines["child_id"].take(pa.array(kept))})},
    )
    found = lines.select(["la_code", "nhs_number"]).take(pa.array(kept[opens]))
    return (
        found.append_column("child_id", childs["child_id"])
        .append_column("times", pa.array(times))
        .append_column("first_day", lines["that_day"].take(pa.array(kept[opens])))
        .append_column("last_day", lines["that_day"].take(pa.array(kept[closes])))
        .append_column("organisations", pa.array(np.bincount(different)))
    )


def begun(lines: pa.Table, plans: pa.Table) -> pa.Table:
    """Of each plan that was looked at since it began: la_code, child_id, nhs_number, plan_type and start_date; and of the first
    such access accessed_at, that_day and care_setting. LINES in their order, of as long before as is kept."""
    place, las = _coded(lines["la_code"])
    places = {code: number for number, code in enumerate(las)}
    kinds, words = _coded(lines["plan_types"])
    masks = np.array([sum(_KINDS[kind] for kind in word.split(";")) if word else 0 for word in words])
    coded = encoded(plans["la_code"])
    own = pa.array([places.get(code) for code in coded.dictionary.to_pylist()], pa.int64()).take(coded.indices)
    plans = plans.append_column("place", own).filter(pc.is_valid(own))
    kind, types = _coded(plans["plan_type"])
    found = query(
        """
        SELECT number, min(line) AS line FROM looks JOIN plans USING (person)
        WHERE that_day >= start_date AND types & kind <> 0 GROUP BY number
        """,
        {
            "looks": pa.table(
                {
                    "person": place * PERSONS + numbers(lines["nhs_number"]),
                    "that_day": lines["that_day"],
                    "types": masks[kinds],
                    "line": np.arange(lines.num_rows),
                }
            ),
            "plans": pa.table(
                {
                    "person": plans["place"].to_numpy() * PERSONS + numbers(plans["nhs_number"]),
                    "start_date": plans["start_date"],
                    "kind": np.array([_KINDS[word] if word else 0 for word in types])[kind],
                    "number": np.arange(plans.num_rows),
                }
            ),
        },
    )
    of_plans = plans.select(["la_code", "child_id", "nhs_number", "plan_type", "start_date"]).take(found["number"])
    for name in ("accessed_at", "that_day", "care_setting"):
        of_plans = of_plans.append_column(name, lines[name].take(found["line"]))
    return of_plans


_EPOCH = date(1970, 1, 1).toordinal()


def _coded(column: pa.ChunkedArray) -> tuple[Numbers, list[str | None]]:
    """Words as numbers into a list of them; the last of the list is the absent one."""
    coded = encoded(column)
    return coded.indices.fill_null(len(coded.dictionary)).to_numpy().astype(np.int64), [*coded.dictionary.to_pylist(), None]


def _hour_of_week(instants: pa.ChunkedArray) -> Numbers:
    """Weekday (1 is Monday) and hour in England: 123 is Monday, from 23:00 on."""
    there = pc.local_timestamp(instants.cast(pa.timestamp("us", tz="Europe/London")))
    hour: Numbers = pc.add(pc.multiply(pc.day_of_week(there, count_from_zero=False), 100), pc.hour(there)).to_numpy()
    return hour
