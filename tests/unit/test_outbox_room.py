"""How much of what is delivered is held at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpis_batch.delivery.outbox import Room


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 15), max_size=30))
def test_no_more_is_held_than_there_is_room_for_unless_it_is_one_alone(sizes):
    room, lock, held, seen = Room(10), Lock(), [], []

    def hold(size: int) -> None:
        with room.hold(size):
            with lock:
                held.append(size)
                seen.append(list(held))
            with lock:
                held.remove(size)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(hold, sizes))
    assert len(seen) == len(sizes)
    assert all(sum(together) <= 10 or max(together) == sum(together) for together in seen)


def test_what_there_is_room_for_is_held_side_by_side():
    room, all_of_them = Room(10), Barrier(3, timeout=30)

    def hold(size: int) -> None:
        with room.hold(size):
            all_of_them.wait()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(hold, (3, 3, 4)))
    assert not all_of_them.broken


def test_room_is_given_back_by_who_fails():
    room = Room(1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), room.hold(1):
            raise ZeroDivisionError
    with room.hold(1):
        pass
