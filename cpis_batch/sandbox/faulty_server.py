"""The rehearsal server with faults to inject: what partners' servers do on bad days, and what hostile ones would.

A changed host key (F13) is a server started with another `host_key`; a line that breaks at a given byte is `broken_line`.
"""

# The faults lie below what paramiko's stubs call public.
# mypy: disable-error-code="attr-defined,misc"

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
from paramiko import Message, SFTPAttributes
from paramiko.sftp import CMD_DATA, CMD_NAME, CMD_NAMES, CMD_OPEN, CMD_READ, CMD_READDIR, SFTP_EOF, SFTP_PERMISSION_DENIED

from cpis_batch.sandbox.server import Session, SftpServer, Tree

_NAMES_A_PACKET = 100


@dataclass(frozen=True, slots=True)
class Cut:
    """Drop the connection at the `number`th request of a kind, before doing what is asked or after, unanswered both times."""

    request: str
    number: int = 1
    after: bool = False


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. Requests go by their names in the protocol (`read`, `lstat`...); `extended` is posix-rename."""

    cuts: tuple[Cut, ...] = ()
    silent_on: frozenset[str] = frozenset()  # never answered
    refuse: frozenset[str] = frozenset()  # permission denied
    garble: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)  # answered with that packet type and content
    drip_seconds: float | None = None  # a read brings one byte, after that long
    endless: bool = False  # a read always brings all that was asked for
    lying_size: int | None = None  # in listings and attributes
    at_first_read: Callable[[Path], None] | None = None  # what happens to the file meanwhile
    entries: tuple[tuple[bytes, int | None], ...] = ()  # further names and modes in every listing
    names: int = 0  # a listing of that many made-up names, and nothing else


class FaultyServer(SftpServer):
    """`SftpServer` with `faults`."""

    def __init__(
        self, root: Path, *, authorized_keys: Sequence[str], faults: Faults, host_key: bytes | None = None, port: int = 0
    ) -> None:
        super().__init__(root, authorized_keys=authorized_keys, host_key=host_key, port=port)
        self.faults = faults
        self.stopped = threading.Event()
        self._counts: Counter[str] = Counter()
        self._counting = threading.Lock()

    def disconnect(self) -> None:
        """Drop every connection there is, those that are kept waiting too."""
        self.stopped.set()
        super().disconnect()

    def offer(self, transport: paramiko.Transport) -> None:
        """What a client finds on a connection."""
        self.count("connection")
        transport.set_subsystem_handler("sftp", _FaultySession, _FaultyTree, self.root, plan=self)

    def count(self, request: str) -> int:
        """Count one more request of that name; how many there have been, over all connections."""
        with self._counting:
            self._counts[request] += 1
            return self._counts[request]

    def asked(self, request: str) -> int:
        """How many requests of that name there have been; `connection` counts those."""
        return self._counts[request]


class _FaultyTree(Tree):
    """A tree whose listings and attributes are not what they should be."""

    def __init__(self, server: paramiko.ServerInterface, root: Path, plan: FaultyServer) -> None:
        super().__init__(server, root)
        self._faults = plan.faults

    def list_folder(self, path: str) -> list[SFTPAttributes] | int:
        found = super().list_folder(path)
        if isinstance(found, int):
            return found
        for name, mode in self._faults.entries:
            made = SFTPAttributes()
            made.filename, made.st_mode, made.st_size, made.st_mtime, made.st_atime = name, mode, 1, 0, 0  # type: ignore[assignment]  # bytes, for names that are no text
            found.append(made)
        for each in found:
            each.st_size = each.st_size if self._faults.lying_size is None else self._faults.lying_size
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
        self._opened = Path()
        self._left = plan.faults.names

    def _process(self, kind: int, number: int, message: Message) -> None:
        faults, request = self._plan.faults, CMD_NAMES[kind]
        count = self._plan.count(request)
        if kind == CMD_OPEN:
            self._opened = self._tree.local(Message(message.get_remainder()).get_text())
        if request in faults.refuse:
            self._send_status(number, SFTP_PERMISSION_DENIED)
        elif request in faults.garble:
            answer, content = faults.garble[request]
            self._answer(answer, number, content)
        elif request in faults.silent_on:
            self._plan.stopped.wait()
        elif Cut(request, count) in faults.cuts:
            self._cut()
        elif Cut(request, count, after=True) in faults.cuts:
            self._mute = True
            super()._process(kind, number, message)
            self._cut()
        elif kind == CMD_READ:
            self._read(count, number, message)
        elif kind == CMD_READDIR and faults.names:
            self._made_up_names(number)
        else:
            super()._process(kind, number, message)

    def _read(self, count: int, number: int, message: Message) -> None:
        faults = self._plan.faults
        if faults.at_first_read is not None and count == 1:
            faults.at_first_read(self._opened)
        copy = Message(message.get_remainder())
        handle, offset, length = copy.get_binary(), copy.get_int64(), copy.get_int()
        if faults.endless:
            self._response(number, CMD_DATA, bytes(length))
        elif faults.drip_seconds is not None:
            self._plan.stopped.wait(faults.drip_seconds)
            if piece := self.file_table[handle].read(offset, 1):
                self._response(number, CMD_DATA, piece)
            else:
                self._send_status(number, SFTP_EOF)
        else:
            super()._process(CMD_READ, number, message)

    def _made_up_names(self, number: int) -> None:
        count = min(self._left, _NAMES_A_PACKET)
        if not count:
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
        packet.add_int(number)
        packet.add_bytes(content)
        self._send_packet(kind, packet)

    def _response(self, number: int, kind: int, *args: Any) -> None:
        for each in args:
            if isinstance(each, SFTPAttributes) and self._plan.faults.lying_size is not None:
                each.st_size = self._plan.faults.lying_size
        super()._response(number, kind, *args)

    def _send_packet(self, kind: int, packet: Message) -> None:
        if not self._mute:
            super()._send_packet(kind, packet)

    def _cut(self) -> None:
        self._mute = True
        self._transport.close()
