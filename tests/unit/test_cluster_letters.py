"""Letters to workers, addresses of schedulers, and what must be alike: without Dask."""

from __future__ import annotations

import shutil

import pytest

from cpis_batch import spec
from cpis_batch.cluster.address import fit, tls_of
from cpis_batch.cluster.letters import Channel, Letterbox, letter_to
from cpis_batch.cluster.likeness import differences, likeness
from cpis_batch.config import Cluster
from cpis_batch.errors import Bug, ConfigFault, KeyFault, UsageFault


def test_a_letter_is_opened_by_its_letterbox_and_by_no_other():
    one, other = Letterbox(), Letterbox()
    letter = letter_to(one.public, b"the keys")
    assert b"the keys" not in letter
    assert one.open(letter) == b"the keys"
    for altered in (letter[:-1] + bytes([letter[-1] ^ 1]), bytes([letter[0] ^ 1]) + letter[1:], letter[:-1], b""):
        with pytest.raises((Bug, ValueError)):
            one.open(altered)
    with pytest.raises(Bug):
        other.open(letter)


def test_a_message_stands_in_for_no_other():
    channel = Channel(Channel.new_key())
    sealed = channel.seal(b"rows", b"task 1")
    assert channel.open(sealed, b"task 1") == b"rows"
    for purpose in (b"task 2", b"result 1"):
        with pytest.raises(Bug):
            channel.open(sealed, purpose)
    assert channel.seal(b"rows", b"task 1") != sealed


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.5:8786", "tcp://scheduler:8786", "tcp://[2001:db8::1]:8786", "tcp://127.0.0.1.example.org:1"]
)
def test_tcp_to_another_machine_is_refused_with_tls_files_or_without(tmp_path, address):
    for settings in (Cluster(), Cluster(ca="ca.pem", certificate="hub.pem", key="hub.key")):
        with pytest.raises(ConfigFault, match="does not encrypt"):
            tls_of(address, settings, tmp_path)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786"])
def test_tcp_on_this_machine_needs_no_tls(tmp_path, address):
    assert tls_of(address, Cluster(), tmp_path) is None


@pytest.mark.parametrize(
    "address", ["scheduler:8786", "http://127.0.0.1:1", "tls://127.0.0.1", "tls://", "tls://host:port", "tls://host:1/x"]
)
def test_what_is_no_address_is_a_fault_of_use(tmp_path, address):
    with pytest.raises(UsageFault):
        tls_of(address, Cluster(), tmp_path)


def test_tls_wants_its_three_files_and_the_key_for_its_owner_alone(tmp_path):
    settings = Cluster(ca="ca.pem", certificate="hub.pem", key="hub.key")
    with pytest.raises(ConfigFault, match="does not name ca, certificate, key"):
        tls_of("tls://scheduler:8786", Cluster(), tmp_path)
    with pytest.raises(ConfigFault, match=r"ca\.pem"):
        tls_of("tls://scheduler:8786", settings, tmp_path)
    for name in ("ca.pem", "hub.pem", "hub.key"):
        (tmp_path / name).write_text("-")
        (tmp_path / name).chmod(0o644)
    with pytest.raises(KeyFault, match="can be read by others"):
        tls_of("tls://scheduler:8786", settings, tmp_path)
    (tmp_path / "hub.key").chmod(0o600)
    found = tls_of("tls://scheduler:8786", settings, tmp_path)
    assert found
    assert found.key == tmp_path / "hub.key"


def test_a_worker_is_to_be_reached_as_safely_as_its_scheduler():
    assert fit("tls://10.0.0.5:40001", encrypted=True)
    assert not fit("tcp://127.0.0.1:40001", encrypted=True)
    assert fit("tcp://127.0.0.1:40001", encrypted=False)
    assert not fit("tcp://10.0.0.5:40001", encrypted=False)
    assert not fit("inproc://10.0.0.5/1/2", encrypted=False)


def test_machines_are_alike_but_for_what_is_told():
    here = likeness()
    assert differences(here, dict(here)) == []
    assert differences(here, here | {"pyarrow": "1.0"}) == [f"pyarrow 1.0 and not {here['pyarrow']}"]
    assert differences(here, {name: value for name, value in here.items() if name != "its files"}) == [
        f"its files missing and not {here['its files']}"
    ]


def test_machines_whose_published_schemas_differ_are_not_alike(tmp_path, monkeypatch):
    """The reader loads them: the same file would be read in two ways."""
    copied = tmp_path / "specs"
    shutil.copytree(spec.folder(), copied)
    monkeypatch.setattr(spec, "folder", lambda: copied)
    assert likeness.__wrapped__() == likeness()
    schema = next(copied.glob("la-extract/1.0/*detail*.json"))
    schema.write_text(schema.read_text().replace("Mandatory", "Optional", 1))
    (told,) = differences(likeness(), likeness.__wrapped__())
    assert told.startswith("its files ")
