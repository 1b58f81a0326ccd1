"""Rows that a run puts aside and takes up again, more than it can hold: encrypted, one file a writer, in frames by label.

Each file has a key of its own, made when it is begun and never written down: who was not told it by the writer can read nothing,
and after the run nobody can. The file has the name of a temporary one, so that what a killed run leaves is swept by the next.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cpis_batch import files
from cpis_batch.errors import StateFault

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")
_KEY_BITS = 256


@dataclass(frozen=True, slots=True)
class Frame:
    """Where in a file the rows of a label lie."""

    label: str
    start: int
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file put aside, and what is in it."""

    path: Path
    key: bytes = field(repr=False)
    frames: tuple[Frame, ...]

    def only(self, labels: Collection[str]) -> Spooled:
        """The same file, and what lies in it under some labels."""
        return Spooled(self.path, self.key, tuple(frame for frame in self.frames if frame.label in labels))

    def read(self, label: str) -> Iterator[pa.Table]:
        """The tables put aside under a label, in their order. StateFault where the file is not as it was written."""
        wanted = [frame for frame in self.frames if frame.label == label]
        if not wanted:
            return
        cipher = AESGCM(self.key)
        with self.path.open("rb") as stream:
            for frame in wanted:
                stream.seek(frame.start)
                try:
                    data = cipher.decrypt(_nonce(frame.start), stream.read(frame.size), label.encode())
                except InvalidTag:
                    raise StateFault(
                        "What this run had put aside on the disk is not as it was written.", "Run it again; look at the disk."
                    ) from None
                with pa.ipc.open_stream(pa.BufferReader(data)) as reader:
                    yield reader.read_all()


def spool(folder: Path, tables: Iterable[tuple[str, pa.Table]]) -> Spooled:
    """Put aside labelled tables in a new file of `folder`. DiskFault where the disk refuses; then nothing is left of it."""
    path, key = folder / f"{files.TEMPORARY}{secrets.token_hex(8)}", AESGCM.generate_key(_KEY_BITS)
    cipher, frames, start = AESGCM(key), [], 0
    with files.disk_faults(folder):
        try:
            with path.open("xb", buffering=0) as stream:
                path.chmod(0o600)
                for label, table in tables:
                    data = cipher.encrypt(_nonce(start), _written(table), label.encode())
                    stream.write(data)
                    frames.append(Frame(label, start, len(data), table.num_rows))
                    start += len(data)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return Spooled(path, key, tuple(frames))


def _written(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_OPTIONS) as writer:
        writer.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _nonce(start: int) -> bytes:
    """A file's own key seals each place of it once."""
    return start.to_bytes(12, "big")
