"""A real OpenSSH server for tests: loopback, a free port, keys of its own, the current user, and a folder to serve."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path

from cpis_batch import files
from cpis_batch.config import SftpServer
from cpis_batch.ssh_keys import make_client_key

_STARTED = "Server listening on"
_PRIVILEGE_SEPARATION = Path("/run/sshd")  # where sshd run by root insists on


def _program() -> str:
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert found, "OpenSSH's server is needed: apt-get install openssh-server"
    return found


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to clients: it stays free over a restart."""
    while True:
        port = 10_240 + secrets.randbelow(22_528)  # not `random`: it is seeded alike in every worker
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Sshd:
    """A server that serves `root`. `options` are those of internal-sftp, such as `-P rename`; `lines` go into sshd_config."""

    root: Path
    state: Path
    options: str = ""
    lines: str = ""
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.client_key = self.state / "client"
        if not self.client_key.exists():
            files.write(self.state / "authorized_keys", make_client_key(self.client_key, "client").encode())
        self.new_host_key()

    def new_host_key(self) -> None:
        """Another host key, from the next start on."""
        key = self.state / "host"
        key.unlink(missing_ok=True)
        self.host_key = make_client_key(key, "host")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[int]:
        """The processes that serve its connections."""
        return _children(self.pid)

    def settings(self, **changes: object) -> SftpServer:
        """The mailbox settings for this server."""
        given = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getuser(),
            "host_keys": (self.host_key,),
            "key": str(self.client_key),
            "connect_seconds": 10.0,
            "read_seconds": 10.0,
        }
        return SftpServer(**{**given, **changes})

    def start(self) -> None:
        if os.geteuid() == 0:
            _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        configuration = self.state / "sshd_config"
        configuration.write_text(
            "\n".join(
                (
                    f"Port {self.port}",
                    "ListenAddress 127.0.0.1",
                    f"HostKey {self.state / 'host'}",
                    f"AuthorizedKeysFile {self.state / 'authorized_keys'}",
                    "AuthenticationMethods publickey",
                    "PermitRootLogin yes",
                    "StrictModes no",
                    "UsePAM no",
                    "PidFile none",
                    "MaxStartups 100",
                    f"Subsystem sftp internal-sftp -d {self.root} {self.options}",
                    self.lines,
                    "",
                )
            )
        )
        self._process = subprocess.Popen(
            [_program(), "-D", "-e", "-f", str(configuration)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if _STARTED in line:
                break
        else:
            raise AssertionError(f"sshd did not start: {''.join(said)}")

    def stop(self) -> None:
        """End the server and, with it, what it serves: sshd leaves its sessions alone otherwise."""
        if self._process is None:
            return
        held = {self.pid}
        os.kill(self.pid, signal.SIGSTOP)
        while more := set(self.children()) - held:  # what is stopped starts nothing more, so this ends with all of them held
            for pid in more:
                _signal(pid, signal.SIGSTOP)
            held |= more
        for pid in held:
            _signal(pid, signal.SIGKILL)
        self._process.communicate(timeout=10)
        self._process = None

    def restart(self, **changes: str) -> None:
        """Stop and start again, with other `options` or `lines` perhaps."""
        self.stop()
        self.options = changes.get("options", self.options)
        self.lines = changes.get("lines", self.lines)
        self.start()


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _children(pid: int) -> list[int]:
    """The processes that `pid` has started, and those that they have."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return []  # ended by itself meanwhile
    return [each for child in map(int, listed) for each in (*_children(child), child)]


@contextmanager
def start_sshd(root: Path, state: Path, *, options: str = "") -> Iterator[Sshd]:
    """A running server for the block; `state` is a folder for its keys and configuration."""
    server = Sshd(root, state, options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
