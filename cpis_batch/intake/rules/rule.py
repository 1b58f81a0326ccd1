"""What a rule is: one SQL predicate with a code, a severity, the fields it speaks of, a cause and a cure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from cpis_batch.vocabulary import FileOutcome, Severity


class Scope(StrEnum):
    """FILE: an ERROR refuses the whole file. ROW: an ERROR keeps that row out."""

    FILE = "FILE"
    ROW = "ROW"


@dataclass(frozen=True, slots=True)
class Rule:
    """`when` is true where the rule is broken, and NULL (unknown, no fault) where a value it needs could not be read.

    `cause` and `cure` are plain words for an LA's data officer; neither ever quotes a value of the row. The fault is
    shown at the first of `fields`.

    `given` names a column that must be true (ROW) or there at all (FILE) before the rule is looked at. Most rules tell why
    a value could not be read, so a file whose values all can be does not pay for them, not even for their planning.

    A FILE rule tells beside that which outcome its ERROR gives the file, and, in SQL, at which line it shows and what
    numbers explain it.
    """

    code: str
    scope: Scope
    severity: Severity
    fields: tuple[str, ...]
    when: str
    cause: str
    cure: str
    given: str = ""
    outcome: FileOutcome = FileOutcome.UNREADABLE
    line: str = "NULL"
    detail: str = "NULL"


def digest(rules: Iterable[Rule], source: str) -> str:
    """What these rules look for in what `source` makes of rows: another digest, other verdicts may be. Words are not in it."""
    told = "\n".join((source, *(f"{rule.code} {rule.given} {rule.when}" for rule in rules)))
    return hashlib.sha256(told.encode()).hexdigest()
