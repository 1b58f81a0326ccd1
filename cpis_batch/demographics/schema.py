"""The columns of the tables that pass between the rooms of `demographics`.

An *identity* is one person as an authority knows them: NHS number, names and date of birth, of which the digest stands
here (`matching.identities`). Two authorities that spell one child alike hold one identity, else two, each asked about.

REQUESTS, the questions that are open: `reference` names the question, `asked_on` is the date of the request file.

ANSWERS, what a trace response says and the reader let through. The details are null but for the codes 20 and 21; practice
and residence of a sensitive record are gone before the table is made. `line` is the physical line, `answered_on` the
date, in England, on which PDS was asked.

PERSONS, the current trace of each identity, with its age:

- `traced_on`: when PDS was asked; `outcome`: CPR01 to CPR07, null while a trace is postponed; `status`: NHS number status;
- `check`: the check that failed (`matching.Check`), null where none did;
- `inactive`: SUPERSEDED or NO_REPLACEMENT (`vocabulary.Inactive`); `current_number`: with SUPERSEDED alone;
- `sensitive`; `practice_code`, `residence_code`: of who matched and is not sensitive; `date_of_death`: of who matched;
- `practice_since`: the `traced_on` of the first trace that told of this practice and no more of another; null for the first.

Names and the date of birth that PDS has are compared and not kept.
"""

from __future__ import annotations

import pyarrow as pa

REQUESTS = pa.schema(
    [
        pa.field("reference", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("asked_on", pa.date32(), nullable=False),
    ]
)

ANSWERS = pa.schema(
    [
        pa.field("line", pa.int32(), nullable=False),
        pa.field("reference", pa.string(), nullable=False),
        pa.field("trace_code", pa.string(), nullable=False),
        pa.field("nhs_number", pa.string()),
        pa.field("family_name", pa.string()),
        pa.field("given_name", pa.string()),
        pa.field("date_of_birth", pa.date32()),
        pa.field("sensitive", pa.bool_(), nullable=False),
        pa.field("practice_code", pa.string()),
        pa.field("residence_code", pa.string()),
        pa.field("date_of_death", pa.date32()),
        pa.field("answered_on", pa.date32(), nullable=False),
    ]
)

PERSONS = pa.schema(
    [
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("traced_on", pa.date32(), nullable=False),
        pa.field("outcome", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("check", pa.string()),
        pa.field("inactive", pa.string()),
        pa.field("current_number", pa.string()),
        pa.field("sensitive", pa.bool_(), nullable=False),
        pa.field("practice_code", pa.string()),
        pa.field("residence_code", pa.string()),
        pa.field("date_of_death", pa.date32()),
        pa.field("practice_since", pa.date32()),
    ]
)
