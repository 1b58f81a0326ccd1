"""An authority's plans as LA extract 1.0, the way its report writer would make it: `H`, a `D` a plan, `T`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.business_time import text_of
from cpis_batch.vocabulary import Environment, ExtractKind

FORMAT = "CPIS-LA-EXTRACT"

# Fields of a D record after its type, in their order (specs/la-extract/1.0).
FIELDS = (
    "nhs_number",
    "child_id",
    "family_name",
    "given_name",
    "date_of_birth",
    "plan_type",
    "start_date",
    "end_date",
    "delete_date",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The H record. The two telephone numbers are of the range kept free for drama (Ofcom)."""

    la_code: str
    kind: ExtractKind
    sequence: int
    extracted_at: datetime
    environment: Environment = Environment.TEST
    version: str = "1.0"
    office_phone: str = field(default="")
    emergency_phone: str = field(default="")

    def line(self) -> bytes:
        """The record as it stands in the file, its line end included."""
        office, emergency = self.office_phone or phone(self.la_code, 0), self.emergency_phone or phone(self.la_code, 1)
        fields = (FORMAT, self.version, self.environment, self.la_code, self.kind, str(self.sequence))
        return ",".join(("H", *fields, self.extracted_at.isoformat(timespec="seconds"), office, emergency)).encode() + b"\r\n"

    @property
    def file_name(self) -> str:
        """The name under which the sealed file is dropped."""
        stamp = text_of(self.extracted_at).replace("-", "").replace(":", "")
        return f"CPIS_LA_{self.la_code}_{self.kind}_{self.sequence:08d}_{stamp}.csv.pgp"


def phone(la_code: str, which: int) -> str:
    """An authority's office-hours (0) or emergency duty (1) number, 020 7946 0000 to 0999."""
    return f"020 7946 0{(int(la_code[1:]) * 2 + which) % 1000:03d}"


def body(plans: pa.Table) -> bytes:
    """The D records of `plans` (columns: at least FIELDS)."""
    return records([plans[name] for name in FIELDS])


def records(columns: Sequence[pa.ChunkedArray]) -> bytes:
    """D records of these columns, quoted only where a comma or a quote asks for it."""
    *others, last = map(_quoted, columns)
    lines = pc.binary_join_element_wise("D", *others, pc.binary_join_element_wise(last, "\r\n", ""), ",")
    return b"".join(map(_text_of, lines.chunks))


def _text_of(lines: pa.StringArray) -> bytes:
    """The characters of an array without a null, one after the other: as they lie in memory."""
    if not len(lines):
        return b""
    _, offsets, data = lines.buffers()
    begin, end = np.frombuffer(offsets, np.int32)[[lines.offset, lines.offset + len(lines)]]
    return bytes(data[int(begin) : int(end)])


def _quoted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = pc.fill_null(column.cast(pa.string()), "")
    special = pc.match_substring_regex(text, '[",]')
    if not pc.any(special).as_py():
        return text
    return pc.if_else(special, pc.binary_join_element_wise('"', pc.replace_substring(text, '"', '""'), '"', ""), text)


def hash_total(nhs_numbers: pa.ChunkedArray) -> int:
    """The sum of the numbers as integers, modulo 10^10; what is not all digits counts nothing."""
    digits = pc.match_substring_regex(nhs_numbers, r"^[0-9]{1,18}$")
    return (pc.sum(nhs_numbers.filter(digits).cast(pa.int64())).as_py() or 0) % 10**10


def trailer(plans: pa.Table) -> bytes:
    """The T record for `plans`."""
    return b"T,%d,%d\r\n" % (plans.num_rows, hash_total(plans["nhs_number"]))


def write(header: Header, plans: pa.Table) -> bytes:
    """The whole extract, before it is sealed."""
    return header.line() + body(plans) + trailer(plans)


def changed_on(plans: pa.Table, day: date) -> pa.Table:
    """What a DELTA of that night holds: the plans (columns: those of `england.PLANS`) that changed on `day` or later."""
    return plans.filter(pc.greater_equal(plans["changed_on"], pa.scalar(day)))
