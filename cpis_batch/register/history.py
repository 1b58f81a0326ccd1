"""What the register said before: versions of plans, each with the commit that brought it and the one that replaced it.

`last_confirmed_on` and `missing_since` are not versioned, since they move every night: a version holds them as they
stood when it was replaced.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.register.schema import HISTORY, KEY
from cpis_batch.vocabulary import Change


def append(history: pa.Table, closed: pa.Table) -> pa.Table:
    """HISTORY with the versions that a merge closed, sorted by key and time."""
    if closed.num_rows == 0:
        return history
    order = [(name, "ascending") for name in (*KEY, "known_from", "known_to")]
    return pa.concat_tables([history, closed]).cast(HISTORY).sort_by(order).combine_chunks()


def deleted_keys(history: pa.Table) -> pa.Table:
    """The keys (nhs_number, plan_type, start_date) that were deleted at some time: sent again, they are REOPENED.

    `history` is HISTORY, or these three columns of it and `change`.
    """
    deleted = history.filter(pc.equal(history["change"], Change.DELETED))
    return deleted.select(["nhs_number", "plan_type", "start_date"])
