"""The rehearsal server with faults to inject: what partners' servers do on bad days, and what hostile ones would.

A line that breaks at a given byte is `broken_line`; faults by name, with what comes of them, are in `hostile`.
"""

# The faults lie below what paramiko's stubs call public.
# mypy: disable-error-code="attr-defined,misc"

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import paramiko
from paramiko import Message, SFTPAttributes
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_DATA,
    CMD_EXTENDED,
    CMD_FSETSTAT,
    CMD_FSTAT,
    CMD_HANDLE,
    CMD_NAME,
    CMD_NAMES,
    CMD_OPEN,
    CMD_READ,
    CMD_READDIR,
    CMD_RENAME,
    CMD_WRITE,
    SFTP_EOF,
    SFTP_FAILURE,
    SFTP_OK,
    SFTP_PERMISSION_DENIED,
)

from cpis_batch.sandbox.server import Login, Session, SftpServer, Tree, new_host_key

_BY_HANDLE = frozenset({CMD_CLOSE, CMD_READ, CMD_WRITE, CMD_FSTAT, CMD_FSETSTAT, CMD_READDIR})
_WRONG = 1_000_000  # no client of ours has as many requests on their way


@dataclass(frozen=True, slots=True)
class Cut:
    """Drop the connection at the `number`th request of a kind, before doing what is asked or after, unanswered both times."""

    request: str
    number: int = 1
    after: bool = False


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. Requests go by their names in the protocol (`read`, `lstat`...); `extended` is posix-rename.

    `folder` keeps all that happens in a session to what lies in that folder; what a connection meets before it has a session
    concerns everybody.
    """

    folder: str = ""  # everywhere; "*/inbound": every folder of that name
    cuts: tuple[Cut, ...] = ()
    silent_in: Literal["", "greeting", "login", "session"] = ""  # a connection gets no further
    silent_on: frozenset[str] = frozenset()  # never answered
    silent_from: Mapping[str, int] = field(default_factory=dict)  # not answered from that one of its kind on
    refuse: frozenset[str] = frozenset()  # permission denied
    codes: Mapping[str, int] = field(default_factory=dict)  # answered with that status, and not done
    garble: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)  # answered with that packet type and content
    misnumbered: frozenset[str] = frozenset()  # answered under a number that nobody asked with
    drip_seconds: float | None = None  # a read brings one byte, after that long
    short_reads: int | None = None  # a read brings no more bytes than that
    endless: bool = False  # a read always brings all that was asked for
    stores_otherwise: bool = False  # what is written is kept with one bit changed
    renames: Literal["", "denied but done", "granted but not done"] = ""
    lying_size: int | None = None  # in listings and attributes
    at_open: Callable[[Path], None] | None = None  # what happens to the first file before it is opened
    at_first_read: Callable[[Path], None] | None = None  # what happens to the file meanwhile
    entries: tuple[tuple[bytes, int | None], ...] = ()  # further names and modes in every listing
    names: int = 0  # a listing of that many made-up names, and nothing else
    names_a_page: int = 100
    page_seconds: float = 0.0  # before each page of made-up names
    empty_pages: bool = False  # a listing that goes on for ever and names nothing
    another_host_key: bool = False


class FaultyServer(SftpServer):
    """`SftpServer` with `faults`."""

    def __init__(
        self, root: Path, *, authorized_keys: Sequence[str], faults: Faults, host_key: bytes | None = None, port: int = 0
    ) -> None:
        key = new_host_key() if faults.another_host_key else host_key
        super().__init__(root, authorized_keys=authorized_keys, host_key=key, port=port)
        self.faults = faults
        self.stopped = threading.Event()
        self._counts: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._unanswered: list[socket.socket] = []

    def disconnect(self) -> None:
        """Drop every connection there is, those that are kept waiting too."""
        self.stopped.set()
        for connection in self._unanswered:
            connection.close()
        super().disconnect()

    def answer(self, connection: socket.socket) -> None:
        """Begin to talk on a new connection; or not."""
        if self.faults.silent_in == "greeting":
            self._unanswered.append(connection)
        else:
            super().answer(connection)

    def login(self) -> Login:
        """Who is let in; or nobody is told whether."""
        return _Undecided(self.stopped) if self.faults.silent_in == "login" else super().login()

    def offer(self, transport: paramiko.Transport) -> None:
        """What a client finds on a connection."""
        self.count("connection")
        if self.faults.silent_in == "session":
            transport.set_subsystem_handler("sftp", _Waiting, self.stopped)
        else:
            transport.set_subsystem_handler("sftp", _FaultySession, _FaultyTree, self.root, plan=self)

    def count(self, request: str) -> int:
        """Count one more request of that name; how many there have been, over all connections."""
        with self._counting:
            self._counts[request] += 1
            return self._counts[request]

    def asked(self, request: str) -> int:
        """How many requests of that name there have been where the faults are; `connection` counts those."""
        return self._counts[request]

    def concerns(self, path: str) -> bool:
        """Whether a path of the protocol lies where the faults are."""
        folder, asked = self.faults.folder, f"/{path.strip('/')}/"
        return (
            f"{folder.removeprefix('*')}/" in asked if folder.startswith("*") else not folder or asked.startswith(f"/{folder}/")
        )


class _Undecided(Login):
    """A login that is never answered."""

    def __init__(self, stopped: threading.Event) -> None:
        super().__init__(frozenset())
        self._stopped = stopped

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._stopped.wait()
        return super().check_auth_publickey(username, key)


class _Waiting(Session):
    """A session that is granted and never begins."""

    def __init__(self, channel: paramiko.Channel, name: str, server: paramiko.ServerInterface, stopped: threading.Event) -> None:
        stopped.wait()
        super().__init__(channel, name, server)


class _FaultyTree(Tree):
    """A tree whose listings and attributes are not what they should be."""

    def __init__(self, server: paramiko.ServerInterface, root: Path, plan: FaultyServer) -> None:
        super().__init__(server, root)
        self._plan = plan

    def list_folder(self, path: str) -> list[SFTPAttributes] | int:
        found, faults = super().list_folder(path), self._plan.faults
        if isinstance(found, int) or not self._plan.concerns(path):
            return found
        for name, mode in faults.entries:
            made = SFTPAttributes()
            made.filename, made.st_mode, made.st_size, made.st_mtime, made.st_atime = name, mode, 1, 0, 0  # type: ignore[assignment]  # bytes, for names that are no text
            found.append(made)
        for each in found:
            each.st_size = each.st_size if faults.lying_size is None else faults.lying_size
        return found


class _FaultySession(Session):
    """A session in which requests are answered as the plan says."""

    def __init__(
        self,
        channel: paramiko.Channel,
        name: str,
        server: paramiko.ServerInterface,
        tree: type[Tree],
        root: Path,
        *,
        plan: FaultyServer,
    ) -> None:
        super().__init__(channel, name, server, tree, root, plan)
        self._plan = plan
        self._transport = channel.get_transport()
        self._tree = Tree(server, root)
        self._mute = False
        self._paths: dict[bytes, str] = {}  # of what is open, by handle
        self._path = ""  # that the request in hand is about
        self._shift = 0  # of the numbers of answers
        self._left = plan.faults.names

    def _process(self, kind: int, number: int, message: Message) -> None:
        self._path = self._path_of(kind, Message(message.get_remainder()))
        if self._plan.concerns(self._path):
            self._misbehave(kind, number, message)
        else:
            super()._process(kind, number, message)

    def _path_of(self, kind: int, message: Message) -> str:
        if kind in _BY_HANDLE:
            return self._paths.get(message.get_binary(), "")
        if kind == CMD_EXTENDED:
            message.get_text()
        return message.get_text()

    def _misbehave(self, kind: int, number: int, message: Message) -> None:
        faults, request = self._plan.faults, CMD_NAMES[kind]
        count = self._plan.count(request)
        self._shift = _WRONG if request in faults.misnumbered else 0
        if kind == CMD_OPEN and count == 1 and faults.at_open is not None:
            faults.at_open(self._tree.local(self._path))
        if request in faults.refuse:
            self._send_status(number, SFTP_PERMISSION_DENIED)
        elif request in faults.codes:
            self._send_status(number, faults.codes[request], "")
        elif request in faults.garble:
            answer, content = faults.garble[request]
            self._answer(answer, number, content)
        elif request in faults.silent_on or count >= faults.silent_from.get(request, count + 1):
            self._plan.stopped.wait()
        elif Cut(request, count) in faults.cuts:
            self._cut()
        elif Cut(request, count, after=True) in faults.cuts:
            self._mute = True
            super()._process(kind, number, message)
            self._cut()
        elif kind == CMD_READ:
            self._read(count, number, message)
        elif kind == CMD_WRITE and faults.stores_otherwise:
            self._write(number, message)
        elif kind == CMD_READDIR and (faults.names or faults.empty_pages):
            self._made_up_names(number)
        elif kind in (CMD_RENAME, CMD_EXTENDED) and faults.renames:
            self._rename(kind, number, message)
        else:
            super()._process(kind, number, message)
        self._shift = 0

    def _read(self, count: int, number: int, message: Message) -> None:
        faults = self._plan.faults
        if faults.at_first_read is not None and count == 1:
            faults.at_first_read(self._tree.local(self._path))
        copy = Message(message.get_remainder())
        handle, offset, length = copy.get_binary(), copy.get_int64(), copy.get_int()
        if faults.endless:
            self._response(number, CMD_DATA, bytes(length))
        elif faults.drip_seconds is not None or faults.short_reads is not None:
            self._plan.stopped.wait(faults.drip_seconds or 0)
            if piece := self.file_table[handle].read(offset, min(length, faults.short_reads or 1)):
                self._response(number, CMD_DATA, piece)
            else:
                self._send_status(number, SFTP_EOF)
        else:
            super()._process(CMD_READ, number, message)

    def _write(self, number: int, message: Message) -> None:
        handle, offset, data = message.get_binary(), message.get_int64(), bytearray(message.get_binary())
        data[-1] ^= 1
        self._send_status(number, self.file_table[handle].write(offset, bytes(data)))

    def _rename(self, kind: int, number: int, message: Message) -> None:
        if self._plan.faults.renames == "granted but not done":
            self._send_status(number, SFTP_OK)
            return
        self._mute = True
        super()._process(kind, number, message)
        self._mute = False
        self._send_status(number, SFTP_FAILURE)

    def _made_up_names(self, number: int) -> None:
        faults = self._plan.faults
        count = min(self._left, faults.names_a_page)
        if faults.page_seconds:
            self._plan.stopped.wait(faults.page_seconds)
        if not count and not faults.empty_pages:
            self._send_status(number, SFTP_EOF)
            return
        packet = Message()
        packet.add_int(count)
        for each in range(self._left - count, self._left):
            packet.add_string(f"{each}.pgp")
            packet.add_string("")
            made = SFTPAttributes()
            made.st_mode, made.st_size, made.st_mtime, made.st_atime = 0o100600, 1, 0, 0
            made._pack(packet)
        self._left -= count
        self._answer(CMD_NAME, number, packet.asbytes())

    def _answer(self, kind: int, number: int, content: bytes) -> None:
        packet = Message()
        packet.add_int(number + self._shift)
        packet.add_bytes(content)
        self._send_packet(kind, packet)

    def _response(self, number: int, kind: int, *args: Any) -> None:
        for each in args:
            if isinstance(each, SFTPAttributes) and self._plan.faults.lying_size is not None and self._plan.concerns(self._path):
                each.st_size = self._plan.faults.lying_size
        if kind == CMD_HANDLE:
            self._paths[args[0]] = self._path
        super()._response(number + self._shift, kind, *args)

    def _send_packet(self, kind: int, packet: Message) -> None:
        if not self._mute:
            super()._send_packet(kind, packet)

    def _cut(self) -> None:
        self._mute = True
        self._transport.close()
