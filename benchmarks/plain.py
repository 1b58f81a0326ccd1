"""What the night is measured against: the plain tools, which do less.

One `sftp` in batch mode fetches the same files from the same server with the same key, `gpg` decrypts each (a process a
file, as on a command line), and one DuckDB process reads each CSV and writes it as Parquet. No sender is held to a list, no
rule is checked, nothing is merged, encrypted at rest, made durable, answered or moved away.
"""

from __future__ import annotations

import json
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
from cpis_batch import config, partners
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
class Tools:
    """The plain tools, set up: `gnupg_home` holds the hub's secret key and every authority's certificate."""

    stage: Stage
    gnupg_home: Path

    def run(self, evening: Evening) -> tuple[Cost, int]:
        """Let them read an evening that lies on the server; what it cost, and how many rows they have read."""
        with tempfile.TemporaryDirectory(dir=self.stage.folder, prefix="plain-") as name:
            folder, told = Path(name), self.stage.folder / "plain.json"
            (folder / "batch").write_text("".join(f"get {path}\n" for path in self._remote(evening)), encoding="utf-8")
            cost = measured(["sh", "-ec", self._script(folder)], stdout=told)
            if cost.status:
                raise SystemExit(f"The plain tools ended with {cost.status}.")
            return cost, int(json.loads(told.read_bytes())["rows"])

    def _remote(self, evening: Evening) -> Iterator[Path]:
        """Where the authorities' files lie on the server."""
        for path in sorted(evening.lying.glob("las/*/inbound/*.pgp")):
            yield self.stage.root / path.relative_to(evening.lying)

    def _script(self, folder: Path) -> str:
        server = self.stage.sshd
        known, key = self.stage.folder / "known_hosts", server.client_key
        options = ("-F", "none", "-i", key, "-P", server.port, "-b", "batch", "-q")
        more = (f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "BatchMode=yes")
        sftp = shlex.join(["sftp", *map(str, options), *(f"-o{option}" for option in more), "127.0.0.1"])
        gpg = shlex.join(["gpg", "--homedir", str(self.gnupg_home), "--batch", "--quiet"])
        stop = shlex.join(["gpgconf", "--homedir", str(self.gnupg_home), "--kill", "gpg-agent"])  # so that its time is counted
        read = shlex.join([sys.executable, "-m", "benchmarks.plain", "."])
        return (
            f"cd {shlex.quote(str(folder))}\n{sftp} >/dev/null\n"
            f'for f in *.pgp; do {gpg} --output "${{f%.pgp}}" --decrypt "$f" 2>/dev/null; done\n'
            f"{stop}\n{read}\n"
        )


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
