"""What the register said about one person, on a day, as known at some instant: for a case review, a subject access request.

The one reader that shows a person's data. Each use is written down, without the number: who, why, for which day, how many
rows of which LAs were shown.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import audit_key, catalogue, config, nhs_number
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.records import Arrival, LaVersion
from cpis_batch.errors import CpisError, Exit, UsageFault
from cpis_batch.keystore import load_master_key
from cpis_batch.nhs_number import NhsNumber
from cpis_batch.register import view
from cpis_batch.register.schema import HISTORY
from cpis_batch.register.store import PartStore
from cpis_batch.runs import log

_UNVERSIONED = ("last_confirmed_on", "missing_since")  # they move every night and are not kept (register.history)


@dataclass(frozen=True, slots=True, repr=False)
class Said:
    """One plan as the register had it (PLANS, without what is not kept by time), and the file that said so."""

    plan: dict[str, object]
    source: Arrival | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Who asks, and why: kept in the run log, in the catalogue and in the audit log."""

    by: str
    reason: str

    @classmethod
    def of(cls, by: str | None, reason: str) -> Use:
        """The use, by the login name where no name is given. UsageFault without a reason, or with a number in it."""
        if not reason.strip():
            raise UsageFault(
                "A look at a person needs a reason.", "Say why with --reason: a case reference, not a name or number."
            )
        if nhs_number.may_be_in(f"{by} {reason}"):
            raise UsageFault(
                "The name or the reason holds what may be an NHS number, and it would be written down.",
                "Give a case reference instead.",
            )
        return cls(by=(by or "").strip() or getpass.getuser(), reason=reason.strip())


def as_of(
    home: Path,
    number: NhsNumber,
    *,
    valid_on: date,
    known_at: datetime,
    la_code: str | None,
    use: Use,
    today: date,
    now: datetime,
) -> list[Said]:
    """The person's plans that were active on `valid_on` by what was known at `known_at`, by LA; the use is recorded first.

    UsageFault for an LA of which the register holds nothing; StateFault where a part cannot be read.
    """
    master = load_master_key(home, config.load(home))
    store = PartStore(home / "register", master)
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        opened.sign_with(audit_key.load(home, master, opened.audit_key()))
        versions = [version for version in opened.las() if la_code in (None, version.la_code)]
        if la_code and not versions:
            raise UsageFault(f"The register holds nothing of {la_code}.", "See: cpis-batch register show")
        asked: dict[str, Any] = {"by": use.by, "reason": use.reason, "valid_on": valid_on, "known_at": known_at, "la": la_code}
        run = opened.start_run("asof", today, now, command={"command": "register asof"} | asked)
        log.start(home, today)
        log.of_run(run)
        try:
            log.event("the register was asked about a person", **asked)
            found = [said for version in versions for said in _of_la(opened, store, version, number, valid_on, known_at)]
            shown: dict[str, Any] = {"rows": len(found), "las": sorted({str(said.plan["la_code"]) for said in found})}
            log.event("answered", **shown)
            opened.end_run(run, now, int(Exit.DONE), msgspec.json.encode(asked | shown))
        except CpisError as fault:
            opened.end_run(run, now, int(fault.exit_code), msgspec.json.encode(asked))
            raise
        finally:
            log.stop()
    return found


def _of_la(
    opened: Catalogue, store: PartStore, version: LaVersion, number: NhsNumber, valid_on: date, known_at: datetime
) -> list[Said]:
    plans = _of_person(store.read(version.plans_part), number)
    history = _of_person(store.read(version.history_part), number) if version.history_part else HISTORY.empty_table()
    if not plans.num_rows and not history.num_rows:
        return []
    rows = view.as_of(plans, history, valid_on, known_at).sort_by([(name, "ascending") for name in ("plan_type", "start_date")])
    return [Said(row, _source(opened, str(row["source_file"]))) for row in rows.drop_columns(list(_UNVERSIONED)).to_pylist()]


def _of_person(table: pa.Table, number: NhsNumber) -> pa.Table:
    return table.filter(pc.equal(table["nhs_number"], number.value))


def _source(opened: Catalogue, digest: str) -> Arrival | None:
    """The arrival that was merged with these bytes."""
    return next(iter(opened.arrivals("digest = ? AND state = 'MERGED'", (digest,))), None)


def document(said: Said) -> dict[str, Any]:
    """One plan and its source, for JSON."""
    source = said.source
    return {
        "plan": said.plan,
        "source": {"name": source.name, "sequence": source.sequence, "signer": source.signer, "seen_at": source.seen_at}
        if source
        else None,
    }


def words(said: Said) -> str:
    """One plan and its source, for people."""
    plan, source = said.plan, said.source
    ends = f"to {plan['end_date']} ({plan['end_basis']})" if plan["end_date"] else "open"
    return "\n".join(
        [
            f"{plan['la_code']}  {plan['plan_type']} from {plan['start_date']}, {ends}",
            f"  person:  {plan['given_name']} {plan['family_name']}, born {plan['date_of_birth']}, its id {plan['child_id']}",
            f"  known:   since {plan['known_from']}",
            f"  file:    {plan['source_file']}, line {plan['source_line']}",
            f"  sent as: {source.name}, sequence {source.sequence}, signed by {source.signer}"
            if source
            else "  sent as: no file of that digest was merged",
        ]
    )
