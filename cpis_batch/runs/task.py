"""What a worker process is asked about one LA, and what it answers: values that cross the process boundary.

No plaintext and no value of a record crosses back: results name parts and sealed messages by digest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from cpis_batch.audit.entry import Head
from cpis_batch.catalogue.records import Arrival, Balance, Delivery, Hold, LaVersion
from cpis_batch.config import Limits
from cpis_batch.errors import Exit
from cpis_batch.intake.acknowledge import Match, Notice
from cpis_batch.partners import Partner
from cpis_batch.register.brake import Brake
from cpis_batch.runs.trace_service import TraceService
from cpis_batch.vocabulary import Change, Environment, FileOutcome


@dataclass(frozen=True, slots=True)
class Keys:
    """What workers need to open and to seal; given through the pool's pipe, never by disk or argument list."""

    master: bytes = field(repr=False)
    signer: bytes = field(repr=False)  # the hub's current secret key
    current_hub: str  # its fingerprint
    gpg_home: Path


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What is the same for every LA of a run."""

    home: Path
    environment: Environment
    limits: Limits
    partial_wait_minutes: int
    retention_days: int
    business_date: date
    now: datetime
    audit: Head  # where the audit log stood when the run began
    trace: TraceService


@dataclass(frozen=True, slots=True)
class Candidate:
    """One file to settle: new, or held and looked at again. `arrival.state` is HELD until the worker has decided."""

    arrival: Arrival
    first_seen_at: datetime
    hold: Hold | None = None  # with the decision on it, where a person has just taken one
    waived: frozenset[str] = frozenset()  # reasons of holds on it that a person has released, now or before
    told: frozenset[str] = frozenset()  # reasons of holds on it that the LA has had a notice of


@dataclass(frozen=True, slots=True)
class LaTask:
    """One LA's evening."""

    partner: Partner
    name: str  # of the LA, for people
    certificates: dict[str, bytes]  # allowed today, by fingerprint
    recipients: tuple[bytes, ...]  # those of them that can be sealed to
    version: LaVersion | None
    merged: dict[tuple[int, int], tuple[str, FileOutcome]]  # (epoch, sequence) -> what was merged, and its outcome
    held_digests: frozenset[str]
    brake: Brake
    candidates: tuple[Candidate, ...]
    conflict_open: bool
    decided: tuple[Hold, ...] = ()  # conflicts that a person has just settled
    notices: tuple[Notice, ...] = ()
    match: Match | None = None  # as last counted; None before the first trace


@dataclass(slots=True)
class LaResult:
    """What became of it; nothing of it is true before the commit."""

    la_code: str
    version: LaVersion | None = None
    balances: tuple[Balance, ...] = ()
    arrivals: list[Arrival] = field(default_factory=list)  # new ones
    settled: list[Arrival] = field(default_factory=list)  # held before, final or still held
    holds: list[Hold] = field(default_factory=list)
    decided: list[Hold] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    waiting: list[Candidate] = field(default_factory=list)  # perhaps still growing
    operator_notes: list[str] = field(default_factory=list)  # for the log: codes and causes, no values
    changes: dict[Change, int] = field(default_factory=dict)
    fault: str | None = None  # why this LA's evening failed: nothing of the LA is changed, and the others go on
    fault_code: Exit = Exit.DONE
    seconds: float = 0.0  # of the worker's time, with its share of what was done for several LAs together
    answering: float = 0.0  # of these, for its answers
