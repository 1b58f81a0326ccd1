"""What has come over a connection and was not read yet: the same bytes in the same order, however they came and are taken."""

from __future__ import annotations

import random
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paramiko import SSHException
from paramiko.buffered_pipe import PipeTimeout

from cpis_batch.exchange.floods import MOST_UNREAD, Line, Unread


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=50), st.integers(1, 120))))
def test_bytes_come_out_as_they_went_in(steps):
    """Bytes are fed; a number is how many are asked for."""
    pipe, model = Unread(), bytearray()
    for step in steps:
        if isinstance(step, bytes):
            pipe.feed(step)
            model += step
        elif model:
            assert pipe.read(step) == bytes(model[:step])
            del model[:step]
        assert (len(pipe), pipe.read_ready()) == (len(model), bool(model))
    assert pipe.empty() == bytes(model)
    assert (len(pipe), pipe.read_ready(), pipe.empty()) == (0, False, b"")


def test_who_waits_is_woken_by_bytes_and_by_the_end_and_by_nothing_else():
    pipe = Unread()
    with pytest.raises(PipeTimeout):
        pipe.read(10, timeout=0.01)
    for action, expected in ((lambda: pipe.feed(b"x" * 5), b"x" * 5), (pipe.close, b"")):
        waker = threading.Timer(0.02, action)
        waker.start()
        assert pipe.read(10, timeout=30) == expected
        waker.join()
    assert pipe.read(10) == b""


def test_an_event_stands_while_there_is_something_to_read():
    pipe, event = Unread(), threading.Event()
    pipe.set_event(event)
    assert not event.is_set()
    pipe.feed(b"abc")
    assert event.is_set()
    pipe.read(2)
    assert event.is_set()
    pipe.read(2)
    assert not event.is_set()


def test_f12_no_more_is_put_aside_than_a_window_allows():
    pipe = Unread()
    pipe.feed(bytes(MOST_UNREAD))
    with pytest.raises(SSHException, match="more was sent"):
        pipe.feed(b"x")
    assert len(pipe) == MOST_UNREAD


@given(st.integers(0, 2**32), st.lists(st.integers(1, 3000), min_size=1, max_size=40))
def test_a_line_gives_what_its_socket_had_in_whatever_portions(seed, portions):
    sent = random.Random(seed).randbytes(20_000)
    ours, theirs = socket.socketpair()
    with Line(ours) as line, theirs:
        theirs.sendall(sent)
        theirs.close()
        came = b""
        while piece := line.recv(portions[len(came) % len(portions)]):
            came += piece
        assert came == sent


def test_a_line_takes_the_socket_over_with_its_timeout():
    ours, theirs = socket.socketpair()
    ours.settimeout(0.01)
    with Line(ours) as line, theirs:
        assert ours.fileno() == -1
        with pytest.raises(TimeoutError):
            line.recv(1)
        theirs.sendall(b"ab")
        assert (line.recv(1), line.recv(1)) == (b"a", b"b"), "the second was read ahead: nobody waits for it"
        line.sendall(b"c")
        assert theirs.recv(1) == b"c"
