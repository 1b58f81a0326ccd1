"""Fetching: 153 small files, each in its authority's folder, and one large one; near by and 20 ms of round trip away.

Against OpenSSH's `sftp` (one connection, a batch of `get`, one file after the other) and `lftp` (`mirror` with as many files at a
time as we have sessions). All read from the same OpenSSH server with the same key and pinned host key, as whole processes, start
and imports included. Theirs is a copy. Ours lists every folder, takes allow-listed names alone, holds each file to be the same
before, while and after it is read, makes its digest on the way, and makes it durable.
"""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from getpass import getuser
from pathlib import Path

from benchmarks.distance import away
from benchmarks.measure import Cost, measured
from benchmarks.page import Section, Table
from cpis_batch.sandbox.volumes import volumes
from tests.integration.sshd import Sshd, start_sshd

MILLISECONDS = 20.0
OURS, SFTP, LFTP = "ours", "sftp", "lftp"
NEAR, FAR = "loopback", f"{MILLISECONDS:.0f} ms away"
SMALL, LARGE = "small files", "one large file"
CHANNELS = 8
_BYTES_A_ROW = 42  # of a sealed extract, as the night's benchmark has them
_LARGE_BYTES = 500_000_000
# what, where, against whom, how many times their time at most
ASKED = (
    (SMALL, FAR, LFTP, 1.2),
    (SMALL, FAR, SFTP, 1 / 6),
    (LARGE, FAR, SFTP, 1.1),
    (LARGE, NEAR, SFTP, 2.0),
)


@dataclass(slots=True)
class Race:
    """What each took, by (what, where, who)."""

    files: int
    large_bytes: int
    costs: dict[tuple[str, str, str], list[Cost]] = field(default_factory=lambda: defaultdict(list))

    def ratio(self, what: str, where: str, against: str) -> float:
        """Our time over theirs: the median of the rounds, in each of which the two followed each other."""
        pairs = zip(self.costs[what, where, OURS], self.costs[what, where, against], strict=True)
        return statistics.median(ours.seconds / theirs.seconds for ours, theirs in pairs)


def run(
    folder: Path, *, rounds: int, files: int | None = None, large_bytes: int = _LARGE_BYTES, told: Callable[[str], None]
) -> Race:
    """Let them fetch. `files`: how many small ones, all authorities' without it. SystemExit where one fetches other bytes."""
    sizes = {code: max(600, volume.rows * _BYTES_A_ROW) for code, volume in sorted(volumes().items())[:files]}
    with _served(folder, sizes, large_bytes) as sshd, away(sshd.port, MILLISECONDS) as far:
        race = Race(len(sizes), large_bytes)
        for round_ in range(rounds):
            for what in (SMALL, LARGE):
                for where, port in ((NEAR, sshd.port), (FAR, far)):
                    for who, command in _contenders(sshd, port, what, sizes):
                        cost = _fetched(folder, who, command, sshd.root / what.split()[-1])
                        race.costs[what, where, who].append(cost)
                        told(f"Round {round_ + 1} of {rounds}: {what}, {where}, {who}: {cost.seconds:.2f} s")
        return race


@contextmanager
def _served(folder: Path, sizes: Mapping[str, int], large_bytes: int) -> Iterator[Sshd]:
    """Random bytes, as sealed ones are, in `files/<code>/inbound/` and `file/large/inbound/`."""
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "root"
    for code, size in sizes.items():
        _fill(root / "files" / code / "inbound" / f"CPIS_LA_{code}_00000001.csv.pgp", size)
    _fill(root / "file" / "large" / "inbound" / "CPIS_LA_large_00000001.csv.pgp", large_bytes)
    with start_sshd(root, folder / "sshd") as sshd:
        yield sshd


def _fill(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        for begin in range(0, size, 1 << 24):
            stream.write(os.urandom(min(1 << 24, size - begin)))


def _contenders(sshd: Sshd, port: int, what: str, sizes: Mapping[str, int]) -> list[tuple[str, list[str]]]:
    known = sshd.state / f"known-{port}"
    known.write_text(f"[127.0.0.1]:{port} {sshd.host_key}\n", encoding="utf-8")
    options = ["-F", "none", "-i", str(sshd.client_key)]
    options += [f"-o{one}" for one in (f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes")]
    base, folders = ("files", sorted(sizes)) if what == SMALL else ("file", ["large"])
    batch = sshd.state / f"batch-{base}"
    batch.write_text("".join(f"get {sshd.root}/{base}/{one}/inbound/CPIS_LA_{one}_00000001.csv.pgp\n" for one in folders))
    found = [
        (
            OURS,
            [
                sys.executable,
                "-m",
                "benchmarks.fetch",
                str(sshd.state),
                str(port),
                sshd.host_key,
                f"{sshd.root}/{base}",
                *folders,
            ],
        ),
        (SFTP, ["sftp", *options, "-P", str(port), "-b", str(batch), "-q", "127.0.0.1"]),
    ]
    if shutil.which("lftp"):
        connect = shlex.join(["ssh", "-a", "-x", *options])
        script = f'set sftp:connect-program "{connect}"; mirror --parallel={CHANNELS} {sshd.root}/{base} .; bye'
        found.append((LFTP, ["lftp", "-e", script, f"sftp://{getuser()}:@127.0.0.1:{port}"]))
    return found


def _fetched(folder: Path, who: str, command: list[str], source: Path) -> Cost:
    """Let one fetch into an empty folder; SystemExit unless all is there."""
    into = folder / "into"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    script = f"cd {shlex.quote(str(into))} && exec {shlex.join(command)}"
    cost = measured(["sh", "-c", script], stdout=folder / "said")
    lies = sorted(path.stat().st_size for path in source.rglob("*.pgp"))
    came = sorted(path.stat().st_size for path in into.rglob("*.pgp"))
    if cost.status or came != lies:
        raise SystemExit(f"{who} ended with {cost.status} and fetched {len(came)} of {len(lies)} files.")
    subprocess.run(["sync", "-f", str(into)], check=True)  # what a copy leaves to be written is not the next one's to pay
    return cost


def _collect(state: Path, port: int, host_key: str, base: str, folders: list[str]) -> None:
    """Ours: what a night does to collect, into the folder that we are in."""
    from cpis_batch.config import Limits, SftpServer
    from cpis_batch.exchange.sftp import SftpMailbox
    from cpis_batch.exchange.ssh import private_key
    from cpis_batch.intake.collect import collect
    from cpis_batch.partners import Agreement, Partner, PartnerKind

    settings = SftpServer(host="127.0.0.1", port=port, user=getuser(), host_keys=(host_key,), key="")
    limits = Limits(ciphertext_bytes=1 << 40)
    agreed = Agreement("A", date.min, date.max)
    partners = [
        Partner(code=code, kind=PartnerKind.LA, name=code, mailbox="m", folder=f"{base}/{code}", agreement=agreed)
        for code in folders
    ]
    mailbox = SftpMailbox(settings, private_key((state / "client").read_bytes()), limits)
    try:
        with ThreadPoolExecutor(settings.channels) as threads:
            found = collect(
                mailbox, "m", partners, wanted=lambda _, name: name.endswith(".pgp"), taken={}, archive=Path(),
                limits=limits, threads=threads,
            )  # fmt: skip
    finally:
        mailbox.close()
    if found.troubles or found.skipped:
        raise SystemExit("not all was fetched")


def section(race: Race) -> Section:
    """What was measured, for the page."""
    rows, claims = [], []
    for (what, where, who), costs in race.costs.items():
        seconds = statistics.median(cost.seconds for cost in costs)
        processor = statistics.median(cost.processor_seconds for cost in costs)
        memory = max(cost.megabytes for cost in costs)
        times = f"{race.ratio(what, where, who):.2f}" if who != OURS else "1"
        rows.append((what, where, who, f"{seconds:.2f}", f"{processor:.2f}", f"{memory:.0f}", times))
    for what, where, who, most in ASKED:
        if race.costs[what, where, who]:
            ratio = race.ratio(what, where, who)
            claims.append((f"{what}, {where}: at most {most:.2f} times {who}", f"{ratio:.2f}", "yes" if ratio <= most else "NO"))
    words = (
        f"{race.files} files in as many folders, and one of {race.large_bytes / 1e6:.0f} MB, from an OpenSSH server on loopback,"
        f" directly and through a proxy that hands all on {MILLISECONDS / 2:.0f} ms late in each direction. Whole processes,"
        f" start included; ours and lftp fetch {CHANNELS} files at a time. They copy; ours also lists, holds names and"
        " attributes, makes digests and makes each file durable. Processor seconds are the client's, the server's not counted."
    )
    headings = ("what", "where", "who", "seconds", "processor s", "MB", "ours / theirs")
    return Section("Fetching", (words,), (Table(headings, tuple(rows)), Table(("asked for", "measured", "met"), tuple(claims))))


if __name__ == "__main__":
    _collect(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:])
