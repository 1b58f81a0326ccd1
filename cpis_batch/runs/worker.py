"""What a worker process does: the evenings of several LAs, whose files it checks together and whose rows it looks up together in
what the trace has told; all else is done LA by LA.

Checked one by one, England's 153 files cost 4.7 processor seconds, nearly all of it for planning the same queries again; together
they cost 0.6. A fault of the program stops its LA alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import _lru_cache_wrapper, lru_cache, partial
from itertools import accumulate
from typing import TypeVar

import pyarrow as pa

from cpis_batch import files
from cpis_batch.demographics import standing
from cpis_batch.demographics.schema import PERSONS, REQUESTS
from cpis_batch.errors import CpisError, DiskFault, Exit, StateFault, place_of
from cpis_batch.intake.check import Verdict
from cpis_batch.keystore import MasterKey
from cpis_batch.register.schema import ACCEPTED
from cpis_batch.register.store import PartStore
from cpis_batch.runs import la_part
from cpis_batch.runs.la_night import Evening
from cpis_batch.runs.stages import Stages
from cpis_batch.runs.task import Keys, LaResult, LaTask, Rehearsed

TOGETHER_BYTES = 16 * 1024 * 1024  # of plaintext checked at a time; an evening of more is checked alone

_T = TypeVar("_T")
Judged = tuple[Verdict, pa.Table | None]  # and standing.ROWS of what was accepted
_worker: tuple[Rehearsed, Keys] | None = None
_forget: list[Callable[[], None]] = []


def kept_for_the_run(read: Callable[..., _T]) -> _lru_cache_wrapper[_T]:
    """Have a worker keep what `read` came to last, for as long as it holds the keys that it was read with."""
    cached = lru_cache(maxsize=1)(read)
    _forget.append(cached.cache_clear)
    return cached


def start_worker(common: Rehearsed, keys: Keys) -> None:
    """What every worker process is given once."""
    global _worker  # noqa: PLW0603 - a process pool's initializer has no other place to leave what its tasks need
    _worker = (common, keys)
    _forget_all()


def end_worker() -> None:
    """Forget what this process was given, and what it read with it."""
    global _worker  # noqa: PLW0603 - as above
    _worker = None
    _forget_all()


def _forget_all() -> None:
    for forget in _forget:
        forget()


def given() -> tuple[Rehearsed, Keys]:
    """What this worker process was started with."""
    assert _worker is not None
    return _worker


def work(tasks: Sequence[LaTask]) -> list[LaResult]:
    """The evenings of several LAs. A fault of the program in one of them is its result."""
    spent = Stages()
    results: list[LaResult] = []
    for group in _opened(tasks):
        verdicts = _checked([one for one in group if isinstance(one, Evening)])
        with files.names_together():
            while group:  # what one has held goes before the next one, and the next group's files, come
                results.append(_ended(group.pop(0), verdicts))
    for one in results:
        one.seconds = spent.elapsed / len(results)
    return results


def _ended(one: Evening | LaResult, verdicts: dict[str, list[Judged] | LaResult]) -> LaResult:
    """What an evening comes to, or what stopped it before its files were checked or while they were."""
    if isinstance(one, LaResult):
        return one
    found = verdicts.pop(one.task.partner.code)
    return found if isinstance(found, LaResult) else _alone(one.task, partial(one.run, found))


def _opened(tasks: Sequence[LaTask]) -> Iterator[list[Evening | LaResult]]:
    """The evenings begun and their files opened, as many at a time as may be held."""
    group: list[Evening | LaResult] = []
    held = 0
    for task in tasks:
        one = _alone(task, partial(_begun, task))
        size = one.bytes_opened if isinstance(one, Evening) else 0
        if held and held + size > TOGETHER_BYTES:
            yield group
            group, held = [], 0
        group.append(one)
        held += size
    yield group


def _begun(task: LaTask) -> Evening:
    evening = Evening(task, *given())
    evening.open()
    return evening


def _checked(evenings: Sequence[Evening]) -> dict[str, list[Judged] | LaResult]:
    """The verdicts on what each evening has opened, by LA. Where they cannot be had together, each LA's are had alone."""
    try:
        verdicts = iter(_judged(evenings))
        return {one.task.partner.code: [next(verdicts) for _ in one.opened] for one in evenings}
    except (DiskFault, OSError):
        raise
    except Exception:  # noqa: BLE001 - one of the files is to blame: which one shows below
        return {one.task.partner.code: _alone(one.task, partial(_judged, [one])) for one in evenings}


def _judged(evenings: Sequence[Evening]) -> list[Judged]:
    common, _ = given()
    verdicts = la_part.judged([(one.task.partner.code, found.plaintext) for one in evenings for _, found in one.opened], common)
    return list(zip(verdicts, _standings(verdicts), strict=True))


def _standings(verdicts: Sequence[Verdict]) -> list[pa.Table] | list[None]:
    """standing.ROWS of the rows that each file is loaded with; None where the tables of the trace cannot be read.

    Those concern the answers alone: their damage keeps no child out, and stops the night's own trace, which tells of it.
    """
    common, keys = given()
    try:
        persons, questions = _traced(common, keys)
    except StateFault:
        return [None] * len(verdicts)
    numbered = (
        verdict.accepted.append_column("file", pa.repeat(place, verdict.accepted.num_rows))
        for place, verdict in enumerate(verdicts)
    )
    rows = pa.concat_tables([ACCEPTED.append(pa.field("file", pa.int64())).empty_table(), *numbered])
    found = standing.of_rows(rows, persons, questions, service=common.trace.exists, on=common.business_date)
    return _apart(found, [verdict.accepted.num_rows for verdict in verdicts])


def _apart(found: pa.Table, counts: Sequence[int]) -> list[pa.Table]:
    """Each file's share of a table that is sorted by file and has a row for each of theirs."""
    starts = accumulate(counts, initial=0)
    return [found.slice(start, count) for start, count in zip(starts, counts, strict=False)]


@kept_for_the_run
def _traced(common: Rehearsed, keys: Keys) -> tuple[pa.Table, pa.Table]:
    """The current traces and open questions, as the last commit has them; read once a worker."""
    store = PartStore(common.home / "register", MasterKey(keys.master))

    def read(part: str | None, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
        return store.read(part, columns) if part else schema.empty_table().select(list(columns))

    return (
        read(common.trace.persons, PERSONS, standing.OF_PERSONS),
        read(common.trace.questions, REQUESTS, standing.OF_REQUESTS),
    )


def _alone(task: LaTask, step: Callable[[], _T]) -> _T | LaResult:
    """A step of one LA; a fault in it as its result, without the text of the exception, which may quote a record."""
    try:
        return step()
    except (DiskFault, OSError):
        raise  # not this LA's trouble: nobody's part can be written
    except CpisError as fault:
        return LaResult(task.partner.code, fault=fault.message, fault_code=fault.exit_code)
    except Exception as fault:  # noqa: BLE001 - the text of a foreign exception may quote a record: only its type and place are told
        return LaResult(task.partner.code, fault=place_of(fault), fault_code=Exit.BUG)
