"""The audit log held to its hashes and signatures, to the catalogue, and to what witnesses have seen. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cpis_batch import audit_key, catalogue, config
from cpis_batch.audit import agreement, chain, witness
from cpis_batch.audit.chain import Fault
from cpis_batch.audit.entry import Head
from cpis_batch.catalogue import Catalogue
from cpis_batch.errors import Exit, StateFault
from cpis_batch.keystore import MasterKey, load_master_key
from cpis_batch.runs import lock

ADVICE = (
    "Stop the timers and keep a copy of the home. Was it restored from a backup, or did somebody else write to it?"
    " Hold it to the answers that partners keep: cpis-batch audit verify --witness"
)


@dataclass(slots=True)
class Audited:
    """What an audit looked at, and what does not fit: by entry, what no entry can be named for last."""

    head: Head
    commits: int = 0
    witnesses: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def exit_code(self) -> Exit:
        """DISK where something does not fit, else DONE."""
        return Exit.DISK if self.faults else Exit.DONE


def verify(home: Path, witnesses: Iterable[Head] = ()) -> Audited:
    """Look at the whole log. Locked where a run is on; KeyFault where the audit key was altered or lies open."""
    master = load_master_key(home, config.load(home))
    seen = tuple(witnesses)
    with lock.exclusive(home, "audit verify"), Catalogue(home / catalogue.FILE_NAME) as opened:
        found = Audited(opened.audit_head(), len(opened.commits()), len(seen))
        try:
            found.faults = [*faults_of(opened, home, master), *witness.faults_of(opened.entries(), seen)]
        except StateFault as fault:
            found.faults = [Fault(None, fault.message)]
    return found


def faults_of(opened: Catalogue, home: Path, master: MasterKey) -> list[Fault]:
    """What does not fit in the log of an open catalogue, without witnesses. KeyFault as `verify`."""
    held, named = audit_key.held(home), opened.audit_key()
    signer = audit_key.load(home, master, named if named in held else held[0]) if held else None
    found = [Fault(None, words) for words in audit_key.faults(home, signer)] if signer else []
    if broken := chain.fault_of(opened.entries(), signer.public if signer else None):
        found.append(broken)
    found += agreement.faults_of(opened.entries(), opened.deeds())
    return sorted(found, key=lambda fault: (fault.entry is None, fault.entry or 0))
