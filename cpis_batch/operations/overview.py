"""What stands and what happened, for those who watch: gathered once, for all that is made of it, from catalogue and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cpis_batch.business_time import business_date
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.records import Delivery, Hold
from cpis_batch.envelope.inventory import Item, State
from cpis_batch.ledger import totals_of
from cpis_batch.operations import nights
from cpis_batch.operations.nights import DAYS, Ended, Night
from cpis_batch.partners import Partner, PartnerKind
from cpis_batch.status import needs_a_person

KINDS = ("intake", "nightly", "fortnightly", "national", "retention")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the last start of a run came to nothing: the home could not be opened for it."""

    kind: str
    exit_code: int
    words: str


@dataclass(frozen=True, slots=True)
class Lying:
    """How many messages of a kind lie uncollected, and since when the oldest."""

    kind: str
    messages: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """What stands. `status` is the document of that name; keys are those that end soon or are broken; times are with a zone."""

    made_at: datetime
    name: str
    status: Mapping[str, Any]
    needs: Sequence[str]
    cadences: Mapping[str, int]  # days, by authority
    holds: Sequence[Hold]
    undelivered: Sequence[Delivery]
    uncollected: Sequence[Lying]
    ledger: Sequence[Mapping[str, Any]]  # a line a plan type
    keys: Sequence[Item]
    nights: Sequence[Night]
    last: Mapping[str, Ended]  # the last run of each kind that has ended
    last_well: Mapping[str, Ended]  # the last that did its work
    files: Mapping[tuple[str, str], int]  # of authorities, those in their final state, by state and outcome
    trouble: Trouble | None = None

    @property
    def last_night(self) -> Ended | None:
        """The last run that was a night."""
        return self.last.get(nights.KIND)

    @property
    def keys_concerning(self) -> list[Item]:
        """Those keys, certificates and agreements that need a person: broken first, then by their end."""
        some = [item for item in self.keys if item.state in (State.DUE, State.BROKEN)]
        return sorted(
            some, key=lambda item: (item.state is not State.BROKEN, item.ends or business_date(self.made_at), item.owner)
        )


def gather(
    catalogue: Catalogue,
    status: Mapping[str, Any],
    partners: Mapping[str, Partner],
    keys: Sequence[Item],
    *,
    name: str,
    made_at: datetime,
    trouble: Trouble | None = None,
) -> Overview:
    """The overview at `made_at`. StateFault where the catalogue cannot be read."""
    today = business_date(made_at)
    runs = nights.ended(catalogue.runs(today - timedelta(days=DAYS)))
    last = {kind: one for kind in KINDS if (one := _last(catalogue, runs, kind))}
    well = {kind: one for kind in last if (one := _last(catalogue, runs, kind, well=True))}
    states = catalogue.table(
        "SELECT state, file_outcome, count(*) AS files FROM arrivals WHERE state <> 'HELD' GROUP BY state, file_outcome"
    )
    lying = catalogue.table(
        "SELECT kind, count(*) AS messages, min(delivered_at) AS since FROM deliveries"
        " WHERE delivered_at IS NOT NULL AND collected_at IS NULL GROUP BY kind ORDER BY kind"
    )
    return Overview(
        made_at=made_at,
        name=name,
        status=status,
        needs=needs_a_person(dict(status)),
        cadences={code: partner.cadence_days for code, partner in partners.items() if partner.kind is PartnerKind.LA},
        holds=catalogue.holds(),
        undelivered=catalogue.deliveries("delivered_at IS NULL"),
        uncollected=[Lying(row["kind"], row["messages"], datetime.fromisoformat(row["since"])) for row in lying],
        ledger=totals_of(catalogue, status["business_date"]) if status["business_date"] else [],
        keys=keys,
        nights=nights.nights([one for one in runs if one.run.kind in KINDS], today),
        last=last,
        last_well=well,
        files={(row["state"], row["file_outcome"]): row["files"] for row in states},
        trouble=trouble,
    )


def _last(catalogue: Catalogue, runs: Sequence[Ended], kind: str, *, well: bool = False) -> Ended | None:
    """The last run of a kind that has ended, well or at all: mostly one of those at hand, else asked for."""
    for one in reversed(runs):
        if one.run.kind == kind and one.run.exit_code is not None and (one.well or not well):
            return one
    found = catalogue.last_run(kind, well=well)
    return nights.ended([found])[0] if found else None
