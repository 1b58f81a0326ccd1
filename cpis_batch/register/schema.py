"""The columns of the register and of its history.

PLANS, one row a plan (key: la_code, nhs_number, plan_type, start_date), sorted by that key:

- `end_date`: the last day, null while the plan is open; `end_basis`: `LA` (they said so) or `AGE` (18th birthday);
- `last_confirmed_on`: the date, in England, of the newest extract that held this row: it stands still while the row
  is missing (DESIGN, rule 1); `missing_since`: the date of the first full extract that left it out, else null;
- `known_from`: the instant of the commit since when the row stands as it is; `source_file` (SHA-256 of the file) and
  `source_line` (physical line) of the row that said so.

HISTORY, what PLANS said before: the same columns, `known_to` (the commit that replaced it) and `change`, one of
AMENDED, ENDED, RESUMED, DELETED, AGED_OUT: why it stands so no longer.
"""

from __future__ import annotations

import pyarrow as pa

KEY = ("la_code", "nhs_number", "plan_type", "start_date")

PLANS = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("start_date", pa.date32(), nullable=False),
        pa.field("end_date", pa.date32()),
        pa.field("end_basis", pa.string()),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("family_name", pa.string(), nullable=False),
        pa.field("given_name", pa.string(), nullable=False),
        pa.field("date_of_birth", pa.date32(), nullable=False),
        pa.field("last_confirmed_on", pa.date32(), nullable=False),
        pa.field("missing_since", pa.date32()),
        pa.field("known_from", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("source_file", pa.string(), nullable=False),
        pa.field("source_line", pa.int32(), nullable=False),
    ]
)

HISTORY = pa.schema(
    [
        *PLANS,
        pa.field("known_to", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("change", pa.string(), nullable=False),
    ]
)

# What the logical digest of a register is taken over: everything a reader of the register is told about a plan, and
# nothing of when or how we came to know it, so that another order of arrival or a second run reaches the same.
IDENTITY = (
    *KEY,
    "end_date",
    "end_basis",
    "child_id",
    "family_name",
    "given_name",
    "date_of_birth",
    "last_confirmed_on",
)

# Rows of an extract that the rules let through, as `intake.check` gives them and `register.merge` takes them.
ACCEPTED = pa.schema(
    [
        pa.field("line", pa.int32(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("family_name", pa.string(), nullable=False),
        pa.field("given_name", pa.string(), nullable=False),
        pa.field("date_of_birth", pa.date32(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("start_date", pa.date32(), nullable=False),
        pa.field("end_date", pa.date32()),
        pa.field("delete_date", pa.date32()),
    ]
)

# What a merge did, a row a plan that it touched or missed. `line` is null for MISSING and AGED_OUT.
CHANGES = pa.schema(
    [
        pa.field("change", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("start_date", pa.date32(), nullable=False),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("line", pa.int32()),
        pa.field("was_active", pa.bool_(), nullable=False),  # before this merge
        pa.field("is_active", pa.bool_(), nullable=False),  # after it
        pa.field("missing_since", pa.date32()),  # for MISSING
        pa.field("start_moved", pa.bool_(), nullable=False),  # an amendment of the start date of the open plan
        pa.field("redated", pa.bool_(), nullable=False),  # an amendment of a start, end or birth date
    ]
)
