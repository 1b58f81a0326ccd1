"""The name of an LA extract: `CPIS_LA_<GSS code>_<FULL|DELTA>_<sequence, 8 digits>_<YYYYMMDDThhmmssZ>.csv.pgp`.

An allow-list: a name of any other form is passed over and counted. A name describes and decides nothing; sender,
sequence and time are taken from the signed content.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cpis_batch.vocabulary import ExtractKind

_GRAMMAR = re.compile(
    r"CPIS_LA_(?P<la>[A-Z][0-9]{8})_(?P<kind>FULL|DELTA)_(?P<sequence>[0-9]{8})_(?P<stamp>[0-9]{8}T[0-9]{6})Z\.csv\.pgp"
)
_STAMP = "%Y%m%dT%H%M%S"


@dataclass(frozen=True, slots=True)
class ExtractName:
    """What a file's name says of it."""

    la_code: str
    kind: ExtractKind
    sequence: int
    stamp: datetime  # UTC

    def __str__(self) -> str:
        return f"CPIS_LA_{self.la_code}_{self.kind}_{self.sequence:08d}_{self.stamp.astimezone(UTC):{_STAMP}}Z.csv.pgp"


def parse(name: str) -> ExtractName | None:
    """The parts of a name that follows the grammar to the letter, else None."""
    if not (found := _GRAMMAR.fullmatch(name)):
        return None
    try:
        stamp = datetime.strptime(found["stamp"], _STAMP).replace(tzinfo=UTC)
    except ValueError:  # the 31st of February
        return None
    return ExtractName(found["la"], ExtractKind(found["kind"]), int(found["sequence"]), stamp)
