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

from cpis_batch.access.held import DAY_BITS, PERSONS, day_number, days, encoded, numbers, person_days
from cpis_batch.access.lines import by_the_hour
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


class ByPerson:
    """The order of some LINES by authority, person and day."""

    def __init__(self, lines: pa.Table) -> None:
        place, _ = _coded(lines["la_code"])
        at = person_days(place * PERSONS + numbers(lines["nhs_number"]), days(lines["that_day"]))
        self.order = np.argsort(at)
        self.at = at[self.order]  # `held.person_days`
        self.persons = np.flatnonzero(np.diff(self.at >> DAY_BITS, prepend=-1))  # where each begins
        self.days = np.flatnonzero(np.diff(self.at, prepend=-1))  # where each day of a person begins


def tallies(lines: pa.Table, ordered: ByPerson) -> pa.Table:
    """TALLIES of LINES, each authority's by kind and by when the first of them came."""
    place, las = _coded(lines["la_code"])
    day = days(lines["that_day"])
    first, last = (int(day.min()), int(day.max())) if len(day) else (0, 0)
    dates = [str(date.fromordinal(number + _EPOCH)) for number in range(first, last + 1)]
    names = lines["organisation_name"]
    nobody: Sequence[str | None] = [""]
    parts = [
        _tally("ALL", place, las, np.zeros_like(place), nobody, ordered),
        _tally("SETTING", place, las, *_coded(lines["care_setting"]), ordered),
        _tally("ORGANISATION", place, las, *_coded(lines["organisation_code"]), ordered, names),
        _tally("DAY", place, las, day - first, dates),
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
    ordered: ByPerson | None = None,
    names: pa.ChunkedArray | None = None,
) -> pa.Table:
    key = place * len(codes) + code
    size = len(las) * len(codes)
    accesses = np.bincount(key, minlength=size)
    people = np.zeros(size, np.int64)
    if ordered is not None:
        people = np.bincount(_once_a_person(key, size, ordered), minlength=size)
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


def _once_a_person(key: Numbers, size: int, ordered: ByPerson) -> Numbers:
    """The keys (below `size`) of each person's accesses, each once a person."""
    each = np.diff(ordered.persons, append=len(key))
    pairs = np.repeat(np.arange(len(each)) * size, each) + key[ordered.order]
    pairs.sort(kind="stable")  # in order already but within a person
    return pairs[np.flatnonzero(np.diff(pairs, prepend=-1))] % size


def _first(key: Numbers, rows: Numbers, size: int) -> Numbers:
    """Of each key the first of the `rows`, which are in order; -1 where there is none."""
    first = np.full(size, -1)
    first[key[::-1]] = rows[::-1]
    return first


def _distinct(values: Numbers) -> Numbers:
    """Each once, in order. The values are sorted where they are."""
    values.sort()
    return values[np.flatnonzero(np.diff(values, prepend=-1))]


def busiest(lines: pa.Table, ordered: ByPerson, first: date, span: int, least: int) -> pa.Table:
    """Of each person looked at `least` times in the `span` days up to one from `first` on: the last of the busiest such days.

    la_code, child_id, nhs_number, times, first_day, last_day, organisations. LINES of the `span` before `first` too.
    """
    organisation, organisations = _coded(lines["organisation_code"])
    # a person's days lie side by side, so that those before a day are counted without a look at each of them
    at = ordered.at[ordered.days]
    before = ordered.days[np.searchsorted(at, at - (span - 1))] if len(at) else at
    day = (at & ((1 << DAY_BITS) - 1)) - day_number(first) + 2 * span
    score = np.where(day >= 2 * span, (np.append(ordered.days[1:], len(ordered.at)) - before) * _ROOM + day, 0)
    begins = np.searchsorted(ordered.days, ordered.persons)
    best = np.maximum.reduceat(score, begins) if len(begins) else score
    busy = best >= least * _ROOM
    each = np.diff(ordered.persons, append=len(ordered.at))
    last = np.repeat(np.where(busy, best % _ROOM, 0), each)
    day = np.repeat(day, np.diff(ordered.days, append=len(ordered.at)))
    within = (day <= last) & (day > last - span)  # nothing of a person who is not busy
    kept = ordered.order[within]
    which = np.repeat(np.cumsum(busy) - 1, each)[within]
    different = _distinct(which * len(organisations) + organisation[kept]) // len(organisations)
    opens = np.flatnonzero(np.diff(which, prepend=-1))
    times = np.diff(opens, append=len(which))
    at_first, at_last = pa.array(kept[opens]), pa.array(kept[opens + times - 1])
    return pa.table(
        {
            "la_code": lines["la_code"].take(at_first),
            "child_id": _greatest(encoded(lines["child_id"]), kept, which, opens),
            "nhs_number": lines["nhs_number"].take(at_first),
            "times": times,
            "first_day": lines["that_day"].take(at_first),
            "last_day": lines["that_day"].take(at_last),
            "organisations": np.bincount(different),
        }
    )


def _greatest(words: pa.DictionaryArray, rows: Numbers, which: Numbers, opens: Numbers) -> pa.Array:
    """Of the words of the `rows`, the last by alphabet for each of `which`, whose rows begin at `opens`."""
    if not len(opens):
        return words.dictionary.slice(0, 0)
    word = words.indices.to_numpy()[rows].astype(np.int64)
    found = np.maximum.reduceat(word, opens)
    several = (np.minimum.reduceat(word, opens) != found)[which]  # most have one alone: no text is compared
    chosen = query(
        "SELECT which, arg_max(number, word) AS number FROM words GROUP BY which",
        {
            "words": pa.table(
                {"which": which[several], "number": word[several], "word": words.dictionary.take(pa.array(word[several]))}
            )
        },
    )
    found[chosen["which"].to_numpy()] = chosen["number"].to_numpy()
    return words.dictionary.take(pa.array(found))


def begun(lines: pa.Table, ordered: ByPerson, plans: pa.Table) -> pa.Table:
    """Of each plan that was looked at since it began: la_code, child_id, nhs_number, plan_type and start_date; and of the first
    such access accessed_at, that_day and care_setting. LINES in their order, of as long before as is kept."""
    _, las = _coded(lines["la_code"])
    kinds, words = _coded(lines["plan_types"])
    masks = np.array([sum(_KINDS[kind] for kind in word.split(";")) if word else 0 for word in words])
    # all accesses to a person on one day were under the same plans
    line = np.minimum.reduceat(ordered.order, ordered.days) if len(ordered.days) else ordered.order
    at, held = ordered.at[ordered.days], masks[kinds[line]]

    places = {code: number for number, code in enumerate(las)}
    coded = encoded(plans["la_code"])
    own = np.array([places.get(code, -1) for code in coded.dictionary.to_pylist()], np.int64)[coded.indices.to_numpy()]
    number = np.flatnonzero(own >= 0)
    of_kind, types = _coded(plans["plan_type"])
    kind = np.array([_KINDS[word] if word else 0 for word in types])[of_kind]
    person = own * PERSONS + numbers(plans["nhs_number"])
    wanted = np.searchsorted(at, person_days(person[number], days(plans["start_date"].take(pa.array(number)))))
    found_plans, found_lines = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    while len(number):
        inside = wanted < len(at)
        number, wanted = number[inside], wanted[inside]
        same = at[wanted] >> DAY_BITS == person[number]
        number, wanted = number[same], wanted[same]
        its_own = held[wanted] & kind[number] != 0
        found_plans.append(number[its_own])
        found_lines.append(line[wanted[its_own]])
        number, wanted = number[~its_own], wanted[~its_own] + 1
    columns = ["la_code", "child_id", "nhs_number", "plan_type", "start_date"]
    of_plans = plans.select(columns).take(pa.array(np.concatenate(found_plans)))
    seen = pa.array(np.concatenate(found_lines))
    for name in ("accessed_at", "that_day", "care_setting"):
        of_plans = of_plans.append_column(name, lines[name].take(seen))
    return of_plans


_EPOCH = date(1970, 1, 1).toordinal()


def _coded(column: pa.ChunkedArray) -> tuple[Numbers, list[str | None]]:
    """Words as numbers into a list of them; the last of the list is the absent one."""
    coded = encoded(column)
    return coded.indices.fill_null(len(coded.dictionary)).to_numpy().astype(np.int64), [*coded.dictionary.to_pylist(), None]


def _hour_of_week(instants: pa.ChunkedArray) -> Numbers:
    """Weekday (1 is Monday) and hour in England: 123 is Monday, from 23:00 on."""

    def told(begun: pa.Array) -> pa.Array:
        there = pc.local_timestamp(begun.cast(pa.timestamp("us", tz="Europe/London")))
        return pc.add(pc.multiply(pc.day_of_week(there, count_from_zero=False), 100), pc.hour(there))

    hour: Numbers = by_the_hour(instants, told).to_numpy()
    return hour
