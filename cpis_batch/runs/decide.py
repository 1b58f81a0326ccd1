"""A person's decision on what is held: release it or refuse it, with a reason and a name. Recorded, and told to the LA."""

from __future__ import annotations

import msgspec

from cpis_batch import nhs_number
from cpis_batch.catalogue.records import Hold
from cpis_batch.errors import UsageFault
from cpis_batch.runs import intake
from cpis_batch.runs.exchange import Servers
from cpis_batch.runs.hub import Hub


def decide(hub: Hub, servers: Servers, hold_id: int, *, release: bool, by: str, reason: str) -> intake.Intake:
    """Settle one hold. UsageFault where `open_hold` has one, no name or reason is given, or an NHS number may be in it."""
    if not by.strip() or not reason.strip():
        raise UsageFault("A decision needs a name and a reason.", "Say who decides with --by and why with --reason.")
    if nhs_number.may_be_in(f"{by} {reason}"):
        raise UsageFault(
            "The name or the reason holds what may be an NHS number, and it would be written down.",
            "Give a case reference instead.",
        )
    hold = open_hold(hub, hold_id, release=release)
    decided = msgspec.structs.replace(
        hold,
        decision="RELEASED" if release else "REFUSED",
        decided_at=hub.now,
        decided_by=by.strip(),
        decision_reason=reason.strip(),
    )
    done = intake.settle(hub, (), decisions={hold.id: decided})
    servers.deliver()
    return done


def open_hold(hub: Hub, hold_id: int, *, release: bool) -> Hold:
    """The hold, if it still waits for a decision, and for this one; UsageFault if not."""
    hold = hub.catalogue.hold(hold_id)
    if hold is None:
        raise UsageFault(f"There is no hold {hold_id}.", "See: cpis-batch holds list")
    if hold.decision is not None:
        raise UsageFault(f"Hold {hold_id} was decided before: {hold.decision}.", "See: cpis-batch holds list --all")
    if release and hold.reason == "PARTNER_HELD":
        raise UsageFault(
            f"Hold {hold_id} is of a file that waits behind a contradiction: to release it would change nothing.",
            f"Decide the CONFLICT of {hold.partner}, then its files go their way: cpis-batch holds list",
        )
    return hold
