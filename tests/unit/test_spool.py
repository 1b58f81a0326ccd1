"""What a run puts aside on the disk can be read by nobody but who was told how, and not if it was touched."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cpis_batch import files
from cpis_batch.errors import StateFault
from cpis_batch.spool import Frame, Spooled, spool
from tests.builders import nhs

ONE = pa.table({"nhs_number": [nhs(1), nhs(2)]})
OTHER = pa.table({"nhs_number": [nhs(3)]})


def test_what_was_put_aside_comes_back_by_label_in_its_order(tmp_path):
    aside = spool(tmp_path, [("A", ONE), ("B", OTHER), ("A", OTHER)])
    assert list(aside.read("A")) == [ONE, OTHER]
    assert list(aside.read("B")) == [OTHER]
    assert list(aside.read("C")) == []
    assert [frame.rows for frame in aside.only({"B"}).frames] == [1]


def test_nothing_of_it_can_be_read_on_the_disk_and_the_next_run_sweeps_it(tmp_path):
    aside = spool(tmp_path, [("A", ONE)])
    assert aside.path.stat().st_mode & 0o777 == 0o600
    data = aside.path.read_bytes()
    assert not any(number.encode() in data for number in (nhs(1), nhs(2), "nhs_number"))
    assert aside.key.hex() not in repr(aside)
    files.sweep(tmp_path)
    assert not aside.path.exists()


def test_two_files_of_the_same_rows_have_nothing_in_common(tmp_path):
    one, other = spool(tmp_path, [("A", ONE)]), spool(tmp_path, [("A", ONE)])
    assert one.key != other.key
    assert one.path.read_bytes() != other.path.read_bytes()


@pytest.mark.parametrize("harm", ["a bit", "another label", "cut short", "another key"])
def test_a_file_that_was_touched_is_refused(tmp_path, harm):
    aside = spool(tmp_path, [("A", ONE), ("B", OTHER)])
    data = bytearray(aside.path.read_bytes())
    label = "A"
    if harm == "a bit":
        data[5] ^= 1
    elif harm == "cut short":
        del data[100:]
    elif harm == "another key":
        aside = Spooled(aside.path, bytes(32), aside.frames)
    else:
        second = aside.frames[1]
        aside = Spooled(aside.path, aside.key, (Frame("A", second.start, second.size, second.rows),))
    aside.path.write_bytes(data)
    with pytest.raises(StateFault):
        list(aside.read(label))


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def tables():
        yield "A", ONE
        raise RuntimeError

    with pytest.raises(RuntimeError):
        spool(tmp_path, tables())
    assert list(tmp_path.iterdir()) == []
