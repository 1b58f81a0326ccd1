"""LA extracts for tests, as bytes: say what matters, the rest is an ordinary file of an ordinary authority."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from cpis_batch.intake.check import CheckContext, Verdict, check
from cpis_batch.intake.read import LINE_BYTES, read_extract
from cpis_batch.vocabulary import Environment
from tests.builders import HACKNEY, TODAY, nhs

HEADER = {
    "record_type": "H",
    "format": "CPIS-LA-EXTRACT",
    "version": "1.0",
    "environment": "TEST",
    "la_code": HACKNEY,
    "kind": "FULL",
    "sequence": "118",
    "extracted_at": "2026-11-19T23:40:00+00:00",
    "office_phone": "020 7946 0100",
    "emergency_phone": "020 7946 0199",
}


def written(fields: Iterable[object]) -> str:
    """One record of RFC 4180, without its line end."""
    line = io.StringIO()
    csv.writer(line).writerow(fields)
    return line.getvalue().removesuffix("\r\n")


def h(**fields: str) -> str:
    """The header record."""
    return written((HEADER | fields).values())


def d(child: int = 1, plan_type: str = "CPP", **fields: Any) -> str:
    """The detail record of the `child`-th child (for UCPP: mother)."""
    return written(
        (
            {
                "record_type": "D",
                "nhs_number": nhs(child),
                "child_id": f"LC-{child:06d}",
                "family_name": f"Family{'abcdefghij'[child % 10]}",
                "given_name": "Zoë",
                "date_of_birth": "1994-08-02" if plan_type == "UCPP" else "2019-04-30",
                "plan_type": plan_type,
                "start_date": "2026-02-11",
                "end_date": "",
                "delete_date": "",
            }
            | fields
        ).values()
    )


def t(rows: Iterable[str]) -> str:
    """The trailer record that fits these details, damaged ones included where their number can be read."""
    numbers = [line.split(",")[1].replace(" ", "").replace("-", "") for line in rows if line.startswith("D,")]
    return f"T,{len(numbers)},{sum(int(n) for n in numbers if n.isascii() and n.isdigit()) % 10**10}"


def extract(*rows: str, header: str | None = None, trailer: str | None = None, end: str = "\r\n") -> bytes:
    """A whole file of these details."""
    lines = (h() if header is None else header, *rows, t(rows) if trailer is None else trailer)
    return "".join(line + end for line in lines).encode()


def context(environment: str = "TEST", la_code: str = HACKNEY, today: date = TODAY) -> CheckContext:
    """What is known of the file before it is read."""
    return CheckContext(la_code, Environment(environment), today)


def judged(data: bytes, given: CheckContext | None = None) -> Verdict:
    """What the check finds of a file."""
    return check(read_extract(data, line_bytes=LINE_BYTES), given or context())


def codes(verdict: Verdict) -> list[tuple[int | None, str]]:
    """(line, code) of every fault, in order."""
    return list(zip(verdict.faults["line"].to_pylist(), verdict.faults["code"].to_pylist(), strict=True))


def row_codes(given: CheckContext | None = None, **fields: Any) -> list[str]:
    """The codes found of one detail."""
    return each_row_codes([fields], given)[0]


def each_row_codes(rows: Sequence[dict[str, Any]], given: CheckContext | None = None) -> list[list[str]]:
    """The codes found of each of these details, of as many children, checked in one file."""
    found: list[list[str]] = [[] for _ in rows]
    for line, code in codes(judged(extract(*(d(child, **fields) for child, fields in enumerate(rows))), given)):
        assert line is not None
        assert line >= 2, code
        found[line - 2].append(code)
    return found


def outcomes(verdict: Verdict) -> dict[int, str]:
    """The outcome of every line that has one."""
    lines = verdict.outcomes["line"].to_pylist()
    assert len(lines) == len(set(lines))
    return dict(zip(lines, verdict.outcomes["outcome"].to_pylist(), strict=True))
