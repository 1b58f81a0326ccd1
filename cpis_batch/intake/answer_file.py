"""An answer as its reader takes it out of the sealed zip: its members, each of bounded size, and a document of the known form.

The hub has signed it; what is not as the hub makes it is refused all the same, in words, instead of ending the program.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

import msgspec

from cpis_batch.errors import InputRefused

FORMS = ("csv", "json", "html")
LATER_FORMS = ("xlsx",)  # that an answer of an earlier hub has not
MOST_BYTES = 256 * 1024 * 1024  # of one member: an extract has no more, and an answer says less of it
# What zipfile raises for archives that are damaged, locked with a password, or of a kind that it does not know.
_OF_ZIPFILE = (zipfile.BadZipFile, zlib.error, LookupError, RuntimeError, ValueError, EOFError, OSError, OverflowError)
_ADVICE = "Collect it again; if that does not help, tell the hub, and use this program in its newest version."


class _File(msgspec.Struct):
    name: str
    state: str
    outcome: str | None


class _Fault(msgspec.Struct):
    severity: str
    code: str
    cause: str
    cure: str
    field: str | None = None
    line: int | None = None


class _Notice(msgspec.Struct):
    code: str
    text: str
    cure: str


class _Document(msgspec.Struct):
    """What the desk reads of it. There may be more: the form is only ever added to."""

    file: _File
    sentence: str
    faults: list[_Fault]
    notices: list[_Notice]


def members(archive: bytes) -> dict[str, bytes]:
    """The answer's forms, by the names that they have in the zip `archive`. InputRefused where it is no answer."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            there = [form for form in LATER_FORMS if f"acknowledgement.{form}" in opened.namelist()]
            return {name: _member(opened, name) for name in (f"acknowledgement.{form}" for form in (*FORMS, *there))}
    # What zipfile raises for archives that are damaged, sealed with a password, of a newer or an unknown kind; it may quote them.
    except (
        zipfile.BadZipFile,
        KeyError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
        OverflowError,
        zlib.error,
    ):
        raise _no_answer() from None


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _no_answer()
    return data


def document(data: bytes) -> dict[str, Any]:
    """The answer's JSON as plain values, held to what the desk reads of it. InputRefused where it has another form."""
    try:
        msgspec.json.decode(data, type=_Document)
        found: dict[str, Any] = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _no_answer() from None
    return found


def _no_answer() -> InputRefused:
    return InputRefused("What was sealed is no answer that this program can read.", _ADVICE)
