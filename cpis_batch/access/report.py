"""What each authority is told of who looked at its children (CP-IS message type 05, Access to Service Notification).

An authority is told of an event when it held a plan for that person on the day of the access in England, whoever holds
one now: a child who has moved since is told to the authority of that day (FAULTS F46). Two authorities that both held
one are each told, of their own plan alone. A plan that was entered in error and deleted is not in PLANS, hence not told.
"""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access.reference import AccessReference
from cpis_batch.access.schema import EVENTS, REPORT
from cpis_batch.access.withheld import Sifted
from cpis_batch.engine import query
from cpis_batch.register.predicates import active

# The report's id is made of its events alone: a second run names it the same, and an event that it must not speak of
# cannot show in it.
_ID = "'ASN-' || la_code || '-' || left(sha256(la_code || string_agg(event_id, chr(10) ORDER BY event_id)), 16)"
_REPORT = f"""
WITH timed AS (
    SELECT *, timezone('Europe/London', accessed_at) AS there, timezone('UTC', accessed_at) AS universal,
        CAST(there AS DATE) AS that_day
    FROM events
), held AS (
    SELECT event_id, la_code,
        string_agg(DISTINCT child_id, ';' ORDER BY child_id) AS child_id,
        string_agg(DISTINCT plan_type, ';' ORDER BY plan_type) AS plan_types
    FROM timed JOIN plans AS plan USING (nhs_number)
    WHERE {active("plan", "that_day")}
    GROUP BY event_id, la_code
), placed AS (
    SELECT event_id, la_code, bool_or(la_gss_code = la_code) AS inside
    FROM held JOIN timed USING (event_id) JOIN areas ON ods_code = organisation_code
    WHERE coalesce(valid_from <= that_day, true) AND coalesce(valid_to >= that_day, true)
    GROUP BY event_id, la_code
), named AS (
    SELECT la_code,
        {_ID} AS report_id
    FROM held GROUP BY la_code
)
SELECT report_id, la_code, event_id, accessed_at,
    strftime(there, '%Y-%m-%dT%H:%M:%S') || CASE WHEN there = universal THEN '+00:00' ELSE '+01:00' END AS accessed_at_local,
    author_kind, author_name, coalesce(display, job_role) AS job_role, responsible_person,
    organisation_code, organisation_name, care_setting AS care_setting_code, settings.name AS care_setting,
    nhs_number, child_id, plan_types, CASE inside WHEN true THEN 'N' WHEN false THEN 'Y' END AS out_of_area
FROM held
JOIN timed USING (event_id)
JOIN named USING (la_code)
JOIN settings ON settings.code = care_setting
LEFT JOIN roles ON roles.code = job_role
LEFT JOIN placed USING (event_id, la_code)
ORDER BY la_code, accessed_at, event_id
"""


def report(sifted: Sifted, plans: pa.Table, reference: AccessReference) -> pa.Table:
    """REPORT, one row an authority and event, by authority and time, for any authorities' plans at once.

    Events come sifted, so that none can be told that was not asked about, and each once (`events.unseen`). `plans` need
    the columns la_code, nhs_number, plan_type, start_date, end_date, child_id and date_of_birth of register PLANS.
    """
    return query(
        _REPORT,
        {
            "events": sifted.notifying,
            "plans": plans,
            "settings": reference.care_settings,
            "roles": reference.job_roles,
            "areas": reference.organisation_areas,
        },
    ).cast(REPORT)


def joined(rows: pa.Table, owed: pa.Table) -> pa.Table:
    """REPORT of `rows` and of lines `owed` from before, under one id an authority made of both, each event once."""
    return query(
        f"""
        WITH lines AS (
            SELECT * FROM (SELECT 0 AS age, * FROM rows UNION ALL SELECT 1, * FROM owed)
            QUALIFY row_number() OVER (PARTITION BY la_code, event_id ORDER BY age) = 1
        ), named AS (
            SELECT la_code, {_ID} AS id
            FROM lines GROUP BY la_code
        )
        SELECT lines.* EXCLUDE (age) REPLACE (id AS report_id) FROM lines JOIN named USING (la_code)
        ORDER BY la_code, accessed_at, event_id
        """,
        {"rows": rows, "owed": owed},
    ).cast(REPORT)


def by_la(rows: pa.Table) -> dict[str, pa.Table]:
    """REPORT, or other rows in order of `la_code`, parted by authority. One without a row is not in it, and gets no report."""
    if not rows.num_rows:
        return {}
    codes = rows["la_code"].cast(pa.string()).combine_chunks()
    starts = pc.indices_nonzero(pc.not_equal(codes[1:], codes[:-1])).to_pylist()
    bounds = [0, *(start + 1 for start in starts), rows.num_rows]
    return {codes[first].as_py(): rows.slice(first, end - first) for first, end in pairwise(bounds)}


def untold(sifted: Sifted, rows: pa.Table) -> pa.Table:
    """The events (EVENTS) on a person for whom no authority held a plan on that day: told to nobody, counted by the operator.

    `rows` are those of all authorities together.
    """
    return query(
        "SELECT events.* FROM events ANTI JOIN told USING (event_id) ORDER BY accessed_at, event_id",
        {"events": sifted.notifying, "told": rows.select(["event_id"])},
    ).cast(EVENTS)
