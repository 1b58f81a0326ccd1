"""The first half of a release, in a worker: some authorities' active plans routed to units, twice.

Once for the extracts, and once anew for what these are held to before they are sealed (`extracts.recipients`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cpis_batch import accounts
from cpis_batch.errors import Bug
from cpis_batch.extracts import recipients, routing
from cpis_batch.extracts.batches import split
from cpis_batch.keystore import MasterKey
from cpis_batch.register import view
from cpis_batch.register.schema import PLANS
from cpis_batch.register.store import PartStore
from cpis_batch.runs import spool
from cpis_batch.runs.spool import Spooled
from cpis_batch.runs.worker import given, kept_for_the_run

LOOKED_AT = ["la_code", "nhs_number", "plan_type", "start_date", "end_date", "date_of_birth"]  # no name passes through here


@dataclass(frozen=True, slots=True)
class LaPlans:
    """The plans of an authority, as a commit has them."""

    la_code: str
    part: str
    rows: int

    def read(self, store: PartStore, columns: Sequence[str]) -> pa.Table:
        """Some columns of them (PLANS). Bug where they are not as many as the commit says."""
        found = store.read(self.part, columns)
        accounts.check_count(f"The plans of {self.la_code}", self.rows, found.num_rows)
        return found


@dataclass(frozen=True, slots=True)
class LasTask:
    """Some authorities to route. `places` is the part with where the trace says that people belong, None without a trace."""

    las: tuple[LaPlans, ...]
    places: str | None
    reference: routing.Reference = field(repr=False)
    policy: Literal["first", "all"]


@dataclass(frozen=True, slots=True)
class RoutedLas:
    """The rows routed (ROUTED), those `due` by the register (recipients.DUE), the part of those that lead nowhere, and COUNTS."""

    routed: Spooled
    due: Spooled
    unroutable: str
    nowhere: int
    active: pa.Table = field(repr=False)


def route_las(task: LasTask) -> RoutedLas:
    """Route the active plans of some authorities. Bug, StateFault."""
    common, keys = given()
    store = PartStore(common.home / "register", MasterKey(keys.master))
    plans = pa.concat_tables([PLANS.empty_table().select(LOOKED_AT), *(la.read(store, LOOKED_AT) for la in task.las)])
    active = view.active(plans, common.business_date)
    persons = _persons_of(task, active)
    routed = routing.route(active, persons, task.reference, on=common.business_date, policy=task.policy)
    spooled = spool.spool(store, split(routed.rows), routing.ROUTED, "The routed rows")
    nowhere = routed.unroutable
    groups = [nowhere] if nowhere.num_rows else []
    unroutable = spool.write(store, groups, routing.UNROUTABLE, "The unroutable rows", nowhere.num_rows)
    due = recipients.due(active, persons, task.reference, on=common.business_date, policy=task.policy)
    return RoutedLas(
        routed=spooled,
        due=spool.spool(store, split(due), recipients.DUE, "The rows to check with"),
        unroutable=unroutable,
        nowhere=nowhere.num_rows,
        active=recipients.count_active(plans, on=common.business_date),
    )


def _persons_of(task: LasTask, active: pa.Table) -> pa.Table:
    """routing.PERSONS of the people of some authorities."""
    if task.places is None:
        return routing.PERSONS.empty_table()
    numbers, persons = _places(task.places)
    wanted = np.unique(_numbers(active))
    near = np.searchsorted(numbers, wanted)
    near, wanted = near[near < len(numbers)], wanted[near < len(numbers)]
    return persons.take(pa.array(near[numbers[near] == wanted])).cast(routing.PERSONS)


@kept_for_the_run
def _places(part: str) -> tuple[npt.NDArray[np.int64], pa.Table]:
    """The numbers of all who are traced, sorted, and their routing.PERSONS, in some 35 bytes a person."""
    common, keys = given()
    store = PartStore(common.home / "register", MasterKey(keys.master))
    groups = [routing.PERSONS.empty_table(), *store.groups(part)]
    numbers = np.concatenate([_numbers(group) for group in groups])
    return numbers, pa.concat_tables([_compact(group) for group in groups]).unify_dictionaries()


def _compact(persons: pa.Table) -> pa.Table:
    for place, name in enumerate(persons.column_names):
        if name.endswith("_code"):
            persons = persons.set_column(place, name, persons[name].dictionary_encode())
    return persons


def _numbers(table: pa.Table) -> npt.NDArray[np.int64]:
    """NHS numbers as integers. Bug where one is not ten digits."""
    try:
        numbers: npt.NDArray[np.int64] = table["nhs_number"].cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # its message quotes what it read
        raise Bug("A plan or a trace has no number of ten digits.", "Run: cpis-batch register verify") from None
    return numbers
