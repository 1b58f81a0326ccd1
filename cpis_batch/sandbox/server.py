"""An SFTP server to rehearse with: loopback only, no root, no installation, one folder tree that nobody leaves.

It stands in for the partners' servers in `demo`, on a partner's desk and in tests. It is not for real files: any user name
is let in with a listed key, and all see the same tree.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import posixpath
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko import SFTPAttributes, SFTPHandle
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, OPEN_SUCCEEDED
from paramiko.sftp import CMD_INIT, CMD_VERSION, SFTP_OK

from cpis_batch.exchange.packets import POSIX_RENAME
from cpis_batch.exchange.ssh import private_key, public_line

LOG = "cpis_batch.sandbox.paramiko"
logging.getLogger(LOG).addHandler(logging.NullHandler())
logging.getLogger(LOG).propagate = False

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _status(method: Callable[_P, _T]) -> Callable[_P, _T | int]:
    """Answer with the protocol's status where the operating system refuses."""

    @wraps(method)
    def answered(*args: _P.args, **named: _P.kwargs) -> _T | int:
        try:
            return method(*args, **named)
        except OSError as fault:
            return paramiko.SFTPServer.convert_errno(fault.errno or errno.EIO)

    return answered


class OpenFile(SFTPHandle):
    """A file that a client has open."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def read(self, offset: int, length: int) -> bytes | int:
        """Up to `length` bytes; none at the end."""
        return os.pread(self._descriptor, length, offset)

    def write(self, offset: int, data: Any) -> int:
        """Write all of `data` at `offset`."""
        left = memoryview(data)
        while left:
            written = os.pwrite(self._descriptor, left, offset)
            left, offset = left[written:], offset + written
        return SFTP_OK

    def stat(self) -> SFTPAttributes:
        """What it is now."""
        return SFTPAttributes.from_stat(os.fstat(self._descriptor))

    def close(self) -> None:
        """Close it, once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Tree(paramiko.SFTPServerInterface):
    """What clients may do under `root`. Links are neither made nor followed out of it."""

    def __init__(self, server: paramiko.ServerInterface, root: Path) -> None:
        super().__init__(server)
        self._root = root.resolve()

    def local(self, path: str) -> Path:
        """The local path for one of the protocol, its last part not followed. PermissionError where it leads out of the root."""
        inner = posixpath.normpath("/" + path.lstrip("/")).lstrip("/")
        if not inner:
            return self._root
        local = self._root / inner
        parent = local.parent.resolve()
        if not parent.is_relative_to(self._root):
            raise PermissionError(errno.EACCES, "outside")
        return parent / local.name

    def canonicalize(self, path: str) -> str:
        """The absolute form of a path of the protocol."""
        return posixpath.normpath("/" + path.lstrip("/"))

    @_status
    def list_folder(self, path: str) -> list[SFTPAttributes]:
        """Everything in a folder; links as links."""
        found = []
        # Names stay bytes: those that are not UTF-8 are to reach the client as they are.
        with os.scandir(os.fsencode(self.local(path))) as scan:
            for item in scan:
                with suppress(FileNotFoundError):  # taken away meanwhile
                    found.append(SFTPAttributes.from_stat(item.stat(follow_symlinks=False), item.name))  # type: ignore[arg-type]
        return found

    @_status
    def stat(self, path: str) -> SFTPAttributes:
        """What stands at `path`, links followed as long as they stay inside."""
        local = self.local(path).resolve()
        if not local.is_relative_to(self._root):
            raise PermissionError(errno.EACCES, "outside")
        return SFTPAttributes.from_stat(local.stat())

    @_status
    def lstat(self, path: str) -> SFTPAttributes:
        """What stands at `path`, a link as a link."""
        return SFTPAttributes.from_stat(self.local(path).lstat())

    @_status
    def open(self, path: str, flags: int, attr: SFTPAttributes) -> SFTPHandle:
        """Open a file, not through a link."""
        mode = 0o660 if attr.st_mode is None else attr.st_mode & 0o777
        return OpenFile(os.open(self.local(path), flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode))

    @_status
    def remove(self, path: str) -> int:
        """Remove a file."""
        self.local(path).unlink()
        return SFTP_OK

    @_status
    def rename(self, oldpath: str, newpath: str) -> int:
        """Rename, refused where the new name is taken, as version 3 of the protocol has it."""
        target = self.local(newpath)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "taken")
        self.local(oldpath).rename(target)
        return SFTP_OK

    @_status
    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """Rename over whatever is there, in one step."""
        self.local(oldpath).replace(self.local(newpath))
        return SFTP_OK

    @_status
    def mkdir(self, path: str, attr: SFTPAttributes) -> int:  # noqa: ARG002  the modes of the tree are ours
        """Make a folder."""
        self.local(path).mkdir(mode=0o770)
        return SFTP_OK

    @_status
    def rmdir(self, path: str) -> int:
        """Remove an empty folder."""
        self.local(path).rmdir()
        return SFTP_OK

    @_status
    def chattr(self, path: str, attr: SFTPAttributes) -> int:
        """Set a file's times, which desktop clients do after an upload; its mode and owner stay."""
        if attr.st_atime is not None and attr.st_mtime is not None:
            os.utime(self.local(path), (attr.st_atime, attr.st_mtime), follow_symlinks=False)
        return SFTP_OK


class Session(paramiko.SFTPServer):
    """One SFTP session."""

    def _send_server_version(self) -> int:
        """Name posix-rename among the extensions, as OpenSSH does; paramiko offers it without saying so."""
        kind, data = self._read_packet()  # type: ignore[attr-defined]  # the stubs leave out what is not public
        if kind != CMD_INIT:
            raise paramiko.SFTPError("not SFTP")
        hello = paramiko.Message()
        hello.add_int(3)
        hello.add_string(POSIX_RENAME)
        hello.add_string(b"1")
        self._send_packet(CMD_VERSION, hello)  # type: ignore[attr-defined]
        return int.from_bytes(data[:4], "big")


class Login(paramiko.ServerInterface):
    """Whoever holds a listed key comes in; SFTP is all there is."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        """What may be tried."""
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:  # noqa: ARG002
        """Whether that key is listed."""
        return AUTH_SUCCESSFUL if public_line(key) in self._allowed else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        """Sessions, and nothing else."""
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


class SftpServer:
    """A server on 127.0.0.1 for the time of a `with` block, in threads of this process.

    `host_key` is a private key (OpenSSH), a new one if none is given; `authorized_keys` are public key lines; `port` 0
    takes a free one.
    """

    def __init__(self, root: Path, *, authorized_keys: Sequence[str], host_key: bytes | None = None, port: int = 0) -> None:
        self.root = root
        self._allowed = frozenset(" ".join(line.split()[:2]) for line in authorized_keys)
        self._key = private_key(host_key or new_host_key())
        self._wanted_port = port
        self._transports: set[paramiko.Transport] = set()
        self._lock = threading.Lock()

    @property
    def host_key(self) -> str:
        """The public line that a client pins."""
        return public_line(self._key)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self._wanted_port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, name="sandbox-sftp", daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self._accepting.join()
        self.disconnect()

    def disconnect(self) -> None:
        """Drop every connection there is."""
        with self._lock:
            transports, self._transports = self._transports, set()
        for transport in transports:
            transport.close()

    def login(self) -> Login:
        """Who is let in."""
        return Login(self._allowed)

    def offer(self, transport: paramiko.Transport) -> None:
        """What a client finds on a connection."""
        transport.set_subsystem_handler("sftp", Session, Tree, self.root)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # stopped
            self.answer(connection)

    def answer(self, connection: socket.socket) -> None:
        """Begin to talk on a new connection."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = paramiko.Transport(connection)
        transport.set_log_channel(LOG)
        transport.add_server_key(self._key)
        self.offer(transport)
        with self._lock:
            self._transports = {each for each in self._transports if each.is_active()} | {transport}
        transport.start_server(event=threading.Event(), server=self.login())


def new_host_key() -> bytes:
    """A new ed25519 private key in OpenSSH's format."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


@dataclass(frozen=True, slots=True)
class Running:
    """A server in another process: where it listens, and the line to pin."""

    port: int
    host_key: str
    pid: int


def serve(server: SftpServer, announce: Callable[[Running], None]) -> None:
    """Run `server` until SIGTERM or SIGINT; `announce` is called once it listens. For the main thread of a process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with server:
        announce(Running(server.port, server.host_key, os.getpid()))
        stop.wait()


@contextmanager
def in_a_process(make: Callable[[], SftpServer]) -> Iterator[Running]:
    """The server that `make` makes, in a process of its own for the block. `make` must survive pickling (a `partial` does)."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(make, there), name="sandbox-sftp", daemon=True)
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()
        process.close()
        here.close()


def _child(make: Callable[[], SftpServer], announce: Connection) -> None:
    serve(make(), announce.send)
