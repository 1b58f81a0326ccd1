"""Places: the ONS lookup from lower to upper tier comes to the county or unitary authority of each district.

Its headings name the year and the kind of area: LTLA25CD or LAD25CD for the lower tier, UTLA25CD or CTYUA25CD for the upper, each
with its name (NM). Other columns are passed over, other countries than England too.
"""

from __future__ import annotations

import re
from collections import Counter

from cpis_batch.errors import InputRefused
from cpis_batch.geography.public_list import Listed, rows

_LOWER, _UPPER = re.compile(r"(LTLA|LAD)[0-9]{2}(CD|NM)"), re.compile(r"(UTLA|CTYUA)[0-9]{2}(CD|NM)")
_ENGLAND = re.compile(r"E(06|07|08|09|10)[0-9]{6}")
_ELSEWHERE = re.compile(r"[NSW][0-9]{8}")
_WHAT, _ADVICE = "The lookup", "Give the lookup of lower to upper tier authorities as the ONS publishes it, as CSV."


def read(data: bytes) -> Listed:
    """The lookup. InputRefused, by line, where it is not of that layout or says two things of one place."""
    records = rows(data, _WHAT)
    first = next(records, None)
    if first is None:
        raise InputRefused(f"{_WHAT} is empty.", _ADVICE)
    lower, lower_name = _columns(first[1], _LOWER)
    upper, upper_name = _columns(first[1], _UPPER)
    leads_to: dict[str, str | None] = {}
    names: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    for line, cells in records:
        if len(cells) != len(first[1]):
            raise InputRefused(f"{_WHAT}, line {line}: {len(cells)} columns and not {len(first[1])}.", _ADVICE)
        place, authority = cells[lower], cells[upper]
        if _ELSEWHERE.fullmatch(place):
            left_out["not in England"] += 1
            continue
        if not (_ENGLAND.fullmatch(place) and _ENGLAND.fullmatch(authority)):
            raise InputRefused(f"{_WHAT}, line {line}: no GSS code of an authority in England.", _ADVICE)
        if leads_to.setdefault(place, authority) != authority:
            raise InputRefused(f"{_WHAT}, line {line}: a place that lies in two authorities.", _ADVICE)
        names |= {place: cells[lower_name], authority: cells[upper_name]}
    return Listed(leads_to, names, left_out)


def _columns(headings: list[str], kind: re.Pattern[str]) -> tuple[int, int]:
    """The places of code and name of a kind of area."""
    found = {match[2]: place for place, heading in enumerate(headings) if (match := kind.fullmatch(heading))}
    if found.keys() != {"CD", "NM"}:
        raise InputRefused(f"{_WHAT} has no code and name of the {'lower' if kind is _LOWER else 'upper'} tier.", _ADVICE)
    return found["CD"], found["NM"]
