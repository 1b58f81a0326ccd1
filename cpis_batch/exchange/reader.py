"""A file of the server, read: in pieces that are asked for ahead, or in one round trip."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from cpis_batch.exchange.packets import AHEAD, CLOSE, FSTAT, LSTAT, PIECE, READ, TOGETHER, Attributes, Refusal

if TYPE_CHECKING:
    from cpis_batch.exchange.wire import Wire


class Reader:
    """A remote file."""

    def __init__(self, wire: Wire, path_field: bytes, before: int, opening: int) -> None:
        self._before = before
        self._wire = wire
        self._path_field = path_field
        self._opening = opening
        self._handle = b""
        self._looked = False
        self._found: Attributes | None = None

    @property
    def before(self) -> Attributes | None:
        """What stood at its path just before it was opened, a symlink not followed.

        No `cached_property`: in Python 3.11 that holds one lock for all readers while it waits for the server.
        """
        if not self._looked:
            self._found, self._looked = self._wire.attributes(self._before), True
        return self._found

    def whole(self, size: int) -> bytes:
        """The first `size` bytes, MOST_AT_ONCE at most, and one more if there is one, in one round trip; then it is closed.

        Fewer, where the server sends less than it is asked for.
        """
        handle = self._wire.handle(self._opening)
        wanted = ((start, min(PIECE, size + 1 - start)) for start in range(0, size + 1, PIECE))
        asked = deque((length, self._wire.ask(READ, handle + struct.pack(">QI", start, length))) for start, length in wanted)
        closed = self._wire.ask(CLOSE, handle)
        pieces = []
        try:
            while asked:
                length, request = asked.popleft()
                pieces.append(self._wire.answer_of_read(request, length) or b"")
        except Refusal:
            self._wire.forget([*(request for _, request in asked), closed])
            raise
        self._wire.done(closed)
        return b"".join(pieces)

    def drop(self) -> None:
        """Close it unread, if it was opened."""
        self._wire.forget([self._before])
        self._wire.close_if_open(self._opening)

    def pieces(self, size: int) -> Iterator[bytes]:
        """The first `size` bytes in order, and one more if there is one; fewer where the file ends before."""
        self._handle = self._wire.handle(self._opening)
        wanted = chain(((start, min(PIECE, size - start)) for start in range(0, size, PIECE)), [(size, 1)])
        asked: deque[tuple[int, int, int]] = deque()
        while True:
            if len(asked) < AHEAD - TOGETHER:
                asked.extend((*piece, self._read(*piece)) for piece in islice(wanted, AHEAD - 1 - len(asked)))
            if not asked:
                return
            start, length, request = asked.popleft()
            while length:
                data = self._wire.answer_of_read(request, length)
                if data is None:
                    self._wire.forget(request for _, _, request in asked)
                    return
                yield data
                start, length = start + len(data), length - len(data)
                if length:  # a server may send less than was asked for
                    request = self._read(start, length)

    def close(self) -> tuple[Attributes | None, Attributes | None]:
        """What the open file is now, and what stands at its path now; then it is closed."""
        by_handle = self._wire.ask(FSTAT, self._handle)
        by_path = self._wire.ask(LSTAT, self._path_field)
        closed = self._wire.ask(CLOSE, self._handle)
        found = self._wire.attributes(by_handle), self._wire.attributes(by_path)
        self._wire.done(closed)
        return found

    def _read(self, start: int, length: int) -> int:
        return self._wire.ask(READ, self._handle + struct.pack(">QI", start, length))
