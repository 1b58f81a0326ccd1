from __future__ import annotations

import os

import msgspec
import pytest

from cpis_batch import config, files, keystore
from cpis_batch.config import Settings
from cpis_batch.errors import ConfigFault, KeyFault, UsageFault
from cpis_batch.keystore import MasterKey

SETTINGS = msgspec.convert({"service": {"environment": "TEST"}, "mailboxes": {}}, Settings)
KEY = bytes(range(32))


def test_what_is_wrapped_comes_back_with_the_same_key_and_label_only():
    wrapped = MasterKey(KEY).wrap(b"secret", "hub-key/A")
    assert b"secret" not in wrapped
    assert MasterKey(KEY).unwrap(wrapped, "hub-key/A") == b"secret"
    with pytest.raises(KeyFault):
        MasterKey(KEY).unwrap(wrapped, "hub-key/B")
    with pytest.raises(KeyFault):
        MasterKey(KEY[::-1]).unwrap(wrapped, "hub-key/A")


def test_the_same_key_is_never_wrapped_into_the_same_bytes():
    master = MasterKey(KEY)
    assert master.wrap(b"secret", "x") != master.wrap(b"secret", "x")


def test_f71_no_bit_of_a_wrapped_key_can_change_unseen():
    master = MasterKey(KEY)
    wrapped = master.wrap(b"s", "x")
    for place in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[place] ^= 1
        with pytest.raises(KeyFault):
            master.unwrap(bytes(altered), "x")
    for length in range(len(wrapped)):
        with pytest.raises(KeyFault):
            master.unwrap(wrapped[:length], "x")


def test_neither_repr_nor_a_fault_shows_the_key(tmp_path):
    assert KEY.hex() not in repr(MasterKey(KEY))
    path = tmp_path / keystore.FILE_NAME
    files.write(path, b"0123456789abcdefghij")
    with pytest.raises(KeyFault) as caught:
        keystore.load_master_key(tmp_path, SETTINGS)
    assert "ghij" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_made_key_is_private_and_is_loaded_by_its_reference(tmp_path):
    made = keystore.make_master_key(tmp_path / keystore.FILE_NAME)
    assert (tmp_path / keystore.FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert keystore.load_master_key(tmp_path, SETTINGS).unwrap(made.wrap(b"x", "l"), "l") == b"x"


def test_a_master_key_is_never_replaced(tmp_path):
    keystore.make_master_key(tmp_path / "k")
    before = (tmp_path / "k").read_bytes()
    with pytest.raises(UsageFault):
        keystore.make_master_key(tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_f70_a_master_key_open_to_others_is_refused(tmp_path, mode):
    keystore.make_master_key(tmp_path / keystore.FILE_NAME)
    (tmp_path / keystore.FILE_NAME).chmod(mode)
    with pytest.raises(KeyFault, match="can be read by others"):
        keystore.load_master_key(tmp_path, SETTINGS)


def test_the_key_can_come_from_the_environment_and_is_named_where_it_is_missing(tmp_path, monkeypatch):
    settings = msgspec.structs.replace(SETTINGS, secrets=config.Secrets(master_key="env:CPIS_MASTER"))
    monkeypatch.setitem(os.environ, "CPIS_MASTER", KEY.hex())
    wrapped = MasterKey(KEY).wrap(b"x", "l")
    assert keystore.load_master_key(tmp_path, settings).unwrap(wrapped, "l") == b"x"
    monkeypatch.delitem(os.environ, "CPIS_MASTER")
    with pytest.raises(KeyFault, match="CPIS_MASTER"):
        keystore.load_master_key(tmp_path, settings)


def test_a_secret_written_into_the_configuration_is_refused_without_being_repeated(tmp_path):
    settings = msgspec.structs.replace(SETTINGS, secrets=config.Secrets(master_key=KEY.hex()))
    with pytest.raises(ConfigFault) as caught:
        keystore.load_master_key(tmp_path, settings)
    assert KEY.hex() not in str(caught.value)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(KeyFault):
        MasterKey(bytes(length))


@pytest.mark.parametrize(
    "path", ["keys", "keys/hub", "keys/hub/A.key", "keys/hub/A.asc", "keys/ssh/id_ed25519", "keys/ssh/id_ed25519.pub"]
)
@pytest.mark.parametrize("open_to", [0o040, 0o004, 0o020, 0o002, 0o010])
def test_f70_whatever_lies_beside_the_master_key_is_the_owners_alone_too(tmp_path, path, open_to):
    keystore.make_master_key(tmp_path / keystore.FILE_NAME)
    for name in ("keys/hub/A.key", "keys/hub/A.asc", "keys/ssh/id_ed25519", "keys/ssh/id_ed25519.pub"):
        files.write(tmp_path / name, b"x")
    keystore.load_master_key(tmp_path, SETTINGS)
    (tmp_path / path).chmod((tmp_path / path).stat().st_mode & 0o777 | open_to)
    with pytest.raises(KeyFault, match="can be read by others") as caught:
        keystore.load_master_key(tmp_path, SETTINGS)
    assert f"chmod {700 if (tmp_path / path).is_dir() else 600} {tmp_path / path};" in caught.value.advice
