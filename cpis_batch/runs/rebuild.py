"""Rebuild: replay the archive, every LA side by side, and hold what it comes to against every commit of the catalogue.

Nothing is changed unless damaged parts are to be replaced; and they are replaced only by parts of the same logical digest, in
one commit that says who asked and why.

An LA of which something was erased is replayed from the checkpoint of its last erasure, since no file from before is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from cpis_batch import catalogue, config, partners
from cpis_batch.audit.entry import Deed, Kind
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.records import Arrival, Checkpoint, CommitHead, LaVersion
from cpis_batch.errors import Exit, StateFault, UsageFault
from cpis_batch.intake.answering import RULES_VERSION
from cpis_batch.partners import Partner
from cpis_batch.register.digest import logical_digest, register_digest
from cpis_batch.register.schema import HISTORY
from cpis_batch.register.store import PartStore
from cpis_batch.register.verify import faults_of_history, faults_of_plans
from cpis_batch.runs import log
from cpis_batch.runs.hub import Hub
from cpis_batch.runs.pool import workers
from cpis_batch.runs.replay import Replayed, ReplayTask, Step, replay

Progress = Callable[[str, int, int], None]  # stage, done, of
_SETTLING = ("INTAKE", "AGEING")  # the kinds of commit that take in files or let people age out


@dataclass(slots=True)
class Rebuild:
    """What a rebuild came to."""

    head: CommitHead | None
    las: list[Replayed]
    register_digest: str | None  # what the archive comes to; None where not every LA could be replayed
    other_rules: list[int] = field(default_factory=list)  # commits that were made under other rules than today's
    checkpoints: dict[str, int] = field(default_factory=dict)  # LA -> the commit before which nothing is compared any more
    replaced: CommitHead | None = None

    @property
    def same(self) -> bool:
        """Whether the archive comes to what the catalogue has, at every commit."""
        as_a_whole = self.register_digest is None or not self.head or self.register_digest == self.head.register_digest
        return as_a_whole and not any(one.stopped or one.differences for one in self.las)

    @property
    def exit_code(self) -> Exit:
        """DONE; PERSON_NEEDED where the rules have changed since an LA first differed; else DISK, or what stopped an LA."""
        if stopped := [one.exit_code for one in self.las if one.stopped]:
            return max(stopped)
        first = [one.differences[0] for one in self.las if one.differences]
        if first and all(difference.rules_changed for difference in first):
            return Exit.PERSON_NEEDED
        return Exit.DONE if self.same else Exit.DISK


def plan(home: Path, las: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a rebuild would go through, for `--dry-run`: nothing is opened."""
    known = partners.load(home)
    config.load(home)
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        tasks = tasks_of(opened, known, las)
    steps = [step for task in tasks for step in task.steps]
    return {
        "version": "1.0",
        "las": len(tasks),
        "commits": len({step.commit_id for step in steps}),
        "files": sum(len(step.merged) for step in steps),
        "bytes": sum(arrival.size for step in steps for arrival in step.merged),
        "other_rules": sorted({step.commit_id for step in steps if step.rules != RULES_VERSION}),
        "from_checkpoint": sum(task.since is not None for task in tasks),
    }


def rebuild(hub: Hub, las: tuple[str, ...] = (), progress: Progress = lambda *_: None) -> Rebuild:
    """Replay the archive for `las` (all, if none is named) and compare; nothing is changed. UsageFault for an unknown LA."""
    tasks = tasks_of(hub.catalogue, hub.partners, las)
    return _result(hub, tasks, _replayed(hub, tasks, progress), whole=not las)


def replace(hub: Hub, *, by: str, reason: str, progress: Progress = lambda *_: None) -> Rebuild:
    """Rebuild the LAs of which a part is damaged or missing, and commit the parts if every one comes to its logical digest.

    Where no part is damaged nothing is done: what is whole is not written anew.
    """
    damaged = _damaged(hub, progress)
    if not damaged:
        return Rebuild(hub.catalogue.head(), [], None)
    tasks = [dataclasses.replace(task, write=True) for task in tasks_of(hub.catalogue, hub.partners, damaged)]
    done = _result(hub, tasks, _replayed(hub, tasks, progress), whole=False)
    versions = tuple(one.version for one in done.las if one.version)
    number = hub.catalogue.start_run("rebuild", hub.business_date, hub.now)
    log.start(hub.home, hub.business_date)
    log.of_run(number)
    try:
        if len(versions) == len(damaged):
            balances = tuple(line for one in done.las for line in one.balances)
            asked = Deed(Kind.COMMAND, {"command": "register rebuild --replace", "by": by, "reason": reason, "las": damaged})
            done.replaced = hub.commit("DECISION", versions=versions, balances=balances, deeds=(asked,))
        what: dict[str, Any] = {"las": damaged, "by": by, "reason": reason, "commit": done.replaced.id if done.replaced else None}
        log.event("parts rebuilt from the archive", **what)
        hub.catalogue.end_run(number, hub.now, int(done.exit_code), msgspec.json.encode(what))
    finally:
        log.stop()
    return done


def _damaged(hub: Hub, progress: Progress) -> tuple[str, ...]:
    """The LAs of which a part is missing, altered, or not what it should be."""
    versions = hub.catalogue.las()
    found = []
    for done, version in enumerate(versions, 1):
        progress("reading the register", done, len(versions))
        if not _whole(hub.store, version):
            found.append(version.la_code)
    return tuple(found)


def _whole(store: PartStore, version: LaVersion) -> bool:
    """Whether an LA's parts can be read and hold what such parts hold, to the logical digest that the catalogue has."""
    try:
        plans = store.read(version.plans_part)
        history = store.read(version.history_part) if version.history_part else HISTORY.empty_table()
    except StateFault:
        return False
    faults = faults_of_plans(plans, version.la_code) or faults_of_history(history, version.la_code)
    return not faults and logical_digest(plans) == version.logical_digest


def tasks_of(opened: Catalogue, known: dict[str, Partner], las: tuple[str, ...]) -> list[ReplayTask]:
    """One task an LA (all, if none is named), with every commit since its checkpoint that wrote its part.

    UsageFault for an LA of which the register holds nothing.
    """
    commits = {head.id: head for head in opened.commits()}
    checkpoints = {one.la_code: (number, one) for number, one in opened.checkpoints()}
    merged: dict[tuple[int, str], list[Arrival]] = {}
    in_commit = {row["id"]: row["commit_id"] for row in opened.table("SELECT id, commit_id FROM arrivals WHERE state = 'MERGED'")}
    for arrival in opened.arrivals("state = 'MERGED'"):
        merged.setdefault((in_commit[arrival.id], arrival.partner), []).append(arrival)
    steps: dict[str, list[Step]] = {}
    for number, version in opened.versions():
        code = version.la_code
        made_at, checkpoint = checkpoints.get(code, (0, None))
        if number <= made_at:
            steps[code] = [_step(commits[number], version, [], checkpoint)]  # the last of these is what stood then
        else:
            steps.setdefault(code, []).append(_step(commits[number], version, merged.get((number, code), [])))
    if unknown := sorted(set(las) - steps.keys()):
        raise UsageFault(f"The register holds nothing of {', '.join(unknown)}.", "See: cpis-batch register show")
    return [ReplayTask(code, known.get(code), tuple(steps[code])) for code in sorted(las or steps)]


def _step(commit: CommitHead, recorded: LaVersion, merged: list[Arrival], checkpoint: Checkpoint | None = None) -> Step:
    return Step(
        commit_id=commit.id,
        business_date=commit.business_date,
        made_at=commit.made_at,
        rules=commit.rules,
        settles=commit.kind in _SETTLING,
        recorded=recorded,
        merged=tuple(merged),
        checkpoint=checkpoint,
    )


def _replayed(hub: Hub, tasks: list[ReplayTask], progress: Progress) -> list[Replayed]:
    """All tasks in worker processes, the longest stories first."""
    since = oldest_day(tasks, hub.business_date)
    found: list[Replayed] = []
    with workers(hub, len(tasks), since) as executor:
        running = [executor.submit(replay, task) for task in sorted(tasks, key=_size, reverse=True)]
        for done in as_completed(running):
            found.append(done.result())
            progress("replaying the archive", len(found), len(tasks))
    return sorted(found, key=lambda one: one.la_code)


def oldest_day(tasks: list[ReplayTask], today: date) -> date:
    """The business date of the oldest commit that is replayed: the hub's keys of that day have to be at hand."""
    return min((step.business_date for task in tasks for step in task.steps), default=today)


def _size(task: ReplayTask) -> int:
    return sum(arrival.size for step in task.steps for arrival in step.merged)


def _result(hub: Hub, tasks: list[ReplayTask], found: list[Replayed], *, whole: bool) -> Rebuild:
    digests = {one.la_code: one.digest for one in found if one.digest}
    reached = register_digest(digests) if whole and len(digests) == len(found) else None
    other = sorted({step.commit_id for task in tasks for step in task.steps if step.rules != RULES_VERSION})
    since = {task.la_code: task.since for task in tasks if task.since is not None}
    return Rebuild(hub.catalogue.head(), found, reached, other, since)
