"""SFTP version 3 on one channel (draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL for its extensions).

Why not paramiko's SFTPClient, whose channel this uses: there one name that is not UTF-8 ends the whole listing (F10), a
server that sends a byte now and then is never late (F12, F63), a made-up count keeps it busy for hours, and the requests
of a file are a round trip each or go out from a thread that polls. Here names are bytes, every wait ends at the deadline
of the operation, every count and length is checked, and requests are sent ahead in bounded number, several to a packet of SSH.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from paramiko import Channel, SSHException

from cpis_batch.errors import PartnerUnreachable
from cpis_batch.exchange.packets import (
    AHEAD,
    ATTRS,
    CLOSE,
    DATA,
    END,
    EXTENDED,
    FOR_READING,
    FOR_WRITING_ANEW,
    FSYNC,
    HANDLE,
    INIT,
    LONGEST_PACKET,
    LSTAT,
    NAME,
    NO_SUCH_FILE,
    OK,
    OPEN,
    OPENDIR,
    PIECE,
    POSIX_RENAME,
    READDIR,
    REMOVE,
    RENAME,
    STATUS,
    VERSION,
    WRITE,
    Attributes,
    Fields,
    Refusal,
    string,
)
from cpis_batch.exchange.patience import Deadline
from cpis_batch.exchange.reader import Reader


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
        self._received = b""
        self._read = 0  # of what was received
        self._unsent = bytearray()
        self._last = 0
        self._expected: set[int] = set()
        self._arrived: dict[int, tuple[int, Fields]] = {}
        self._forgotten: set[int] = set()
        self._put(struct.pack(">BI", INIT, 3))
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
        return self.attributes(self.ask_lstat(path))

    def ask_lstat(self, path: str) -> int:
        """Ask for it; `attributes` has the answer."""
        return self.ask(LSTAT, string(path.encode()))

    def listing(self, path: str) -> Iterator[tuple[bytes, Attributes]]:
        """Names and attributes of what is in the folder `path`, as they come, `.` and `..` left out."""
        handle = self.handle(self.ask(OPENDIR, string(path.encode())))
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
        """The file at `path`, to be read: asked for, not waited for. Whether it can be opened shows when it is."""
        path_field = string(path.encode())
        before, opening = self.ask(LSTAT, path_field), self.ask(OPEN, path_field + struct.pack(">II", FOR_READING, 0))
        return Reader(self, path_field, before, opening)

    def ask_to_create(self, path: str) -> int:
        """Ask for a new file at `path`, to be written; the answer is Refusal if something is there."""
        return self.ask(OPEN, string(path.encode()) + struct.pack(">II", FOR_WRITING_ANEW, 0))

    def write(self, creating: int, data: bytes) -> None:
        """Write `data` to the new file that was asked for, made durable there if the server knows how, and close it."""
        handle = self.handle(creating)
        asked: deque[int] = deque()
        for start in range(0, len(data), PIECE):
            if len(asked) == AHEAD:
                self.done(asked.popleft())
            asked.append(self.ask(WRITE, handle + struct.pack(">Q", start) + string(data[start : start + PIECE])))
        if FSYNC in self.extensions:
            asked.append(self.ask(EXTENDED, string(FSYNC) + handle))
        asked.append(self.ask(CLOSE, handle))
        for each in asked:
            self.done(each)

    def close_if_open(self, opening: int) -> None:
        """Close what a request to open has opened, if it has."""
        try:
            handle = self.handle(opening)
        except Refusal:
            return
        self.done(self.ask(CLOSE, handle))

    def remove(self, path: str) -> None:
        """Remove the file at `path`."""
        self.done(self.ask(REMOVE, string(path.encode())))

    def rename(self, path: str, to: str) -> None:
        """Rename; a server that keeps to the protocol refuses where `to` is taken."""
        self.done(self.ask_to_rename(path, to))

    def ask_to_rename(self, path: str, to: str) -> int:
        """Ask for that; `done` waits for it."""
        return self.ask(RENAME, string(path.encode()) + string(to.encode()))

    def ask_to_replace(self, path: str, to: str) -> int:
        """Ask to rename in one step over whatever stands at `to`; only for servers with the extension POSIX_RENAME."""
        return self.ask(EXTENDED, string(POSIX_RENAME) + string(path.encode()) + string(to.encode()))

    def close(self) -> None:
        """End the session; its open files are closed by the server. To say so may fail where the line is broken already."""
        with suppress(OSError, EOFError, SSHException):
            self._channel.close()

    # requests and answers

    def ask(self, kind: int, payload: bytes) -> int:
        """Make a request; its number. It goes out with those that follow, when an answer is waited for or a packet is full."""
        self._last += 1
        self._put(struct.pack(">BI", kind, self._last) + payload)
        self._expected.add(self._last)
        if len(self._unsent) >= PIECE:
            self._send()
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
        return string(self._expecting(request, HANDLE).text())

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

    def _put(self, body: bytes) -> None:
        self._unsent += struct.pack(">I", len(body))
        self._unsent += body

    def _send(self) -> None:
        left, self._unsent = bytes(self._unsent), bytearray()
        while left:
            with self._trouble():
                sent = self._channel.send(left)
            if not sent:
                raise self._broke_off()
            left = left[sent:]

    def _packet(self) -> tuple[int, Fields]:
        if self._unsent:
            self._send()
        length = int(struct.unpack(">I", self._bytes(4))[0])
        if not 5 <= length <= LONGEST_PACKET:
            raise self._nonsense()
        body = self._bytes(length)
        return body[0], Fields(body[1:], self._where)

    def _bytes(self, count: int) -> memoryview:
        """The next bytes, where they lie: nothing is copied but what two pieces share."""
        while len(self._received) - self._read < count:
            with self._trouble():
                piece = self._channel.recv(4 * PIECE)
            if not piece:
                raise self._broke_off()
            self._received, self._read = self._received[self._read :] + piece, 0
        start, self._read = self._read, self._read + count
        return memoryview(self._received)[start : self._read]

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
