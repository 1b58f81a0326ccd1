"""The trace service of a rehearsal: a PDS of the synthetic population that answers the hub's requests, with all that goes wrong.

What it holds follows from the population and the seed alone, never from what is asked: most records agree with what the
authorities hold (in capitals, without accents, often with a second name), and some do not, in the ways of `Oddity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.business_time import text_of
from cpis_batch.engine import query
from cpis_batch.envelope.desk import open_at_desk
from cpis_batch.envelope.outcome import Opened
from cpis_batch.errors import InputRefused
from cpis_batch.intake.frame import Format, Framed, read_frame
from cpis_batch.intake.records import Form
from cpis_batch.sandbox import extracts
from cpis_batch.sandbox.drops import Drop, Senders, fingerprint
from cpis_batch.sandbox.england import England, numbering
from cpis_batch.sandbox.volumes import volumes
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Environment, TraceCode

TRACE = "TRACE"  # the trace service, as a partner
ELSEWHERE = 0.44  # of looked-after children: those who live outside the authority that looks after them
SECOND_NAME = 0.5
LINE_BYTES = 4096

_REQUEST = Format(
    "CPIS-TRACE-REQUEST",
    ("1.0",),
    "CPT",
    Form(*(table_schema("trace-request", "1.0", part) for part in ("header", "detail", "trailer"))),
)


class Oddity(StrEnum):
    """What is not as the authority has it, or not there, for one person in so many."""

    UNKNOWN = "UNKNOWN"
    SEVERAL = "SEVERAL"
    NOT_VERIFIED = "NOT_VERIFIED"
    SUPERSEDED = "SUPERSEDED"
    ADOPTED = "ADOPTED"
    SENSITIVE = "SENSITIVE"
    DEAD = "DEAD"
    NO_PRACTICE = "NO_PRACTICE"
    OTHER_BIRTH = "OTHER_BIRTH"
    OTHER_FAMILY = "OTHER_FAMILY"
    OTHER_GIVEN = "OTHER_GIVEN"
    BUSY = "BUSY"  # cannot be looked for in every second response


SHARES: Mapping[Oddity, float] = {
    Oddity.UNKNOWN: 0.004,
    Oddity.SEVERAL: 0.001,
    Oddity.NOT_VERIFIED: 0.001,
    Oddity.SUPERSEDED: 0.003,
    Oddity.ADOPTED: 0.001,
    Oddity.SENSITIVE: 0.004,
    Oddity.DEAD: 0.0005,
    Oddity.NO_PRACTICE: 0.01,
    Oddity.OTHER_BIRTH: 0.004,
    Oddity.OTHER_FAMILY: 0.004,
    Oddity.OTHER_GIVEN: 0.004,
    Oddity.BUSY: 0.002,
}
_WITHOUT_A_RECORD = {
    Oddity.UNKNOWN: TraceCode.NO_MATCH,
    Oddity.SEVERAL: TraceCode.SEVERAL,
    Oddity.NOT_VERIFIED: TraceCode.NOT_VERIFIED,
    Oddity.ADOPTED: TraceCode.INACTIVE,
}


@dataclass(frozen=True)
class TraceService:
    """What the service knows: `records`, a row an NHS number, in the columns of an answer, with its `oddity` (empty: none)."""

    records: pa.Table

    def answer(self, request: bytes, *, sequence: int, now: datetime) -> Drop:
        """The response to the plaintext of one request, made at `now`. InputRefused where it is no request of ours."""
        framed = read_frame(request, _REQUEST, environment=Environment.TEST, line_bytes=LINE_BYTES)
        if not isinstance(framed, Framed):
            raise InputRefused("The trace service cannot read the request.", "Look at specs/trace-request/1.0.")
        names = table_schema("trace-response", "1.0", "detail").names[1:]
        busy = f"oddity = '{Oddity.BUSY}' AND {sequence} % 2 = 1"
        told = query(
            f"""
            SELECT asked.reference, CASE WHEN {busy} THEN '{TraceCode.NOT_TRACED}'
                    ELSE coalesce(record.trace_code, '{TraceCode.NO_MATCH}') END AS trace_code,
                {", ".join(f"CASE WHEN NOT ({busy}) THEN record.{name} END AS {name}" for name in names[2:])}
            FROM asked LEFT JOIN records AS record ON record.asked_number = asked.nhs_number ORDER BY asked.reference
            """,
            {"asked": framed.rows.filter(pc.is_null(framed.rows["damage"])), "records": self.records},
        )
        header = f"H,CPIS-TRACE-RESPONSE,1.0,TEST,{sequence},{text_of(now)}\r\n"
        stamp = text_of(now).replace("-", "").replace(":", "")
        return Drop(
            sender=TRACE,
            name=f"CPIS_TRACE_RESPONSE_{sequence:08d}_{stamp}.csv.pgp",
            put_at=now + timedelta(minutes=5),
            content=header.encode() + extracts.records([told[name] for name in names]) + b"T,%d\r\n" % told.num_rows,
        )


def practice_code(la_code: str) -> str:
    """The ODS code, of no real practice, of the practice in an authority's area."""
    return f"ZP{list(volumes()).index(la_code):04d}"


def practices(units: Mapping[str, str]) -> bytes:
    """`practice_chis.csv` of a home's `reference/`: the invented practices, and the unit of each authority's area."""
    lines = [f"{practice_code(la)},{units[la]},2009-01-01," for la in sorted(volumes())]
    return "\n".join(["practice_code,chis_code,valid_from,valid_to", *lines, ""]).encode()


def make_service(england: England) -> TraceService:
    """What PDS has of the population: the row of the first authority that holds each number, oddities put in."""
    people = query(
        """
        SELECT nhs_number, arg_min(la_code, (la_code, start_date)) AS la_code,
            arg_min(family_name, (la_code, start_date)) AS family,
            arg_min(given_name, (la_code, start_date)) AS given, arg_min(date_of_birth, (la_code, start_date)) AS born,
            bool_or(plan_type = 'LAC') AS looked_after
        FROM plans GROUP BY nhs_number ORDER BY nhs_number
        """,
        {"plans": england.plans},
    )
    numbers = people["nhs_number"].cast(pa.int64()).to_numpy()
    oddities = _oddities(numbers, england.seed)
    lives = _lives(people, numbers, england.seed)
    made = people.append_column("oddity", pa.array(oddities.tolist(), pa.string()))
    made = made.append_column("practice", pa.array([practice_code(la) for la in lives]))
    made = made.append_column("residence", pa.array(lives))
    made = made.append_column("other_number", pa.array(_others(numbers, england.seed)).cast(pa.string()))
    made = made.append_column("second", pa.array(_chance(numbers, england.seed, 2) < SECOND_NAME))
    without = " ".join(f"WHEN '{oddity}' THEN '{code}'" for oddity, code in _WITHOUT_A_RECORD.items())
    tells = f"oddity NOT IN ({', '.join(repr(str(oddity)) for oddity in _WITHOUT_A_RECORD)})"
    records = query(
        f"""
        SELECT nhs_number AS asked_number, oddity,
            CASE oddity {without} WHEN '{Oddity.SUPERSEDED}' THEN '{TraceCode.SUPERSEDED}'
                ELSE '{TraceCode.FOUND}' END AS trace_code,
            CASE WHEN oddity = '{Oddity.SUPERSEDED}' THEN other_number WHEN {tells} THEN nhs_number END AS nhs_number,
            CASE WHEN oddity = '{Oddity.OTHER_FAMILY}' THEN 'OTHERWISE'
                 WHEN {tells} THEN upper(strip_accents(family)) END AS family_name,
            CASE WHEN oddity = '{Oddity.OTHER_GIVEN}' THEN 'OTTOLINE'
                 WHEN {tells} THEN upper(strip_accents(given)) || CASE WHEN second THEN ' ALEX' ELSE '' END END AS given_name,
            CASE WHEN oddity = '{Oddity.OTHER_BIRTH}' THEN born - 1 WHEN {tells} THEN born END AS date_of_birth,
            CASE WHEN {tells} THEN CASE WHEN oddity = '{Oddity.SENSITIVE}' THEN 'Y' ELSE 'N' END END AS sensitive,
            CASE WHEN {tells} AND oddity NOT IN ('{Oddity.SENSITIVE}', '{Oddity.NO_PRACTICE}') THEN practice END AS practice_code,
            CASE WHEN {tells} AND oddity <> '{Oddity.SENSITIVE}' THEN residence END AS residence_code,
            CASE WHEN oddity = '{Oddity.DEAD}' THEN $on - 7 END AS date_of_death
        FROM made ORDER BY asked_number
        """,
        {"made": made},
        {"on": england.on},
    )
    return TraceService(records)


def respond(senders: Senders, england: England, *, answered: set[str], now: datetime) -> list[Drop]:
    """Answer the requests that lie in the service's folder and are not among `answered`; their names are then added to it."""
    lying = sorted((senders.root / senders.folders[TRACE] / "outbound").glob("CPIS_TRACE_REQUEST_*.csv.pgp"))
    fresh = [path for path in lying if path.name not in answered]
    if not fresh:
        return []
    service = make_service(england)
    hub = {fingerprint(senders.hub_certificate): senders.hub_certificate}
    drops = []
    for path in fresh:
        opened = open_at_desk(path.read_bytes(), secret=senders.secret(TRACE), senders=hub)
        if not isinstance(opened, Opened):
            raise InputRefused("The trace service cannot open the request.", "Look at the keys of the rehearsal's home.")
        answered.add(path.name)
        drops.append(service.answer(opened.plaintext, sequence=len(answered), now=now))
    return drops


def _chance(numbers: npt.NDArray[np.int64], seed: int, purpose: int) -> npt.NDArray[np.float64]:
    """A number between 0 and 1 for each person and purpose, the same whoever else there is (splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = numbers.astype(np.uint64) + np.uint64((seed * 1_000_003 + purpose) % 2**63) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray((mixed ^ (mixed >> np.uint64(31))) / 2.0**64, dtype=np.float64)


def _oddities(numbers: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.str_]:
    names = np.array(["", *(str(oddity) for oddity in SHARES)])
    edges = np.cumsum([1 - sum(SHARES.values()), *SHARES.values()])
    return names[np.minimum(np.searchsorted(edges, _chance(numbers, seed, 1), side="right"), len(SHARES))]


def _lives(people: pa.Table, numbers: npt.NDArray[np.int64], seed: int) -> list[str]:
    """In the area of which authority each person lives."""
    codes = list(volumes())
    away = people["looked_after"].to_numpy() & (_chance(numbers, seed, 3) < ELSEWHERE)
    where = (_chance(numbers, seed, 4) * len(codes)).astype(np.int64)
    return [codes[place] if gone else home for gone, place, home in zip(away, where, people["la_code"].to_pylist(), strict=True)]


@cache
def _all_numbers(seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All numbers that are dealt out, in order, and for each the one at the other end of its authority's block."""
    blocks = [numbering(seed).numbers_of(code) for code in volumes()]
    ours, theirs = np.concatenate(blocks), np.concatenate([block[::-1] for block in blocks])
    order = np.argsort(ours)
    return ours[order], theirs[order]


def _others(numbers: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """A number for each that nobody has: authorities give theirs out from the front, and never half of them."""
    ours, theirs = _all_numbers(seed)
    return theirs[np.searchsorted(ours, numbers)]
