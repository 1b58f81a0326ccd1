"""The tables and codes of the national view.

KNOWN, one row a plan of any authority, ended ones of the tail too: the columns of register PLANS that the rules look at, and

- `person`: the number by which rows are of one person: the current one where the trace says that theirs is superseded (FAULTS
  F47), else their own. It compares and is never told; a number without replacement stands for itself alone, for ever (F48);
- `frozen`: a number without replacement; `dead`: PDS has a date of death;
- `unnamed`: no other authority may be named to anybody, since its name would say where a sensitive (F49) or frozen person lives.

FOUND, what a rule has found, one row for each plan that its authority is told of and each other authority to be named:

- `matter`, `standing`: which rule, and how it judges;
- `nhs_number`, `child_id`, `plan_type`, `start_date`, `end_date`: of the authority's own plan; the number is in no list, and here
  so that what was told of a person is erased with the person;
- `working_days`: with GAP, how many have gone by since that plan ended;
- `other_la_code`: another authority that holds an *active* plan (DESIGN, rule 2): null with GAP and UNBORN, and for the unnamed.

ENTRIES are FOUND as it is remembered that an authority was told of it.
"""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa

TAIL_DAYS = 365  # how far back an ended plan is looked at: as long as it is kept


class Matter(StrEnum):
    """What an authority is told of."""

    CONFLICT = "CONFLICT"  # another authority holds an active plan too
    GAP = "GAP"  # the plan ended, the child was seen since, nobody holds one
    UNBORN = "UNBORN"  # the plan for an unborn child is over, or must be, and no child of the authority has followed
    RETURN = "RETURN"  # a plan of the same type began anew within a year


class Standing(StrEnum):
    """How a rule judges what it found."""

    DOUBTFUL = "DOUBTFUL"  # CONFLICT: the same plan type at both for over 30 days
    HANDOVER = "HANDOVER"  # CONFLICT: the same type at both, for 30 days or less
    OTHER_PLAN = "OTHER_PLAN"  # CONFLICT: plans of different types, a mother's own and her unborn child's for instance
    OVERDUE = "OVERDUE"  # GAP: 15 working days are over
    RUNNING = "RUNNING"  # GAP: they are not; told to nobody yet
    ENDED = "ENDED"  # UNBORN: the plan has ended
    RAN_PAST = "RAN_PAST"  # UNBORN: the plan is open longer than any pregnancy lasts
    CANNOT_TELL = (
        "CANNOT_TELL"  # UNBORN: ended, and the authority has plans for newborns, which may be this child's; told to nobody
    )
    SAME_AUTHORITY = "SAME_AUTHORITY"  # RETURN: at the authority where it had ended
    ELSEWHERE = "ELSEWHERE"  # RETURN: at another; the authority where it had ended is told


UNTOLD = (Standing.RUNNING, Standing.CANNOT_TELL)  # counted for operators, on no list

KNOWN = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("start_date", pa.date32(), nullable=False),
        pa.field("end_date", pa.date32()),
        pa.field("end_basis", pa.string()),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("date_of_birth", pa.date32(), nullable=False),
        pa.field("person", pa.string(), nullable=False),
        pa.field("frozen", pa.bool_(), nullable=False),
        pa.field("dead", pa.bool_(), nullable=False),
        pa.field("unnamed", pa.bool_(), nullable=False),
    ]
)
PLAN_COLUMNS = tuple(KNOWN.names[: KNOWN.get_field_index("person")])  # those that come from PLANS as they are

ENTRIES = pa.schema(
    [
        pa.field("la_code", pa.string(), nullable=False),
        pa.field("matter", pa.string(), nullable=False),
        pa.field("standing", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("child_id", pa.string(), nullable=False),
        pa.field("plan_type", pa.string(), nullable=False),
        pa.field("start_date", pa.date32(), nullable=False),
        pa.field("end_date", pa.date32()),
        pa.field("other_la_code", pa.string()),
    ]
)
FOUND = pa.schema([*ENTRIES, pa.field("working_days", pa.int64())])
