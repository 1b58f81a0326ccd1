"""An authority's evening in a rehearsal: what it puts down, and what the hub must make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

import pyarrow as pa

from cpis_batch.sandbox import extracts
from cpis_batch.sandbox.drops import Drop, Sealing
from cpis_batch.sandbox.extracts import Header
from cpis_batch.vocabulary import FileOutcome


class Fate(StrEnum):
    """What becomes of a drop in the night's run: a state of the hub's, or none of them."""

    HELD = "HELD"
    MERGED = "MERGED"
    DUPLICATE = "DUPLICATE"
    STALE = "STALE"
    REFUSED = "REFUSED"
    WAITING = "WAITING"  # perhaps still growing: no answer yet
    PASSED_OVER = "PASSED_OVER"  # a name that nobody takes: counted
    NO_FILE = "NO_FILE"


@dataclass(frozen=True, slots=True)
class Expected:
    """What must become of one file of an authority in one night. `rejected` counts rows; `name` is empty for NO_FILE."""

    la_code: str
    name: str
    fate: Fate
    outcome: FileOutcome | None = None
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens in an evening: perhaps a file put down, and what must be seen that night."""

    expected: Expected
    drop: Drop | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An authority's evening: what it holds tonight and how its extract would rightly be."""

    header: Header
    runs_at: datetime  # of the hub, tonight
    told: pa.Table  # what tonight's extract tells: all plans, or those that changed
    neighbour: str  # another authority
    strangers: pa.Table  # and its plans
    earlier: tuple[Case, ...] = field(default=())  # the authority's evenings before this one

    @property
    def name(self) -> str:
        """Of tonight's file."""
        return self.header.file_name

    @property
    def put_at(self) -> datetime:
        """When its file arrives: ten minutes after it was made."""
        return self.header.extracted_at + timedelta(minutes=10)

    def text(self, told: pa.Table | None = None, **changed: object) -> bytes:
        """The plaintext, of the rows `told`, with a header that is `changed`."""
        return extracts.write(replace(self.header, **changed), self.told if told is None else told)  # type: ignore[arg-type]

    def act(
        self,
        content: bytes,
        fate: Fate,
        outcome: FileOutcome | None = None,
        *,
        rejected: int = 0,
        name: str = "",
        put_at: datetime | None = None,
        sealing: Sealing = Sealing.PROPER,
        keep: float = 1.0,
        same_as: str | None = None,
    ) -> Act:
        """A file put down, and what must become of it."""
        named = name or self.name
        drop = Drop(
            sender=self.header.la_code,
            name=named,
            put_at=put_at or self.put_at,
            content=content,
            sealing=sealing,
            keep=keep,
            same_as=same_as,
        )
        return Act(self.expect(fate, outcome, rejected=rejected, name=named), drop)

    def expect(self, fate: Fate, outcome: FileOutcome | None = None, *, rejected: int = 0, name: str) -> Expected:
        """What must become of the file `name`, which may have been put down before tonight."""
        return Expected(self.header.la_code, name, fate, outcome, rejected)


Evening = Callable[[Case], list[Act]]


def as_usual(case: Case) -> list[Act]:
    """The right file."""
    return [case.act(case.text(), Fate.MERGED, FileOutcome.ALL_LOADED)]


def nothing(case: Case) -> list[Act]:
    """No file."""
    return [Act(case.expect(Fate.NO_FILE, name=""))]
