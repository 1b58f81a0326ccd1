"""Opening and sealing: the messages of one night, against a shell loop of `gpg`.

Two worker processes that are up do ours, as in a night: opening holds gpg behind walls, lets its status lines decide, and
keeps the plaintext in memory, with the senders' certificates in keyboxes as on any night but a sender's first; PySequoia seals.
The loop runs `gpg --decrypt`, and `gpg --sign --encrypt`, once a file, and trusts every key that it holds. Both read and write
the same files on the same disk, the plaintext of ours excepted.
"""

from __future__ import annotations

import shlex
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.measure import measured
from benchmarks.page import Section, Table
from cpis_batch.config import Limits
from cpis_batch.envelope import gnupg
from cpis_batch.envelope.gpg_home import GpgHome
from cpis_batch.envelope.opening import open_message
from cpis_batch.envelope.outcome import Opened
from cpis_batch.envelope.sealing import seal
from cpis_batch.sandbox.england import make_england
from cpis_batch.sandbox.extracts import Header, write
from cpis_batch.vocabulary import ExtractKind
from tests.envelope_kit import Party, parties

OURS, LOOP = "ours, two processes", "a loop of gpg"
OPENING, SEALING = "opening", "sealing"
LEAST = {OPENING: 1.5, SEALING: 3.0}  # how many times faster than the loop: issue 6
PROCESSES = 2
_DAY = date(2026, 10, 2)


@dataclass(slots=True)
class Race:
    """Seconds by (what, who), a figure a round; how many messages, of how many bytes of plaintext."""

    messages: int
    plain_bytes: int
    seconds: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def faster(self, what: str) -> float:
        """How many times: the median of the rounds."""
        pairs = zip(self.seconds[what, LOOP], self.seconds[what, OURS], strict=True)
        return statistics.median(theirs / ours for theirs, ours in pairs)


def _open(names: Sequence[str], *, home: Path, sender: Party) -> int:
    opened = [open_message(Path(name), gpg_home=home, allowed=sender.allowed, limits=Limits()) for name in names]
    return sum(len(one.plaintext) for one in opened if isinstance(one, Opened))


def _seal(names: Sequence[str], *, recipient: bytes, signer: bytes) -> int:
    for name in names:
        path = Path(name)
        path.with_suffix(".ours").write_bytes(seal(path.read_bytes(), recipients=[recipient], signer=signer))
    return len(names)


def run(folder: Path, *, las: Sequence[str], scale: float, rounds: int, told: Callable[[str], None]) -> Race:
    """Open and seal one night's extracts of these authorities. SystemExit where one opens less than all."""
    la, hub = parties("LA", "Hub", expires=date(2036, 12, 31))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    at = datetime(2026, 10, 2, 22, 30, tzinfo=UTC)
    plain = []
    for code, plans in make_england(seed=1, on=_DAY, scale=scale, las=las).by_la().items():
        path = folder / f"{code}.csv"
        path.write_bytes(write(Header(la_code=code, kind=ExtractKind.FULL, sequence=1, extracted_at=at), plans))
        plain.append(str(path))
    race = Race(len(plain), sum(Path(name).stat().st_size for name in plain))
    sealed = [f"{name}.pgp" for name in plain]
    with _gpg(la, hub) as theirs, GpgHome([hub.secret], folder / "keyboxes") as home, _pool() as pool:
        gpg = shlex.join(["gpg", "--homedir", str(theirs), "--batch", "--quiet", "--yes", "--trust-model", "always"])
        to, by = f"--recipient {hub.fingerprint}", f"--local-user {la.fingerprint}"
        sealing = f'for f in *.csv; do {gpg} {by} {to} --sign --encrypt --output "$f.pgp" "$f"; done'
        opening = f'for f in *.csv.pgp; do {gpg} --output "$f.plain" --decrypt "$f" 2>/dev/null; done'
        for round_ in range(rounds):
            race.seconds[SEALING, LOOP].append(_looped(folder, sealing))
            race.seconds[OPENING, LOOP].append(_looped(folder, opening))
            opened, seconds = _ours(pool, partial(_open, home=home.path, sender=la), sealed)
            race.seconds[OPENING, OURS].append(seconds)
            written, seconds = _ours(pool, partial(_seal, recipient=la.certificate, signer=hub.secret), plain)
            race.seconds[SEALING, OURS].append(seconds)
            looped = sum(path.stat().st_size for path in folder.glob("*.plain"))
            if not (opened == looped == race.plain_bytes and written == len(plain) == len(list(folder.glob("*.ours")))):
                raise SystemExit("Not all was opened, or not all was sealed.")
            last = ", ".join(f"{what} {who} {took[-1]:.2f} s" for (what, who), took in race.seconds.items())
            told(f"Round {round_ + 1} of {rounds}: {last}")
    return race


def _ours(pool: ProcessPoolExecutor, action: Callable[[Sequence[str]], int], names: Sequence[str]) -> tuple[int, float]:
    shares = [names[n :: PROCESSES * 8] for n in range(PROCESSES * 8)]
    began = time.perf_counter()
    done = sum(pool.map(action, shares))
    return done, time.perf_counter() - began


def _looped(folder: Path, script: str) -> float:
    cost = measured(["sh", "-ec", f"cd {shlex.quote(str(folder))}\n{script}"], stdout=folder / "said")
    if cost.status:
        raise SystemExit(f"The loop ended with {cost.status}.")
    return cost.seconds


@contextmanager
def _pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(PROCESSES, get_context("forkserver")) as pool:
        list(pool.map(len, [[]] * PROCESSES * 4))  # both are up
        yield pool


@contextmanager
def _gpg(*known: Party) -> Iterator[Path]:
    """A home of gpg's with these secret keys, its agent running: starting it is not what is measured."""
    with tempfile.TemporaryDirectory(prefix="bench-gpg-") as name:
        home = Path(name)
        for one in known:
            gnupg.run(home, "--import", given=one.secret)
        yield home
        gnupg.stop_agent(home)


def section(race: Race) -> Section:
    """What was measured, for the page."""
    rows = [
        (what, who, f"{statistics.median(took):.2f}", f"{race.messages / statistics.median(took):,.0f}")
        for (what, who), took in race.seconds.items()
    ]
    claims = [
        (
            f"{what}: at least {least} times as fast as the loop",
            f"{race.faster(what):.1f}",
            "yes" if race.faster(what) >= least else "NO",
        )
        for what, least in LEAST.items()
    ]
    words = (
        f"{race.messages} extracts, {race.plain_bytes / 1e6:.1f} MB of plaintext, by two worker processes that are up, against"
        " `gpg` called once a file. Ours holds gpg behind limits of time, memory and size, judges its status lines against the"
        " certificates that the partner's folder lists, and writes no plaintext; the loop trusts whatever key it holds."
    )
    tables = (
        Table(("what", "who", "seconds", "messages a second"), tuple(rows)),
        Table(("asked for", "measured", "met"), tuple(claims)),
    )
    return Section("Opening and sealing", (words,), tables)
