"""The last look before a release is sealed: is every row in the file of a unit that it belongs to, and is none lost?

What is looked at are the very bytes that are about to be sealed for each unit, and what they are held against is worked
out anew from the register (`due`), so that a mix-up anywhere in between shows. One row amiss stops the whole release: if one
file is wrong, nothing says that the others are right.

Some units or authorities can be looked at without the others: what each comes to is counted (COUNTS), and the counts of all must
balance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal

import pyarrow as pa
from pyarrow import csv

from cpis_batch.engine import query
from cpis_batch.errors import Bug
from cpis_batch.extracts.chis import EXTRACT, FORMAT, VERSION
from cpis_batch.extracts.routing import ROUTED, Reference, route
from cpis_batch.register import predicates
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import ExtractChange, RoutingBasis

_ADVICE = "Nothing was released. Keep the state as it is and report this as a fault of the program."
_COMPARED = ["chis_code", "la_code", "nhs_number", "plan_type", "start_date", "date_of_birth", "routing_basis", "change"]
_NOTHING = EXTRACT.empty_table().select(_COMPARED)
_ROW = "chis_code, la_code, nhs_number, plan_type, start_date, date_of_birth, routing_basis"
_PLAN = "chis_code, la_code, nhs_number, plan_type, start_date"
_PERSON = "chis_code, la_code, nhs_number, plan_type"
_CEASED = f"change = '{ExtractChange.CEASED}'"

# Each must find nothing. `sent` are the rows of the files with the unit whose file it is, `due` what the register says,
# `before` what each unit shows since the release before.
_AMISS = {
    "rows that the register does not route to this unit": f"FROM shown ANTI JOIN due USING ({_ROW})",
    "rows that the register routes to this unit and that are not in its file": f"FROM due ANTI JOIN shown USING ({_ROW})",
    "rows more than once": f"FROM (SELECT {_PLAN} FROM sent GROUP BY {_PLAN} HAVING count(*) > 1)",
    "ceased rows that this unit did not have": f"FROM ceased ANTI JOIN before USING ({_PLAN})",
    "rows that this unit had and is told nothing of": f"""
        FROM before ANTI JOIN sent USING ({_PLAN})
        ANTI JOIN (FROM sent WHERE change = '{ExtractChange.CHANGED}') AS changed USING ({_PERSON})""",
}
# The date of birth and the basis as one number: equal where both are. What is no basis of ours is 0, and `due` has none such.
_BASES = " ".join(f"WHEN '{basis}' THEN {number}" for number, basis in enumerate(RoutingBasis, 1))
_TOLD = f"(date_of_birth - DATE '1800-01-01') * 4 + CASE routing_basis {_BASES} ELSE 0 END"
# The persons of whom one of the questions of _AMISS may find something: all but those each of whose plans is shown once and due
# once, the same, or is ceased once and was shown before.
_DOUBTED = f"""
SELECT DISTINCT {_PERSON} FROM (
    SELECT {_PLAN}, count(*) FILTER (side = 1) AS shown, count(*) FILTER (side = 2) AS due,
        count(*) FILTER (side = 3) AS ceased, count(*) FILTER (side = 4) AS before, min(told) AS least, max(told) AS most
    FROM (
        SELECT {_PLAN}, CASE WHEN NOT {_CEASED} THEN {_TOLD} END AS told, CASE WHEN {_CEASED} THEN 3 ELSE 1 END AS side
        FROM sent UNION ALL
        SELECT {_PLAN}, {_TOLD}, 2 FROM due UNION ALL
        SELECT {_PLAN}, NULL, 4 FROM had WHERE NOT {_CEASED})
    GROUP BY ALL)
WHERE NOT coalesce(shown = 1 AND due = 1 AND ceased = 0 AND least = most, false)
    AND NOT (shown = 0 AND due = 0 AND ceased = 1 AND before > 0)
"""
# What the register says: ROUTED, and `counts` in one row of each plan, so that a plan that goes to several units counts once.
DUE = ROUTED.append(pa.field("counts", pa.bool_(), nullable=False))

# active = sent + unroutable, of each authority and plan type; `sent` counts distinct plans. COUNTS: of some units or authorities.
RELEASE_BALANCE = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in ("active", "sent", "unroutable")),
    ]
)
COUNTS = RELEASE_BALANCE


def read_back(files: Mapping[str, bytes]) -> pa.Table:
    """The rows of the files (plaintext by recipient), each with the unit that it is about to be sealed for (SENT).

    Bug where a file does not read as an extract.
    """
    return pa.concat_tables([_NOTHING, *(_rows(unit, data) for unit, data in files.items())])


def due(
    active: pa.Table, persons: pa.Table, reference: Reference, *, on: date, policy: Literal["first", "all"] = "first"
) -> pa.Table:
    """Where the register's active plans belong (DUE), worked out for the check alone; arguments as for `routing.route`."""
    rows = route(active, persons, reference, on=on, policy=policy).rows
    plan = "la_code, nhs_number, plan_type, start_date"
    once = "true" if policy == "first" else f"chis_code = min(chis_code) OVER (PARTITION BY {plan})"
    return query(f"SELECT *, {once} AS counts FROM rows", {"rows": rows}).cast(DUE)


def check_recipients(sent: pa.Table, due: pa.Table, previous: pa.Table | None) -> None:
    """Hold the files (`read_back`) of some units against what is `due` (DUE) to these, and what they had in the release before.

    Bug, naming units and counts and no row, on the first kind of mismatch (F20).
    """
    tables = {"sent": sent, "due": due, "had": EXTRACT.empty_table() if previous is None else previous}
    # Nearly all agree at once, which one look at all of them shows; the questions are asked of the others, person by person.
    doubted = query(_DOUBTED, tables)
    if not doubted.num_rows:
        return
    tables = {
        name: query(f"FROM rows SEMI JOIN doubted USING ({_PERSON})", {"rows": rows, "doubted": doubted})
        for name, rows in tables.items()
    }
    tables |= {
        "shown": query(f"FROM sent WHERE NOT {_CEASED}", tables),
        "ceased": query(f"FROM sent WHERE {_CEASED}", tables),
        "before": query(f"FROM had WHERE NOT {_CEASED}", tables),
    }
    for what, rows in _AMISS.items():
        found = query(f"SELECT chis_code, count(*) AS n {rows} GROUP BY ALL ORDER BY chis_code", tables).to_pylist()
        if found:
            units = ", ".join(f"{row['chis_code']} ({row['n']:,})" for row in found)
            raise Bug(f"CHIS extracts: {what}: {units}.", _ADVICE)


def count_active(plans: pa.Table, *, on: date) -> pa.Table:
    """COUNTS of the register (PLANS) of some authorities, whose plans active on the day `on` are found here by themselves."""
    return query(
        f"""
        SELECT la_code, plan_type, count(*) AS active, 0 AS sent, 0 AS unroutable
        FROM plans WHERE {predicates.active("plans", "$on")} GROUP BY ALL ORDER BY ALL
        """,
        {"plans": plans},
        {"on": on},
    ).cast(COUNTS)


def count_sent(sent: pa.Table, due: pa.Table) -> pa.Table:
    """COUNTS of the files of some units (`read_back`): a plan that several units have counts in one of them, by DUE."""
    return query(
        f"""
        SELECT la_code, plan_type, 0 AS active, count(*) AS sent, 0 AS unroutable
        FROM (FROM sent WHERE NOT {_CEASED}) AS shown ANTI JOIN (FROM due WHERE NOT counts) AS elsewhere USING ({_PLAN})
        GROUP BY ALL ORDER BY ALL
        """,
        {"sent": sent, "due": due},
    ).cast(COUNTS)


def count_unroutable(unroutable: pa.Table) -> pa.Table:
    """COUNTS of plans that lead to no unit (routing.UNROUTABLE)."""
    return query(
        "SELECT la_code, plan_type, 0 AS active, 0 AS sent, count(*) AS unroutable FROM nowhere GROUP BY ALL ORDER BY ALL",
        {"nowhere": unroutable},
    ).cast(COUNTS)


def release_balance(counts: Iterable[pa.Table]) -> pa.Table:
    """active = distinct plans in the files + unroutable plans, by authority and plan type (DESIGN, rule 4): RELEASE_BALANCE.

    `counts` (COUNTS) are those of all authorities' plans, all units' files, and of what leads to no unit. Bug with the counts
    where one does not hold.
    """
    balances = query(
        """
        SELECT la_code, plan_type, sum(active) AS active, sum(sent) AS sent, sum(unroutable) AS unroutable
        FROM counted GROUP BY ALL ORDER BY ALL
        """,
        {"counted": pa.concat_tables([COUNTS.empty_table(), *counts])},
    ).cast(RELEASE_BALANCE)
    amiss = [line for line in balances.to_pylist() if line["active"] != line["sent"] + line["unroutable"]]
    if amiss:
        words = "{la_code} {plan_type} has {active:,} active plans, but {sent:,} in extracts and {unroutable:,} unroutable"
        raise Bug(f"CHIS extracts: {words.format(**amiss[0])}; {len(amiss):,} such differences.", _ADVICE)
    return balances


def _rows(unit: str, data: bytes) -> pa.Table:
    columns = table_schema(FORMAT, VERSION, "extract").names
    try:
        read = csv.read_csv(
            pa.BufferReader(data),
            convert_options=csv.ConvertOptions(column_types={name: EXTRACT.field(name).type for name in columns}),
        )
    except pa.ArrowInvalid:  # its message quotes what it read
        raise Bug(f"CHIS extracts: the file for {unit} does not read as one.", _ADVICE) from None
    if tuple(read.column_names) != columns:
        raise Bug(f"CHIS extracts: the file for {unit} has other columns than the specification.", _ADVICE)
    recipient = pa.repeat(pa.scalar(unit), read.num_rows)
    return read.append_column("chis_code", recipient).select(_COMPARED).cast(_NOTHING.schema)
