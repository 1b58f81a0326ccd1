"""Whom to ask PDS about tonight, and the request file that asks (specs/trace-request/1.0).

Asked about is whoever has an active plan and no current trace: an identity that is new or amended, one whose trace is older
than the set time or will soon be (than a week where it reports a death), a baby whose trace was postponed and who is six weeks
old. A child whose last plan is over is asked about once more, two weeks after its end: where the practice is another one by then,
the child has moved, and whoever ended the plan is asked to look (`national.gaps`, FAULTS F51). Nobody is asked about twice while
a question is open, and never again once a number is inactive with none in its place (FAULTS F48).

A reference names one question for ever, by sequence and time of its file and by its row: after a backup was restored
sequences come again, and a late answer must not then be to another person's question. Rows stand in the order of the
identities, which is the order of nothing else: neither a reference nor its place says which authority asks, or that two
rows are of one child.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import pyarrow as pa

from cpis_batch import csv_text
from cpis_batch.business_time import text_of
from cpis_batch.demographics import matching
from cpis_batch.demographics.schema import REQUESTS
from cpis_batch.engine import query
from cpis_batch.register.predicates import adult_on
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Environment, Inactive, NhsNumberStatus

FORMAT, VERSION = "CPIS-TRACE-REQUEST", "1.0"
DEATH_DAYS = 7  # a death is asked about again so soon: a child recorded dead in error is on no list to contact
AFTER_END_DAYS = 14  # the clock of a gap is 15 working days, three weeks: the answer is there before it is over
POSTPONED_DAYS = 42  # a trace of a baby may be postponed for six weeks (NHS number status 08)


# A number from 0 to 1 that is an identity's own: those who were traced on one day, as all of England on the first, are not asked
# about again on one day, but spread over the last third of the time for which a trace is current.
_SHARE = "(('0x' || left(held.identity, 6))::INTEGER / 16777215.0)"


class Why(StrEnum):
    """Why a person is asked about."""

    NEW = "NEW"
    AMENDED = "AMENDED"  # another identity of the number is traced
    OLD = "OLD"  # the trace is older than the set time
    DEATH = "DEATH"  # a death was reported a week ago: is it still?
    SIX_WEEKS = "SIX_WEEKS"  # it was postponed until now
    AFTER_END = "AFTER_END"  # the last plan ended two weeks ago: has the child moved?


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a trace counts as current at most: it is asked for anew in the last third of it. How long a question is open."""

    current_days: int = 90
    answer_days: int = 7


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request file: its plaintext, the questions it asks (REQUESTS), and how many for which reason."""

    name: str
    content: bytes
    questions: pa.Table
    reasons: dict[str, int]


def still_open(questions: pa.Table, *, on: date, patience: Patience) -> pa.Table:
    """The questions (REQUESTS) that may still be answered on the day `on`; a later answer is to no question."""
    return query(
        "SELECT * FROM questions WHERE asked_on + $days > $on ORDER BY reference",
        {"questions": questions},
        {"days": patience.answer_days, "on": on},
    ).cast(REQUESTS)


def over(plans: pa.Table, *, on: date) -> pa.Table:
    """Of `plans` (columns of register.schema.PLANS) those of children whose last one, at any authority, ended two weeks ago.

    For two weeks they are among them: that is how long a question may be asked anew. A plan ended by the 18th birthday is none
    of these, nor is a mother's.
    """
    return query(
        f"""
        SELECT * FROM plans AS plan WHERE {adult_on("plan")} > $on AND nhs_number IN (
            SELECT nhs_number FROM plans GROUP BY nhs_number
            HAVING max(coalesce(end_date, DATE '9999-12-31')) BETWEEN $on - {2 * AFTER_END_DAYS - 1} AND $on - {AFTER_END_DAYS}
            AND bool_and(plan_type <> 'UCPP'))
        """,
        {"plans": plans},
        {"on": on},
    ).cast(plans.schema)


def wanted(
    active: pa.Table, persons: pa.Table, questions: pa.Table, *, on: date, patience: Patience, ended: pa.Table | None = None
) -> pa.Table:
    """Whom to ask about on the day `on`: matching.IDENTITIES with `why`, by identity.

    Takes active plans (register.schema.PLANS), PERSONS and the open REQUESTS; `ended`: the plans of those whose last plan is
    over (`over`), who are asked about if a practice was known before.
    """
    ended = active.slice(0, 0) if ended is None else ended
    return query(
        f"""
        SELECT held.*, CASE
            WHEN held.nhs_number NOT IN (SELECT nhs_number FROM active) THEN CASE
                WHEN traced.practice_code IS NOT NULL AND traced.date_of_death IS NULL
                    AND traced.traced_on < ended.day + {AFTER_END_DAYS}
                THEN '{Why.AFTER_END}' END
            WHEN traced.identity IS NULL AND held.nhs_number IN (SELECT nhs_number FROM persons) THEN '{Why.AMENDED}'
            WHEN traced.identity IS NULL THEN '{Why.NEW}'
            WHEN traced.traced_on + $current_days - ($last_third * {_SHARE})::INTEGER <= $on THEN '{Why.OLD}'
            WHEN traced.date_of_death IS NOT NULL AND traced.traced_on + {DEATH_DAYS} <= $on THEN '{Why.DEATH}'
            WHEN traced.status = '{NhsNumberStatus.POSTPONED}' AND held.date_of_birth + {POSTPONED_DAYS} <= $on
            THEN '{Why.SIX_WEEKS}' END AS why
        FROM held
        LEFT JOIN persons AS traced USING (nhs_number, identity)
        LEFT JOIN (SELECT nhs_number, max(end_date) AS day FROM ended GROUP BY nhs_number) AS ended USING (nhs_number)
        ANTI JOIN questions USING (nhs_number, identity)
        WHERE why IS NOT NULL
            AND held.nhs_number NOT IN (SELECT nhs_number FROM persons WHERE inactive = '{Inactive.NO_REPLACEMENT}')
        ORDER BY held.identity
        """,
        {
            "held": matching.identities(pa.concat_tables([active, ended])),
            "active": active.select(["nhs_number"]),
            "ended": ended.select(["nhs_number", "end_date"]),
            "persons": persons,
            "questions": questions,
        },
        {"on": on, "current_days": patience.current_days, "last_third": patience.current_days // 3},
    )


def make(people: pa.Table, *, sequence: int, environment: Environment, on: date, now: datetime) -> Request:
    """The file that asks about `people` (of `wanted`), with the next `sequence` of the hub's request files."""
    numbered = query(
        f"""
        SELECT format('{sequence:08d}-{_stamp(now)}-{{:06d}}', row_number() OVER (ORDER BY identity)) AS reference, * FROM people
        ORDER BY identity
        """,
        {"people": people},
    )
    names = table_schema("trace-request", VERSION, "detail").names
    details = query(f"SELECT 'D' AS record_type, {', '.join(names[1:])} FROM numbered ORDER BY reference", {"numbered": numbered})
    heading, _, body = csv_text.to_csv(details).partition(b"\r\n")
    assert heading
    header = f"H,{FORMAT},{VERSION},{environment},{sequence},{text_of(now)}\r\n"
    reasons = query("SELECT why, count(*) AS people FROM people GROUP BY why ORDER BY why", {"people": people})
    return Request(
        name=file_name(sequence, now),
        content=header.encode() + body + f"T,{details.num_rows}\r\n".encode(),
        questions=numbered.select(["reference", "nhs_number", "identity"])
        .append_column("asked_on", pa.array([on] * numbered.num_rows, pa.date32()))
        .cast(REQUESTS),
        reasons=dict(zip(reasons["why"].to_pylist(), reasons["people"].to_pylist(), strict=True)),
    )


def file_name(sequence: int, now: datetime) -> str:
    """`CPIS_TRACE_REQUEST_<sequence, 8 digits>_<YYYYMMDDThhmmssZ>.csv.pgp`."""
    return f"CPIS_TRACE_REQUEST_{sequence:08d}_{_stamp(now)}.csv.pgp"


def _stamp(now: datetime) -> str:
    return text_of(now).replace("-", "").replace(":", "")
