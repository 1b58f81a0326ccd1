"""The logical digest of a register: the same for the same plans, whatever the order, the Parquet version or the run.

What is hashed, so that anybody can compute it with other tools, is text in UTF-8:

    cpis-plans 1 LF
    one line a plan: the columns of schema.IDENTITY, in that order, separated by TAB, ended by LF

A null is `\\N`; a date is ISO 8601; in text, a backslash, TAB, LF and CR are written `\\\\`, `\\t`, `\\n`, `\\r`. This is
PostgreSQL's COPY text format. The lines are sorted by their bytes (`LC_ALL=C sort`). The digest is SHA-256, in
lower-case hexadecimal.

The register's own is taken the same way over the line `cpis-register 1` and, for each authority, a line of its code, TAB,
and its digest, sorted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.register.schema import IDENTITY

_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))  # the backslash first


def logical_digest(plans: pa.Table) -> str:
    """The digest of one authority's plans (PLANS, or its columns of IDENTITY), in any order."""
    digest = hashlib.sha256(b"cpis-plans 1\n")
    if plans.num_rows:
        *fields, last = [_text(plans[name].combine_chunks()) for name in IDENTITY]
        lines = pc.binary_join_element_wise(*fields, pc.binary_join_element_wise(last, "", "\n"), "\t")
        if not pc.all(pc.less_equal(lines[:-1], lines[1:])).as_py():  # in a part they are sorted: to look is far quicker
            lines = lines.take(pc.sort_indices(lines))
        _, ends, text = lines.buffers()  # one line after the other, as they are to be hashed
        start, end = np.frombuffer(ends, np.int32)[[lines.offset, lines.offset + len(lines)]]
        digest.update(text.slice(start, end - start))
    return digest.hexdigest()


def register_digest(by_la: Mapping[str, str]) -> str:
    """The digest of the whole register from those of its authorities, by LA code. One that holds no plan counts too."""
    lines = sorted(f"{la_code}\t{digest}\n" for la_code, digest in by_la.items())
    return hashlib.sha256("".join(["cpis-register 1\n", *lines]).encode()).hexdigest()


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_date(column.type):
        return pc.fill_null(column.cast(pa.string()), "\\N")
    text = b"" if column.buffers()[2] is None else column.buffers()[2].to_pybytes()
    for plain, escaped in _ESCAPES:
        if plain.encode() in text:  # hardly ever, and to look is far quicker than to replace nothing
            column = pc.replace_substring(column, plain, escaped)
    return pc.fill_null(column, "\\N")
