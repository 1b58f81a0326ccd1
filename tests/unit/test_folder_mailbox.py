"""What a mailbox on a folder tree does beyond the contract that it shares with the others (test_mailbox_contract.py)."""

from __future__ import annotations

import os
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest

from cpis_batch.config import FolderServer, Limits
from cpis_batch.errors import ChangedWhileRead, PartnerRefused, PartnerUnreachable
from cpis_batch.exchange.connect import open_mailbox
from cpis_batch.exchange.folder import FolderMailbox
from tests.integration.places import INBOUND, OUTBOUND, folder_place


@pytest.fixture
def place(tmp_path):
    with folder_place(tmp_path, Limits()) as made:
        yield made


def test_a_path_in_the_settings_is_relative_to_the_home_or_absolute(place, tmp_path):
    place.file("a.pgp")
    for path in ("share", str(tmp_path / "share")):
        with open_mailbox(tmp_path, FolderServer(path=path), Limits()) as mailbox:
            assert [entry.name for entry in mailbox.list(INBOUND).entries] == ["a.pgp"]


def test_a_share_that_is_not_mounted_is_refused_and_nothing_is_made_in_its_place(tmp_path):
    mailbox = FolderMailbox(tmp_path / "share", Limits())
    with pytest.raises(PartnerRefused, match="No such file or directory"):
        mailbox.list(INBOUND)
    with pytest.raises(PartnerRefused):
        mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
    assert list(tmp_path.iterdir()) == []


def test_f11_a_file_that_became_a_fifo_is_not_waited_for(place, tmp_path):
    path = place.file("a.pgp", b"")
    (entry,) = place.mailbox.list(INBOUND).entries
    path.unlink()
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as threads, pytest.raises(ChangedWhileRead):
        threads.submit(place.mailbox.fetch, INBOUND, entry, tmp_path / "got").result(timeout=5)


def test_f02_a_file_replaced_by_one_of_the_same_size_and_time_is_noticed(place, tmp_path, monkeypatch):
    """The name stands for another file after the reading than before: what was read may be neither."""
    path = place.file("a.pgp", b"sealed")
    (entry,) = place.mailbox.list(INBOUND).entries
    other = place.file("other", b"SEALED")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    read = os.read

    def replaced_meanwhile(handle: int, most: int) -> bytes:
        if other.exists():
            other.replace(path)
        return read(handle, most)

    monkeypatch.setattr(os, "read", replaced_meanwhile)
    with pytest.raises(ChangedWhileRead):
        place.mailbox.fetch(INBOUND, entry, tmp_path / "got")


def test_f60_a_full_share_is_the_partners_trouble_not_the_hubs(place):
    """A delivery that does not fit is refused, so that the run goes on to the others; nothing of it is left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(PartnerRefused, match="cannot be written"):
            place.mailbox.put(OUTBOUND, "ack.pgp", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert place.names(OUTBOUND) == []


def test_a_delivery_can_be_read_by_the_group_of_the_share_and_by_no_others(place):
    before = os.umask(0o007)
    try:
        place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
    finally:
        os.umask(before)
    assert (place.root / OUTBOUND / "ack.pgp").stat().st_mode & 0o777 == 0o660


def test_f14_a_share_that_is_away_or_not_mounted_is_down_and_one_with_a_folder_that_is_refused_is_not(place, tmp_path):
    assert place.mailbox.down is None
    with pytest.raises(PartnerRefused):
        place.mailbox.list("E10000016/inbound")
    assert place.mailbox.down is None
    for path in ("nowhere", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert isinstance(FolderMailbox(tmp_path / path, Limits()).down, PartnerRefused | PartnerUnreachable)
