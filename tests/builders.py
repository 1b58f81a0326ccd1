"""Plans, accepted rows and their tables for tests: say what matters, the rest is an ordinary child of an ordinary authority."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from itertools import islice
from typing import Any

import pyarrow as pa

from cpis_batch.nhs_number import numbers_for_tests
from cpis_batch.register.merge import ExtractFacts
from cpis_batch.register.schema import ACCEPTED, HISTORY, PLANS
from cpis_batch.vocabulary import ExtractKind

HACKNEY = "E09000012"
KENT = "E10000016"
TODAY = date(2026, 11, 20)
TONIGHT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


@cache
def _numbers(count: int) -> tuple[str, ...]:
    return tuple(islice(numbers_for_tests(), count))


def nhs(child: int) -> str:
    """The NHS number, of the test range, of the `child`-th child."""
    return _numbers(1 << max(8, child.bit_length()))[child]


def row(child: int = 1, plan_type: str = "CPP", start: date = date(2026, 2, 11), **facts: Any) -> dict[str, Any]:
    """One row of an extract as the rules let it through (ACCEPTED)."""
    return {
        "line": child + 2,
        "nhs_number": nhs(child),
        "child_id": f"LC-{child:06d}",
        "family_name": f"Family{child}",
        "given_name": f"Given{child}",
        "date_of_birth": date(1994, 8, 2) if plan_type == "UCPP" else date(2019, 4, 30),
        "plan_type": plan_type,
        "start_date": start,
        "end_date": None,
        "delete_date": None,
    } | facts


def plan(
    child: int = 1, plan_type: str = "CPP", start: date = date(2026, 2, 11), la_code: str = HACKNEY, **facts: Any
) -> dict[str, Any]:
    """One plan as the register holds it (PLANS)."""
    said = row(child, plan_type, start)
    held = {name: said[name] for name in PLANS.names if name in said} | {
        "la_code": la_code,
        "end_date": None,
        "end_basis": "LA" if facts.get("end_date") else None,
        "last_confirmed_on": date(2026, 11, 19),
        "missing_since": None,
        "known_from": datetime(2026, 11, 19, 2, 0, tzinfo=UTC),
        "source_file": digest_like("the file before"),
        "source_line": said["line"],
    }
    return held | facts


def accepted(rows: Iterable[Mapping[str, Any]] = ()) -> pa.Table:
    """Rows as a table of ACCEPTED."""
    return pa.Table.from_pylist([dict(one) for one in rows], schema=ACCEPTED)


def plans(rows: Iterable[Mapping[str, Any]] = ()) -> pa.Table:
    """Plans as a table of PLANS."""
    return pa.Table.from_pylist([dict(one) for one in rows], schema=PLANS)


def history(rows: Iterable[Mapping[str, Any]] = ()) -> pa.Table:
    """Versions of plans as a table of HISTORY; each row needs `known_to` and `change` beside those of `plan`."""
    return pa.Table.from_pylist([dict(one) for one in rows], schema=HISTORY)


def rejected(*rows: Mapping[str, Any]) -> pa.Table:
    """What merge is told of rows that the rules kept out."""
    return pa.table(
        {name: pa.array([one[name] for one in rows], pa.string()) for name in ("nhs_number", "plan_type")},
    )


def extract(
    kind: ExtractKind = ExtractKind.FULL, extracted_on: date = TODAY, la_code: str = HACKNEY, turned_away: pa.Table | None = None
) -> ExtractFacts:
    """What merge is told of a file."""
    return ExtractFacts(la_code, kind, extracted_on, digest_like(f"{la_code} {kind} {extracted_on}"), turned_away)


def digest_like(text: str) -> str:
    """A SHA-256 to stand for a file."""
    return hashlib.sha256(text.encode()).hexdigest()
