"""SFTP version 3 on one channel (draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL for its extensions).

Why not paramiko's SFTPClient, whose channel this uses: there one name that is not UTF-8 ends the whole listing (F10), a
server that sends a byte now and then is never late (F12, F63), a made-up count keeps it busy for hours, and the requests
of a file are a round trip each or go out from a thread that polls. Here names are bytes, every wait ends at the deadline
of the operation, every count and length is checked, and requests are sent ahead in bounded number.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice

from paramiko import Channel, SSHException

from cpis_batch.errors import PartnerUnreachable
from cpis_batch.exchange.patience import Deadline

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT = 1, 2, 3, 4, 5, 6, 7, 8
OPENDIR, READDIR, REMOVE, RENAME = 11, 12, 13, 18
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED = 101, 102, 103, 104, 105, 200
OK, END, NO_SUCH_FILE, PERMISSION_DENIED = 0, 1, 2, 3
FOR_READING, FOR_WRITING_ANEW = 0x01, 0x02 | 0x08 | 0x20  # the second: write, create, refuse if it is there

POSIX_RENAME, FSYNC = b"posix-rename@openssh.com", b"fsync@openssh.com"

PIECE = 32_768  # bytes of a read or write that every server must support
AHEAD = 64  # requests of that size on their way at a time: 2 MiB, the window of a channel
LONGEST_PACKET = 256 * 1024 + 1024  # OpenSSH sends and takes 256 KiB
MOST_EXTENDED = 16  # further attributes of a file; no server in use sends one


class Refusal(Exception):
    """The server answered a request with a status other than OK: sftp.py makes an error of ours of it. Its text is dropped."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a server tells of a file; every part may be missing. `modified` is in seconds since 1970, UTC."""

    size: int | None = None
    mode: int | None = None
    modified: int | None = None


class Fields:
    """The fields of one packet, read in turn; PartnerUnreachable where it is shorter than it says."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = memoryview(data)
        self._where = where

    def _take(self, length: int) -> memoryview:
        if length > len(self._data):
            raise PartnerUnreachable(f"{self._where} sent a packet that breaks the protocol.", "Tell the partner.")
        taken, self._data = self._data[:length], self._data[length:]
        return taken

    def more(self) -> bool:
        """Whether any are left."""
        return len(self._data) > 0

    def number(self) -> int:
        """32 bits."""
        return int(struct.unpack(">I", self._take(4))[0])

    def long(self) -> int:
        """64 bits."""
        return int(struct.unpack(">Q", self._take(8))[0])

    def text(self) -> bytes:
        """A string of bytes."""
        return bytes(self._take(self.number()))

    def attributes(self) -> Attributes:
        """The attributes of a file."""
        flags = self.number()
        size = self.long() if flags & 0x1 else None
        if flags & 0x2:
            self._take(8)  # owner and group
        mode = self.number() if flags & 0x4 else None
        modified = None
        if flags & 0x8:
            self._take(4)  # last read
            modified = self.number()
        if flags & 0x8000_0000:
            count = self.number()
            self._take(0 if count <= MOST_EXTENDED else LONGEST_PACKET)
            for _ in range(2 * count):
                self.text()
        return Attributes(size, mode, modified)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


class Wire:
    """One SFTP session, used by one thread at a time. `deadline` is the one of the operation that uses it now.

    `where` names the server in messages; `read_seconds` is the longest silence. Every method raises PartnerUnreachable
    where the server is silent, breaks off or talks nonsense, after which the session is of no more use, and Refusal
    where it says no.
    """

    def __init__(self, channel: Channel, *, where: str, read_seconds: float, deadline: Deadline) -> None:
        self.deadline = deadline
        self._channel = channel
        self._where = where
        self._read_seconds = read_seconds
        self._received = bytearray()
        self._last = 0
        self._expected: set[int] = set()
        self._arrived: dict[int, tuple[int, Fields]] = {}
        self._forgotten: set[int] = set()
        self._send_packet(struct.pack(">BI", INIT, 3))
        kind, fields = self._packet()
        if kind != VERSION or fields.number() < 3:
            raise self._nonsense()
        extensions = set()
        while fields.more():
            extensions.add(fields.text())
            fields.text()
        self.extensions = frozenset(extensions)

    # what is asked for

    def lstat(self, path: str) -> Attributes | None:
        """What stands at `path`, a symlink not followed; None if nothing does."""
        return self.attributes(self.ask(LSTAT, _string(path.encode())))

    def listing(self, path: str) -> Iterator[tuple[bytes, Attributes]]:
        """Names and attributes of what is in the folder `path`, as they come, `.` and `..` left out."""
        handle = self.handle(self.ask(OPENDIR, _string(path.encode())))
        asked = deque(self.ask(READDIR, handle) for _ in range(2))
        while True:
            kind, fields = self._answer(asked.popleft())
            if kind == STATUS and (code := fields.number()) == END:
                break
            if kind != NAME:
                raise self._nonsense() if kind != STATUS else Refusal(code)
            asked.append(self.ask(READDIR, handle))
            for _ in range(fields.number()):
                name = fields.text()
                fields.text()  # the line that `ls` would print
                attributes = fields.attributes()
                if name not in (b".", b".."):
                    yield name, attributes
        asked.append(self.ask(CLOSE, handle))
        self.forget(asked)

    def open(self, path: str) -> Reader:
        """The file at `path`, to be read. Whether it can be opened shows when it is."""
        path_field = _string(path.encode())
        before, opened = self.ask(LSTAT, path_field), self.ask(OPEN, path_field + struct.pack(">II", FOR_READING, 0))
        return Reader(self, path_field, self.attributes(before), opened)

    def write(self, path: str, data: bytes) -> None:
        """Write `data` to a new file at `path`, made durable there if the server knows how. Refusal if something is there."""
        handle = self.handle(self.ask(OPEN, _string(path.encode()) + struct.pack(">II", FOR_WRITING_ANEW, 0)))
        asked: deque[int] = deque()
        for start in range(0, len(data), PIECE):
            if len(asked) == AHEAD:
                self.done(asked.popleft())
            asked.append(self.ask(WRITE, handle + struct.pack(">Q", start) + _string(data[start : start + PIECE])))
        if FSYNC in self.extensions:
            asked.append(self.ask(EXTENDED, _string(FSYNC) + handle))
        asked.append(self.ask(CLOSE, handle))
        for each in asked:
            self.done(each)

    def remove(self, path: str) -> None:
        """Remove the file at `path`."""
        self.done(self.ask(REMOVE, _string(path.encode())))

    def rename(self, path: str, to: str) -> None:
        """Rename; a server that keeps to the protocol refuses where `to` is taken."""
        self.done(self.ask(RENAME, _string(path.encode()) + _string(to.encode())))

    def replace(self, path: str, to: str) -> None:
        """Rename in one step over whatever stands at `to`; only for servers with the extension POSIX_RENAME."""
        self.done(self.ask(EXTENDED, _string(POSIX_RENAME) + _string(path.encode()) + _string(to.encode())))

    def close(self) -> None:
        """End the session; its open files are closed by the server. To say so may fail where the line is broken already."""
        with suppress(OSError, EOFError, SSHException):
            self._channel.close()

    # requests and answers

    def ask(self, kind: int, payload: bytes) -> int:
        """Send a request; its number."""
        self._last += 1
        self._send_packet(struct.pack(">BI", kind, self._last) + payload)
        self._expected.add(self._last)
        return self._last

    def _answer(self, wanted: int) -> tuple[int, Fields]:
        """The answer to that request; answers to others that come first are kept for them."""
        while wanted not in self._arrived:
            kind, fields = self._packet()
            number = fields.number()
            if number not in self._expected:
                raise self._nonsense()
            self._expected.discard(number)
            if number in self._forgotten:
                self._forgotten.discard(number)
            else:
                self._arrived[number] = kind, fields
        return self._arrived.pop(wanted)

    def forget(self, requests: Iterable[int]) -> None:
        """Nobody will ask for these answers: drop them, those that are here and those to come."""
        for request in requests:
            if self._arrived.pop(request, None) is None:
                self._forgotten.add(request)

    def done(self, request: int) -> None:
        """Wait until that request is done. Refusal where the server will not."""
        kind, fields = self._answer(request)
        if kind != STATUS:
            raise self._nonsense()
        if (code := fields.number()) != OK:
            raise Refusal(code)

    def _expecting(self, request: int, wanted: int) -> Fields:
        kind, fields = self._answer(request)
        if kind == STATUS:
            raise Refusal(fields.number())
        if kind != wanted:
            raise self._nonsense()
        return fields

    def handle(self, request: int) -> bytes:
        """The handle that opening brought, as a field of further requests. Refusal where it cannot be opened."""
        return _string(self._expecting(request, HANDLE).text())

    def answer_of_read(self, request: int, most: int) -> bytes | None:
        """The bytes that a read brought, `most` at most; None at the end of the file."""
        try:
            data = self._expecting(request, DATA).text()
        except Refusal as refusal:
            if refusal.code == END:
                return None
            raise
        if not 0 < len(data) <= most:
            raise self._nonsense()
        return data

    def attributes(self, request: int) -> Attributes | None:
        """The attributes that a request brought; None if there is no such file."""
        try:
            return self._expecting(request, ATTRS).attributes()
        except Refusal as refusal:
            if refusal.code == NO_SUCH_FILE:
                return None
            raise

    # packets and bytes

    def _send_packet(self, body: bytes) -> None:
        left = _string(body)
        while left:
            with self._trouble():
                sent = self._channel.send(left)
            if not sent:
                raise self._broke_off()
            left = left[sent:]

    def _packet(self) -> tuple[int, Fields]:
        length = int(struct.unpack(">I", self._bytes(4))[0])
        if not 5 <= length <= LONGEST_PACKET:
            raise self._nonsense()
        body = self._bytes(length)
        return body[0], Fields(body[1:], self._where)

    def _bytes(self, count: int) -> bytes:
        while len(self._received) < count:
            with self._trouble():
                piece = self._channel.recv(4 * PIECE)
            if not piece:
                raise self._broke_off()
            self._received += piece
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Wait under this block for as long as we may, and name what can go wrong in it."""
        self._channel.settimeout(min(self._read_seconds, self.deadline.remaining()))
        try:
            yield
        except TimeoutError:
            self.deadline.remaining()
            raise PartnerUnreachable(
                f"{self._where} was silent for {self._read_seconds:g} seconds.", "The next run tries again."
            ) from None
        except (OSError, EOFError, SSHException):
            raise self._broke_off() from None

    def _broke_off(self) -> PartnerUnreachable:
        return PartnerUnreachable(f"{self._where} broke off.", "The next run tries again.")

    def _nonsense(self) -> PartnerUnreachable:
        return PartnerUnreachable(f"{self._where} does not keep to the SFTP protocol.", "Tell the partner.")


class Reader:
    """A remote file. `before` is what stood at its path just before it was opened, a symlink not followed."""

    def __init__(self, wire: Wire, path_field: bytes, before: Attributes | None, opening: int) -> None:
        self.before = before
        self._wire = wire
        self._path_field = path_field
        self._opening = opening
        self._handle = b""

    def pieces(self, size: int) -> Iterator[bytes]:
        """The first `size` bytes in order, and one more if there is one; fewer where the file ends before."""
        self._handle = self._wire.handle(self._opening)
        wanted = ((start, min(PIECE, size - start)) for start in range(0, size, PIECE))
        asked = deque((start, length, self._read(start, length)) for start, length in islice(wanted, AHEAD - 1))
        last_is_asked = False
        while True:
            if (following := next(wanted, None)) is not None:
                asked.append((*following, self._read(*following)))
            elif not last_is_asked:
                asked.append((size, 1, self._read(size, 1)))
                last_is_asked = True
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
