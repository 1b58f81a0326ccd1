"""One LA's story out of the archive, in a worker process: the files of each commit opened, checked and merged as on their night.

What the catalogue tells is which files were merged in which commit, on which business date and at which instant; what
was decided (a hold released, a count begun anew) is in that. The plans come from the archive alone. The rules are those of
today: the rules of an older night are not kept as code, so a difference is told with whether the rules have changed since.

Where something was erased, the story begins at the LA's newest checkpoint: its plans and history as that commit left them. What
lies before it is compared no more, since its files are gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import msgspec

from cpis_batch import files, partners
from cpis_batch.catalogue.records import Arrival, Balance, Checkpoint, LaVersion
from cpis_batch.envelope.opening import open_message
from cpis_batch.envelope.outcome import Opened
from cpis_batch.errors import CpisError, DiskFault, Exit, StateFault, place_of
from cpis_batch.intake import answering
from cpis_batch.intake.check import Verdict
from cpis_batch.intake.collect import SUFFIX
from cpis_batch.intake.file_facts import Header
from cpis_batch.keystore import MasterKey
from cpis_batch.partners import Partner
from cpis_batch.register import history, merge
from cpis_batch.register.balance import balance
from cpis_batch.register.schema import CHANGES, HISTORY, PLANS
from cpis_batch.register.store import PartStore
from cpis_batch.runs import la_part
from cpis_batch.runs.task import Keys, Rehearsed
from cpis_batch.runs.worker import given

_NOT_COMPARED = ("plans_part", "history_part")  # the same rows encrypted again have other bytes
_STAMP = "known since, source file and line"


@dataclass(frozen=True, slots=True)
class Step:
    """One commit that wrote the LA's part: what it recorded, and the files that it merged.

    Of a `checkpoint` it is the commit whose line stood when that was made; the checkpoint is its outcome.
    """

    commit_id: int
    business_date: date
    made_at: datetime
    rules: str
    settles: bool  # False where a commit only wrote anew what stood
    recorded: LaVersion
    merged: tuple[Arrival, ...]
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, slots=True)
class ReplayTask:
    """One LA's commits, the oldest first. With `write`, its parts are written if they come to what is recorded."""

    la_code: str
    partner: Partner | None
    steps: tuple[Step, ...]
    write: bool = False

    @property
    def since(self) -> int | None:
        """The commit of the checkpoint from which the story is told; None where it is told from the beginning."""
        return self.steps[0].commit_id if self.steps[0].checkpoint else None


@dataclass(frozen=True, slots=True)
class Difference:
    """A column of the LA's line, of a commit, that the archive does not come to. No value of a record stands in such a line."""

    commit_id: int
    column: str
    recorded: str
    rebuilt: str
    rules_changed: bool  # that commit was made under other rules than today's


@dataclass(slots=True)
class Replayed:
    """What an LA's story came to."""

    la_code: str
    files: int = 0
    digest: str | None = None  # the logical digest that was reached
    differences: list[Difference] = field(default_factory=list)
    version: LaVersion | None = None  # with the parts that were written
    balances: tuple[Balance, ...] = ()
    stopped: str | None = None  # why the archive could not be replayed to its end
    advice: str = ""
    exit_code: Exit = Exit.DONE


class Replay:
    """The state of one LA while its commits are gone through."""

    def __init__(self, task: ReplayTask, common: Rehearsed, keys: Keys) -> None:
        self.task, self.common, self.keys = task, common, keys
        self.result = Replayed(task.la_code)
        self.plans, self.past = PLANS.empty_table(), HISTORY.empty_table()
        self.version: LaVersion | None = None
        self.by_clock = False

    def run(self) -> Replayed:
        """Go through all commits; compare after each, and the rows themselves after the last."""
        for step in self.task.steps:
            night = replace(self.common, business_date=step.business_date, now=step.made_at)
            if step.checkpoint:
                self.begin(step.checkpoint, step.recorded)
            elif step.settles:
                self.settle(step, night)
            if self.version is None:
                raise StateFault(f"Commit {step.commit_id} has plans of {self.task.la_code} of which no file is known.", _LOST)
            self.version = la_part.recounted(self.version, self.plans, step.business_date)
            self.compare(step)
        if self.version:
            self.result.digest = self.version.logical_digest
            if not self.task.write:  # else they are known to be damaged
                self.compare_rows(self.task.steps[-1])
            elif self.result.digest == self.task.steps[-1].recorded.logical_digest:
                self.write(self.version)
        return self.result

    def begin(self, checkpoint: Checkpoint, recorded: LaVersion) -> None:
        """Take up the story at a checkpoint. StateFault where a part of it is missing or altered."""
        store = PartStore(self.common.home / "archive", MasterKey(self.keys.master))
        try:
            self.plans = store.read(checkpoint.plans_part)
            self.past = store.read(checkpoint.history_part) if checkpoint.history_part else HISTORY.empty_table()
        except StateFault as fault:
            raise StateFault(fault.message, "Restore it from a backup of the home.") from None
        self.version = recorded

    def settle(self, step: Step, night: Rehearsed) -> None:
        """What the commit's evening did: merge its files in their order; without one, let who is 18 age out."""
        readable = [self.opened(arrival, step, night) for arrival in step.merged]
        for arrival, verdict, header, content in sorted(readable, key=lambda one: (one[2].sequence, one[2].extracted_at)):
            of_file = {"la_code": self.task.la_code, "digest": arrival.digest}
            self.take(la_part.merged(self.plans, self.past, verdict, header, common=night, **of_file))
            self.version = la_part.version_after(
                self.version, verdict, header, content=content, epoch=arrival.epoch or 1, **of_file
            )
            self.result.files += 1
        if not step.merged:
            self.take(merge.age_out(self.plans, business_date=step.business_date, known_at=step.made_at))

    def take(self, merged: merge.Merged) -> None:
        """Take a merge's result for the LA's state."""
        self.plans, self.past = merged.plans, history.append(self.past, merged.closed)

    def opened(self, arrival: Arrival, step: Step, night: Rehearsed) -> tuple[Arrival, Verdict, Header, str]:
        """A file of the archive, its bytes and its sender proven again, held to the rules. StateFault where that fails."""
        name = f"archive/{arrival.digest}{SUFFIX}"
        path = self.common.home / name
        try:
            if files.digest_of_file(path) != arrival.digest:
                raise StateFault(f"{name} was altered: its bytes are not those that were merged.", _LOST)
        except FileNotFoundError:
            raise StateFault(f"{name} is missing.", _LOST) from None
        if self.task.partner is None:
            raise StateFault(f"There is no partner {self.task.la_code} any more.", "Restore its folder under partners/.")
        allowed = partners.certificates(self.common.home, self.task.partner, step.business_date)
        for judged_at in self.judged_at(step):
            found = open_message(
                path, gpg_home=self.keys.gpg_home, allowed=allowed, limits=self.common.limits, judged_at=judged_at
            )
            if isinstance(found, Opened) and found.signer == arrival.signer:
                break
        else:
            advice = "Put back the keys and certificates of that day: cpis-batch keys list"
            raise StateFault(f"{name}, merged in commit {step.commit_id}, does not open by the keys of its night.", advice)
        self.by_clock = judged_at is None
        (verdict,) = la_part.judged([(self.task.la_code, found.plaintext)], night)
        if verdict.header is None or (code := answering.refusal_code(verdict)):
            why = f" ({code})" if verdict.header else ""
            changed = "" if step.rules == answering.RULES_VERSION else " They are not those of its night."
            advice = "Rebuild with the program that made that commit (register log tells which)."
            raise StateFault(f"{name}, merged in commit {step.commit_id}, is refused by today's rules{why}.{changed}", advice)
        return arrival, verdict, verdict.header, answering.content_digest(found.plaintext)

    def judged_at(self, step: Step) -> Iterator[datetime | None]:
        """The instants by which to judge the keys: the commit's, and the clock's, which gpg went by on the night itself.

        They agree but in a rehearsal, whose nights lie before its keys were made. What served last is tried first.
        """
        instants: list[datetime | None] = [step.made_at, None]
        yield from reversed(instants) if self.by_clock else instants

    def compare(self, step: Step) -> None:
        """Every column of the LA's line that the commit recorded, against what the archive comes to."""
        assert self.version is not None
        for name in self.version.__struct_fields__:
            recorded, rebuilt = getattr(step.recorded, name), getattr(self.version, name)
            if name not in _NOT_COMPARED and recorded != rebuilt:
                self.differ(step, name, str(recorded), str(rebuilt))

    def compare_rows(self, head: Step) -> None:
        """The rows of the parts that stand, where they can be read: since when each is known and which line said so, too."""
        store = self.store()
        for name, rebuilt in (("plans_part", self.plans), ("history_part", self.past)):
            digest = getattr(head.recorded, name)
            try:
                recorded = store.read(digest) if digest else HISTORY.empty_table()
            except StateFault:
                continue  # `register verify` names it
            if not recorded.equals(rebuilt.cast(recorded.schema)):
                self.differ(
                    head, name, f"{recorded.num_rows} rows", f"{rebuilt.num_rows} rows, not all alike ({_STAMP} included)"
                )

    def differ(self, step: Step, column: str, recorded: str, rebuilt: str) -> None:
        """Note a difference."""
        changed = step.rules != answering.RULES_VERSION
        self.result.differences.append(Difference(step.commit_id, column, recorded, rebuilt, changed))

    def store(self) -> PartStore:
        """The register's parts."""
        return PartStore(self.common.home / "register", MasterKey(self.keys.master))

    def write(self, version: LaVersion) -> None:
        """Write the parts, as they stand on the business date of now; nothing names them yet."""
        store = self.store()
        self.result.version = msgspec.structs.replace(
            la_part.recounted(version, self.plans, self.common.business_date),
            plans_part=store.write(self.plans).digest,
            history_part=store.write(self.past).digest if self.past.num_rows else None,
        )
        unchanged = balance(self.task.la_code, self.plans, self.plans, CHANGES.empty_table())
        self.result.balances = tuple(msgspec.convert(row, Balance) for row in unchanged.to_pylist())


_LOST = "Restore it from a backup; the sender's processed/ folder may still hold the same bytes."


def replay(task: ReplayTask) -> Replayed:
    """One LA's story; what stops it is a value here, without the text of a foreign exception, which may quote a record."""
    running = Replay(task, *given())
    try:
        return running.run()
    except (DiskFault, OSError):
        raise
    except CpisError as fault:
        running.result.stopped, running.result.advice, running.result.exit_code = fault.message, fault.advice, fault.exit_code
    except Exception as fault:  # noqa: BLE001 - the text of a foreign exception may quote a record: only its type and place are told
        running.result.stopped, running.result.exit_code = place_of(fault), Exit.BUG
    return running.result
