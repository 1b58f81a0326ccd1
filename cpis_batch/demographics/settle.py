"""Answers, open questions and plans come to the current trace of each person.

| answer | outcome | number status | what else |
|---|---|---|---|
| 20, details agree | CPR06 | 01 | practice and residence are kept |
| 20, details agree, sensitive | CPR02 | 01 | no place is kept |
| 20 or 21, details disagree | CPR03 | 05 | the check that failed; nothing of the record is kept |
| 21, details agree | CPR05 | 05 | SUPERSEDED: the number that stands in its place is kept, to be told |
| 21, details agree, sensitive | CPR02 | 05 | NO_REPLACEMENT: the other number is kept nowhere |
| 22 | CPR07 | 05 | NO_REPLACEMENT |
| 30, 31 | CPR01 | 04 | |
| 32 | CPR04 | 05 | |
| 33 | | | nothing: the question is closed and asked again |
| 40 | CPR03 | 05 | |

Where 30, 31, 40 or a name or a date that disagrees is about a baby under six weeks old, its trace is postponed (08, no
outcome): the record of a birth that is not registered yet may be bare.

A number that is inactive with none in its place is frozen (FAULTS F48): what is known of any other number goes from the
rows of all its identities, places go, it is never asked about again, and no later answer brings a number back to it. An
identity is a digest of one number with its names, a reference names one question, so no column of ours ties two numbers but
`current_number`.

What answers no open question changes nothing. Two answers to one question that differ are both out, and it stays open.
Pure, over all authorities at once; the order of the answers does not matter, and an answer that comes twice is to no
question the second time.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.demographics import matching
from cpis_batch.demographics.request import POSTPONED_DAYS
from cpis_batch.demographics.schema import ANSWERS, PERSONS, REQUESTS
from cpis_batch.engine import query
from cpis_batch.vocabulary import Inactive, NhsNumberStatus, RecordOutcome, TraceCode


@dataclass(frozen=True, slots=True, repr=False)
class Settled:
    """`persons`: PERSONS after the answers; `open`: REQUESTS without a usable answer yet; `counts`: answers by their fate.

    The counts are `settled`; `again` (33: to be asked again); `gone` (no authority holds that identity any more); `strangers`
    (to no open question); `conflicting` (differing answers to one question) and `contradicting` (20 with another number, 21
    with the same): these two need a person.
    """

    persons: pa.Table
    open: pa.Table
    counts: dict[str, int]


def settle(answers: pa.Table, questions: pa.Table, persons: pa.Table, plans: pa.Table) -> Settled:
    """Take in ANSWERS (of any number of files) to the open REQUESTS; `persons` are PERSONS before, `plans` the register's PLANS.

    Persons and questions whose number no plan holds are left out of the result, and identities that nobody holds once
    another one of the number is settled: the trace lives no longer than the plan.
    """
    held = matching.identities(plans)
    sorted_out = _sort(answers, questions, held)
    verdicts = _judged(sorted_out.filter(pc.equal(sorted_out["fate"], "settled")))
    closed = sorted_out.filter(pc.is_in(sorted_out["fate"], pa.array(["settled", "again", "gone"])))
    still_open = query(
        "SELECT * FROM questions ANTI JOIN closed USING (reference) SEMI JOIN held USING (nhs_number) ORDER BY reference",
        {"questions": questions, "closed": closed.select(["reference"]), "held": held.select(["nhs_number"])},
    )
    fates = query("SELECT fate, count(*) AS answers FROM sorted_out GROUP BY fate ORDER BY fate", {"sorted_out": sorted_out})
    return Settled(
        persons=_frozen(_kept(persons, verdicts, held)),
        open=still_open.cast(REQUESTS),
        counts=dict(zip(fates["fate"].to_pylist(), fates["answers"].to_pylist(), strict=True)),
    )


_CONTENT = ", ".join(name for name in ANSWERS.names if name not in ("line", "answered_on"))


def _sort(answers: pa.Table, questions: pa.Table, held: pa.Table) -> pa.Table:
    """Each different answer with the question it is to, the identity as it is held, and its fate."""
    return query(
        f"""
        WITH different AS (SELECT {_CONTENT}, max(answered_on) AS answered_on FROM answers GROUP BY ALL)
        SELECT answer.reference, asked.nhs_number, asked.identity, trace_code, answer.nhs_number AS answered_number, answered_on,
            sensitive, practice_code, residence_code, date_of_death,
            held.family_name, held.given_name, held.date_of_birth, answer.family_name AS pds_family_name,
            answer.given_name AS pds_given_name, answer.date_of_birth AS pds_date_of_birth,
            CASE WHEN asked.reference IS NULL THEN 'strangers'
                 WHEN answer.reference IN (SELECT reference FROM different GROUP BY reference HAVING count(*) > 1)
                 THEN 'conflicting'
                 WHEN trace_code = '{TraceCode.FOUND}' AND answer.nhs_number <> asked.nhs_number
                   OR trace_code = '{TraceCode.SUPERSEDED}' AND answer.nhs_number = asked.nhs_number THEN 'contradicting'
                 WHEN held.identity IS NULL THEN 'gone'
                 WHEN trace_code = '{TraceCode.NOT_TRACED}' THEN 'again'
                 ELSE 'settled' END AS fate
        FROM different AS answer
        LEFT JOIN questions AS asked ON asked.reference = answer.reference
        LEFT JOIN held ON held.nhs_number = asked.nhs_number AND held.identity = asked.identity
        """,
        {"answers": answers, "questions": questions, "held": held},
    )


def _judged(answered: pa.Table) -> pa.Table:
    """PERSONS as usable answers make them, a row an identity."""
    tells = f"trace_code IN ('{TraceCode.FOUND}', '{TraceCode.SUPERSEDED}')"
    return query(
        f"""
        SELECT nhs_number, identity, answered_on AS traced_on,
            CASE WHEN postponed THEN NULL
                 WHEN trace_code IN ('{TraceCode.NO_MATCH}', '{TraceCode.SEVERAL}') THEN '{RecordOutcome.NO_MATCH}'
                 WHEN trace_code = '{TraceCode.INACTIVE}' THEN '{RecordOutcome.OTHER}'
                 WHEN trace_code = '{TraceCode.OLD_STYLE}' THEN '{RecordOutcome.OLD_STYLE_NUMBER}'
                 WHEN NOT matched THEN '{RecordOutcome.NOT_VERIFIED}'
                 WHEN sensitive THEN '{RecordOutcome.SENSITIVE}'
                 WHEN trace_code = '{TraceCode.SUPERSEDED}' THEN '{RecordOutcome.SUPERSEDED}'
                 ELSE '{RecordOutcome.LOADED}' END AS outcome,
            CASE WHEN postponed THEN '{NhsNumberStatus.POSTPONED}'
                 WHEN trace_code IN ('{TraceCode.NO_MATCH}', '{TraceCode.SEVERAL}') THEN '{NhsNumberStatus.NO_MATCH}'
                 WHEN matched AND trace_code = '{TraceCode.FOUND}' THEN '{NhsNumberStatus.VERIFIED}'
                 ELSE '{NhsNumberStatus.TO_BE_RESOLVED}' END AS status,
            CASE WHEN tells THEN failed END AS "check",
            CASE WHEN trace_code = '{TraceCode.INACTIVE}' OR matched AND sensitive AND trace_code = '{TraceCode.SUPERSEDED}'
                 THEN '{Inactive.NO_REPLACEMENT}'
                 WHEN matched AND trace_code = '{TraceCode.SUPERSEDED}' THEN '{Inactive.SUPERSEDED}' END AS inactive,
            CASE WHEN matched AND NOT sensitive AND trace_code = '{TraceCode.SUPERSEDED}'
                 THEN answered_number END AS current_number,
            sensitive,
            CASE WHEN matched AND NOT sensitive THEN practice_code END AS practice_code,
            CASE WHEN matched AND NOT sensitive THEN residence_code END AS residence_code,
            CASE WHEN matched THEN date_of_death END AS date_of_death, NULL AS practice_since
        FROM (
            SELECT * EXCLUDE ("check"), "check" AS failed, {tells} AS tells, {tells} AND "check" IS NULL AS matched,
                answered_on - date_of_birth BETWEEN 0 AND {POSTPONED_DAYS - 1} AND NOT ({tells} AND "check" IS NULL)
                AND trace_code NOT IN ('{TraceCode.INACTIVE}', '{TraceCode.OLD_STYLE}') AS postponed
            FROM ({matching.compared_in_sql("answered")}))
        """,
        {"answered": answered},
    ).cast(PERSONS)


_MATCHED = ", ".join(f"'{one}'" for one in (RecordOutcome.SENSITIVE, RecordOutcome.SUPERSEDED, RecordOutcome.LOADED))


def _kept(persons: pa.Table, verdicts: pa.Table, held: pa.Table) -> pa.Table:
    """The new traces in the place of the old ones, and of these what is still somebody's.

    An identity that an authority has amended is kept until the new one is settled, for its places; that of a sensitive
    record until another answer has told of that record; that of a frozen number for as long as anybody holds it. In any order.
    """
    return query(
        f"""
        WITH now AS MATERIALIZED (
            SELECT verdict.* REPLACE (
                CASE WHEN verdict.practice_code <> before.practice_code THEN verdict.traced_on
                     WHEN verdict.practice_code = before.practice_code THEN before.practice_since END AS practice_since)
            FROM verdicts AS verdict LEFT JOIN persons AS before USING (nhs_number, identity)
            UNION ALL
            SELECT * FROM persons ANTI JOIN verdicts USING (nhs_number, identity)),
        amended AS MATERIALIZED (SELECT * FROM now ANTI JOIN held USING (nhs_number, identity)),
        settled AS (
            SELECT nhs_number, bool_or(outcome IN ({_MATCHED})) AS told
            FROM (SELECT * FROM now SEMI JOIN amended USING (nhs_number)) SEMI JOIN held USING (nhs_number, identity)
            WHERE outcome IS NOT NULL GROUP BY nhs_number)
        SELECT now.* FROM now SEMI JOIN held USING (nhs_number, identity)
        UNION ALL
        SELECT amended.* FROM amended LEFT JOIN settled USING (nhs_number)
        WHERE nhs_number IN (SELECT nhs_number FROM held) AND (
            settled.told IS NULL OR sensitive AND NOT settled.told OR inactive = '{Inactive.NO_REPLACEMENT}')
        """,
        {"persons": persons, "verdicts": verdicts, "held": held.select(["nhs_number", "identity"])},
    ).cast(PERSONS)


def _frozen(persons: pa.Table) -> pa.Table:
    """No other number and no place in any row of a number that is inactive with none in its place; no place in one that is
    sensitive."""
    return query(
        f"""
        SELECT nhs_number, identity, traced_on, outcome, status, "check",
            CASE WHEN frozen THEN nullif(inactive, '{Inactive.SUPERSEDED}') ELSE inactive END AS inactive,
            CASE WHEN NOT frozen THEN current_number END AS current_number, sensitive,
            CASE WHEN NOT frozen AND NOT secret THEN practice_code END AS practice_code,
            CASE WHEN NOT frozen AND NOT secret THEN residence_code END AS residence_code,
            date_of_death,
            CASE WHEN NOT frozen AND NOT secret THEN practice_since END AS practice_since
        FROM (SELECT *,
                nhs_number IN (SELECT nhs_number FROM persons WHERE inactive = '{Inactive.NO_REPLACEMENT}') AS frozen,
                nhs_number IN (SELECT nhs_number FROM persons WHERE sensitive) AS secret FROM persons)
        ORDER BY nhs_number, identity
        """,
        {"persons": persons},
    ).cast(PERSONS)
