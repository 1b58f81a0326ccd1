"""What operators do with keys, told in the audit log; and the key of the log itself.

Keys are files beside the catalogue. Each is told of when all is ready, before the file by which it counts is written: a kill
in between leaves an entry without its key, never a key without its entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cpis_batch import audit_key, catalogue, config
from cpis_batch.audit.entry import Deed, Kind
from cpis_batch.catalogue import Catalogue
from cpis_batch.keystore import load_master_key
from cpis_batch.runs import lock


@dataclass(frozen=True, slots=True)
class AuditKey:
    """A key that now signs the log: its public half, and the entry that begins it."""

    public: str
    entry: int


def teller(home: Path, now: datetime) -> Callable[..., None]:
    """What writes a KEYS entry: `tell(did, **facts)`. At once KeyFault without an audit key, ConfigFault without a catalogue."""
    master = load_master_key(home, config.load(home))
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        audit_key.load(home, master, opened.audit_key())

    def tell(did: str, **facts: object) -> None:
        with Catalogue(home / catalogue.FILE_NAME) as opened:
            opened.sign_with(audit_key.load(home, master, opened.audit_key()))
            opened.tell(Deed(Kind.KEYS, {"did": did} | facts), now)

    return tell


def audit_key_of(home: Path) -> str | None:
    """The public half of the audit key in force; None where there is none."""
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        return opened.audit_key()


def make_audit_key(home: Path, now: datetime) -> AuditKey:
    """Begin the log, or go on with it under a new key. Locked where a run is on; KeyFault where the old key is not there."""
    master = load_master_key(home, config.load(home))
    with lock.exclusive(home, "keys make audit"), Catalogue(home / catalogue.FILE_NAME) as opened:
        if (public := opened.audit_key()) is not None:
            opened.sign_with(audit_key.load(home, master, public))
        signer = audit_key.make(home, master)
        opened.begin_key(signer, now)
        audit_key.keep(home, signer.public)
        return AuditKey(signer.public, opened.audit_head().number)
