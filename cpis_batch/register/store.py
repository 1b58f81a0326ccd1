"""The parts of the register and of its checkpoints: encrypted Parquet, immutable, each named by the SHA-256 of its bytes.

Parquet Modular Encryption with AES_GCM_V1, one 256-bit data key a file, the footer encrypted too (uniform): no column
name, value or statistic can be read without the master key. The data key lies in the file, wrapped by the master key. Which
part is which is told by the catalogue alone, and the name proves the bytes, so a part cannot be put in the place of another.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.parquet import encryption

from cpis_batch import files
from cpis_batch.errors import StateFault
from cpis_batch.keystore import MasterKey

SUFFIX = ".parquet"
KEY_NAME = "register"  # the label under which the master key wraps a part's data key
_ADVICE = "Run: cpis-batch register verify; then restore the part from a backup, or: cpis-batch register rebuild"


@dataclass(frozen=True, slots=True)
class Part:
    """A part that stands on disk, durable: the SHA-256 of its bytes, the rows in them, and its size in bytes."""

    digest: str
    rows: int
    size: int


class PartStore:
    """Writes and reads parts in one folder. Each worker process makes its own; it holds no file open and no state."""

    def __init__(self, folder: Path, master: MasterKey) -> None:
        self._folder = folder
        self._crypto = encryption.CryptoFactory(lambda _: _MasterKeyClient(master))

    def write(self, table: pa.Table, words: Sequence[str] = ()) -> Part:
        """Write a table of any columns; it is durable when this returns. DiskFault where the disk refuses.

        The columns `words` have few values among many rows: they are written as a list of these and numbers into it.
        """
        buffer = io.BytesIO()
        pq.write_table(
            table.replace_schema_metadata(None),
            buffer,
            compression="zstd",
            # zstd does as well on what repeats among few rows: dictionaries of all columns made 1,500 plans a third larger
            use_dictionary=list(words) or False,
            encryption_properties=self._sealing(),
        )
        data = buffer.getvalue()
        with self._opened(data) as part:  # what was written, not what was given
            rows = part.metadata.num_rows
        return Part(files.write_named_by_content(self._folder, data, SUFFIX), rows, len(data))

    def write_groups(self, groups: Iterable[pa.Table], schema: pa.Schema, repeated: Collection[str] = ()) -> Part:
        """Write tables of one `schema`, one at a time, each a row group of its own: a part larger than may be held at once.

        `repeated` are the columns of few values, kept as dictionaries: many rows are so written and read in half the time.
        """

        def pour(stream: BinaryIO) -> None:
            with pq.ParquetWriter(
                stream,
                schema.remove_metadata(),
                compression="zstd",
                use_dictionary=list(repeated) or False,
                encryption_properties=self._sealing(),
            ) as writer:
                for group in groups:
                    writer.write_table(group, row_group_size=max(1, group.num_rows))

        def rows_in(path: Path) -> int:
            with pq.ParquetFile(path, decryption_properties=self._opening()) as part:
                return int(part.metadata.num_rows)

        digest, size, rows = files.pour_named_by_content(self._folder, SUFFIX, pour, rows_in)
        return Part(digest, rows, size)

    def read(self, digest: str, columns: Sequence[str] | None = None, words: Sequence[str] = ()) -> pa.Table:
        """The table of the part `digest`, or some columns of it in the order asked; the columns `words` dictionary-encoded.

        StateFault, naming the part, where it is missing, unreadable or not the bytes that were written; KeyFault where the
        master key is not the one it was written under.
        """
        name = f"{self._folder.name}/{digest}{SUFFIX}"
        data = self._bytes(digest, name)
        try:
            with self._opened(data, words) as part:
                return part.read(columns=None if columns is None else list(columns), use_threads=False)
        except (pa.ArrowException, OSError):
            # from None: a message of the library may quote what it read
            raise StateFault(f"{name} is whole, and yet cannot be read as encrypted Parquet.", _ADVICE) from None

    def prove(self, digest: str) -> None:
        """That the bytes of a part are those that were written, a piece of them at a time; StateFault as for `read`."""
        name = f"{self._folder.name}/{digest}{SUFFIX}"
        with _readable(name):
            found = files.digest_of_file(self._path(digest))
        if found != digest:
            raise _altered(name)

    def groups(self, digest: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The row groups of a part, one after the other, or some columns of them. Faults as for `rows_of`."""
        with self._in_place(digest) as part:
            for place in range(part.num_row_groups):
                yield part.read_row_group(place, columns=columns and list(columns), use_threads=False)

    def rows_of(self, digest: str, column: str, values: Collection[str]) -> pa.Table:
        """The rows of a part whose `column` is one of `values`; no row group is read that cannot have them.

        What is read is held to the part's own key, block by block, and not to the digest: see `prove`. StateFault, KeyFault.
        """
        with self._in_place(digest) as part:
            place = part.schema_arrow.get_field_index(column)
            bounds = [part.metadata.row_group(group).column(place).statistics for group in range(part.num_row_groups)]
            within = [
                group
                for group, bound in enumerate(bounds)
                if bound is None or not bound.has_min_max or any(bound.min <= value <= bound.max for value in values)
            ]
            found = [
                rows.filter(pc.is_in(rows[column], value_set=pa.array(sorted(values), pa.string())))
                for group in within
                for rows in (part.read_row_group(group, use_threads=False),)
            ]
            return pa.concat_tables([part.schema_arrow.empty_table(), *found])

    def remove(self, digest: str) -> None:
        """Remove a part that no commit names and none will."""
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}{SUFFIX}"

    def _sealing(self) -> encryption.FileEncryptionProperties:
        return self._crypto.file_encryption_properties(
            encryption.KmsConnectionConfig(),
            encryption.EncryptionConfiguration(
                footer_key=KEY_NAME,
                uniform_encryption=True,
                encryption_algorithm="AES_GCM_V1",
                data_key_length_bits=256,
                double_wrapping=False,  # a second layer saves calls to a remote key service; ours is this process
                internal_key_material=True,
            ),
        )

    def _opening(self) -> encryption.FileDecryptionProperties:
        return self._crypto.file_decryption_properties(encryption.KmsConnectionConfig())

    def _opened(self, data: bytes, words: Sequence[str] = ()) -> pq.ParquetFile:
        return pq.ParquetFile(pa.BufferReader(data), decryption_properties=self._opening(), read_dictionary=list(words))

    @contextmanager
    def _in_place(self, digest: str) -> Iterator[pq.ParquetFile]:
        """A part read where it lies, no more of it than is asked for."""
        name = f"{self._folder.name}/{digest}{SUFFIX}"
        with _readable(name):
            try:
                with pq.ParquetFile(self._path(digest), decryption_properties=self._opening(), pre_buffer=False) as part:
                    yield part
            except FileNotFoundError:
                raise
            except (pa.ArrowException, OSError, ValueError):  # the last of a key that is not what it was
                raise _altered(name) from None  # from None: a message of the library may quote what it read

    def _bytes(self, digest: str, name: str) -> bytes:
        with _readable(name):
            data = self._path(digest).read_bytes()
        if files.digest_of(data) != digest:
            raise _altered(name)
        return data


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """The system's refusals to read a part as StateFault."""
    try:
        yield
    except FileNotFoundError:
        raise StateFault(f"{name} is missing.", _ADVICE) from None
    except OSError as fault:
        raise StateFault(f"{name} cannot be read: {fault.strerror}.", _ADVICE) from fault


def _altered(name: str) -> StateFault:
    return StateFault(f"{name} was altered: its bytes are not those that were written.", _ADVICE)


class _MasterKeyClient(encryption.KmsClient):  # type: ignore[misc]
    """What Parquet asks to wrap and unwrap data keys; the wrapped form is Base64 text inside the file."""

    def __init__(self, master: MasterKey) -> None:
        super().__init__()
        self._master = master

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        return base64.b64encode(self._master.wrap(key_bytes, master_key_identifier))

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        return self._master.unwrap(base64.b64decode(wrapped_key), master_key_identifier)
