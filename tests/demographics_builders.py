"""The trace in tests: say what matters of an answer, the rest agrees with what `builders.plan` says of that child."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from cpis_batch.demographics import matching, request
from cpis_batch.demographics.request import Patience
from cpis_batch.demographics.response import ResponseReading, read_response
from cpis_batch.demographics.schema import ANSWERS, PERSONS, REQUESTS
from cpis_batch.demographics.settle import Settled, settle
from cpis_batch.vocabulary import Environment
from tests.builders import TODAY, nhs, row

HEADER = "H,CPIS-TRACE-RESPONSE,1.0,TEST,3,2026-11-20T04:10:00+00:00"
NOW = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
PATIENCE = Patience()
NOBODY = PERSONS.empty_table()
NOTHING_ASKED = REQUESTS.empty_table()


def asked(plans: pa.Table, *, sequence: int = 1, on: date = TODAY) -> pa.Table:
    """The questions (REQUESTS) about everybody in `plans`, none of whom is traced."""
    people = request.wanted(plans, NOBODY, NOTHING_ASKED, on=on, patience=PATIENCE)
    return request.make(people, sequence=sequence, environment=Environment.TEST, on=on, now=NOW).questions


def reference_of(questions: pa.Table, number: str) -> str:
    """The reference of the one question about a number."""
    (found,) = [one["reference"] for one in questions.to_pylist() if one["nhs_number"] == number]
    return str(found)


def answer(reference: str, child: int = 1, code: str = "20", **facts: Any) -> dict[str, Any]:
    """One answer (ANSWERS). With 20 and 21 it tells the record that the authority has too."""
    tells = code in ("20", "21")
    said = row(child)
    return {
        "line": child + 1,
        "reference": reference,
        "trace_code": code,
        "nhs_number": nhs(child) if tells else None,
        "family_name": said["family_name"] if tells else None,
        "given_name": said["given_name"] if tells else None,
        "date_of_birth": said["date_of_birth"] if tells else None,
        "sensitive": False,
        "practice_code": "A99901" if tells else None,
        "residence_code": "E09000012" if tells else None,
        "date_of_death": None,
        "answered_on": TODAY,
    } | facts


def answers(rows: Iterable[Mapping[str, Any]] = ()) -> pa.Table:
    """Answers as a table of ANSWERS."""
    return pa.Table.from_pylist([dict(one) for one in rows], schema=ANSWERS)


def settled(plans: pa.Table, *rows: Mapping[str, Any], before: pa.Table = NOBODY) -> Settled:
    """What comes of answers to questions about everybody in `plans`; a row's `reference` is the child's NHS number."""
    questions = asked(plans)
    given = [dict(one) | {"reference": reference_of(questions, one["reference"])} for one in rows]
    return settle(answers(given), questions, before, plans)


def person(found: Settled | pa.Table, child: int = 1) -> dict[str, Any]:
    """The one row of PERSONS about a child's number."""
    table = found.persons if isinstance(found, Settled) else found
    (one,) = [each for each in table.to_pylist() if each["nhs_number"] == nhs(child)]
    return dict(one)


def identity(plans: pa.Table) -> str:
    """The identity of the one person in `plans`."""
    (found,) = matching.identities(plans)["identity"].to_pylist()
    return str(found)


def line(reference: str = "00000001-20261120T020500Z-000001", child: int = 1, code: str = "20", **facts: str) -> str:
    """One D line of a response."""
    said = row(child)
    tells = code in ("20", "21")
    fields = {
        "reference": reference,
        "trace_code": code,
        "nhs_number": nhs(child) if tells else "",
        "family_name": said["family_name"] if tells else "",
        "given_name": said["given_name"] if tells else "",
        "date_of_birth": str(said["date_of_birth"]) if tells else "",
        "sensitive": "N" if tells else "",
        "practice_code": "A99901" if tells else "",
        "residence_code": "E09000012" if tells else "",
        "date_of_death": "",
    } | facts
    return ",".join(["D", *fields.values()])


def file_of(*lines: str, header: str = HEADER, count: int | None = None) -> bytes:
    """A response with these D lines and a right trailer (or one that says `count`)."""
    return "\n".join([header, *lines, f"T,{len(lines) if count is None else count}", ""]).encode()


def read(data: bytes, environment: Environment = Environment.TEST) -> ResponseReading:
    """Read a response as the TEST hub does."""
    return read_response(data, environment=environment, line_bytes=4096)


def codes(reading: ResponseReading) -> list[tuple[int, str]]:
    """Line and code of every fault."""
    return [(fault["line"], fault["code"]) for fault in reading.faults.to_pylist()]
