"""F12: a server that sends what nobody asked for costs a connection, not the memory of the run."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec
import paramiko
import pytest
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA

from cpis_batch.sandbox.faulty_server import Faults, FaultyServer
from cpis_batch.sandbox.server import Session, Tree
from tests.integration.places import INBOUND, Client, make_tree

MEGABYTE = 1024 * 1024
FLOOD = 1000 * MEGABYTE  # what a server sends, unless it is cut off
LISTS = """
import json, sys, time
from pathlib import Path
import msgspec
from cpis_batch.config import Limits, SftpServer
from cpis_batch.errors import CpisError
from cpis_batch.exchange.connect import open_mailbox
from cpis_batch.exchange.sftp import SftpMailbox  # here, so that what it takes to import is no part of what a flood takes
before = int(Path("/proc/self/statm").read_text().split()[1])
told = []
with open_mailbox(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=SftpServer), Limits()) as mailbox:
    for _ in range(2):
        try:
            told.append(len(mailbox.list(sys.argv[3]).entries))
        except CpisError as fault:
            told.append(fault.message)
        print(json.dumps(told), flush=True)
        sys.stdin.readline()
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]  # getrusage counts who forked us, too
print((int(peak) - before * 4) // 1024, flush=True)
"""


@contextmanager
def flooding(begins: bytes) -> Iterator[int]:
    """A server that says `begins` and then zeros, as fast as they go."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    taken, _ = listening.accept()
                    with taken, suppress(OSError):
                        taken.sendall(begins)
                        for _ in range(FLOOD // MEGABYTE):
                            taken.sendall(bytes(MEGABYTE))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def listed(client: Client, settings: object, meanwhile: Callable[[], object] = lambda: None) -> tuple[list, int]:
    """What two listings in a process of their own came to, and by how many MB its memory was larger than after the start."""
    words = [sys.executable, "-c", LISTS, str(client.home), msgspec.json.encode(settings).decode(), INBOUND]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin
        assert child.stdout
        child.stdout.readline()
        meanwhile()
        child.stdin.write("\n\n")
        child.stdin.close()
        *_, told, grown = child.stdout.read().splitlines()
        assert child.wait(60) == 0
    return json.loads(told), int(grown)


@pytest.fixture
def client(tmp_path) -> Client:
    return Client(tmp_path)


@pytest.mark.parametrize(
    "begins",
    [b"SSH-2.0-", b"hello\r\n", b"SSH-2.0-quiet\r\n" + struct.pack(">IB", 0xFFFF_FFF4, 4)],
    ids=["a greeting without end", "a greeting of zeros", "a packet of four gigabytes"],
)
def test_f12_a_flood_before_the_host_key_is_cut_off_within_a_few_megabytes(client, tmp_path, begins):
    genuine = FaultyServer(make_tree(tmp_path / "served"), authorized_keys=[client.line], faults=Faults())
    with flooding(begins) as port:
        genuine.port = port
        (first, second), grown = listed(client, client.settings(genuine))
    assert "SSH handshake" in first
    assert second == first, "given up once for all"
    assert grown < 64


class Unasked(FaultyServer):
    """Sends on a session whatever `kind` of data, without end, once `go` is set; whether the client takes it or not."""

    kind = MSG_CHANNEL_DATA

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self.go, self.over = threading.Event(), threading.Event()

    def offer(self, transport: paramiko.Transport) -> None:
        super().offer(transport)
        transport.set_subsystem_handler("sftp", Session, Tree, self.root)
        threading.Thread(target=self.flood, args=(transport,), daemon=True).start()

    def flood(self, transport: paramiko.Transport) -> None:
        self.go.wait(30)
        packet = paramiko.Message()
        packet.add_byte(bytes([self.kind]))
        packet.add_int(0)
        if self.kind == MSG_CHANNEL_EXTENDED_DATA:
            packet.add_int(1)
        packet.add_string(bytes(32_000))
        with suppress(Exception):
            for _ in range(FLOOD // 32_000):
                if not transport.is_active():
                    break
                transport._send_message(packet)
        self.over.set()


class UnaskedErrors(Unasked):
    kind = MSG_CHANNEL_EXTENDED_DATA


@pytest.mark.parametrize("kind", [Unasked, UnaskedErrors])
def test_f12_a_session_that_is_flooded_while_nobody_reads_it_is_ended_and_another_opened(client, tmp_path, kind):
    with kind(make_tree(tmp_path / "served"), authorized_keys=[client.line], faults=Faults()) as server:

        def meanwhile() -> None:
            server.go.set()
            assert server.over.wait(60)
            server.go.clear()

        told, grown = listed(client, client.settings(server, connections=1, channels=1), meanwhile)
    assert told == [0, 0], "the second listing has a connection of its own"
    assert grown < 64
