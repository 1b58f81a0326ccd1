"""A line that breaks: a TCP relay on loopback that drops connections after a given number of bytes.

It stands between a client and any server, so that a connection can be lost at every byte of it (F15, F19): in the greeting,
in the login, within a packet, between the last byte of a file and the answer to its closing.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Break:
    """Where one connection breaks: after `sent` bytes from the client, or `received` bytes from the server; None: never."""

    sent: int | None = None
    received: int | None = None


class BrokenLine:
    """A relay to 127.0.0.1:`to_port` for the time of a `with` block. The nth connection breaks as `breaks[n]`, later ones do not.

    `sent` and `received` are the bytes that passed so far, `broken` how many connections broke.
    """

    def __init__(self, to_port: int, breaks: Sequence[Break] = ()) -> None:
        self._to_port = to_port
        self._breaks = iter(breaks)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.sent = self.received = self.broken = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = self._thread(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._accepting.join()
        self._listener.close()
        for each in self._sockets:
            _shut(each)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # stopped
            try:
                server = socket.create_connection(("127.0.0.1", self._to_port))
            except OSError:
                client.close()  # as if there were no relay: nobody listens behind it
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [client, server]
            at = next(self._breaks, Break())
            self._thread(self._pump, client, server, at.sent, "sent")
            self._thread(self._pump, server, client, at.received, "received")

    def _thread(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _pump(self, source: socket.socket, sink: socket.socket, left: int | None, direction: str) -> None:
        """Pass on what comes, `left` bytes of it at most; then both ends find the connection closed."""
        try:
            while left != 0 and (piece := source.recv(_PIECE if left is None else min(_PIECE, left))):
                sink.sendall(piece)
                left = None if left is None else left - len(piece)
                with self._lock:
                    setattr(self, direction, getattr(self, direction) + len(piece))
            if left == 0:
                with self._lock:
                    self.broken += 1
        except OSError:
            pass  # the other direction closed it
        finally:
            _shut(source)
            _shut(sink)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
