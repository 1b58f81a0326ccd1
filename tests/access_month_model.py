"""A month of one authority as anybody would count it, from the lines it was told one by one: what `access.month` is held to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from cpis_batch.access.month import OFTEN, OFTEN_DAYS, Month
from cpis_batch.business_time import LONDON

Row = Mapping[str, Any]


def day_of(row: Row) -> date:
    """In England."""
    there: date = row["accessed_at"].astimezone(LONDON).date()
    return there


def tallied(rows: Sequence[Row], code: str, name: str) -> list[tuple[str, str, int, int]]:
    """Code, the first name given or the code, accesses and people; most first."""
    found = []
    for key in {row[code] for row in rows}:
        mine = [row for row in rows if row[code] == key]
        named = next((row[name] for row in mine if row[name]), key)
        found.append((key, named, len(mine), len({row["nhs_number"] for row in mine})))
    return sorted(found, key=lambda line: (-line[2], line[1], line[0]))


def months(rows: Sequence[Row], plans: Sequence[Row], month: Month) -> dict[str, Any]:
    """`rows` (REPORT) and `plans` (PLANS) of one authority, by time."""
    inside = [row for row in rows if month.first <= day_of(row) <= month.last]
    hours = Counter((day_of(row).isoweekday(), row["accessed_at"].astimezone(LONDON).hour) for row in inside)
    return {
        "events": [row["event_id"] for row in inside],
        "people": len({row["nhs_number"] for row in inside}),
        "settings": tallied(inside, "care_setting_code", "care_setting"),
        "organisations": tallied(inside, "organisation_code", "organisation_name"),
        "days": Counter(day_of(row) for row in inside),
        "hours": list(hours.items()),  # in the order in which they first came, which tells the peak where two are as busy
        "areas": Counter(row["out_of_area"] for row in inside),
        "often": sorted(_often(rows, month)),
        "first": sorted(_first(rows, plans, month)),
    }


def _often(rows: Sequence[Row], month: Month) -> list[tuple[Any, ...]]:
    found = []
    for person in {row["nhs_number"] for row in rows}:
        mine = [row for row in rows if row["nhs_number"] == person]
        spans = []
        for last in {day_of(row) for row in mine if month.first <= day_of(row) <= month.last}:
            looks = [row for row in mine if last - timedelta(days=OFTEN_DAYS) < day_of(row) <= last]
            spans.append((len(looks), last, looks))
        if spans:
            times, last, looks = max(spans, key=lambda span: span[:2])
            if times >= OFTEN:
                organisations = len({row["organisation_code"] for row in looks})
                child = max(row["child_id"] for row in looks)
                found.append((child, person, times, min(map(day_of, looks)), last, organisations))
    return found


def _first(rows: Sequence[Row], plans: Sequence[Row], month: Month) -> list[tuple[Any, ...]]:
    found = []
    for plan in plans:
        looks = [
            row
            for row in rows
            if row["nhs_number"] == plan["nhs_number"]
            and day_of(row) >= plan["start_date"]
            and plan["plan_type"] in row["plan_types"].split(";")
        ]
        if looks and month.first <= day_of(looks[0]) <= month.last:
            days = (day_of(looks[0]) - plan["start_date"]).days
            found.append(
                (plan["child_id"], plan["nhs_number"], plan["plan_type"], plan["start_date"], looks[0]["accessed_at"],
                 looks[0]["care_setting"], days)
            )  # fmt: skip
    return found
