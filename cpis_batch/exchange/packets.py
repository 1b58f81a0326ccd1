"""The packets of SFTP version 3: their numbers, and how to read and write their fields; every length is checked.

Sources: draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL for its extensions.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cpis_batch.errors import PartnerUnreachable

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT = 1, 2, 3, 4, 5, 6, 7, 8
OPENDIR, READDIR, REMOVE, RENAME = 11, 12, 13, 18
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED = 101, 102, 103, 104, 105, 200
OK, END, NO_SUCH_FILE, PERMISSION_DENIED = 0, 1, 2, 3
FOR_READING, FOR_WRITING_ANEW = 0x01, 0x02 | 0x08 | 0x20  # the second: write, create, refuse if it is there

POSIX_RENAME, FSYNC = b"posix-rename@openssh.com", b"fsync@openssh.com"

PIECE = 32_768  # bytes of a read or write that every server must support
AHEAD = 96  # requests of that size on their way at a time: 3 MiB, the WINDOW of a channel
TOGETHER = 16  # further requests that go out at a time: each by itself is a packet of SSH, and cost as much as its answer
WINDOW = AHEAD * PIECE  # bytes that a server may send ahead of our reading
MOST_AT_ONCE = (AHEAD - 1) * PIECE  # bytes that can be asked for in one round trip
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

    def __init__(self, data: bytes | memoryview, where: str) -> None:
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


def string(data: bytes) -> bytes:
    """A string of bytes as a field."""
    return struct.pack(">I", len(data)) + data
