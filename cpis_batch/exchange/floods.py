"""What a server can make paramiko keep: no more than SSH lets it send unasked. paramiko itself sets no bound (measured with 5.1).

It waits for as many bytes as a packet says that it has, up to 4 GiB, and for the end of a greeting that has none, both before
the host key is known; and what comes on a channel it puts aside, whether or not the other side was allowed to send it. A fault
raised here ends the connection.

Both also hold what came in a form that is cheap to take from: paramiko asks the socket twice a packet, and moves all that is
unread each time that some of it is read.
"""

from __future__ import annotations

import socket
from collections import deque

from paramiko import SSHException
from paramiko.buffered_pipe import BufferedPipe
from paramiko.packet import Packetizer

LONGEST_PACKET = 256 * 1024 + 1024  # RFC 4253 asks for 35,000 bytes; OpenSSH goes to 256 KiB
LONGEST_GREETING = 64 * 1024  # RFC 4253: 255 bytes a line, and lines may go before; OpenSSH takes 8 KiB a line
MOST_UNREAD = 4 * 1024 * 1024  # a channel's window is 3 MiB
_AT_ONCE = 256 * 1024


class Line(socket.socket):
    """A connected socket, which takes over `connected`, and of which a look takes all that is there."""

    def __init__(self, connected: socket.socket) -> None:
        timeout = connected.gettimeout()
        super().__init__(connected.family, connected.type, connected.proto, fileno=connected.detach())
        self.settimeout(timeout)
        self._came = memoryview(b"")

    def recv(self, most: int, flags: int = 0) -> bytes:
        """Some bytes, `most` at most."""
        if not self._came:
            self._came = memoryview(super().recv(_AT_ONCE, flags))
        taken, self._came = self._came[:most], self._came[most:]
        return bytes(taken)


class Packets(Packetizer):
    """A connection's packets and, before them, its greeting."""

    _greeted = 0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """The next `n` bytes. SSHException where no packet is as long."""
        if n > LONGEST_PACKET:
            raise SSHException("a packet is too long")
        return super().read_all(n, check_rekey)

    def _read_timeout(self, timeout: float) -> bytes:
        """The next bytes of the greeting: paramiko reads nothing else by this."""
        piece = super()._read_timeout(timeout)  # type: ignore[misc]  # the stubs leave out what is not public
        self._greeted += len(piece)
        if self._greeted > LONGEST_GREETING:
            raise SSHException("a greeting is too long")
        return bytes(piece)


class Unread(BufferedPipe):  # type: ignore[type-arg]  # generic in the stubs alone
    """What has come on a channel and was not read yet."""

    def __init__(self) -> None:
        super().__init__()
        self._buffer: _Pieces = _Pieces()

    def feed(self, data: bytes | str) -> None:
        """Put `data` aside. SSHException where the other side sends on, though its window is used up."""
        if len(self) + len(data) > MOST_UNREAD:
            raise SSHException("more was sent than was asked for")
        super().feed(data)

    def _buffer_frombytes(self, data: bytes) -> None:
        self._buffer.add(data)

    def _buffer_tobytes(self, limit: int | None = None) -> bytes:
        return self._buffer.first(len(self._buffer) if limit is None else limit)


class _Pieces:
    """Bytes, in the pieces that they came in.

    paramiko has an array, all of which is moved, up to 3 MiB, each time that some are taken: half the time of a fetch near by.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, data: bytes) -> None:
        """Append them."""
        self._pieces.append(data)
        self._size += len(data)

    def first(self, count: int) -> bytes:
        """The first `count` bytes, or all where there are fewer."""
        found: list[bytes] = []
        for piece in self._pieces:
            if count <= 0:
                break
            found.append(piece[:count])
            count -= len(piece)
        return b"".join(found)

    def __delitem__(self, begin: slice) -> None:
        """Forget the first so many, or all."""
        count = self._size if begin.stop is None else min(begin.stop, self._size)
        self._size -= count
        while count:
            piece = self._pieces.popleft()
            if len(piece) > count:
                self._pieces.appendleft(piece[count:])
            count -= min(count, len(piece))
