"""A real cluster on loopback: `dask scheduler` and `dask worker` as processes, with TLS by an authority made for it, set up as
docs/cluster.md says.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cpis_batch import config

PAGE = Path(__file__).parent.parent.parent / "docs" / "cluster.md"
_PROGRAM = Path(sys.executable).with_name("dask")
_LONGEST_SECONDS = 60  # until a process that was started is ready, on a machine that has much else to do


def settings_of_the_page() -> str:
    """The settings that the page tells operators to give Dask."""
    found = re.search(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def make_certificates(folder: Path) -> None:
    """`ca.pem`, and `node.pem` with `node.key` by it."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "node")}
    for name, key in keys.items():
        made = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named("ca"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(keys["ca"], hashes.SHA256())
        )
        (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = keys["node"].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "node.key").touch(mode=0o600)
    (folder / "node.key").write_bytes(private)


class Node:
    """A process of the cluster; all that it says is kept in `log`."""

    def __init__(self, words: list[str], log: Path, environment: Mapping[str, str], ready: str) -> None:
        self.log, self._ready, self._found = log, re.compile(ready), Event()
        self.said = ""
        self.process = subprocess.Popen(
            [str(_PROGRAM), *words],
            env=environment,
            cwd=log.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.log.open("w", encoding="utf-8") as log:
            for line in self.process.stdout:
                log.write(line)
                log.flush()
                if not self._found.is_set() and (told := self._ready.search(line)):
                    self.said = told[1]
                    self._found.set()
        self._found.set()  # it has ended

    def wait(self) -> str:
        """Until it is ready; what it then said."""
        assert self._found.wait(_LONGEST_SECONDS), self.log.read_text()
        assert self.said, self.log.read_text()
        return self.said

    def kill(self) -> None:
        """SIGKILL, to it and what it has started; until it is gone."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stdout
        self.process.stdout.close()


@dataclass
class DaskCluster:
    """A scheduler and its workers. `settings` is the text of Dask's own configuration."""

    folder: Path
    settings: str = field(default_factory=settings_of_the_page)
    protocol: str = "tls"
    workers: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        make_certificates(self.folder / "tls")
        self.scheduler = self._node("scheduler", ["scheduler", "--port", "0", "--no-dashboard"], {}, r"Scheduler at: +(\S+)")
        self.address = self.scheduler.wait()

    @property
    def tls(self) -> Path:
        """Where the certificates are."""
        return self.folder / "tls"

    def start(
        self,
        count: int = 1,
        *,
        environment: Mapping[str, str] | None = None,
        settings: str | None = None,
        preload: Path | None = None,
    ) -> list[Node]:
        """More workers, when they are registered."""
        started = []
        for _ in range(count):
            name = f"worker-{len(self.workers) + 1}"
            local = self.folder / name / "local"
            words = ["worker", self.address, "--no-dashboard", "--no-nanny", "--nthreads", "1", "--local-directory", str(local)]
            words += ["--preload", str(preload)] if preload else []
            started.append(self._node(name, words, environment or {}, r"(Registered to): ", settings))
            self.workers.append(started[-1])
        for node in started:
            node.wait()
        return started

    def _node(self, name: str, words: list[str], environment: Mapping[str, str], ready: str, settings: str | None = None) -> Node:
        folder = self.folder / name
        (folder / "dask").mkdir(parents=True)
        (folder / "dask" / "cpis.yaml").write_text(settings or self.settings)
        tls = [f"--tls-ca-file={self.tls}/ca.pem", f"--tls-cert={self.tls}/node.pem", f"--tls-key={self.tls}/node.key"]
        words = [*words, "--protocol", self.protocol, "--host", "127.0.0.1", *(tls if self.protocol == "tls" else [])]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DASK_", "CPIS_"))}
        given = inherited | {"DASK_CONFIG": str(folder / "dask")} | dict(environment)
        return Node(words, folder / "log", given, ready)

    def configure(self, home: Path, more: str = "") -> None:
        """Name the TLS files in a home's [cluster]."""
        path = home / config.FILE_NAME
        lines = f'ca = "{self.tls}/ca.pem"\ncertificate = "{self.tls}/node.pem"\nkey = "{self.tls}/node.key"\n{more}'
        before, heading, after = path.read_text().partition("[cluster]\n")
        path.write_text(f"{before}{heading or '[cluster]' + chr(10)}{lines}\n{after}")

    def close(self) -> None:
        """End all of it."""
        for node in [*self.workers, self.scheduler]:
            node.kill()


@contextmanager
def dask_cluster(folder: Path, workers: int = 3, **more: str) -> Iterator[DaskCluster]:
    """A cluster for the block."""
    cluster = DaskCluster(folder, **more)
    try:
        cluster.start(workers)
        yield cluster
    finally:
        cluster.close()
