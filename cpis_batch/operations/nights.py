"""The history of nights: what each business date's runs came to, from what the catalogue keeps of every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import msgspec

from cpis_batch.catalogue.records import Run
from cpis_batch.errors import Exit

DAYS = 30
KIND = "nightly"  # the run that makes a night of a date
_WELL = (Exit.DONE, Exit.PERSON_NEEDED)
ENDED = {
    Exit.DONE: "Done",
    Exit.PERSON_NEEDED: "Done, a person is needed",
    Exit.UNREACHABLE: "No server could be reached",
    Exit.BUG: "A fault of the program",
    Exit.DISK: "The disk",
    Exit.LOCKED: "Another run was at work",
    Exit.HOST_KEY: "A server's host key",
    Exit.KEY: "A key or a permission",
    Exit.CONFIGURATION: "The configuration",
    Exit.INTERRUPTED: "Interrupted",
}


class _File(msgspec.Struct, frozen=True):
    state: str
    records: dict[str, int]


class _Summary(msgspec.Struct, frozen=True):
    """What is read of a run's document (specs/run/1.0); runs of other kinds keep other things, and have none of these."""

    files: tuple[_File, ...] = ()
    delivered: int = 0
    seconds: float = 0.0
    stages: dict[str, float] = {}
    broken_off: str | None = None
    servers_down: dict[str, str] = {}
    stopped: dict[str, str] = {}
    failed: dict[str, str | None] = {}
    partners_in_trouble: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run ended. `exit_code` is None while it is at work, and for ever where it was killed."""

    run: Run
    summary: _Summary

    @property
    def words(self) -> str:
        """How it ended, in words."""
        if self.run.exit_code is None:
            return "No end: at work, or killed"
        known = next((told for code, told in ENDED.items() if code == self.run.exit_code), "Ended")
        return known if self.run.exit_code == Exit.DONE else f"{known} ({self.run.exit_code})"

    @property
    def well(self) -> bool:
        """Whether it did its work."""
        return self.run.exit_code in _WELL

    @property
    def tag(self) -> str:
        """The class of its tag: good, odd or bad."""
        return "good" if self.run.exit_code == Exit.DONE else "odd" if self.well else "bad"


@dataclass(slots=True)
class Night:
    """What all runs of a business date came to together. `last` is its last nightly run; None where there was none."""

    on: date
    runs: int = 0
    files: int = 0
    refused: int = 0
    held: int = 0
    rows: int = 0
    delivered: int = 0
    seconds: float = 0.0
    last: Ended | None = field(default=None)


def ended(runs: Sequence[Run]) -> list[Ended]:
    """The runs with what is read of their documents, in the order given."""
    return [Ended(run, _summary(run.summary)) for run in runs]


def _summary(text: str | None) -> _Summary:
    try:
        return msgspec.json.decode(text, type=_Summary) if text else _Summary()
    except msgspec.ValidationError:
        return _Summary()  # of another kind of run, whose fields of these names mean something else


def nights(runs: Sequence[Ended], today: date) -> list[Night]:
    """The last DAYS business dates up to `today`, oldest first; a date without a night is among them once there has been one."""
    found: dict[date, Night] = {}
    for one in runs:
        night = found.setdefault(one.run.business_date, Night(one.run.business_date))
        night.runs += 1
        states = [file.state for file in one.summary.files]
        night.files += len(states)
        night.refused += states.count("REFUSED")
        night.held += states.count("HELD")
        night.rows += sum(count for file in one.summary.files for count in file.records.values())
        night.delivered += one.summary.delivered
        if one.run.kind == KIND:
            night.seconds += one.summary.seconds
            night.last = one
    first = min(found, default=today)
    begins = max(first, today - timedelta(days=DAYS - 1))
    days = [begins + timedelta(days=number) for number in range((today - begins).days + 1)]
    return [found.get(day, Night(day)) for day in days if day in found or day < today]
