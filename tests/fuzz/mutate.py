"""Mutants of good samples: bytes, and, knowing that a file is lines of fields, fields and lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

# What has broken readers of such files: numbers, dates, quotes, encodings, and lengths at the edges of types.
NASTY = (
    b"", b" ", b'"', b'""', b'"x', b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b"\r", b"\n", b"\r\n", b"\t", b";", b",", b",,,,,,,,,,,,,,", b"H", b"D", b"T", b"record_type", b"x" * 5000,
    b"-1", b"0", b"00000000", b"99999999999999999999999", b"2147483648", b"18446744073709551616", b"9999999999",
    b"1e308", b"1E+09", b"NaN", b"Infinity", b"NULL", b"None", b"NA", b"true",
    b"0000-00-00", b"9999-12-31", b"10000-01-01", b"0001-01-01", b"2024-02-30", b"2026-11-19T25:61:61Z",
    b"2026-11-19T23:40:00+99:99", b"9999-12-31T23:59:59-23:59", b"0001-01-01T00:00:00+23:59",
    "\u0661\u0662".encode(), "\uff11".encode(), "\u202e".encode(), "\u2028".encode(), "\u200b".encode(), "\U0001f9d2".encode(),
    b"\x1b[31m", b"=cmd|'x'!A1", b"%s%n", b"'; DROP TABLE x; --", b"..", b"/", b"\\",
)  # fmt: skip


def mutant(samples: Sequence[bytes], dice: Random) -> bytes:
    """One mutant of one of the samples, by one to six changes."""
    data = dice.choice(samples)
    for _ in range(dice.randint(1, 6)):
        data = dice.choice(_CHANGES)(data, samples, dice)
    return data


def mutant_bytes(samples: Sequence[bytes], dice: Random) -> bytes:
    """One mutant that knows nothing of lines: for packets."""
    data = dice.choice(samples)
    for _ in range(dice.randint(1, 3)):
        data = dice.choice(_BYTES)(data, samples, dice)
    return data


def _flip(data: bytes, _: Sequence[bytes], dice: Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _cut(data: bytes, _: Sequence[bytes], dice: Random) -> bytes:
    start = dice.randint(0, len(data))
    return data[:start] + data[start + dice.randint(0, 40) :]


def _end(data: bytes, _: Sequence[bytes], dice: Random) -> bytes:
    return data[: dice.randint(0, len(data))]


def _put_in(data: bytes, _: Sequence[bytes], dice: Random) -> bytes:
    at = dice.randint(0, len(data))
    return data[:at] + dice.choice((*NASTY, dice.randbytes(dice.randint(1, 8)))) + data[at:]


def _double(data: bytes, _: Sequence[bytes], dice: Random) -> bytes:
    start = dice.randint(0, len(data))
    piece = data[start : start + dice.randint(1, 200)]
    return data[:start] + piece * dice.choice((2, 3, 50)) + data[start:]


def _cross(data: bytes, samples: Sequence[bytes], dice: Random) -> bytes:
    other = dice.choice(samples)
    return data[: dice.randint(0, len(data))] + other[dice.randint(0, len(other)) :]


def _field(data: bytes, _: Sequence[bytes], dice: Random) -> bytes:
    lines = data.split(b"\n")
    number = dice.randrange(len(lines))
    fields = lines[number].split(b",")
    fields[dice.randrange(len(fields))] = dice.choice(NASTY)
    lines[number] = b",".join(fields)
    return b"\n".join(lines)


def _header_field(data: bytes, samples: Sequence[bytes], dice: Random) -> bytes:
    first, _, rest = data.partition(b"\n")
    return _field(first, samples, dice) + b"\n" + rest


def _lines(data: bytes, _: Sequence[bytes], dice: Random) -> bytes:
    lines = data.split(b"\n")
    place, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    what = dice.randrange(4)
    if what == 0:
        lines[place], lines[other] = lines[other], lines[place]
    elif what == 1:
        lines.insert(place, lines[other])
    elif what == 2:
        del lines[place]
    else:
        lines[place : place + 1] = [lines[place]] * 30
    return b"\n".join(lines)


_Change = Callable[[bytes, Sequence[bytes], Random], bytes]
_BYTES: tuple[_Change, ...] = (_flip, _cut, _end, _put_in, _double, _cross)
_CHANGES: tuple[_Change, ...] = (*_BYTES, _field, _field, _field, _header_field, _header_field, _lines)
