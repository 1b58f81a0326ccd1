"""The SFTP mailbox against a real OpenSSH server: who it trusts, what it shows, and what it does when refused."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

import pytest

from cpis_batch.config import Limits
from cpis_batch.errors import ConfigFault, DeliveryUnknown, Exit, HostKeyFault, KeyFault, PartnerRefused, PartnerUnreachable
from cpis_batch.exchange.connect import open_mailbox
from cpis_batch.exchange.sftp import SftpMailbox
from cpis_batch.exchange.ssh import connected_socket, private_key
from cpis_batch.ssh_keys import fingerprint, make_client_key
from tests.integration.places import INBOUND, OUTBOUND, PROCESSED, Pauses, Place, make_tree
from tests.integration.sshd import Sshd, free_port, start_sshd


@pytest.fixture
def sshd(sshd):
    make_tree(sshd.root)
    return sshd


def mailbox_of(sshd: Sshd, pauses: Pauses | None = None, **changes: object) -> SftpMailbox:
    """A mailbox that never sleeps; `sshd`'s end is its end."""
    return SftpMailbox(sshd.settings(**changes), private_key(sshd.client_key.read_bytes()), Limits(), sleep=pauses or Pauses())


def test_f13_a_changed_host_key_stops_that_server_and_shows_both_fingerprints(sshd, tmp_path):
    pinned = sshd.settings()
    sshd.stop()
    sshd.new_host_key()
    sshd.start()
    with open_mailbox(tmp_path, pinned, Limits()) as mailbox, pytest.raises(HostKeyFault) as caught:
        mailbox.list(INBOUND)
    assert caught.value.exit_code == Exit.HOST_KEY
    assert fingerprint(pinned.host_keys[0]) in caught.value.message
    assert fingerprint(sshd.host_key) in caught.value.message
    assert "host_keys" in caught.value.advice


def test_f13_a_server_with_a_key_of_another_type_is_named_by_that_key_and_not_talked_to(sshd, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "ecdsa"], check=True)
    line = (tmp_path / "ecdsa.pub").read_text()
    with (
        open_mailbox(tmp_path, sshd.settings(host_keys=(line,)), Limits()) as mailbox,
        pytest.raises(HostKeyFault) as caught,
    ):
        mailbox.list(INBOUND)
    assert fingerprint(line) in caught.value.message
    assert fingerprint(sshd.host_key) in caught.value.message


def test_f13_a_known_hosts_file_of_the_user_is_never_asked(sshd, tmp_path, monkeypatch):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    other = make_client_key(tmp_path / "other", "other")
    mailbox = mailbox_of(sshd, host_keys=(other,))
    with pytest.raises(HostKeyFault):
        mailbox.list(INBOUND)
    mailbox.close()


def test_f13_during_a_change_of_host_keys_both_may_be_pinned(sshd, tmp_path):
    other = make_client_key(tmp_path / "other", "other")
    with open_mailbox(tmp_path, sshd.settings(host_keys=(other, sshd.host_key)), Limits()) as mailbox:
        assert mailbox.list(INBOUND).entries == ()


@pytest.mark.parametrize("host_keys", [(), ("ssh-dss AAAAB3NzaC1kc3M=",), ("ssh-ed25519",), ("nonsense",)])
def test_f13_no_or_no_usable_pinned_key_is_a_fault_of_the_configuration(sshd, host_keys):
    with pytest.raises(ConfigFault):
        mailbox_of(sshd, host_keys=host_keys).list(INBOUND)


def test_f14_a_key_that_the_server_does_not_know_is_refused_with_what_to_tell_the_partner(sshd, tmp_path):
    line = make_client_key(tmp_path / "unknown", "unknown")
    pauses = Pauses()
    mailbox = SftpMailbox(sshd.settings(), private_key((tmp_path / "unknown").read_bytes()), Limits(), sleep=pauses)
    with pytest.raises(PartnerRefused, match="refused the login") as caught:
        mailbox.list(INBOUND)
    assert fingerprint(line) in caught.value.advice
    assert pauses.seconds == []
    mailbox.close()


@pytest.mark.parametrize("kind", [("rsa", "-b", "2048"), ("ecdsa", "-b", "256"), ("ed25519",)], ids=lambda kind: kind[0])
def test_keys_of_every_common_type_log_in(sshd, tmp_path, kind):
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", tmp_path / "key"], check=True)
    with (sshd.state / "authorized_keys").open("a") as authorized:
        authorized.write("\n" + (tmp_path / "key.pub").read_text())
    with open_mailbox(tmp_path, sshd.settings(key="key"), Limits()) as mailbox:
        assert mailbox.list(INBOUND).entries == ()


def test_a_key_with_a_passphrase_or_open_to_others_or_damaged_is_a_key_fault(sshd, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "locked"], check=True)
    (tmp_path / "damaged").write_bytes(sshd.client_key.read_bytes()[:-90])
    (tmp_path / "open").write_bytes(sshd.client_key.read_bytes())
    (tmp_path / "damaged").chmod(0o600)
    (tmp_path / "open").chmod(0o644)
    for name in ("locked", "damaged", "open", "missing"):
        with pytest.raises(KeyFault), open_mailbox(tmp_path, sshd.settings(key=name), Limits()):
            pass


def test_small_requests_are_sent_at_once(sshd):
    """TCP_NODELAY is on: without it every small file waits for the other side's delayed acknowledgement."""
    with connected_socket("127.0.0.1", sshd.port, 5.0, 60.0) as opened:
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000


@pytest.mark.parametrize("lines", ["Ciphers aes256-cbc,3des-cbc", "MACs hmac-sha1\nCiphers aes256-ctr"])
def test_a_server_that_knows_only_broken_algorithms_is_refused(sshd, lines):
    sshd.restart(lines=lines)
    pauses = Pauses()
    with pytest.raises(PartnerRefused, match="no algorithm of SSH in common"):
        mailbox_of(sshd, pauses).list(INBOUND)
    assert pauses.seconds == []


def test_a_server_that_is_down_is_said_to_be_so_once_for_all_its_folders(tmp_path, sshd):
    sshd.stop()
    pauses = Pauses()
    mailbox = mailbox_of(sshd, pauses)
    for folder in (INBOUND, OUTBOUND, PROCESSED):
        with pytest.raises(PartnerUnreachable, match="Cannot connect"):
            mailbox.list(folder)
    assert len(pauses.seconds) == 2  # the two pauses of the first folder's three tries


def test_a_server_that_comes_back_between_two_tries_is_used(sshd):
    sshd.stop()
    mailbox = mailbox_of(sshd, Pauses(then=sshd.start))
    assert mailbox.list(INBOUND).entries == ()
    mailbox.close()


def test_f15_a_restart_of_the_server_between_two_requests_is_not_noticed(sshd, tmp_path):
    mailbox = mailbox_of(sshd)
    Place(mailbox, sshd.root).file("a.pgp", b"sealed")
    (entry,) = mailbox.list(INBOUND).entries
    sshd.restart()
    assert mailbox.fetch(INBOUND, entry, tmp_path / "got").size == 6
    sshd.restart()
    mailbox.move(INBOUND, "a.pgp", PROCESSED)
    sshd.restart()
    mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
    mailbox.close()
    assert (sshd.root / OUTBOUND / "ack.pgp").read_bytes() == b"sealed"


def test_f16_a_move_that_is_refused_leaves_the_file_and_is_done_when_it_is_allowed(sshd):
    place = Place(mailbox_of(sshd), sshd.root)
    place.file("a.pgp")
    sshd.restart(options="-P rename")
    with pytest.raises(PartnerRefused, match="permission denied"):
        place.mailbox.move(INBOUND, "a.pgp", PROCESSED)
    assert (place.names(INBOUND), place.names(PROCESSED)) == (["a.pgp"], [])
    sshd.restart(options="-l ERROR")
    place.mailbox.move(INBOUND, "a.pgp", PROCESSED)
    assert (place.names(INBOUND), place.names(PROCESSED)) == ([], ["a.pgp"])
    place.mailbox.close()


def test_f19_a_server_without_posix_rename_takes_new_files_and_keeps_what_stands(sshd):
    sshd.restart(options="-P posix-rename")
    place = Place(mailbox_of(sshd), sshd.root)
    place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
    place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
    with pytest.raises(PartnerRefused, match="Another file stands"):
        place.mailbox.put(OUTBOUND, "ack.pgp", b"other")
    assert (place.root / OUTBOUND / "ack.pgp").read_bytes() == b"sealed"
    assert place.names(OUTBOUND) == ["ack.pgp"]
    place.mailbox.close()


@pytest.mark.parametrize("options", ["-P rename,posix-rename", "-P write", "-R"])
def test_f19_a_server_that_refuses_a_step_of_a_delivery_is_left_without_a_trace(sshd, options):
    sshd.restart(options=options)
    place = Place(mailbox_of(sshd), sshd.root)
    with pytest.raises(PartnerRefused):
        place.mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
    assert place.names(OUTBOUND) == []
    place.mailbox.close()


def test_f19_a_delivery_that_cannot_be_read_back_is_not_called_delivered(sshd):
    sshd.restart(options="-P read")
    mailbox = mailbox_of(sshd)
    with pytest.raises(DeliveryUnknown, match="cannot be read back"):
        mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
    mailbox.close()


def test_f63_a_server_that_hangs_is_given_up_within_its_deadlines(sshd):
    mailbox = mailbox_of(sshd, connect_seconds=0.6, read_seconds=0.6)
    assert mailbox.list(INBOUND).entries == ()
    hung = [sshd.pid, *sshd.children()]
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(PartnerUnreachable):
            mailbox.list(INBOUND)
        mailbox.close()
    finally:
        for pid in hung:
            os.kill(pid, signal.SIGCONT)


def test_two_mailboxes_do_not_disturb_one_another(sshd, tmp_path):
    (tmp_path / "second").mkdir()
    with start_sshd(make_tree(tmp_path / "second" / "served"), tmp_path / "second" / "sshd") as second:
        down, up = mailbox_of(sshd, port=free_port()), mailbox_of(second)
        with pytest.raises(PartnerUnreachable):
            down.list(INBOUND)
        assert up.list(INBOUND).entries == ()
        up.close()
