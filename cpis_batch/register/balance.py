"""The balance: opening + new + reopened - deleted - erased = closing, for each authority and plan type (DESIGN, rule 4).

Opening and closing are counted from the plans, the rest from the changes that tell of them, so that a plan that went
without a word, or came from nowhere, shows.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.register.view import by_type
from cpis_batch.vocabulary import Change, PlanType

BALANCE = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        *(
            pa.field(name, pa.int64(), nullable=False)
            for name in ("opening", "new", "reopened", "deleted", "erased", "closing", "difference")
        ),
    ]
)


def balance(la_code: str, before: pa.Table, after: pa.Table, changes: pa.Table) -> pa.Table:
    """BALANCE of one authority: a row for each plan type, counting plans. `difference` is what cannot be accounted for.

    `before` and `after` are PLANS; `changes` is CHANGES of all that happened in between (more files, erasure).
    """
    opening, closing = by_type(before), by_type(after)
    counted = {
        change: by_type(changes.filter(pc.equal(changes["change"], change)))
        for change in (Change.NEW, Change.REOPENED, Change.DELETED, Change.ERASED)
    }
    rows = []
    for kind in PlanType:
        new, reopened, deleted, erased = (counts[kind] for counts in counted.values())
        expected = opening[kind] + new + reopened - deleted - erased
        rows.append(
            {"la_code": la_code, "plan_type": kind.value, "opening": opening[kind], "new": new, "reopened": reopened}
            | {"deleted": deleted, "erased": erased, "closing": closing[kind], "difference": closing[kind] - expected}
        )
    return pa.Table.from_pylist(rows, schema=BALANCE)


def imbalances(balances: pa.Table) -> pa.Table:
    """The rows of BALANCE that do not add up; a release stops while there is one."""
    return balances.filter(pc.not_equal(balances["difference"], 0))
