"""How well an authority's people match PDS: its rate against the line of 95%, where it is going, and what to check.

The rate is of the answers there are: people whose details the trace confirmed and whose number is current (CPR06, and CPR02
where 01), out of those with an outcome. Who is provisional counts on neither side. A person counts once for each identity
that the authority holds.
"""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from cpis_batch.demographics.matching import WORDS, Check
from cpis_batch.engine import query
from cpis_batch.vocabulary import NhsNumberStatus, RecordOutcome

LINE = 95  # of a hundred
TREND_DAYS = 28

# `rate` is in hundredths of a percent, null without any answer; `change` is the rate less that of four weeks before.
RATES = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("counted_on", pa.date32(), nullable=False),
        pa.field("people", pa.int64(), nullable=False),
        pa.field("answered", pa.int64(), nullable=False),
        pa.field("matched", pa.int64(), nullable=False),
        pa.field("rate", pa.int64()),
        pa.field("below_line", pa.bool_(), nullable=False),
        pa.field("change", pa.int64()),
    ]
)

# What an authority has to look at: a row a person and matter. `date_of_death` is null but where a death is the matter.
TO_CHECK = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("check", pa.string()),
        pa.field("date_of_death", pa.date32()),
        pa.field("what_to_check", pa.string(), nullable=False),
    ]
)

_OF_OUTCOME = {
    RecordOutcome.NO_MATCH: "PDS has no record under this number, or several fit. Look it up again in the child's record"
    " or the Spine.",
    RecordOutcome.NOT_VERIFIED: "The NHS record of this number is not of a person with these details. Check number, names"
    " and date of birth.",
    RecordOutcome.OLD_STYLE_NUMBER: "This is an old-style number. Look up the NHS number of ten digits.",
    RecordOutcome.SUPERSEDED: "Another number is this person's current one. It is in the notification that you were sent.",
    RecordOutcome.OTHER: "This number is inactive and has none in its place. Do not look for one; see the notification that you"
    " were sent.",
}
DEATH = "PDS has a date of death. Do not contact the family before you have checked it; then end the plan."

# outcome, check (null: none failed) and `text`, what to look at; an outcome that is not in it asks for nothing.
WHAT_TO_CHECK = pa.Table.from_pylist(
    [
        *({"outcome": str(outcome), "check": None, "text": text} for outcome, text in _OF_OUTCOME.items()),
        *({"outcome": str(RecordOutcome.NOT_VERIFIED), "check": str(check), "text": WORDS[check]} for check in Check),
    ]
)


def rates(standing: pa.Table, before: pa.Table, *, on: date) -> pa.Table:
    """RATES of every authority in STANDING on the day `on`; `before` are RATES of earlier days, of which the trend is made."""
    return query(
        f"""
        WITH now AS (
            SELECT la_code, $on AS counted_on, count(*) AS people, count(outcome) AS answered,
                count(*) FILTER (outcome = '{RecordOutcome.LOADED}'
                    OR outcome = '{RecordOutcome.SENSITIVE}' AND status = '{NhsNumberStatus.VERIFIED}') AS matched
            FROM standing GROUP BY la_code),
        rated AS (
            SELECT *, CASE WHEN answered > 0 THEN matched * 10000 // answered END AS rate,
                matched * 100 < answered * {LINE} AS below_line FROM now),
        earlier AS (
            SELECT la_code, arg_max(rate, counted_on) AS rate FROM before WHERE counted_on <= $on - {TREND_DAYS} GROUP BY la_code)
        SELECT rated.*, rated.rate - earlier.rate AS change FROM rated LEFT JOIN earlier USING (la_code) ORDER BY la_code
        """,
        {"standing": standing, "before": before},
        {"on": on},
    ).cast(RATES)


def to_check(standing: pa.Table) -> pa.Table:
    """TO_CHECK of all authorities, by authority and number: who did not match and what to look at, and who is reported dead."""
    return query(
        """
        SELECT la_code, nhs_number, child_id, standing.outcome, standing."check", NULL AS date_of_death,
            words.text AS what_to_check
        FROM standing JOIN words ON words.outcome = standing.outcome AND words."check" IS NOT DISTINCT FROM standing."check"
        UNION ALL
        SELECT la_code, nhs_number, child_id, outcome, NULL, date_of_death, $death FROM standing WHERE date_of_death IS NOT NULL
        ORDER BY la_code, nhs_number, child_id, what_to_check
        """,
        {"standing": standing, "words": WHAT_TO_CHECK},
        {"death": DEATH},
    ).cast(TO_CHECK)
