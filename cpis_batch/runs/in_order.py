"""A map over workers whose results come in the order of the tasks, each as soon as it and those before it are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from typing import TypeVar

from cpis_batch.runs.hub import Hub
from cpis_batch.runs.pool import worker_count, workers

# A task of fewer rows costs more to plan than to do; one of more holds more than the rows are worth.
_LEAST_ROWS, _MOST_ROWS = 30_000, 150_000
_TASKS = 3  # for each worker, at least: so that none waits long for the others
# Up to so many rows one task does all, in the run's own process: to start two costs a second of processor.
_LITTLE = 300_000

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def rows_of_a_task(hub: Hub, rows: int) -> int:
    """How many of so many rows one task should have: all, where to start processes for them would not pay."""
    share = min(_MOST_ROWS, rows // (_TASKS * worker_count(hub)))
    if hub.cluster:
        return share
    return _LITTLE if rows <= _LITTLE else max(_LEAST_ROWS, share)


def in_batches(things: Sequence[_Task], size: Callable[[_Task], int], most: int) -> list[list[_Task]]:
    """The things in their order, as many together as have no more than `most` in all; one that has more is alone."""
    batches: list[list[_Task]] = []
    held = 0
    for thing in things:
        if not batches or held + size(thing) > most:
            batches.append([])
            held = 0
        batches[-1].append(thing)
        held += size(thing)
    return batches


def in_order(hub: Hub, executor: Executor, step: Callable[[_Task], _Result], tasks: Sequence[_Task]) -> Iterator[_Result]:
    """What `step` comes to for each task. What a killed worker leaves undone is done in this process, or raises here."""
    running: list[Future[_Result]] = []
    with suppress(BrokenExecutor):
        running.extend(executor.submit(step, task) for task in tasks)
    for place, task in enumerate(tasks):
        if place < len(running) and not isinstance(running[place].exception(), BrokenExecutor):
            yield running[place].result()
        else:
            with workers(hub, 1, opens=False) as here:
                yield here.submit(step, task).result()
