"""`files.new_file`: whole and durable, or not there."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from cpis_batch import files
from cpis_batch.errors import DiskFault


def test_a_new_file_holds_what_was_written_and_only_its_owner_reads_it(tmp_path):
    with files.new_file(tmp_path / "a") as stream:
        stream.write(b"one")
        stream.write(b"two")
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_its_bytes_are_on_the_disk_before_the_block_is_left(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    with files.new_file(tmp_path / "a") as stream:
        stream.write(b"sealed")
    assert synced == [6]


def test_f61_names_written_together_are_durable_when_the_block_ends_each_folder_once(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink()))
    with files.names_together():
        for name in ("parts/a", "parts/b", "sealed/c"):
            files.write(tmp_path / name, b"x")
        assert [path.parent.name for path in synced] == ["parts", "parts", "sealed"], "the bytes of each at once"
    assert synced[3:] == [tmp_path / "parts", tmp_path / "sealed"]
    files.write(tmp_path / "parts/d", b"x")
    assert synced[-1] == tmp_path / "parts", "outside the block at once"


def test_f60_a_disk_that_refuses_the_names_is_told_of(tmp_path, monkeypatch):
    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiskFault), files.names_together():
        files.write(tmp_path / "a", b"x")


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_file_whose_writing_failed(tmp_path, fault):
    def written_in_part() -> None:
        with files.new_file(tmp_path / "a") as stream:
            stream.write(b"part")
            raise fault

    with pytest.raises(fault):
        written_in_part()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "a").write_bytes(b"ours")
    with pytest.raises(FileExistsError), files.new_file(tmp_path / "a"):
        pass
    assert (tmp_path / "a").read_bytes() == b"ours"


def test_f60_a_disk_that_refuses_says_how_much_is_needed_and_keeps_no_part(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DiskFault, match="5,000 bytes are needed"), files.new_file(tmp_path / "a", needed=5000) as stream:
            stream.write(bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_f70_folders_that_are_made_on_the_way_are_the_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        files.write(tmp_path / "a" / "b" / "c", b"x")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / path).stat().st_mode) for path in ("a", "a/b", "a/b/c")] == [0o700, 0o700, 0o600]
