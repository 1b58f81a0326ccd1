"""What partners' servers do on bad days, and what a hostile one would: each is named, bounded, and no trouble to the others."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import paramiko
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paramiko.sftp import CMD_ATTRS, CMD_DATA, CMD_HANDLE, CMD_NAME, CMD_STATUS

from cpis_batch.config import Limits
from cpis_batch.errors import ChangedWhileRead, DeliveryUnknown, HostKeyFault, PartnerRefused, PartnerUnreachable
from cpis_batch.exchange.mailbox import Entry
from cpis_batch.exchange.packets import Attributes, Fields
from cpis_batch.exchange.patience import TRIES, pause_before
from cpis_batch.exchange.sftp import SftpMailbox
from cpis_batch.sandbox.faulty_server import Cut, Faults, FaultyServer
from cpis_batch.sandbox.server import SftpServer
from tests.integration.places import INBOUND, OUTBOUND, PROCESSED, Client, Pauses, Place, make_tree

LIMITS = Limits(ciphertext_bytes=1_000_000, listing_entries=1000)
GARBAGE = struct.pack(">I", 0xFFFF_FFFF)
MADE_UP = Entry("a.pgp", 6, datetime(2026, 11, 20, tzinfo=UTC))


@pytest.fixture
def client(tmp_path) -> Client:
    return Client(tmp_path)


@pytest.fixture
def root(tmp_path) -> Path:
    return make_tree(tmp_path / "served")


@pytest.fixture
def faulty(client, root):
    """A place whose server has the given faults; `server` of it tells what it was asked."""

    @contextmanager
    def started(
        faults: Faults, kind: type[FaultyServer] = FaultyServer, sleep: Pauses | None = None, **settings: object
    ) -> Iterator[FaultyPlace]:
        with (
            kind(root, authorized_keys=[client.line], faults=faults) as server,
            client.mailbox(client.settings(server, **settings), LIMITS, sleep) as mailbox,
        ):
            yield FaultyPlace(mailbox, root, server)

    return started


class FaultyPlace(Place):
    def __init__(self, mailbox: SftpMailbox, root: Path, server: FaultyServer) -> None:
        super().__init__(mailbox, root)
        self.server = server


# what changes under our hands


def rewritten(path: Path) -> None:
    path.write_bytes(b"SEALED" + bytes(path.stat().st_size - 6))
    os.utime(path, (0, path.stat().st_mtime + 2))


def replaced(path: Path) -> None:
    rewritten(path)
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def grown(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


@pytest.mark.parametrize("change", [rewritten, replaced, grown, lambda path: os.truncate(path, 100_000), Path.unlink])
@pytest.mark.parametrize("size", [6, 200_000])
def test_f02_a_file_that_changes_while_it_is_read_is_discarded_and_taken_at_the_next_poll(faulty, tmp_path, change, size):
    with faulty(Faults(at_first_read=change)) as place:
        path = place.file("a.pgp", bytes(size))
        os.utime(path, (0, 1_795_000_000))
        (entry,) = place.mailbox.list(INBOUND).entries
        with pytest.raises(ChangedWhileRead):
            place.mailbox.fetch(INBOUND, entry, tmp_path / "got")
        assert not (tmp_path / "got").exists()
        if path.exists():
            (entry,) = place.mailbox.list(INBOUND).entries
            place.mailbox.fetch(INBOUND, entry, tmp_path / "got")
            assert (tmp_path / "got").read_bytes() == path.read_bytes()


class Swapping(FaultyServer):
    """Opens another file than the one whose attributes it tells, before and after."""

    def count(self, request: str) -> int:
        path, aside, other = (self.root / INBOUND / name for name in ("a.pgp", "aside", "other"))
        if request == "open":
            path.rename(aside)
            other.rename(path)
        elif request == "lstat" and aside.exists():
            path.rename(other)
            aside.rename(path)
        return super().count(request)


def test_f02_a_file_that_was_another_only_while_it_was_open_is_discarded(faulty, tmp_path):
    with faulty(Faults(), Swapping) as place:
        for name, modified in (("a.pgp", 1_795_000_000), ("other", 1_795_000_002)):
            os.utime(place.file(name, name[:5].encode()), (0, modified))
        entry = next(each for each in place.mailbox.list(INBOUND).entries if each.name == "a.pgp")
        with pytest.raises(ChangedWhileRead):
            place.mailbox.fetch(INBOUND, entry, tmp_path / "got")


# listings


def test_f10_f11_a_hostile_listing_is_counted_and_nothing_of_it_taken(faulty):
    regular = 0o100600
    entries = (
        (b"../../etc/passwd", regular),
        (b"/etc/passwd", regular),
        (b"", regular),
        (b"n" * 300, regular),
        (b"\xff\xfe.pgp", regular),
        ("\u2066a.pgp".encode(), regular),
        (b"no mode.pgp", None),
        (b"device.pgp", 0o060600),
        (b"link.pgp", 0o120777),
    )
    with faulty(Faults(entries=entries)) as place:
        place.file("good.pgp")
        listing = place.mailbox.list(INBOUND)
        assert [entry.name for entry in listing.entries] == ["good.pgp"]
        assert listing.skipped == {"name": 6, "no mode": 1, "not a file": 1, "symlink": 1}


def test_f12_a_listing_of_a_million_names_is_left_after_the_first_too_many(faulty):
    with faulty(Faults(names=1_000_000)) as place:
        with pytest.raises(PartnerRefused, match="more than 1,000 entries"):
            place.mailbox.list(INBOUND)
        assert place.server.asked("readdir") < 20


# lies and nonsense


def test_f12_a_file_without_end_is_given_up_where_it_should_have_ended(faulty, tmp_path):
    with faulty(Faults(endless=True)) as place:
        place.file("a.pgp")
        (entry,) = place.mailbox.list(INBOUND).entries
        with pytest.raises(ChangedWhileRead):
            place.mailbox.fetch(INBOUND, entry, tmp_path / "got")
        with pytest.raises(ChangedWhileRead):
            place.mailbox.digest(INBOUND, "a.pgp")
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize(("size", "fault"), [(3, ChangedWhileRead), (900_000, ChangedWhileRead), (2**63, PartnerRefused)])
def test_f12_a_size_that_is_a_lie_costs_no_more_than_the_limit(faulty, tmp_path, size, fault):
    with faulty(Faults(lying_size=size)) as place:
        place.file("a.pgp", b"sealed")
        (entry,) = place.mailbox.list(INBOUND).entries
        with pytest.raises(fault):
            place.mailbox.fetch(INBOUND, entry, tmp_path / "got")
        assert place.server.asked("read") < 64
    assert not (tmp_path / "got").exists()


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


@pytest.mark.parametrize(
    ("request_name", "answer"),
    [
        ("readdir", (CMD_NAME, GARBAGE)),
        ("readdir", (CMD_NAME, struct.pack(">I", 1) + GARBAGE)),
        ("readdir", (CMD_NAME, struct.pack(">I", 1) + string(b"a") + string(b"") + struct.pack(">II", 0x8000_0000, 2**32 - 1))),
        ("readdir", (CMD_DATA, GARBAGE)),
        ("opendir", (CMD_ATTRS, bytes(4))),
        ("opendir", (CMD_HANDLE, GARBAGE)),
        ("opendir", (CMD_STATUS, b"")),
        ("opendir", (250, b"")),
    ],
)
def test_f12_an_answer_that_makes_no_sense_is_refused_at_once(faulty, request_name, answer):
    pauses = Pauses()
    with (
        faulty(Faults(garble={request_name: answer}), sleep=pauses) as place,
        pytest.raises(PartnerUnreachable, match="protocol"),
    ):
        place.mailbox.list(INBOUND)
    assert len(pauses.seconds) == TRIES - 1


@pytest.mark.parametrize("data", [b"", bytes(7)], ids=["nothing", "more than was asked for"])
def test_f12_a_read_that_brings_nothing_or_too_much_is_refused(faulty, tmp_path, data):
    with faulty(Faults(garble={"read": (CMD_DATA, string(data))})) as place:
        place.file("a.pgp", b"sealed")
        (entry,) = place.mailbox.list(INBOUND).entries
        with pytest.raises(PartnerUnreachable, match="protocol"):
            place.mailbox.fetch(INBOUND, entry, tmp_path / "got")


@given(st.binary(max_size=200))
def test_f12_whatever_bytes_come_as_attributes_are_read_or_refused(data):
    try:
        read = Fields(data, "server").attributes()
    except PartnerUnreachable:
        return
    assert isinstance(read, Attributes)


# silence


@pytest.mark.parametrize("request_name", ["opendir", "readdir"])
def test_f63_a_server_that_does_not_answer_is_given_up_after_its_seconds(faulty, request_name):
    with faulty(Faults(silent_on=frozenset({request_name})), read_seconds=0.3) as place:
        with pytest.raises(PartnerUnreachable, match=r"silent for 0\.3 seconds"):
            place.mailbox.list(INBOUND)
        assert place.server.asked("opendir") == TRIES


@pytest.mark.parametrize("request_name", ["lstat", "open", "read", "fstat", "close"])
def test_f63_silence_at_any_step_of_a_fetch_is_given_up_and_nothing_kept(faulty, tmp_path, request_name):
    with faulty(Faults(silent_on=frozenset({request_name})), read_seconds=0.3) as place:
        place.file("a.pgp")
        os.utime(place.root / INBOUND / "a.pgp", (0, MADE_UP.modified_at.timestamp()))
        with pytest.raises(PartnerUnreachable, match="silent"):
            place.mailbox.fetch(INBOUND, MADE_UP, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_f12_a_file_that_drips_is_given_up_at_the_deadline_and_not_begun_again(faulty, tmp_path):
    pauses = Pauses()
    with faulty(Faults(drip_seconds=0.02), sleep=pauses, fetch_seconds=0.8) as place:
        place.file("a.pgp", bytes(10_000))
        (entry,) = place.mailbox.list(INBOUND).entries
        began = time.monotonic()
        with pytest.raises(PartnerUnreachable, match=r"within 0\.8 seconds"):
            place.mailbox.fetch(INBOUND, entry, tmp_path / "got")
        assert time.monotonic() - began < 5
    assert pauses.seconds == []
    assert not (tmp_path / "got").exists()


def test_f12_while_one_partner_drips_the_others_on_the_same_server_are_read(faulty, client, root, tmp_path):
    """One session is kept busy; those beside it, on the same connections, are not."""
    release = threading.Event()
    with faulty(Faults(at_first_read=lambda _path: release.wait(10)), connections=1, channels=2) as place:
        place.file("slow.pgp", b"sealed")
        place.file("quick.pgp", b"sealed too")
        slow, quick = sorted(place.mailbox.list(INBOUND).entries, key=lambda entry: entry.size)
        with ThreadPoolExecutor(1) as threads:
            slowly = threads.submit(place.mailbox.fetch, INBOUND, slow, tmp_path / "slow")
            for _ in range(5):
                place.mailbox.list(INBOUND)
            while place.server.asked("read") == 0:
                place.mailbox.list(INBOUND)
            place.mailbox.fetch(INBOUND, quick, tmp_path / "quick")
            assert not slowly.done()
            release.set()
            assert slowly.result().size == 6


def test_f12_who_waits_to_hear_what_stands_at_a_path_keeps_nobody_else_waiting(faulty, tmp_path):
    with faulty(Faults(folder="slow", silent_on=frozenset({"lstat"})), fetch_seconds=4.0, channels=2) as place:
        place.file("quick.pgp", b"sealed")
        (quick,) = place.mailbox.list(INBOUND).entries
        with ThreadPoolExecutor(1) as threads:
            stuck = threads.submit(place.mailbox.fetch, "slow", quick, tmp_path / "slow")
            while place.server.asked("lstat") == 0:
                place.mailbox.list(INBOUND)
            place.mailbox.fetch(INBOUND, quick, tmp_path / "quick")
            assert not stuck.done()
            assert isinstance(stuck.exception(), PartnerUnreachable)


@contextmanager
def listener(*, greets: bytes = b"") -> Iterator[int]:
    """A server that takes connections, greets, and says no more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    held.append(listening.accept()[0])
                    held[-1].sendall(greets)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for each in held:
                each.close()


@pytest.mark.parametrize("greets", [b"", b"SSH-2.0-quiet\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_f63_a_server_that_never_finishes_its_greeting_is_given_up_once_for_all(client, root, greets):
    with SftpServer(root, authorized_keys=[client.line]) as other, listener(greets=greets) as port:
        pauses = Pauses()
        settings = client.settings(other, port=port, connect_seconds=0.2)
        with client.mailbox(settings, LIMITS, pauses) as mailbox:
            for folder in (INBOUND, OUTBOUND):
                with pytest.raises(PartnerUnreachable, match="SSH handshake"):
                    mailbox.list(folder)
        assert len(pauses.seconds) == TRIES - 1


def test_f63_a_server_that_never_starts_the_session_is_given_up(faulty):
    with (
        faulty(Faults(silent_in="session"), connect_seconds=0.4) as place,
        pytest.raises(PartnerUnreachable, match="opening an SFTP session"),
    ):
        place.mailbox.list(INBOUND)


# who they are, and who we are


def test_f13_a_server_under_another_key_gets_no_login(client, root):
    with (
        SftpServer(root, authorized_keys=[client.line]) as genuine,
        FaultyServer(root, authorized_keys=[client.line], faults=Faults()) as impostor,
    ):
        settings = client.settings(impostor, host_keys=(genuine.host_key,))
        with client.mailbox(settings, LIMITS) as mailbox:
            for _ in range(3):
                with pytest.raises(HostKeyFault):
                    mailbox.list(INBOUND)
        assert impostor.asked("connection") == 1
        assert impostor.asked("opendir") == 0


def test_f14_a_refused_login_is_tried_once_for_all_the_partners_of_a_server(client, root):
    pauses = Pauses()
    with FaultyServer(root, authorized_keys=[], faults=Faults()) as server:
        with client.mailbox(client.settings(server), LIMITS, pauses) as mailbox, ThreadPoolExecutor(8) as threads:
            faults = [asked.exception() for asked in [threads.submit(mailbox.list, INBOUND) for _ in range(40)]]
        assert {type(fault) for fault in faults} == {PartnerRefused}
        assert server.asked("connection") <= 2  # the two lines may have begun at the same moment
    assert pauses.seconds == []


# deliveries


STEPS = ["lstat", "open", "write", "close", "extended", "read", "fstat"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_f19_a_delivery_cut_at_any_step_is_whole_in_the_end_and_never_seen_in_part(faulty, step, after):
    seen = []
    data = bytes(100_000)

    def look() -> None:
        path = place.root / OUTBOUND / "ack.pgp"
        seen.append(path.read_bytes() if path.exists() else None)

    with faulty(Faults(cuts=(Cut(step, after=after),)), sleep=Pauses(then=look)) as place:
        place.mailbox.put(OUTBOUND, "ack.pgp", data)
        assert (place.root / OUTBOUND / "ack.pgp").read_bytes() == data
        assert place.names(OUTBOUND) == ["ack.pgp"]
        assert place.server.asked("extended") <= 2
    assert set(seen) <= {None, data}


def test_f19_a_delivery_whose_answer_was_lost_is_looked_for_and_not_sent_again(faulty):
    with faulty(Faults(cuts=(Cut("extended", after=True),))) as place:
        place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
        assert place.server.asked("extended") == 1
        assert place.server.asked("write") == 1


class Vanishing(FaultyServer):
    """Offers no SFTP any more once it has broken off."""

    def offer(self, transport: paramiko.Transport) -> None:
        if self.asked("open") == 0:
            super().offer(transport)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_f19_a_delivery_that_cannot_be_looked_for_is_unknown_and_the_next_run_settles_it(faulty, after):
    with faulty(Faults(cuts=(Cut("extended", after=after),)), Vanishing) as place, pytest.raises(DeliveryUnknown):
        place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
    with faulty(Faults()) as place:
        place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
        assert place.server.asked("write") == (0 if after else 1)
        assert (place.root / OUTBOUND / "ack.pgp").read_bytes() == b"sealed"


class Collected(FaultyServer):
    """The recipient takes the file while we are cut off."""

    def offer(self, transport: paramiko.Transport) -> None:
        super().offer(transport)
        if self.asked("connection") > 1:
            (self.root / OUTBOUND / "ack.pgp").unlink(missing_ok=True)


def test_f19_a_delivery_that_may_have_been_collected_meanwhile_is_never_sent_twice(faulty):
    with faulty(Faults(cuts=(Cut("extended", after=True),)), Collected) as place:
        with pytest.raises(DeliveryUnknown):
            place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
        assert place.server.asked("write") == 1


class Altering(FaultyServer):
    """Stores other bytes than it was sent."""

    def count(self, request: str) -> int:
        if request == "lstat" and self.asked("extended"):
            (self.root / OUTBOUND / "ack.pgp").write_bytes(b"SEALED")
        return super().count(request)


def test_f19_a_delivery_that_a_server_stores_otherwise_is_not_called_delivered(faulty):
    with faulty(Faults(), Altering) as place, pytest.raises(DeliveryUnknown, match="other bytes"):
        place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")


def test_f19_before_its_name_is_given_a_failed_delivery_is_certain_not_to_have_happened(faulty):
    cuts = tuple(Cut("close", number) for number in range(1, TRIES + 1))
    with faulty(Faults(cuts=cuts)) as place:
        with pytest.raises(PartnerUnreachable):
            place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
        assert not (place.root / OUTBOUND / "ack.pgp").exists()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_f16_a_move_cut_off_is_done_by_the_next_try(faulty, after):
    with faulty(Faults(cuts=(Cut("rename", after=after),))) as place:
        place.file("a.pgp")
        place.mailbox.move(INBOUND, "a.pgp", PROCESSED)
        assert (place.names(INBOUND), place.names(PROCESSED)) == ([], ["a.pgp"])


def test_f16_a_refused_move_is_no_fault_of_the_connection(faulty):
    pauses = Pauses()
    with faulty(Faults(refuse=frozenset({"rename"})), sleep=pauses) as place:
        place.file("a.pgp")
        with pytest.raises(PartnerRefused, match="permission denied"):
            place.mailbox.move(INBOUND, "a.pgp", PROCESSED)
        assert place.names(INBOUND) == ["a.pgp"]
    assert pauses.seconds == []


def test_pauses_grow_and_differ_from_client_to_client():
    seconds = {attempt: [pause_before(attempt) for _ in range(50)] for attempt in (2, 3, 30)}
    assert all(0.25 <= each <= 0.5 for each in seconds[2])
    assert all(0.5 <= each <= 1.0 for each in seconds[3])
    assert all(4.0 <= each <= 8.0 for each in seconds[30])
    assert len(set(seconds[2])) > 1
