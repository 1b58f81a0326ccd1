"""A run's dealings with partners' servers: collect, deliver, move away. One server's trouble leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from cpis_batch.catalogue.records import Arrival
from cpis_batch.delivery import outbox
from cpis_batch.errors import ConfigFault, CpisError
from cpis_batch.exchange.connect import open_mailbox
from cpis_batch.exchange.mailbox import Mailbox
from cpis_batch.intake import collect
from cpis_batch.intake.collect import Collected, Trouble
from cpis_batch.partners import Partner
from cpis_batch.runs.hub import Hub
from cpis_batch.vocabulary import FileState


@dataclass(slots=True)
class Round:
    """What a round over all servers brought."""

    files: list[Collected] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    skipped: dict[str, dict[str, int]] = field(default_factory=dict)
    servers_down: dict[str, CpisError] = field(default_factory=dict)


class Servers:
    """The mailboxes of a run: each connected when it is first needed, closed when the `with` block ends."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.down: dict[str, CpisError] = {}
        self._open: dict[str, tuple[Mailbox, ThreadPoolExecutor]] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def reached(self) -> bool:
        """Whether one of the servers was of use."""
        return any(name not in self.down for name in self._open)

    def mailbox(self, name: str) -> tuple[Mailbox, ThreadPoolExecutor] | None:
        """A mailbox and threads for it; None, with the cause kept in `down`, where the server cannot be used."""
        if name in self.down:
            return None
        settings = self.hub.settings.mailboxes.get(name)
        if settings is None:
            self.down[name] = ConfigFault(
                f"config.toml has no [mailboxes.{name}], which a partner.toml names.", "Run: cpis-batch config check"
            )
            return None
        if name not in self._open:
            try:
                mailbox = self._closing.enter_context(open_mailbox(self.hub.home, settings, self.hub.settings.limits))
            except CpisError as fault:
                self.down[name] = fault
                return None
            threads = self._closing.enter_context(ThreadPoolExecutor(getattr(settings, "channels", 8)))
            self._open[name] = mailbox, threads
        if (given_up := self._open[name][0].down) is not None:  # by a step before this one
            self.down[name] = given_up
            return None
        return self._open[name]

    def collect(
        self,
        partners: list[Partner],
        wanted: Callable[[Partner, str], bool],
        progress: Callable[[], None] = lambda: None,
    ) -> Round:
        """Fetch every partner's new files into the archive; `progress` is told of each partner that is done."""
        with self.hub.stages("collect"):
            return self._collect(partners, wanted, progress)

    def _collect(self, partners: list[Partner], wanted: Callable[[Partner, str], bool], progress: Callable[[], None]) -> Round:
        result = Round()
        unmoved = self.hub.catalogue.arrivals("moved_to IS NULL")
        for name in sorted({partner.mailbox for partner in partners}):
            if (opened := self.mailbox(name)) is None:
                continue
            mailbox, threads = opened
            mine = [partner for partner in partners if partner.mailbox == name]
            got = collect.collect(
                mailbox,
                name,
                mine,
                wanted=wanted,
                taken={(a.folder, a.name): (a.size, a.modified_at) for a in unmoved if a.mailbox == name},
                archive=self.hub.home / "archive",
                limits=self.hub.settings.limits,
                threads=threads,
                progress=progress,
            )
            result.files += got.files
            if (fault := mailbox.down) is not None:
                self.down[name] = fault
                got.troubles = [
                    one for one in got.troubles if one.fault.message != fault.message
                ]  # one trouble, not one a partner
            result.troubles += got.troubles
            result.skipped |= got.skipped
        result.servers_down = self.down
        return result

    def move_away(self) -> int:
        """Move what was committed to processed/ or refused/ on its server; what cannot be moved now is tried by the next run."""
        moved = 0
        pending = self.hub.catalogue.arrivals("moved_to IS NULL")
        for name in sorted({arrival.mailbox for arrival in pending}):
            if (opened := self.mailbox(name)) is None:
                continue
            mailbox, threads = opened
            by_folder: dict[str, list[Arrival]] = {}
            for arrival in pending:
                if arrival.mailbox == name:
                    by_folder.setdefault(arrival.folder, []).append(arrival)
            done: list[tuple[int, str]] = []
            for moving in [threads.submit(_move, mailbox, folder, arrivals) for folder, arrivals in by_folder.items()]:
                done += moving.result()
            self.hub.catalogue.moved(done)
            moved += len(done)
        return moved

    def deliver(self, progress: Callable[[int], None] = lambda _: None) -> tuple[int, dict[str, str]]:
        """Deliver all that is due: how many, and what failed by name of the file. Bug while the ledger does not balance."""
        self.hub.hold_to_the_ledger()
        delivered = 0
        failed: dict[str, str] = {}
        due = self.hub.catalogue.deliveries("delivered_at IS NULL")
        for name in sorted({delivery.mailbox for delivery in due}):
            mine = [delivery for delivery in due if delivery.mailbox == name]
            if (opened := self.mailbox(name)) is None:
                failed |= {delivery.name: f"the server {name} cannot be used" for delivery in mine}
                continue
            mailbox, threads = opened
            published = outbox.publish(
                self.hub.catalogue,
                mailbox,
                mine,
                self.hub.partners,
                outbox=self.hub.home / "outbox",
                business_date=self.hub.business_date,
                now=self.hub.now,
                threads=threads,
                progress=lambda: progress(1),
            )
            delivered += published.delivered
            failed |= {delivery.name: fault for delivery, fault in published.failed}
        return delivered, failed

    def look_for_collected(self) -> None:
        """Note which deliveries their recipients have taken away."""
        lying = self.hub.catalogue.table(
            "SELECT DISTINCT mailbox FROM deliveries WHERE delivered_at IS NOT NULL AND collected_at IS NULL"
        )
        for row in lying:
            if (opened := self.mailbox(row["mailbox"])) is not None:
                outbox.look_for_collected(self.hub.catalogue, opened[0], row["mailbox"], now=self.hub.now, threads=opened[1])


def _move(mailbox: Mailbox, folder: str, arrivals: list[Arrival]) -> list[tuple[int, str]]:
    """Move one folder's files that are still the ones that were taken; the pairs (arrival, where it is now)."""
    done: list[tuple[int, str]] = []
    try:
        lying = {entry.name: (entry.size, entry.modified_at.replace(microsecond=0)) for entry in mailbox.list(folder).entries}
        for arrival in arrivals:
            target = f"{folder.rpartition('/')[0]}/{'refused' if arrival.state is FileState.REFUSED else 'processed'}"
            if arrival.name not in lying:  # taken away by its sender, unless a run moved it and was killed before it could say so
                moved = mailbox.digest(target, arrival.name) == arrival.digest
                done.append((arrival.id, target if moved else "gone"))
            elif lying[arrival.name] != (arrival.size, arrival.modified_at):
                done.append((arrival.id, "replaced by its sender"))
            else:
                mailbox.move(folder, arrival.name, target)
                done.append((arrival.id, target))
    except CpisError:
        return done  # refused or cut off: the file lies where it lay, and the next run tries again (FAULTS F16)
    return done
