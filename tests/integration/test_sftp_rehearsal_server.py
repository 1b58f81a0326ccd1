"""The rehearsal server itself: nobody leaves its tree, desktop clients get on with it, and it stops when told."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import paramiko
import pytest

from cpis_batch.config import Limits
from cpis_batch.errors import PartnerRefused, PartnerUnreachable
from cpis_batch.exchange.connect import open_mailbox
from cpis_batch.exchange.packets import Refusal
from cpis_batch.exchange.patience import Deadline
from cpis_batch.exchange.sftp import SftpMailbox
from cpis_batch.exchange.ssh import Connection, private_key, public_line
from cpis_batch.sandbox.server import SftpServer, in_a_process, new_host_key
from tests.integration.places import INBOUND, OUTBOUND, Client, Pauses, make_tree


@pytest.fixture
def client(tmp_path) -> Client:
    return Client(tmp_path)


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    return make_tree(tmp_path / "served")


@pytest.fixture
def wire(client, root):
    """A bare SFTP session, which asks for what no mailbox would."""
    with SftpServer(root, authorized_keys=[client.line]) as server:
        connection = Connection(client.settings(server), private_key((client.home / "client").read_bytes()))
        yield connection.sftp(Deadline(10, "test"))
        connection.close()


@pytest.mark.parametrize(
    "path", ["../outside/secret", "/../outside/secret", "E09000012/../../outside/secret", "out/secret", "in"]
)
def test_nothing_outside_the_tree_is_read_written_or_removed(wire, root, path):
    (root / "out").symlink_to(root.parent / "outside")
    (root / "in").symlink_to(root.parent / "outside" / "secret")
    with pytest.raises(Refusal):
        list(wire.open(path).pieces(6))
    with pytest.raises(Refusal):
        wire.write(wire.ask_to_create(path), b"changed")
    (root / INBOUND / "a.pgp").write_bytes(b"changed")
    if path != "in":  # the link itself stands inside
        with pytest.raises(Refusal):
            wire.remove(path)
        with pytest.raises(Refusal):
            wire.rename(path, f"{INBOUND}/taken")
        with pytest.raises(Refusal):
            wire.done(wire.ask_to_replace(f"{INBOUND}/a.pgp", path))
    assert [each.name for each in (root.parent / "outside").iterdir()] == ["secret"]
    assert (root.parent / "outside" / "secret").read_bytes() == b"secret"


def test_a_key_that_is_not_listed_and_a_password_are_refused(client, root):
    with SftpServer(root, authorized_keys=[public_line(private_key(new_host_key()))]) as server:
        with client.mailbox(client.settings(server)) as mailbox, pytest.raises(PartnerRefused):
            mailbox.list(INBOUND)
        transport = paramiko.Transport(("127.0.0.1", server.port))
        transport.start_client(timeout=10)
        with pytest.raises(paramiko.BadAuthenticationType):
            transport.auth_password("hub", "hub")
        transport.close()


def test_the_sftp_program_puts_lists_and_gets(client, root, tmp_path):
    (tmp_path / "file.pgp").write_bytes(bytes(100_000))
    with SftpServer(root, authorized_keys=[client.line]) as server:
        (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
        remote = f"{INBOUND}/file.pgp"
        options = ["-q", "-b", "-", "-P", str(server.port), "-i", str(tmp_path / "client"), "-o", "IdentitiesOnly=yes"]
        options += ["-o", f"UserKnownHostsFile={tmp_path / 'known_hosts'}", "-o", "StrictHostKeyChecking=yes"]
        ran = subprocess.run(
            ["sftp", *options, "la@127.0.0.1"],
            input=f"put {tmp_path}/file.pgp {remote}\nls -l {INBOUND}\nget {remote} {tmp_path}/back\nrm {remote}\n",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    assert "100000" in ran.stdout
    assert (tmp_path / "back").read_bytes() == bytes(100_000)
    assert list((root / INBOUND).iterdir()) == []


def test_its_host_key_stays_what_it_is_given(client, root):
    key = new_host_key()
    with SftpServer(root, authorized_keys=[], host_key=key) as first:
        shown = first.host_key
    with SftpServer(root, authorized_keys=[], host_key=key) as second:
        assert second.host_key == shown == public_line(private_key(key))
    with SftpServer(root, authorized_keys=[]) as other:
        assert other.host_key != shown


def test_a_stopped_server_lets_go_of_its_port_and_of_its_clients(client, root):
    with SftpServer(root, authorized_keys=[client.line]) as server:
        settings = client.settings(server)
        mailbox = SftpMailbox(settings, private_key((client.home / "client").read_bytes()), Limits(), sleep=Pauses())
        mailbox.list(INBOUND)
    with pytest.raises(PartnerUnreachable):
        mailbox.list(INBOUND)
    mailbox.close()
    with SftpServer(root, authorized_keys=[client.line], port=settings.port) as again:
        assert again.port == settings.port


def test_in_a_process_of_its_own_it_serves_and_ends_cleanly_at_sigterm(client, root, tmp_path):
    with in_a_process(partial(SftpServer, root, authorized_keys=[client.line])) as server:
        assert server.pid != os.getpid()
        with open_mailbox(tmp_path, client.settings(server), Limits()) as mailbox:
            mailbox.put(OUTBOUND, "ack.pgp", b"sealed")
        watch = os.pidfd_open(server.pid)
        os.kill(server.pid, signal.SIGTERM)
        ended = os.waitid(os.P_PIDFD, watch, os.WEXITED | os.WNOWAIT)
        os.close(watch)
        assert (ended.si_code, ended.si_status) == (os.CLD_EXITED, 0)
    assert (root / OUTBOUND / "ack.pgp").read_bytes() == b"sealed"
