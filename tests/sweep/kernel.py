"""The kernel's own gate (seccomp_unotify(2)): chosen system calls of a process and of all that it starts wait for our word.

A process that has called `shut_the_gate` goes on as before, but each of its mutating calls, and those of its threads and
children, is told to whoever holds the gate's file descriptor. It is made once that has answered; or is refused with an error; or
never returns, because the process is killed. No call is imitated: what is let through is made by the kernel.

strace would do, at a price: it has to start the program anew for each point, and stops it at calls that change nothing. Behind
this gate a process can be forked that has everything loaded. Linux 5.5 or newer.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import socket
import struct
from dataclasses import dataclass

# A call, its numbers on x86_64 and on aarch64 (None: it has no such call).
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "write": (1, 64), "open": (2, None), "pwrite64": (18, 68), "writev": (20, 66), "pwritev": (296, 70), "pwritev2": (328, 287),
    "sendfile": (40, 71), "copy_file_range": (326, 285), "fsync": (74, 82), "fdatasync": (75, 83), "truncate": (76, 45),
    "ftruncate": (77, 46), "fallocate": (285, 47), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "creat": (85, None), "link": (86, None), "linkat": (265, 37),
    "unlink": (87, None), "unlinkat": (263, 35), "symlink": (88, None), "symlinkat": (266, 36), "chmod": (90, None),
    "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "openat": (257, 56), "utimensat": (280, 88),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}  # column, audit's name for it, seccomp's number
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_FLAGS_OF_OPEN = {"open": 1, "openat": 2}  # which argument they are: an open that only reads does not wait

_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE, _ALLOW, _ASK, _NEW_LISTENER = 1, 0x7FFF0000, 0x7FC00000, 8
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NO_NEW_PRIVILEGES = 38

_libc = ctypes.CDLL(None, use_errno=True)


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that waits: its token, the thread that makes it, its name and its six arguments as numbers."""

    token: int
    thread: int
    name: str
    arguments: tuple[int, ...]


def _machine() -> tuple[int, int, int]:
    return _MACHINES[platform.machine()]


def _names() -> dict[int, str]:
    column = _machine()[0]
    return {number: name for name, numbers in _NUMBERS.items() if (number := numbers[column]) is not None}


_NAMES = _names()


def shut_the_gate(keeper: socket.socket) -> None:
    """Let the mutating calls of this process wait for who has the other end of `keeper`, a Unix socket. There is no way back."""
    _, audit, seccomp = _machine()
    _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    program = _program(audit)
    given = _Filter(len(program) // 8, program)
    listener = _libc.syscall(seccomp, 1, _NEW_LISTENER, ctypes.byref(given))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "the kernel grants no seccomp listener")
    socket.send_fds(keeper, [b"gate"], [listener])
    os.close(listener)
    keeper.close()


def _program(audit: int) -> bytes:
    """The filter: of this machine's kind, and one of the calls; of those that open, such as may write."""
    lines: list[tuple[int, str, str, int]] = [(_LOAD, "", "", 4), (_IF_EQUAL, "", "allow", audit), (_LOAD, "", "", 0)]
    for number, name in _NAMES.items():
        if (place := _FLAGS_OF_OPEN.get(name)) is None:
            lines.append((_IF_EQUAL, "ask", "", number))
        else:
            lines += [
                (_IF_EQUAL, "", f"not {name}", number),
                (_LOAD, "", "", 16 + 8 * place),
                (_IF_ANY_BIT, "ask", "allow", _WRITING),
            ]
            lines.append((0, f"not {name}", "", 0))
    lines += [(0, "allow", "", 0), (_RETURN, "", "", _ALLOW), (0, "ask", "", 0), (_RETURN, "", "", _ASK)]
    at: dict[str, int] = {}
    code: list[tuple[int, str, str, int]] = []
    for line in lines:
        if line[0]:
            code.append(line)
        else:
            at[line[1]] = len(code)
    return b"".join(
        struct.pack("=HBBI", what, *(at[where] - place - 1 if where else 0 for where in (yes, no)), operand)
        for place, (what, yes, no, operand) in enumerate(code)
    )


def asked(listener: int) -> Asked | None:
    """The next call that waits; None where its thread has died meanwhile. To be called when `listener` is readable."""
    room = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, room)
    except FileNotFoundError:
        return None
    token, thread, _, number, _, _, *arguments = _NOTIFICATION.unpack(room)
    return Asked(token, thread, _NAMES[number], tuple(arguments))


def answer(listener: int, token: int, error: int = 0) -> None:
    """Let a call be made, or refuse it with an error number."""
    room = _ANSWER.pack(token, 0, -error, 0 if error else _CONTINUE)
    try:
        fcntl.ioctl(listener, _SEND, room)
    except FileNotFoundError:
        return  # its thread has died
