"""A column of text as numpy can ask of it: the bytes of all its values in one run, and where each begins.

For questions that are asked of a million values at a time and answered by looking at bytes. What a value means is told elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

HEAD = 4  # bytes of which `Texts.head` makes a number
COUNTED = 255  # bytes, of which `Texts.count` gives the right number of any one
_MASKS = np.array([0, 0xFF, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF], np.uint32)  # by how many of them a value has


@dataclass(frozen=True)
class Texts:
    """Values of a string column: `ends` has one more, and begins at 0; a value that is absent has no bytes."""

    ends: npt.NDArray[np.int64]
    data: Bytes

    @classmethod
    def of(cls, column: pa.StringArray) -> Texts:
        """The values of one chunk, without a copy. Valid UTF-8, and absent values without bytes, as the reader makes them."""
        _, ends, data = column.buffers()
        bounds = np.frombuffer(ends, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
        whole = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
        whole.flags.writeable = False  # it is the table's
        return cls(bounds - bounds[0], whole)

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each value begins."""
        return self.ends[:-1]

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """How many bytes each value has."""
        return np.diff(self.ends)

    def head(self) -> npt.NDArray[np.uint32]:
        """The first bytes of each value as a number (the first is the lowest), with zeros for those that it does not have."""
        padded = np.concatenate([self.data, np.zeros(HEAD, np.uint8)])
        windows = np.ndarray((len(self.data) + 1,), "<u4", padded.data, strides=(1,))
        found: npt.NDArray[np.uint32] = windows[self.starts] & _MASKS[np.minimum(self.lengths, HEAD)]
        return found

    def of_length(self, wanted: int) -> tuple[Places, Bytes]:
        """Which values have so many bytes, and those bytes: first bytes in the first row, second bytes in the second."""
        places = np.flatnonzero(self.lengths == wanted)
        size = wanted * len(places)
        if size in (0, len(self.data)):  # the others have none, so that these follow each other
            block = self.data[:size].reshape(-1, wanted)
        else:
            windows = np.ndarray((len(self.data) - wanted + 1,), f"V{wanted}", self.data.data, strides=(1,))
            block = windows[self.starts[places]].view(np.uint8).reshape(-1, wanted)
        return places, np.array(block.T, order="C")  # a copy, whatever its shape: the caller may reckon in it

    def count(self, character: str) -> Bytes:
        """How often each value has a character of ASCII; only where all have bytes, and right of those of up to COUNTED."""
        found: Bytes = np.add.reduceat((self.data == ord(character)).view(np.uint8), self.starts, dtype=np.uint8)
        return found

    def having(self, character: str) -> Flags:
        """Which values have a character of ASCII; for one that few have."""
        found = np.zeros(len(self.lengths), np.bool_)
        found[self.holding(np.flatnonzero(self.data == ord(character)))] = True
        return found

    def holding(self, at: Places) -> Places:
        """Which values hold the bytes at these places of `data`."""
        found: Places = np.searchsorted(self.ends, at, side="right") - 1
        return found


def number(head: bytes) -> int:
    """What `Texts.head` says of a value that begins so, where it has no more than these or they are as many as it looks at."""
    return int.from_bytes(head[:HEAD], "little")


def numbers_in(texts: Bytes) -> tuple[npt.NDArray[np.int64], Flags]:
    """The numbers that values of as many bytes are, first bytes in the first row, and whether each has digits alone."""
    found, are_numbers = np.zeros(texts.shape[1], np.int64), np.ones(texts.shape[1], np.bool_)
    for row in texts:
        digit = row - np.uint8(ord("0"))  # of what stands before the zero, far above nine
        found *= 10
        found += digit
        are_numbers &= digit <= 9
    return found, are_numbers
