"""What fuzzing has found: bytes that once ended a program with another error than one of ours, and which error it was."""

from __future__ import annotations

import struct
from typing import NamedTuple

from tests.fuzz.targets import zipped


class Found(NamedTuple):
    """A file of a target, and why it is kept."""

    target: str
    reason: str
    data: bytes


CORPUS = (
    Found("answer", "BadZipFile: signed by the hub, and no zip", b"PK\x03\x04 and no more"),
    Found("answer", "BadZipFile: nothing at all", b""),
    Found("answer", "KeyError: a zip without the members of an answer", zipped({"other": b""})),
    Found("answer", "DecodeError: no JSON", zipped({f"acknowledgement.{form}": b"{" for form in ("csv", "json", "html")})),
    Found("answer", "TypeError: another JSON", zipped({f"acknowledgement.{form}": b"[]" for form in ("csv", "json", "html")})),
    Found("unit", "KeyError: a manifest of no file", b"{}"),
    Found("unit", "DecodeError: no JSON", b"nhs_number\r\n"),
    Found("attributes", "ValueError: a time in the year 36812", struct.pack(">IQd", 0o100600, 6, 2.0**40) + b"a.pgp"),
    Found("attributes", "OverflowError: a time without end", struct.pack(">IQd", 0o100600, 6, float("inf")) + b"a.pgp"),
    Found("attributes", "ValueError: a time that is no number", struct.pack(">IQd", 0o100600, 6, float("nan")) + b"a.pgp"),
)
