from __future__ import annotations

import subprocess

import paramiko
import pytest

from cpis_batch import ssh_keys
from cpis_batch.errors import ConfigFault, UsageFault


def test_the_client_key_is_private_and_paramiko_and_openssh_read_it_alike(tmp_path):
    path = tmp_path / "keys" / "ssh" / "id_ed25519"
    line = ssh_keys.make_client_key(path, "cpis-batch")
    assert path.stat().st_mode & 0o777 == 0o600
    key = paramiko.Ed25519Key.from_private_key_file(str(path))
    assert line == f"ssh-ed25519 {key.get_base64()} cpis-batch"
    assert path.with_name("id_ed25519.pub").read_text() == line + "\n"
    shown = subprocess.run(["ssh-keygen", "-lf", str(path)], capture_output=True, text=True, check=True).stdout
    assert ssh_keys.fingerprint(line) in shown.split()


def test_a_client_key_that_servers_know_is_not_replaced(tmp_path):
    ssh_keys.make_client_key(tmp_path / "id", "a")
    with pytest.raises(UsageFault):
        ssh_keys.make_client_key(tmp_path / "id", "b")


@pytest.mark.parametrize(
    "line", ["", "ssh-ed25519", "ssh-ed25519 @@@@", "ssh-ed25519 AAAA", "ssh-rsa " + "AAAAC3NzaC1lZDI1NTE5" * 3]
)
def test_a_line_that_is_no_key_is_refused_before_anything_is_pinned(line):
    with pytest.raises(ConfigFault):
        ssh_keys.fingerprint(line)
