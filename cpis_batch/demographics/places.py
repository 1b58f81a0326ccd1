"""What routing may know of a person's places: of whom the trace has verified, and of nobody whose place must not show.

No place is told of a sensitive record (FAULTS F49), of a number that is inactive with none in its place (F48), or of a
number under which any authority holds details that the trace did not confirm: that child may be another than the one of the
record, and goes by the sending authority, which tells nothing of anybody. Details not yet traced harm no place: a name that
is spelt anew does not send a child to another unit for a night.

A death counts of everybody under the number, but where some authority's details are not confirmed: that child may be another,
and lives for all we know.
"""

from __future__ import annotations

import pyarrow as pa

from cpis_batch.demographics import matching
from cpis_batch.engine import query
from cpis_batch.extracts import routing
from cpis_batch.vocabulary import Inactive, RecordOutcome

_UNCONFIRMED = ", ".join(
    f"'{outcome}'" for outcome in (RecordOutcome.NO_MATCH, RecordOutcome.NOT_VERIFIED, RecordOutcome.OLD_STYLE_NUMBER)
)


def doubted(persons: pa.Table) -> pa.Array:
    """The NHS numbers under which PERSONS has details that the trace did not confirm: whose these are, `places` must know."""
    found = query(f"SELECT DISTINCT nhs_number FROM persons WHERE outcome IN ({_UNCONFIRMED})", {"persons": persons})
    return found["nhs_number"].combine_chunks()


def places(persons: pa.Table, active: pa.Table) -> pa.Table:
    """extracts.routing.PERSONS of all who are in PERSONS, a row a number, in the order of the numbers.

    `active` are the plans (register.schema.PLANS) that stand today, those of `doubted` numbers at least.
    """
    return query(
        f"""
        SELECT nhs_number, CASE WHEN may THEN place.practice END AS practice_code,
            CASE WHEN may THEN place.residence END AS residence_code, sensitive, died AND NOT unconfirmed AS deceased
        FROM (
            SELECT nhs_number, bool_or(sensitive) AS sensitive, bool_or(date_of_death IS NOT NULL) AS died,
                bool_or(held.identity IS NOT NULL AND coalesce(outcome IN ({_UNCONFIRMED}), false)) AS unconfirmed,
                NOT unconfirmed AND NOT bool_or(sensitive OR coalesce(inactive = '{Inactive.NO_REPLACEMENT}', false)) AS may,
                arg_max({{'practice': practice_code, 'residence': residence_code}}, (traced_on, persons.identity))
                    FILTER (practice_code IS NOT NULL OR residence_code IS NOT NULL) AS place
            FROM persons LEFT JOIN held USING (nhs_number, identity)
            GROUP BY nhs_number)
        ORDER BY nhs_number
        """,
        {"persons": persons, "held": matching.identities(active).select(["nhs_number", "identity"])},
    ).cast(routing.PERSONS)
