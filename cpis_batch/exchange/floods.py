"""What a server can make paramiko keep: no more than SSH lets it send unasked. paramiko itself sets no bound (measured with 5.1).

It waits for as many bytes as a packet says that it has, up to 4 GiB, and for the end of a greeting that has none, both before
the host key is known; and what comes on a channel it puts aside, whether or not the other side was allowed to send it. A fault
raised here ends the connection.
"""

from __future__ import annotations

from paramiko import SSHException
from paramiko.buffered_pipe import BufferedPipe
from paramiko.packet import Packetizer

LONGEST_PACKET = 256 * 1024 + 1024  # RFC 4253 asks for 35,000 bytes; OpenSSH goes to 256 KiB
LONGEST_GREETING = 64 * 1024  # RFC 4253: 255 bytes a line, and lines may go before; OpenSSH takes 8 KiB a line
MOST_UNREAD = 4 * 1024 * 1024  # a channel's window is 3 MiB


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

    def feed(self, data: bytes | str) -> None:
        """Put `data` aside. SSHException where the other side sends on, though its window is used up."""
        if len(self) + len(data) > MOST_UNREAD:
            raise SSHException("more was sent than was asked for")
        super().feed(data)
