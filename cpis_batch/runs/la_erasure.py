"""One LA's erasure, in a worker process: proof first, then its plans and history without what is due. Nothing of it is true yet.

Proof: before the archived files go, they are replayed once more and held against the register as it stands, so that what they
could have shown is not destroyed with them. Then the plans and history as they are to be are written twice: as the register's
parts, and as a checkpoint in the archive, from which every later rebuild begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pyarrow as pa

from cpis_batch import accounts
from cpis_batch.catalogue.records import Balance, Checkpoint, LaVersion
from cpis_batch.errors import CpisError, DiskFault, Exit, place_of
from cpis_batch.keystore import MasterKey
from cpis_batch.register import erasure, retention
from cpis_batch.register.balance import balance
from cpis_batch.register.store import PartStore
from cpis_batch.runs import la_part
from cpis_batch.runs.replay import Replayed, ReplayTask, replay
from cpis_batch.runs.retention import parts_of
from cpis_batch.runs.task import Keys, Rehearsed
from cpis_batch.runs.worker import given


@dataclass(frozen=True, slots=True)
class ErasureTask:
    """One LA. `shown` is what the newest release shows of it (retention.told); `proof` is None where a person waived it."""

    version: LaVersion
    shown: pa.Table
    proof: ReplayTask | None


@dataclass(slots=True)
class LaErasure:
    """What it came to. Without a checkpoint nothing of the LA is erased, and `why` says why not."""

    la_code: str
    checkpoint: Checkpoint | None = None
    version: LaVersion | None = None  # None where no plan or version is due, and its files alone go
    balances: tuple[Balance, ...] = ()
    plans: int = 0
    versions: int = 0
    why: str = ""
    exit_code: Exit = Exit.PERSON_NEEDED


def erase(task: ErasureTask) -> LaErasure:
    """Prove and take out; what stops it is a value here, without the text of a foreign exception, which may quote a record."""
    la_code = task.version.la_code
    try:
        if task.proof and (why := unproven(replay(task.proof))):
            return LaErasure(la_code, why=why)
        return _erase(task, *given())
    except (DiskFault, OSError):
        raise
    except CpisError as fault:
        return LaErasure(la_code, why=fault.message, exit_code=fault.exit_code)
    except Exception as fault:  # noqa: BLE001 - the text of a foreign exception may quote a record: only its type and place are told
        return LaErasure(la_code, why=place_of(fault), exit_code=Exit.BUG)


def unproven(replayed: Replayed) -> str:
    """Why an LA's archive does not bear out its register; empty where it does."""
    if replayed.stopped:
        return f"Its archive cannot be replayed: {replayed.stopped}"
    if replayed.differences:
        first = replayed.differences[0]
        rules = ", which was made under other rules than today's" if first.rules_changed else ""
        return f"Its archive comes to another register, first in commit {first.commit_id} ({first.column}){rules}."
    return ""


def _erase(task: ErasureTask, common: Rehearsed, keys: Keys) -> LaErasure:
    la_code, master = task.version.la_code, MasterKey(keys.master)
    store, archive = PartStore(common.home / "register", master), PartStore(common.home / "archive", master)
    plans, history = parts_of(store, task.version)
    due = retention.due(plans, history, common.business_date, common.retention_days)
    goes, _ = retention.told(due, plans, task.shown)
    left = erasure.erase(plans, history, goes, common.business_date)
    accounts.check_count("The plans that stay", plans.num_rows - goes.plans.num_rows, left.plans.num_rows)
    accounts.check_count("The versions that stay", history.num_rows - goes.history.num_rows, left.history.num_rows)
    done = LaErasure(la_code, plans=goes.plans.num_rows, versions=goes.history.num_rows, exit_code=Exit.DONE)
    plans_part, history_part = _written(archive, left)
    done.checkpoint = Checkpoint(la_code=la_code, plans_part=plans_part, history_part=history_part)
    if goes.anything:
        plans_part, history_part = _written(store, left)
        done.version = msgspec.structs.replace(
            la_part.recounted(task.version, left.plans, common.business_date), plans_part=plans_part, history_part=history_part
        )
        done.balances = _balances(la_code, plans, left)
    return done


def _written(store: PartStore, left: erasure.Erased) -> tuple[str, str | None]:
    """The digests of the two parts, once all rows are known to stand in them."""
    plans = store.write(left.plans)
    history = store.write(left.history) if left.history.num_rows else None
    accounts.check_count("The part of the plans", left.plans.num_rows, plans.rows)
    accounts.check_count("The part of the history", left.history.num_rows, history.rows if history else 0)
    return plans.digest, history.digest if history else None


def _balances(la_code: str, before: pa.Table, left: erasure.Erased) -> tuple[Balance, ...]:
    return tuple(msgspec.convert(row, Balance) for row in balance(la_code, before, left.plans, left.changes).to_pylist())
