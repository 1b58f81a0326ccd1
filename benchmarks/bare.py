"""The program without its brake, ledger and audit log: what `benchmarks.guards` compares a night of the real one with.

A launcher for the benchmark alone: it takes these parts out of the modules that call them, in its own process, and then is the
command line. Nothing in the program can be told to do without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from cpis_batch import accounts
from cpis_batch.catalogue import ledger, log
from cpis_batch.cli import main
from cpis_batch.extracts import recipients
from cpis_batch.register.balance import BALANCE
from cpis_batch.register.store import PartStore
from cpis_batch.runs import la_night


class _Unread:
    """In the place of a part that was opened again to count what was written."""

    class metadata:  # noqa: N801 - the name is pyarrow's
        num_rows = 0

    def __enter__(self) -> _Unread:
        return self

    def __exit__(self, *_: object) -> None:
        return


def strip() -> None:
    """Take them out."""

    def nothing(*_: Any, **__: Any) -> None:
        return None

    real_write, real_opened = PartStore.write, PartStore._opened

    def write(store: PartStore, table: pa.Table, words: Sequence[str] = ()) -> Any:
        store._opened = lambda _: _Unread()  # type: ignore[method-assign,assignment,return-value]
        try:
            return real_write(store, table, words)
        finally:
            store._opened = real_opened.__get__(store)  # type: ignore[method-assign]

    PartStore.write = write  # type: ignore[method-assign]
    la_night.guard.assess = lambda *_, **__: ()  # type: ignore[assignment]
    la_night.balance = lambda *_: BALANCE.empty_table()
    recipients.release_balance = lambda *_: recipients.RELEASE_BALANCE.empty_table()
    recipients.count_active = recipients.count_sent = lambda *_, **__: recipients.COUNTS.empty_table()  # type: ignore[assignment]
    accounts.check_rows = lambda _, outcomes, __: outcomes.num_rows  # type: ignore[assignment]
    accounts.check_merge = accounts.check_count = nothing  # type: ignore[assignment]
    ledger.differences = lambda *_: []  # type: ignore[assignment]
    log.Log._tell = nothing  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    strip()
    main()
