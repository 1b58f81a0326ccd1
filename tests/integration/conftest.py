from __future__ import annotations

import pytest

from tests.integration.sshd import Sshd, start_sshd


@pytest.fixture
def sshd(tmp_path) -> Sshd:
    """A real OpenSSH server that serves `tmp_path / "served"`."""
    (tmp_path / "served").mkdir()
    with start_sshd(tmp_path / "served", tmp_path / "sshd") as server:
        yield server
