"""The demonstration: a synthetic England puts down its files on a real SFTP server, and the hub runs its nights.

What each file was expected to come to is held against what the run says of it; the seed decides everything, so that a
second demonstration tells the same.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec

from cpis_batch import config, partners, ssh_keys
from cpis_batch.config import SftpServer as ServerSettings
from cpis_batch.errors import UsageFault
from cpis_batch.runs import nightly
from cpis_batch.runs.intake import Progress
from cpis_batch.runs.nightly import Night
from cpis_batch.sandbox import home as sandbox_home
from cpis_batch.sandbox import hostile, server, tracing
from cpis_batch.sandbox.evenings import NIGHTS, Comparison, Rehearsal, compare
from cpis_batch.sandbox.faulty_server import Faults, FaultyServer
from cpis_batch.sandbox.volumes import volumes

_LASTING = date(2036, 12, 31)  # of the rehearsal's keys and agreements


@dataclass(slots=True)
class Told:
    """One night of the demonstration: what ran, how long it took, and what each file was expected to come to."""

    night: Night
    now: datetime
    seconds: float
    comparisons: tuple[Comparison, ...]


@dataclass(slots=True)
class Demonstration:
    """What the demonstration came to."""

    nights: list[Told] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def surprises(self) -> list[Comparison]:
        """Files that came to something else than expected."""
        return [one for told in self.nights for one in told.comparisons if not one.agrees]


def clear(home: Path) -> None:
    """Remove an earlier demonstration. UsageFault where the folder holds anything that is not one."""
    if not home.exists() or not any(home.iterdir()):
        return
    if not (home / sandbox_home.FOLDER).is_dir() or config.load(home).service.environment != "TEST":
        raise UsageFault(f"{home} is not a demonstration's home.", "Nothing was removed. Name an empty folder with --home.")
    shutil.rmtree(home)


def run(
    home: Path,
    *,
    seed: int,
    scale: float = 1.0,
    las: tuple[str, ...] | None = None,
    progress: Progress = lambda *_: None,
    told: Callable[[Told], None] = lambda _: None,
) -> Demonstration:
    """Make the home, put down the files of each night, run it; `told` is called after each night."""
    began = time.monotonic()
    chosen = las or tuple(sorted(volumes()))
    progress("making keys for every party", 0, 0)
    senders = sandbox_home.make_home(home, las=chosen, starts=NIGHTS[0], expires=_LASTING)
    result = Demonstration()
    with server.in_a_process(partial(make_server, home)) as running:
        point_to(home, running.port, running.host_key)
        answered: set[str] = set()
        for night in Rehearsal(seed=seed, las=chosen, scale=scale).nights():
            progress(f"night of {night.on}: sealing the extracts", 0, len(night.drops))
            senders.put_down(night.drops)
            senders.put_down(tracing.respond(senders, night.england, answered=answered, now=night.now - timedelta(hours=2)))
            started = time.monotonic()

            def stage(what: str, done: int, of: int, on: date = night.on) -> None:
                progress(f"night of {on}: {what}", done, of)

            ran = nightly.run(home, kind="nightly", business_date=night.on, now=night.now, progress=stage)
            document = msgspec.json.decode(msgspec.json.encode(ran.document))
            one = Told(ran, night.now, time.monotonic() - started, compare(night, document))
            result.nights.append(one)
            told(one)
    result.seconds = time.monotonic() - began
    return result


def make_server(home: Path, port: int = 0, faults: Faults | None = None) -> server.SftpServer:
    """The SFTP server of a rehearsal's home, on loopback; with `faults`, if it is to have any."""
    public = [(home / f"{ssh_keys.FILE_NAME}.pub").read_text(encoding="utf-8").strip()]
    root, key = home / sandbox_home.REMOTE, (home / sandbox_home.HOST_KEY).read_bytes()
    if faults is None:
        return server.SftpServer(root, authorized_keys=public, host_key=key, port=port)
    return FaultyServer(root, authorized_keys=public, host_key=key, port=port, faults=faults)


def point_to(home: Path, port: int, host_key: str) -> None:
    """Let the home's configuration name the server."""
    settings = ServerSettings(host="127.0.0.1", port=port, user="cpis-hub", host_keys=(host_key,))
    sandbox_home.point_to(home, settings, anchor=NIGHTS[0] + timedelta(days=2))


def serve(
    home: Path, announce: Callable[[server.Running], None], *, behaviour: str | None = None, partner: str | None = None
) -> None:
    """Serve a rehearsal's home until interrupted, at the port that its configuration names.

    `behaviour` is one of `hostile.CATALOGUE`, kept to the folders of `partner` if one is named. UsageFault where the home is no
    rehearsal's, or there is no such behaviour or partner.
    """
    if not (home / sandbox_home.FOLDER).is_dir():
        raise UsageFault(f"{home} is not a rehearsal's home.", "Make one: cpis-batch --home DIR demo")
    mailbox = config.load(home).mailboxes[sandbox_home.MAILBOX]
    assert isinstance(mailbox, ServerSettings)
    server.serve(make_server(home, mailbox.port, _faults(home, behaviour, partner)), announce)


def _faults(home: Path, behaviour: str | None, partner: str | None) -> Faults | None:
    if behaviour is None:
        if partner is not None:
            raise UsageFault("A partner is named, and nothing that its folders are to do.", "Give --hostile NAME as well.")
        return None
    found = hostile.named(behaviour)
    if found is None:
        raise UsageFault(f"There is no hostile server by the name {behaviour}.", "Run: cpis-batch sandbox hostile")
    folders = {code: one.folder for code, one in partners.load(home).items()}
    if partner is not None and partner not in folders:
        raise UsageFault(f"There is no partner {partner} in this home.", f"Those that are: {home / 'partners'}")
    return found.at(folders[partner] if partner else "")
