"""What the night is measured against: the plain tools, which do less, and the plain tools doing as much outwardly.

Less: one `sftp` in batch mode fetches the same files from the same server with the same key, `gpg` decrypts each (a process a
file, as on a command line), and one DuckDB process reads each CSV and writes it as Parquet. No sender is held to a list, no
rule is checked, nothing is merged, encrypted at rest, made durable, answered or moved away.

As much outwardly: the same, and then for every message that the night has sent one of the same size, signed and encrypted by
`gpg` to the same recipient, and one more `sftp` that puts each under a temporary name, made durable, renames it and fetches
it back, and `cmp` on each. What stands in a message costs them nothing: it is made beforehand.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.measure import Cost, measured
from benchmarks.stage import Evening, Stage
from cpis_batch import catalogue, config, partners
from cpis_batch.business_time import text_of
from cpis_batch.catalogue import Catalogue
from cpis_batch.envelope import gnupg, hub
from cpis_batch.keystore import load_master_key

_COLUMNS = (
    "record_type",
    "nhs_number",
    "child_id",
    "family_name",
    "given_name",
    "date_of_birth",
    "plan_type",
    "start_date",
    "end_date",
    "delete_date",
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the night has sent: into which folder, to whom (a fingerprint), of how many bytes."""

    folder: str
    recipient: str
    size: int


def sent_by(stage: Stage, evening: Evening) -> list[Sent]:
    """What the night of an evening has sent."""
    known = partners.load(stage.home)
    with Catalogue(stage.home / catalogue.FILE_NAME) as opened:
        found = opened.deliveries("made_at = ?", (text_of(evening.now),))
    recipients = {code: next(iter(partners.certificates(stage.home, known[code], evening.on))) for code in known}
    return [Sent(one.folder, recipients[one.partner], one.size) for one in found]


@dataclass(frozen=True, slots=True)
class Tools:
    """The plain tools, set up: `gnupg_home` holds the hub's secret key and every authority's certificate."""

    stage: Stage
    gnupg_home: Path

    def run(self, evening: Evening, sent: Sequence[Sent] = ()) -> tuple[Cost, int]:
        """Let them read an evening, and send what was `sent`; what it cost, and how many rows they have read.

        What they send lands in folders of its own, so that the night's stay as they are.
        """
        with tempfile.TemporaryDirectory(dir=self.stage.folder, prefix="plain-") as name:
            folder, told = Path(name), self.stage.folder / "plain.json"
            lying = sorted(evening.lying.glob("las/*/inbound/*.pgp"))  # the server shows this folder too
            (folder / "batch").write_text("".join(f"get {path}\n" for path in lying), encoding="utf-8")
            script = self._reading(folder) + (self._sending(folder, sent) if sent else "") + self._stopping()
            cost = measured(["sh", "-ec", script], stdout=told)
            if cost.status:
                raise SystemExit(f"The plain tools ended with {cost.status}.")
            return cost, int(json.loads(told.read_bytes())["rows"])

    def _reading(self, folder: Path) -> str:
        read = shlex.join([sys.executable, "-m", "benchmarks.plain", "."])
        return (
            f"cd {shlex.quote(str(folder))}\n{self._sftp('batch')} >/dev/null\n"
            f'for f in *.pgp; do {self._gpg()} --output "${{f%.pgp}}" --decrypt "$f" 2>/dev/null; done\n'
            f"{read}\n"
        )

    def _sending(self, folder: Path, sent: Sequence[Sent]) -> str:
        """Seal and send a message of the size of each of `sent`; fetch it back and compare."""
        for place in ("given", "sealed", "back"):
            (folder / place).mkdir()
        seal = f"{self._gpg()} --trust-model always --compress-algo none --sign --encrypt"
        sealing, batch = [], []
        for number, one in enumerate(sent):
            (folder / "given" / str(number)).write_bytes(os.urandom(one.size))
            there = folder / "there" / one.folder
            there.mkdir(parents=True, exist_ok=True)
            sealing.append(f"{seal} --recipient {one.recipient} --output sealed/{number} given/{number}\n")
            batch += [
                f"put -f sealed/{number} {there}/.{number}",
                f"rename {there}/.{number} {there}/{number}",
                f"get {there}/{number} back/{number}",
            ]
        (folder / "batch-out").write_text("\n".join([*batch, ""]), encoding="utf-8")
        comparing = 'for f in sealed/*; do cmp "$f" "back/${f#sealed/}"; done\n'
        return "".join(sealing) + f"{self._sftp('batch-out')} >/dev/null\n" + comparing

    def _sftp(self, batch: str) -> str:
        server = self.stage.sshd
        known, key = self.stage.folder / "known_hosts", server.client_key
        options = ("-F", "none", "-i", key, "-P", server.port, "-b", batch, "-q")
        more = (f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "BatchMode=yes")
        return shlex.join(["sftp", *map(str, options), *(f"-o{option}" for option in more), "127.0.0.1"])

    def _gpg(self) -> str:
        return shlex.join(["gpg", "--homedir", str(self.gnupg_home), "--batch", "--quiet"])

    def _stopping(self) -> str:
        return shlex.join(["gpgconf", "--homedir", str(self.gnupg_home), "--kill", "gpg-agent"]) + "\n"  # its time counts too


@contextmanager
def tools(stage: Stage) -> Iterator[Tools]:
    """Set them up for the block; no figure holds any of that."""
    server = stage.sshd
    (stage.folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n", encoding="utf-8")
    settings = config.load(stage.home)
    (own,) = hub.load(stage.home, load_master_key(stage.home, settings)).keys
    with tempfile.TemporaryDirectory(prefix="bench-gpg-") as name:  # short: an agent's socket may have 108 bytes
        home = Path(name)
        gnupg.run(home, "--import", given=own.secret)
        for code in partners.load(stage.home):
            for certificate in (stage.home / "partners" / code).glob("*.asc"):
                gnupg.run(home, "--import", given=certificate.read_bytes())
        gnupg.run(home, "--check-trustdb")
        gnupg.stop_agent(home)
        yield Tools(stage, home)


def read_and_write(files: Sequence[Path]) -> int:
    """Read each CSV and write it as Parquet beside it; how many D records there were."""
    kinds = ", ".join(f"'{name}': 'VARCHAR'" for name in _COLUMNS)
    with duckdb.connect(":memory:") as connection:
        return sum(
            connection.execute(
                "COPY (SELECT * EXCLUDE record_type FROM"
                f" read_csv('{path}', header = false, skip = 1, auto_detect = false, null_padding = true, columns = {{{kinds}}})"
                f" WHERE record_type = 'D') TO '{path.with_suffix('.parquet')}' (FORMAT parquet, COMPRESSION zstd)"
            ).fetchall()[0][0]
            for path in files
        )


if __name__ == "__main__":
    print(json.dumps({"rows": read_and_write(sorted(Path(sys.argv[1]).glob("*.csv")))}))
