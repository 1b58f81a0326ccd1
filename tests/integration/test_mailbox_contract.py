"""What every mailbox promises: a folder tree, a real OpenSSH server and the rehearsal server alike."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cpis_batch.config import Limits
from cpis_batch.errors import Bug, ChangedWhileRead, PartnerRefused
from cpis_batch.exchange.connect import open_mailbox
from tests.integration.places import INBOUND, LA, OUTBOUND, PROCESSED, Place, folder_place, make_tree, sandbox_place
from tests.integration.sshd import start_sshd

LIMITS = Limits(ciphertext_bytes=4_000_000, listing_entries=30)
PIECE = 32_768
SIZES = [0, 1, PIECE - 1, PIECE, PIECE + 1, 63 * PIECE, 64 * PIECE + 1, 100 * PIECE + 17]


@contextmanager
def openssh_place(tmp_path: Path, limits: Limits) -> Iterator[Place]:
    root = make_tree(tmp_path / "served")
    with start_sshd(root, tmp_path / "sshd") as server, open_mailbox(tmp_path, server.settings(), limits) as mailbox:
        yield Place(mailbox, root)


@pytest.fixture(params=[folder_place, openssh_place, sandbox_place], ids=["folder", "openssh", "rehearsal"])
def place(request, tmp_path) -> Iterator[Place]:
    with request.param(tmp_path, LIMITS) as made:
        yield made


def bytes_of(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


def the_entry(place: Place, name: str):
    (entry,) = [entry for entry in place.mailbox.list(INBOUND).entries if entry.name == name]
    return entry


def test_an_upload_that_was_broken_off_is_told_apart_and_can_be_cleared_away(place):
    ours, theirs = ".cpis-0123456789abcdef.tmp", ".cpis-notes.tmp"
    for name in (ours, theirs, ".filepart", "one.pgp"):
        place.file(name, folder=OUTBOUND)
    listing = place.mailbox.list(OUTBOUND)
    assert [entry.name for entry in listing.entries] == ["one.pgp"]
    assert (listing.abandoned, listing.skipped) == ((ours,), {"hidden": 2})
    place.mailbox.clear(OUTBOUND, ours)
    place.mailbox.clear(OUTBOUND, ours)
    assert place.names(OUTBOUND) == [theirs, ".filepart", "one.pgp"]
    for other in ("one.pgp", theirs, "../inbound/.cpis-0123456789abcdef.tmp"):
        with pytest.raises(Bug):
            place.mailbox.clear(OUTBOUND, other)


def test_a_listing_tells_name_size_and_time_of_every_file(place):
    for name, size in (("one.pgp", 0), ("Zoë's second.pgp", 70_000)):
        os.utime(place.file(name, bytes(size)), (0, 1_795_000_000))
    listing = place.mailbox.list(INBOUND)
    modified = datetime.fromtimestamp(1_795_000_000, UTC)
    assert {(entry.name, entry.size, entry.modified_at) for entry in listing.entries} == {
        ("one.pgp", 0, modified),
        ("Zoë's second.pgp", 70_000, modified),
    }
    assert listing.skipped == {}


def test_an_empty_folder_has_an_empty_listing(place):
    assert place.mailbox.list(INBOUND).entries == ()


def test_f10_names_that_are_no_plain_text_are_passed_over_and_counted(place):
    place.file("good.pgp")
    hostile = [
        b"..\\..\\evil.pgp",
        b"a..b",
        b"line\nbreak",
        b"escape\x1b[31m",
        "\u202egpp.exe".encode(),
        "zero\u200bwidth".encode(),
        b"latin-\xe9.pgp",
        b"x" * 201,
    ]
    for name in hostile:
        place.file(name)
    listing = place.mailbox.list(INBOUND)
    assert [entry.name for entry in listing.entries] == ["good.pgp"]
    assert listing.skipped == {"name": len(hostile)}


def test_f11_only_regular_files_are_taken(place):
    (place.root / INBOUND / "link.pgp").symlink_to(place.file("good.pgp"))
    (place.root / INBOUND / "folder.pgp").mkdir()
    os.mkfifo(place.root / INBOUND / "fifo.pgp")
    with socket.socket(socket.AF_UNIX) as end:
        folder = os.open(place.root / INBOUND, os.O_PATH)  # the path itself may be too long for a socket
        end.bind(f"/proc/self/fd/{folder}/socket.pgp")
        os.close(folder)
    place.file(".good.pgp.filepart")
    listing = place.mailbox.list(INBOUND)
    assert [entry.name for entry in listing.entries] == ["good.pgp"]
    assert listing.skipped == {"symlink": 1, "folder": 1, "not a file": 2, "hidden": 1}


def test_f12_a_listing_as_long_as_allowed_is_read_and_one_longer_is_refused(place):
    for number in range(LIMITS.listing_entries):
        place.file(f"{number}.pgp")
    assert len(place.mailbox.list(INBOUND).entries) == LIMITS.listing_entries
    place.file("one more.pgp")
    with pytest.raises(PartnerRefused, match="more than 30 entries"):
        place.mailbox.list(INBOUND)
    assert place.mailbox.list(OUTBOUND).entries == ()


def test_a_folder_that_is_not_there_is_refused_by_name(place):
    with pytest.raises(PartnerRefused, match="E08000001/inbound"):
        place.mailbox.list("E08000001/inbound")


@pytest.mark.parametrize("size", SIZES)
def test_what_is_fetched_is_what_stands_there(place, tmp_path, size):
    data = bytes_of(size)
    place.file("a.pgp", data)
    fetched = place.mailbox.fetch(INBOUND, the_entry(place, "a.pgp"), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == data
    assert (fetched.digest, fetched.size) == (hashlib.sha256(data).hexdigest(), size)
    assert (tmp_path / "got").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_stands_there_whole_and_nothing_beside_it(place, size):
    data = bytes_of(size)
    assert place.mailbox.put(OUTBOUND, "ack.pgp", data) == hashlib.sha256(data).hexdigest()
    assert (place.root / OUTBOUND / "ack.pgp").read_bytes() == data
    assert place.names(OUTBOUND) == ["ack.pgp"]
    assert place.mailbox.digest(OUTBOUND, "ack.pgp") == hashlib.sha256(data).hexdigest()


def test_what_stands_there_already_is_not_sent_again(place):
    place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
    first = (place.root / OUTBOUND / "ack.pgp").stat()
    place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
    assert (place.root / OUTBOUND / "ack.pgp").stat().st_ino == first.st_ino


def test_what_we_send_may_be_larger_than_what_we_take(place):
    data = bytes(LIMITS.ciphertext_bytes + 1)
    assert place.mailbox.put(OUTBOUND, "ack.pgp", data) == hashlib.sha256(data).hexdigest()


def test_other_bytes_under_the_name_are_replaced_in_one_step(place):
    for data in (b"sealed", b"SEALED", b"sealed again"):
        place.mailbox.put(OUTBOUND, "ack.pgp", data)
        assert (place.root / OUTBOUND / "ack.pgp").read_bytes() == data
    assert place.names(OUTBOUND) == ["ack.pgp"]


def test_a_delivery_to_a_folder_that_is_not_there_is_refused(place):
    with pytest.raises(PartnerRefused, match="E08000001/outbound"):
        place.mailbox.put("E08000001/outbound", "ack.pgp", b"sealed")


def replaced_by_a_link(path: Path) -> None:
    other = path.parent.parent / "another authority's.pgp"
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"sealed, and more"),
        lambda path: os.utime(path, (0, 1_700_000_000)),
        lambda path: os.truncate(path, 2),
        lambda path: path.unlink(),
        replaced_by_a_link,
    ],
    ids=["longer", "rewritten", "shorter", "gone", "a link"],
)
def test_f02_a_file_that_is_not_the_one_listed_is_left_for_the_next_poll(place, tmp_path, change):
    path = place.file("a.pgp")
    entry = the_entry(place, "a.pgp")
    change(path)
    with pytest.raises(ChangedWhileRead):
        place.mailbox.fetch(INBOUND, entry, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_f12_a_file_larger_than_allowed_is_refused_and_nothing_of_it_kept(place, tmp_path):
    place.file("a.pgp", bytes(LIMITS.ciphertext_bytes + 1))
    with pytest.raises(PartnerRefused, match="4,000,000 bytes"):
        place.mailbox.fetch(INBOUND, the_entry(place, "a.pgp"), tmp_path / "got")
    assert not (tmp_path / "got").exists()
    with pytest.raises(PartnerRefused, match="4,000,000 bytes"):
        place.mailbox.digest(INBOUND, "a.pgp")


def test_a_fetched_file_never_takes_the_place_of_one_that_is_there(place, tmp_path):
    place.file("a.pgp")
    (tmp_path / "got").write_bytes(b"ours")
    with pytest.raises(FileExistsError):
        place.mailbox.fetch(INBOUND, the_entry(place, "a.pgp"), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"ours"


def test_the_digest_of_what_is_not_there_is_none(place):
    assert place.mailbox.digest(OUTBOUND, "ack.pgp") is None


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.symlink_to("/etc/hostname")], ids=["folder", "link"]
)
def test_the_digest_of_what_is_no_file_is_refused(place, make):
    make(place.root / OUTBOUND / "ack.pgp")
    with pytest.raises(PartnerRefused):
        place.mailbox.digest(OUTBOUND, "ack.pgp")


def test_a_taken_file_is_moved_away(place):
    place.file("a.pgp", b"sealed")
    place.mailbox.move(INBOUND, "a.pgp", PROCESSED)
    assert place.names(INBOUND) == []
    assert (place.root / PROCESSED / "a.pgp").read_bytes() == b"sealed"


def test_a_file_moved_to_a_name_that_is_taken_gets_a_number(place):
    for data in (b"monday", b"tuesday", b"wednesday"):
        place.file("a.pgp", data)
        place.mailbox.move(INBOUND, "a.pgp", PROCESSED)
    held = {path.name: path.read_bytes() for path in (place.root / PROCESSED).iterdir()}
    assert held == {"a.pgp": b"monday", "a.pgp.1": b"tuesday", "a.pgp.2": b"wednesday"}


def test_a_file_that_is_gone_counts_as_moved(place):
    place.mailbox.move(INBOUND, "a.pgp", PROCESSED)
    assert place.names(PROCESSED) == []


def test_a_file_that_cannot_be_moved_stays(place):
    place.file("a.pgp")
    with pytest.raises(PartnerRefused, match="refused"):
        place.mailbox.move(INBOUND, "a.pgp", f"{LA}/refused")
    assert place.names(INBOUND) == ["a.pgp"]


@pytest.mark.parametrize("name", ["../a.pgp", "..", "", "a/b", "a\\b", "a\nb"])
def test_f10_a_name_that_no_listing_gives_is_never_asked_for(place, name):
    with pytest.raises(Bug):
        place.mailbox.put(OUTBOUND, name, b"sealed")
    with pytest.raises(Bug):
        place.mailbox.move(INBOUND, name, PROCESSED)


def test_no_fault_names_the_file_that_a_partner_named(place, tmp_path):
    name = "9990000018.pgp"
    place.file(name, bytes(LIMITS.ciphertext_bytes + 1))
    entry = the_entry(place, name)
    faults = []
    for act in (
        lambda: place.mailbox.fetch(INBOUND, entry, tmp_path / "got"),
        lambda: place.mailbox.digest(INBOUND, name),
        lambda: place.mailbox.move(INBOUND, name, f"{LA}/nowhere"),
    ):
        with pytest.raises(PartnerRefused) as caught:
            act()
        faults.append(str(caught.value))
    assert not any("9990000018" in fault for fault in faults)


def test_many_threads_may_use_it_at_once(place, tmp_path):
    names = [f"{number}.pgp" for number in range(LIMITS.listing_entries)]
    for name in names:
        place.file(name, bytes_of(5_000 + len(name)) + name.encode())

    def round_trip(name: str) -> bytes:
        place.mailbox.fetch(INBOUND, the_entry(place, name), tmp_path / name)
        place.mailbox.put(OUTBOUND, name, (tmp_path / name).read_bytes())
        place.mailbox.move(INBOUND, name, PROCESSED)
        return (place.root / OUTBOUND / name).read_bytes()

    with ThreadPoolExecutor(12) as threads:
        delivered = list(threads.map(round_trip, names))
    assert delivered == [(place.root / PROCESSED / name).read_bytes() for name in names]
    assert place.names(INBOUND) == []
