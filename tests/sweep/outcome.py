"""What a night comes to: all that must be the same whatever disturbed it; and what must stand nowhere afterwards."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cpis_batch import config
from cpis_batch.catalogue.records import Delivery
from cpis_batch.exchange.naming import UPLOAD_PREFIX
from cpis_batch.files import TEMPORARY
from cpis_batch.keystore import load_master_key
from cpis_batch.runs import audit
from tests.hub import Hub
from tests.sweep.evening import identifiers

MEMORY = Path("/dev/shm")
GPG_HOME = "cpis-gpg-"
_IN_PLAIN = re.compile(b"|".join(re.escape(word) for word in identifiers()))
# The head of the audit log when the run began, which answers print: another run, another head.
_AUDIT_HEAD = re.compile(rb'\d+:[0-9a-f]{64}|"number":\s*\d+,\s*"hash":\s*"[0-9a-f]{64}"')
LEDGER = ("balances", "release_balances")
_EVERY_PART = (
    "SELECT plans_part AS part FROM la_versions UNION SELECT history_part FROM la_versions UNION SELECT part FROM event_parts"
    " UNION SELECT rows_part FROM releases UNION SELECT unroutable_part FROM releases"
)


def end_of(hub: Hub) -> dict[str, Any]:
    """What the night came to: register, ledger, arrivals, holds, deliveries with what they say, and where files lie.

    Fails at once where the books do not balance, where something is undelivered, or where a file has not its one answer.
    """
    status = hub.status()
    assert (status["undelivered"], status["imbalance"]) == (0, 0)
    with hub.catalogue() as catalogue:
        arrivals, deliveries = catalogue.arrivals(), catalogue.deliveries()
        books = {table: catalogue.table(f"SELECT * FROM {table} ORDER BY commit_id, la_code, plan_type") for table in LEDGER}
        changes = catalogue.table("SELECT * FROM changes ORDER BY commit_id, la_code, change")
        commits = [(commit.kind, commit.register_digest, commit.children) for commit in catalogue.commits()]
        assert catalogue.broken_seals() == [], "a seal is broken"
        master = load_master_key(hub.home, config.load(hub.home))
        assert audit.faults_of(catalogue, hub.home, master) == [], "the audit log is not whole"
    answered = Counter(delivery.arrival_id for delivery in deliveries if delivery.kind == "ACKNOWLEDGEMENT")
    assert answered == Counter(arrival.id for arrival in arrivals if arrival.file_outcome), "not one answer to every file"
    return {
        "register": status["register_digest"],
        "active": status["active"],
        "commits": commits,
        **books,
        "audit": hub.audit_log(),
        "changes": changes,
        "holds": [(hold["partner"], hold["reason"], hold["detail"]) for hold in status["open_holds"]],
        "arrivals": [(one.id, one.name, one.state, one.file_outcome, one.code, one.moved_to) for one in arrivals],
        "deliveries": [(one.id, one.partner, one.name, one.record_count, said(hub, one)) for one in deliveries],
        "served": sorted(str(path.relative_to(hub.root)) for path in lying(hub)),
    }


def essence(end: dict[str, Any]) -> dict[str, Any]:
    """Of what a night came to, that which must be even where another run had to make up for a step that failed.

    In what order the commits came, and so the numbers of files, and which release tells a unit of a change, may differ then.
    """
    arrivals = sorted((name, state, outcome, code, moved_to) for _, name, state, outcome, code, moved_to in end["arrivals"])
    readers = Counter(partner for _, partner, *_ in end["deliveries"])
    return {name: end[name] for name in ("register", "active", "holds")} | {"arrivals": arrivals, "messages to": readers}


def said(hub: Hub, delivery: Delivery) -> str:
    """A digest of what a delivery says to its reader, who opens what lies for it: other seals, the same words."""
    path = hub.root / delivery.folder / delivery.name
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == delivery.digest, f"{delivery.name} lies there with other bytes than were recorded"
    reader = "CHIS" if delivery.partner.startswith("CHIS") else delivery.partner
    plain = hub.opened(path, reader)
    if delivery.name.endswith(".zip.pgp"):
        with zipfile.ZipFile(io.BytesIO(plain)) as archive:
            plain = b"\0".join(name.encode() + b"\0" + archive.read(name) for name in sorted(archive.namelist()))
    return hashlib.sha256(_AUDIT_HEAD.sub(b"", plain)).hexdigest()


def lying(hub: Hub) -> Iterator[Path]:
    """What partners see: names that begin with a dot are those of uploads that are still going on."""
    return (path for path in hub.root.rglob("*") if path.is_file() and not path.name.startswith("."))


def delivered(hub: Hub) -> dict[Path, bytes]:
    """What lies for partners to take."""
    return {path: path.read_bytes() for path in lying(hub) if path.parent.name == "outbound"}


def hold_to_what_was_delivered(before: dict[Path, bytes], hub: Hub) -> None:
    """What a partner may have taken already stands as it stood: nothing is delivered twice with other bytes."""
    changed = [path.name for path, data in before.items() if not path.exists() or path.read_bytes() != data]
    assert not changed, f"delivered twice, with other bytes: {changed}"


def hold_to_the_parts_named(hub: Hub) -> None:
    """Every part that the catalogue stands on is there."""
    with hub.catalogue() as catalogue:
        missing = set(catalogue.parts_in_use()) - {path.stem for path in (hub.home / "register").iterdir()}
    assert not missing, "a part that a commit names is not there"


def hold_to_no_leftover(hub: Hub) -> None:
    """No half-written file in the home or with a partner, no sealed file or part that no commit names, nothing temporary."""
    halves = [str(path.relative_to(hub.home)) for path in hub.home.rglob(f"{TEMPORARY}*")]
    # No file: of a killed run that had workers, multiprocessing leaves the folder of a socket.
    temporary = [path.name for path in (hub.home.parent / "tmp").rglob("*") if path.is_file()]
    uploads = [str(path.relative_to(hub.root)) for path in hub.root.rglob(f"{UPLOAD_PREFIX}*")]
    assert not halves + temporary + uploads, f"left behind: {halves + temporary + uploads}"
    with hub.catalogue() as catalogue:
        named = {
            "outbox": {delivery.digest for delivery in catalogue.deliveries()},
            "archive": {arrival.digest for arrival in catalogue.arrivals()},
            "register": {row["part"] for row in catalogue.table(_EVERY_PART)},  # the next run removes those that were replaced
        }
    for folder, digests in named.items():
        unnamed = {path.stem for path in (hub.home / folder).iterdir()} - digests
        assert not unnamed, f"{folder}: {len(unnamed)} files that no commit names"


def hold_to_nothing_in_plain(folder: Path) -> None:
    """No identifier of the evening's rows stands in a byte or a name of the home, of what is served, or of what is temporary."""
    for path in folder.rglob("*"):
        where = path.relative_to(folder)
        assert not _IN_PLAIN.search(os.fsencode(where)), "an identifier in the name of a file"
        if path.is_file() and not path.is_symlink():
            found = _IN_PLAIN.search(path.read_bytes())
            assert found is None, f"an identifier in plain in {where}"


def left_by_gpg() -> set[Path]:
    """Homes of gpg that no living process holds. Other tests' nights have such homes too, while they live."""
    return {path for path in MEMORY.glob(f"{GPG_HOME}*") if not _in_use(path)}


def hold_to_no_keys(before: set[Path]) -> None:
    """The homes of gpg that a killed night left are gone, and so are the agents that held the keys."""
    assert not {path.name for path in before if not _in_use(path)}, "keys of gpg are left"
    names = {path.name.encode() for path in before}
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = one.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        assert not any(name in words for name in names), "an agent of gpg lives on"


def _in_use(folder: Path) -> bool:
    """Whether a living process holds it, as `envelope.gpg_home` asks, or it is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
