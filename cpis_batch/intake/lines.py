"""From bytes to physical lines, numbered as an editor numbers them, or the one reason why that cannot be done.

Nothing is guessed and nothing is mended: a byte order mark of UTF-8 is passed over, CRLF and LF both end a line, and
everything else that is not UTF-8 with commas is refused, at a byte and a line, with its likely cause.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.errors import Bug

LINES_MAX = 2_000_000  # four times the largest file foreseen; lines cost memory even where they are damaged or blank

_BOM = b"\xef\xbb\xbf"
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_OTHER_MARKS = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff", b"\xff\xfe", b"\xfe\xff")
_OTHER_SEPARATOR = re.compile(rb'"?(?:H|record_type)"?([;\t|])')
_BLANKS = b", \t\r\n"
_OF_BLANKS = np.isin(np.arange(256), list(_BLANKS))  # of each byte, whether it is one of them
_STEP = 65_536  # lines decoded at a time
_PIECE = 4 * 1024 * 1024  # bytes searched at a time: what fits a cache is searched twice as fast


class Unreadable(StrEnum):
    """Why the bytes are not lines of ours."""

    EMPTY = "EMPTY"
    UTF_16 = "UTF_16"  # or UTF-32
    NUL = "NUL"
    TOO_MANY_LINES = "TOO_MANY_LINES"
    LINE_TOO_LONG = "LINE_TOO_LONG"
    CR_LINE_ENDS = "CR_LINE_ENDS"
    NOT_UTF_8 = "NOT_UTF_8"
    MIXED_ENCODINGS = "MIXED_ENCODINGS"  # some characters in UTF-8, some not
    SEP_LINE = "SEP_LINE"
    SEMICOLONS = "SEMICOLONS"
    TABS = "TABS"
    OTHER_SEPARATOR = "OTHER_SEPARATOR"


@dataclass(frozen=True, slots=True)
class Refused:
    """Why, at which physical line (from 1) and byte (from 0) where there is one."""

    why: Unreadable
    line: int | None = None
    byte: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Lines:
    """`text` (string): every physical line with its own line end, valid UTF-8; line n is at n - 1.

    `blank`: lines of nothing but commas and spaces.
    """

    text: pa.StringArray
    blank: npt.NDArray[np.bool_]


def split(data: bytes, *, line_bytes: int) -> Lines | Refused:
    """Cut `data` into lines. `line_bytes` caps the length of one. Never raises, whatever the bytes."""
    if refused := _as_a_whole(data):
        return refused
    begin = len(_BOM) if data.startswith(_BOM) else 0
    offsets = _offsets(data, begin)
    lengths = np.diff(offsets)
    if lengths.max() > line_bytes:
        line = int(np.argmax(lengths > line_bytes))
        return Refused(Unreadable.LINE_TOO_LONG, line + 1, int(offsets[line]))
    text = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
    try:
        text.validate(full=True)  # in a tenth of the time of decoding, which tells where
    except pa.ArrowInvalid:
        return _not_utf_8(data, offsets)
    blank = _blank(data, offsets, text)
    if blank.all():
        return Refused(Unreadable.EMPTY)
    first = int(np.argmin(blank))
    if why := _separator(data[offsets[first] : offsets[first + 1]]):
        return Refused(why, first + 1)
    return Lines(text, blank)


def _blank(data: bytes, offsets: npt.NDArray[np.int32], text: pa.StringArray) -> npt.NDArray[np.bool_]:
    """Of each line, whether it is nothing but commas and spaces; only those that begin so are looked at as a whole."""
    first = np.frombuffer(data, np.uint8)[np.minimum(offsets[:-1], len(data) - 1)]
    blank: npt.NDArray[np.bool_] = _OF_BLANKS[first] | (np.diff(offsets) == 0)  # a mark may be all there is
    maybe = np.flatnonzero(blank)
    trimmed = pc.ascii_trim(text.take(pa.array(maybe)), characters=_BLANKS.decode("ascii"))
    blank[maybe] = pc.equal(pc.binary_length(trimmed), 0).to_numpy(zero_copy_only=False)
    return blank


def _as_a_whole(data: bytes) -> Refused | None:
    if not data or data.isspace():
        return Refused(Unreadable.EMPTY)
    if data.startswith(_OTHER_MARKS) or _every_other_nul(data):
        return Refused(Unreadable.UTF_16, 1, 0)
    if (at := data.find(b"\0")) >= 0:
        return Refused(Unreadable.NUL, data.count(b"\n", 0, at) + 1, at)
    feeds, lone_returns = _line_ends(data)
    if feeds > LINES_MAX:
        return Refused(Unreadable.TOO_MANY_LINES)
    if 2 * lone_returns > feeds:
        return Refused(Unreadable.CR_LINE_ENDS, 1, data.find(b"\r"))
    return None


def _line_ends(data: bytes) -> tuple[int, int]:
    """How many line feeds there are, and carriage returns without one after them; `bytes.count` takes four times as long."""
    whole, feeds, lone = np.frombuffer(data, np.uint8), 0, 0
    for at in range(0, len(whole), _PIECE):
        piece, after = whole[at : at + _PIECE], whole[at + 1 : at + 1 + _PIECE]
        returns = piece == ord("\r")
        feeds += int(np.count_nonzero(piece == ord("\n")))
        lone += int(np.count_nonzero(returns)) - int(np.count_nonzero(returns[: len(after)] & (after == ord("\n"))))
    return feeds, lone


def _every_other_nul(data: bytes) -> bool:
    """Whether it looks like UTF-16 or UTF-32 without a mark: in ASCII text every other byte is then NUL."""
    head = data[:64]
    return len(head) >= 4 and any(not any(head[place::2]) and any(head[1 - place :: 2]) for place in (0, 1))


def _offsets(data: bytes, begin: int) -> npt.NDArray[np.int32]:
    """Where each line begins, and after the last one, where it ends."""
    whole = np.frombuffer(data, np.uint8)
    ends = [np.flatnonzero(whole[at : at + _PIECE] == ord("\n")) + (at + 1) for at in range(0, len(whole), _PIECE)]
    last = [] if data.endswith(b"\n") else [len(data)]
    return np.concatenate([[begin], *ends, last]).astype(np.int32)


def _not_utf_8(data: bytes, offsets: npt.NDArray[np.int32]) -> Refused:
    """Where the first byte is that is not UTF-8, and whether other characters are."""
    view = memoryview(data)
    for first in range(0, len(offsets) - 1, _STEP):
        begin = int(offsets[first])
        try:
            str(view[begin : offsets[min(first + _STEP, len(offsets) - 1)]], "utf-8")
        except UnicodeDecodeError as fault:
            at = begin + fault.start
            line = int(np.searchsorted(offsets, at, side="right"))
            mixed = any(ord(character) > 127 for character in str(view, "utf-8", "ignore"))
            return Refused(Unreadable.MIXED_ENCODINGS if mixed else Unreadable.NOT_UTF_8, line, at)
    raise Bug("Text is UTF-8 to one reader and not to another.", "Report it with the run's log.")


def _separator(line: bytes) -> Unreadable | None:
    if line.lower().startswith((b"sep=", b'"sep=')):
        return Unreadable.SEP_LINE
    if found := _OTHER_SEPARATOR.match(line):
        return {b";": Unreadable.SEMICOLONS, b"\t": Unreadable.TABS}.get(found[1], Unreadable.OTHER_SEPARATOR)
    return None
