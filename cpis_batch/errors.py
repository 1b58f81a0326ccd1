"""One tree of errors. Each carries a message (what, where), advice (what to do) and the exit code it ends with.

Three kinds, because they call for three reactions (DESIGN, section 7):

- `Transient`: worth another try, bounded;
- `Deterministic`: the same again would fail the same; stop that partner, say so, go on with the others;
- `UnknownOutcome`: it may or may not have happened; stop and look, never repeat blindly.

No message ever holds a value of a record: rows are named by file, line number and field.
"""

import errno
import re
from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """The published exit codes."""

    DONE = 0
    PERSON_NEEDED = 3
    USAGE = 64
    INPUT_REFUSED = 65
    UNREACHABLE = 69
    BUG = 70
    DISK = 74
    LOCKED = 75
    HOST_KEY = 76
    KEY = 77
    CONFIGURATION = 78
    INTERRUPTED = 130


class CpisError(Exception):
    """Base of all our errors: `message` says what and where, `advice` what to do now."""

    exit_code: Exit = Exit.BUG

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message}\n{self.advice}" if self.advice else self.message


class Transient(CpisError):
    """Worth another try, a bounded number of times."""


class Deterministic(CpisError):
    """The same again fails the same."""


class UnknownOutcome(CpisError):
    """It may have happened; look before doing anything again."""


class UsageFault(Deterministic):
    """The command was called in a way that makes no sense."""

    exit_code = Exit.USAGE


class InputRefused(Deterministic):
    """A file given by hand (desk tools, imports) was refused."""

    exit_code = Exit.INPUT_REFUSED


class PartnerUnreachable(Transient):
    """A partner's server does not answer, or broke off."""

    exit_code = Exit.UNREACHABLE


class PartnerRefused(Deterministic):
    """A partner's server answers and says no: login, permission, a limit of ours that it breaks."""

    exit_code = Exit.UNREACHABLE


class ClusterUnreachable(Transient):
    """The scheduler of a cluster does not answer, has no workers, or was lost in the middle. Nothing of the step is committed."""

    exit_code = Exit.UNREACHABLE


class HostKeyFault(Deterministic):
    """A server shows another host key than the pinned one."""

    exit_code = Exit.HOST_KEY


class ChangedWhileRead(Transient):
    """A remote file changed between listing and the end of reading; it is taken at the next poll."""

    exit_code = Exit.UNREACHABLE


class Bug(Deterministic):
    """A check of our own failed: an imbalance, a row in the wrong file. Nothing is released."""

    exit_code = Exit.BUG


class DiskFault(Deterministic):
    """The disk is full, read-only or failing. The old state is intact."""

    exit_code = Exit.DISK


class Locked(Transient):
    """Another run holds the lock."""

    exit_code = Exit.LOCKED


class KeyFault(Deterministic):
    """A key is missing, unreadable, expired or open to others."""

    exit_code = Exit.KEY


class ConfigFault(Deterministic):
    """The configuration or a partner's data is wrong."""

    exit_code = Exit.CONFIGURATION


class StateFault(Deterministic):
    """The state on disk is not what the catalogue says: a part is missing, altered or unreadable."""

    exit_code = Exit.DISK


class DeliveryUnknown(UnknownOutcome):
    """An upload ended without our knowing whether it stands; the next run reads it back before anything else."""

    exit_code = Exit.UNREACHABLE


def exit_code_of(fault: BaseException) -> Exit:
    """The exit code of a run that this has ended."""
    if isinstance(fault, CpisError):
        return fault.exit_code
    if isinstance(fault, KeyboardInterrupt):
        return Exit.INTERRUPTED
    return Exit.DISK if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO) else Exit.BUG


def place_of(fault: BaseException) -> str:
    """The type of a foreign exception and where it arose. Its text is left out: pyarrow and DuckDB quote values."""
    trace = fault.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "an unknown place"
    return f"{type(fault).__name__} at {where}"


_OF_A_CSV = re.compile(r"(?:Row|CSV column) #\d+|Expected \d+ columns, got \d+|conversion error to \w+")


def where_in_csv(fault: Exception) -> str:
    """What pyarrow says of a CSV file that it does not read, without the row or the value that it quotes."""
    return ", ".join(_OF_A_CSV.findall(str(fault))) or "it is no CSV in UTF-8"
