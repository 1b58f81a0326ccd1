"""Which events may be told to an authority at all, whoever the child is.

A young person's visit to a sexual health service, a sexual assault referral centre or a termination of pregnancy
service is never told, and nothing that would betray it is (FAULTS F44). Two lists decide, of care settings and of
organisations, and they decide whatever the notify flag says: a sender that forgets the flag must not disclose a visit.

A care setting that is on no list may be any of these, so its events wait for a person instead of being told; once the
setting is listed (reference/care_settings.csv, or withheld_settings.csv) they go their way, late and not lost. An
organisation that is on no list is not held back: there is no list of all of England's, only of the ones to withhold.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access.reference import AccessReference
from cpis_batch.access.schema import EVENTS
from cpis_batch.engine import query


class Sieve(StrEnum):
    """What may become of an event, before anybody asks whose child it is about. The first that applies counts."""

    WITHHELD = "WITHHELD"  # never told, never counted outside
    SILENT = "SILENT"  # scheduled care
    WAITING = "WAITING"  # an unknown care setting: a person must list it
    NOTIFYING = "NOTIFYING"


# Which row counts where one id stands for several: a visit that must not be told first, and a child who was seen before
# one whom nobody need be told of.
_CAREFUL_FIRST = "['WITHHELD', 'WAITING', 'NOTIFYING', 'SILENT']"


@dataclass(frozen=True, slots=True)
class Sifted:
    """Every event in one place. `notifying` and `waiting` have the columns of EVENTS.

    `counts` and `waiting` are for the operator of the hub alone. What waits is not settled: give it again, with the
    next files' events, and do not record its ids as seen.
    """

    notifying: pa.Table
    waiting: pa.Table
    counts: dict[Sieve, int]


def sift(events: pa.Table, reference: AccessReference) -> Sifted:
    """Part EVENTS into what may be told, what waits, and what is only counted; each event id once."""
    sifted = query(
        f"""
        SELECT events.*, CASE
            WHEN care_setting IN (SELECT upper(trim(code)) FROM withheld_settings)
              OR organisation_code IN (SELECT upper(trim(ods_code)) FROM withheld_organisations) THEN 'WITHHELD'
            WHEN NOT notifies_la THEN 'SILENT'
            WHEN care_setting IN (SELECT code FROM care_settings) THEN 'NOTIFYING'
            ELSE 'WAITING' END AS sieve
        FROM events
        QUALIFY 1 = row_number() OVER (
            PARTITION BY event_id ORDER BY list_position({_CAREFUL_FIRST}, sieve), accessed_at, nhs_number, line)
        """,
        {
            "events": events,
            "care_settings": reference.care_settings,
            "withheld_settings": reference.withheld_settings,
            "withheld_organisations": reference.withheld_organisations,
        },
    )

    def part(sieve: Sieve) -> pa.Table:
        return query("SELECT * EXCLUDE (sieve) FROM sifted WHERE sieve = $sieve", {"sifted": sifted}, {"sieve": sieve}).cast(
            EVENTS
        )

    counts = query("SELECT sieve, count(*) AS n FROM sifted GROUP BY sieve", {"sifted": sifted}).to_pylist()
    found = {row["sieve"]: row["n"] for row in counts}
    return Sifted(part(Sieve.NOTIFYING), part(Sieve.WAITING), {sieve: found.get(sieve, 0) for sieve in Sieve})


def notifying(events: pa.Table, reference: AccessReference) -> pa.Table:
    """The rows that `sift` finds NOTIFYING, of any of the columns of EVENTS, where no id stands twice: each is judged by itself.

    `sift` sorts all ids to find those that stand twice, which costs ten times as much.
    """
    settings, organisations = (
        query(f"SELECT upper(trim({key})) AS key FROM withheld", {"withheld": table})["key"].combine_chunks()
        for key, table in (("code", reference.withheld_settings), ("ods_code", reference.withheld_organisations))
    )
    withheld = pc.or_(_one_of(events["care_setting"], settings), _one_of(events["organisation_code"], organisations))
    listed = _one_of(events["care_setting"], reference.care_settings["code"].combine_chunks())
    return events.filter(pc.and_(pc.and_not(events["notifies_la"], withheld), listed))


def _one_of(column: pa.ChunkedArray, values: pa.Array) -> pa.ChunkedArray:
    return pc.is_in(column.cast(pa.string()), value_set=values)
