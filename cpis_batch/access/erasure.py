"""What goes of the access events with a person: everything but the event's id, by which it is told once and never again.

Pure: tables in, tables out. `persons` (string) are the NHS numbers that still stand in some authority's register.
"""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.access.schema import EVENT_IDS


def of_others(rows: pa.Table, persons: pa.Array) -> pa.Table:
    """The EVENT_IDS of rows (EVENTS or REPORT) about persons who stand in no register any more.

    An event that was settled is told to nobody any more, so nothing is lost with its row. A line that is still owed to an
    authority goes as well: an access is told where a plan was active on its day, and that plan ended longer ago than retention.
    """
    return _ids(rows.filter(pc.invert(pc.is_in(rows["nhs_number"], value_set=persons))))


def waited_out(waiting: pa.Table, persons: pa.Array, business_date: date, days: int) -> pa.Table:
    """As `of_others`, of EVENTS that wait for their care setting to be listed: only those of accesses older than retention.

    The authority's own file may be later than the event, so a younger one may still be told.
    """
    old = pc.less(waiting["accessed_at"].cast(pa.date32()), business_date - timedelta(days=days))
    return of_others(waiting.filter(old), persons)


def _ids(rows: pa.Table) -> pa.Table:
    return rows.select(EVENT_IDS.names).cast(EVENT_IDS)
