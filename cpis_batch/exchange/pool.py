"""A bounded number of connections to one server, and of SFTP sessions on them, lent to one thread at a time.

Opened when first needed. A session whose user met a fault is not lent again. Where the server cannot be reached, is not
the one pinned or refuses the login, that is said at once to all who come later: 153 folders of a dead server cost its
deadline once, and a refused login is not tried 153 times (F14). So it is where one session after another ends in silence or
is broken off, and none comes to an end: a server that answers the login and nothing more costs a few deadlines, not 153 (F63).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock

from cpis_batch.errors import CpisError, PartnerUnreachable
from cpis_batch.exchange.patience import TRIES, Deadline, persist
from cpis_batch.exchange.ssh import Connection
from cpis_batch.exchange.wire import Wire

# With 8 sessions at a time a server is given up after 24 that failed, and none that did not. However few there are at a time, not
# for fewer than four files, each tried as often as one may be: what one file does to a line is not the fault of its server.
_FAILURES_A_SESSION, _FAILURES_AT_LEAST = 3, 4 * TRIES


@dataclass(eq=False, slots=True)
class _Line:
    """A place for one connection. `users` counts the sessions in use or being opened; guarded by the pool's lock."""

    opening: Lock = field(default_factory=Lock)
    connection: Connection | None = None
    users: int = 0
    idle: list[Wire] = field(default_factory=list)


class Pool:
    """Sessions to one server."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        *,
        connections: int,
        sessions: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connect = connect
        self._sleep = sleep
        self._lines = [_Line() for _ in range(connections)]
        self._free = sessions
        self._patience = max(sessions * _FAILURES_A_SESSION, _FAILURES_AT_LEAST)
        self._failures = 0  # since a session was last of use
        self._changed = Condition()
        self._down: CpisError | None = None

    @property
    def down(self) -> CpisError | None:
        """Why the server has been given up; None while it has not."""
        return self._down

    @contextmanager
    def session(self, deadline: Deadline) -> Iterator[Wire]:
        """A session for the block. Who waits for one waits for others' deadlines, not for ever."""
        line = self._take_place()
        wire = None
        try:
            wire = self._wire(line, deadline)
            yield wire
            self._failures = 0
        except BaseException as fault:
            if wire is not None:
                wire.close()
            wire = None
            self._note(fault)
            raise
        finally:
            with self._changed:
                line.users -= 1
                self._free += 1
                if wire is not None:
                    line.idle.append(wire)
                self._changed.notify()

    def close(self) -> None:
        """Close every connection."""
        for line in self._lines:
            if line.connection is not None:
                line.connection.close()

    def _note(self, fault: BaseException) -> None:
        """Give the server up where one session after another was of no use. One that is refused something is of use."""
        if not isinstance(fault, PartnerUnreachable):
            self._failures = 0
            return
        with self._changed:
            self._failures += 1
            if self._failures >= self._patience and self._down is None:
                self._down = PartnerUnreachable(
                    f"{self._failures} times one after the other, the last: {fault.message}", fault.advice
                )

    def _take_place(self) -> _Line:
        """The line with the fewest users, once one more session is allowed."""
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0)
            self._free -= 1
            line = min(self._lines, key=lambda each: each.users)
            line.users += 1
            return line

    def _wire(self, line: _Line, deadline: Deadline) -> Wire:
        connection = self._connection(line)
        with self._changed:
            wire = line.idle.pop() if line.idle else None
        if wire is not None:
            wire.deadline = deadline
            return wire
        try:
            return connection.sftp(deadline)
        except PartnerUnreachable:  # it may have been dead for long; a new one tells
            connection.close()
            return self._connection(line).sftp(deadline)

    def _connection(self, line: _Line) -> Connection:
        with line.opening:
            if self._down is not None:
                raise type(self._down)(self._down.message, self._down.advice)
            if line.connection is None or not line.connection.alive():
                if line.connection is not None:
                    line.connection.close()
                with self._changed:
                    line.idle.clear()
                line.connection = self._connected()
            return line.connection

    def _connected(self) -> Connection:
        try:
            return persist(self._connect, sleep=self._sleep)
        except CpisError as fault:
            self._down = fault
            raise
