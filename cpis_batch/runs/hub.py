"""A home opened for a run: its settings, partners, catalogue and keys, under the lock, with a clock that has not gone back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import __version__, accounts, audit_key, catalogue, config, files, partners
from cpis_batch.audit.entry import Head
from cpis_batch.business_time import business_date as date_in_england
from cpis_batch.business_time import text_of
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.ledger import imbalance
from cpis_batch.catalogue.records import Commit, CommitHead, LaVersion, Waiting
from cpis_batch.config import Settings
from cpis_batch.delivery import outbox
from cpis_batch.envelope import hub as hub_keys
from cpis_batch.envelope import keyboxes
from cpis_batch.envelope.opening import GpgHome
from cpis_batch.errors import Bug, ConfigFault, StateFault, UsageFault
from cpis_batch.intake import collect
from cpis_batch.intake.answering import RULES_VERSION
from cpis_batch.keystore import MasterKey, load_master_key
from cpis_batch.organisations import Organisations
from cpis_batch.organisations import load as load_organisations
from cpis_batch.partners import Partner, PartnerKind
from cpis_batch.register import store as parts
from cpis_batch.register import view
from cpis_batch.register.schema import PLANS
from cpis_batch.register.store import PartStore
from cpis_batch.runs import lock, log, trace_service
from cpis_batch.runs.stages import Stages
from cpis_batch.runs.trace_service import TraceService

if TYPE_CHECKING:
    from cpis_batch.runs.cluster import Cluster

_COUNTED = ["nhs_number", "plan_type", "date_of_birth", "start_date", "end_date"]  # what `view` needs to count children


@dataclass(frozen=True)
class Hub:
    """Everything that a run works with. `now` and `business_date` are the only times there are."""

    home: Path
    settings: Settings
    partners: dict[str, Partner]
    catalogue: Catalogue
    organisations: Organisations
    master: MasterKey
    hub_keys: hub_keys.HubKeys
    business_date: date
    now: datetime
    audit: Head  # where the audit log stood when the run began: what its answers print
    stages: Stages = field(default_factory=Stages)
    cluster: Cluster | None = None  # whose workers do what is done side by side, in the place of processes here

    def under_agreement(self, kind: PartnerKind) -> list[Partner]:
        """The partners of a kind whose data sharing agreement covers the business date: no other is taken from or sent to."""
        return [
            partner for partner in self.partners.values() if partner.kind is kind and partner.agreement.covers(self.business_date)
        ]

    def la_name(self, code: str) -> str:
        """What to call an LA: its name in the reference, else in its partner file."""
        return self.partners[code].name if code in self.partners else code

    @property
    def store(self) -> PartStore:
        """The register's parts."""
        return PartStore(self.home / "register", self.master)

    def plans(self, columns: list[str] | None = None, *, of: pa.Array | None = None) -> pa.Table:
        """The plans of all LAs (PLANS) as committed; those `of` some NHS numbers alone, where these are given."""
        parts = (
            part if of is None else part.filter(pc.is_in(part["nhs_number"], value_set=of))
            for part in self.parts(columns=columns)
        )
        return pa.concat_tables([PLANS.empty_table().select(columns or PLANS.names), *parts])

    def parts(self, changed: Mapping[str, LaVersion] | None = None, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The plans of each LA (PLANS), one after the other, as committed or as they will be with the `changed` LAs."""
        versions = {version.la_code: version for version in self.catalogue.las()} | dict(changed or {})
        for code, version in sorted(versions.items()):
            part = self.store.read(version.plans_part, columns)
            accounts.check_count(f"The plans of {code}", version.row_count, part.num_rows)
            yield part

    @cached_property
    def unbalanced(self) -> int:
        """How much of the ledger was unaccounted for when the run first asked; each commit since is balanced in itself.

        Asked of the whole catalogue once a run: it takes 0.3 s for each year of nights (measured).
        """
        return imbalance(self.catalogue)

    @property
    def trace(self) -> TraceService:
        """What is known of the trace service and from it, by the last commit."""
        return trace_service.known(self.catalogue, self.partners, self.settings.demographics, self.business_date)

    def hold_to_the_ledger(self) -> None:
        """Stop what would send anything while the ledger does not balance (DESIGN, rule 4). Bug, with where to look."""
        if self.unbalanced:
            why = f"The ledger does not balance: {self.unbalanced:,} rows are unaccounted for. Nothing is sent."
            raise Bug(why, "See which, and report them: cpis-batch ledger show")

    def children(self, changed: Mapping[str, LaVersion] | None = None) -> int | None:
        """How many children have an active plan; two LAs' plans for one child count once.

        None, and no fault, where a part cannot be read: one LA's damaged part does not keep the others from being merged.
        """
        head = self.catalogue.head()
        if head and not changed and head.business_date == self.business_date:
            return head.children  # reports and a release change no plan: to count anew would read every part again
        try:
            return view.children(view.active(part, self.business_date) for part in self.parts(changed, _COUNTED))
        except StateFault as fault:
            log.event("children not counted", fault=fault.message)
            return None

    def commit(self, kind: str, *, forget: Iterable[Waiting] = (), **what: Any) -> CommitHead:
        """Make true `what` (fields of catalogue.records.Commit) in one transaction, with its provenance."""
        changed = {version.la_code: version for version in what.get("versions", ())}
        with self.stages("commit"):
            commit = Commit(
                made_at=self.now,
                business_date=self.business_date,
                kind=kind,
                program=__version__,
                rules=RULES_VERSION,
                reference=self.organisations.version,
                children=self.children(changed),
                **what,
            )
            return self.catalogue.commit(commit, forget=forget)


@contextmanager
def opened(
    home: Path, *, what: str, business_date: date, now: datetime, stages: Stages | None = None, cluster: str | None = None
) -> Iterator[Hub]:
    """Open a home for a run that changes it. Locked, ConfigFault, KeyFault; ConfigFault where the clock has gone back (F64).

    `cluster` is the address of a Dask scheduler; runs.cluster.connected tells what is asked of it.
    """
    stages = stages or Stages()
    settings = config.load(home)
    known = partners.load(home)
    with (
        files.disk_faults(home),
        lock.exclusive(home, what),
        Catalogue(home / catalogue.FILE_NAME) as opened_catalogue,
        _cluster(cluster, settings, home) as connected,
    ):
        _hold_to_the_clock(opened_catalogue.head(), business_date, now)
        master = load_master_key(home, settings)
        opened_catalogue.sign_with(audit_key.load(home, master, opened_catalogue.audit_key()))
        hub = Hub(
            home=home,
            settings=settings,
            partners=known,
            catalogue=opened_catalogue,
            organisations=load_organisations(home / "reference"),
            master=master,
            hub_keys=hub_keys.load(home, master),
            business_date=business_date,
            now=now.replace(microsecond=0),  # as the catalogue writes it: a version is known from the instant of its commit
            audit=opened_catalogue.audit_head(),
            stages=stages,
            cluster=connected,
        )
        tidy(hub)
        stages.so_far("open the home")
        yield hub


@contextmanager
def _cluster(address: str | None, settings: Settings, home: Path) -> Iterator[Cluster | None]:
    """The cluster, if one is asked for: only then is Dask imported, which is an extra."""
    if address is None:
        yield None
        return
    try:
        from cpis_batch.runs.cluster import connected
    except ModuleNotFoundError:
        raise ConfigFault(
            "Dask is not installed here.",
            "In the program's folder run: .venv/bin/pip install -e '.[cluster]' (docs/cluster.md tells the rest).",
        ) from None
    with connected(address, settings, home) as found:
        yield found


def _hold_to_the_clock(head: CommitHead | None, business_date: date, now: datetime) -> None:
    """Refuse a clock that has gone back (FAULTS F64) and a business date that cannot be meant (F74)."""
    if business_date > date_in_england(now):
        raise UsageFault(
            f"The business date {business_date} lies in the future: on it plans would end that have not ended.",
            "Leave --date out for today's. For a rehearsal of that day give --now as well.",
        )
    if head is None:
        return
    if now < head.made_at:
        raise ConfigFault(
            f"The clock says {text_of(now)}, but commit {head.id} was made at {text_of(head.made_at)}.",
            "Set the clock right (timedatectl). Nothing runs before the last commit.",
        )
    if business_date < head.business_date:
        raise UsageFault(
            f"The business date {business_date} lies before that of the last commit, {head.business_date}.",
            "Leave --date out: today's run takes everything that is still to be taken.",
        )


def tidy(hub: Hub) -> None:
    """Remove what no commit names: half-written files of a killed run, parts that were replaced, sealed files never committed.

    Likewise an audit key that the log does not name: one that was replaced, or made by a command that was killed.

    And what a commit has erased: so an erasure that was killed after its commit is finished by whatever runs next. The archive
    is left alone else: after the restoring of an older catalogue it may hold what no catalogue knows, and nobody else has.
    """
    files.sweep(hub.home)
    GpgHome.sweep()
    keyboxes.tidy(hub.home / keyboxes.FOLDER, len(hub.partners))
    if in_force := hub.catalogue.audit_key():
        audit_key.keep(hub.home, in_force)
    in_use = hub.catalogue.parts_in_use()
    _remove(hub.home / "register", parts.SUFFIX, lambda digest: digest not in in_use)
    outgoing = hub.catalogue.outgoing()
    _remove(hub.home / "outbox", outbox.SUFFIX, lambda digest: digest not in outgoing)
    begun_from, erased = hub.catalogue.checkpoint_parts(), hub.catalogue.erased()
    _remove(hub.home / "archive", parts.SUFFIX, lambda digest: digest not in begun_from)
    _remove(hub.home / "archive", collect.SUFFIX, lambda digest: digest in erased)


def _remove(folder: Path, suffix: str, which: Callable[[str], bool]) -> None:
    """Remove the files of a folder whose name, a digest, is one of `which`."""
    for path in folder.glob(f"*{suffix}"):
        if which(path.stem):
            path.unlink(missing_ok=True)
