"""The runbook, followed to the letter by people who have nothing else: from an empty folder to an answer and a CHIS file.

The blocks of the pages that are marked as the worked example are run as they stand, by a shell, against a real OpenSSH
server. What a page cannot know (the server's address, today's date, the fingerprint heard on the telephone) is put in its place,
and each such piece of text must be in the pages.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cpis_batch.envelope.certificates import inspect
from tests.docs.papers import ROOT
from tests.integration.sshd import Sshd, start_sshd

_MARKED = re.compile(r"^<!-- worked example: (?P<who>[a-z ]+) -->\n```sh\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LA, _UNIT = "E09000012", "CHIS02"
_EXTRACT = f"CPIS_LA_{_LA}_FULL_00000001_20261119T234000Z.csv.pgp"
# No terminal, and so nobody to ask for a password: the keys of this test have none.
_GPG = """gpg() { command gpg --batch --yes --quiet --no-tty --pinentry-mode loopback --passphrase '' "$@"; }\n"""


def marked(page: str, who: str) -> list[str]:
    """The blocks of a page that one of the people runs."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = [block["text"] for block in _MARKED.finditer(text) if block["who"] == who]
    assert found, f"{page}: nothing is marked for {who}"
    return found


@dataclass
class Desk:
    """One of the people at work: a folder, a GnuPG home of their own, and what they know that the page does not."""

    folder: Path
    known: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.gnupg = Path(tempfile.mkdtemp(prefix="cpis-"))  # not under tmp_path: the agent's socket wants a short path

    def run(self, text: str) -> str:
        """Do what a block says; what it printed. It must succeed in every line."""
        for said, meant in self.known.items():
            text = text.replace(said, meant)
        program = Path(sys.executable).parent
        environment = os.environ | {"GNUPGHOME": str(self.gnupg), "PATH": f"{program}:{os.environ['PATH']}"} | self.environment
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", _GPG + text],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{text}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def leave(self) -> None:
        """End the agent that GnuPG has started, and remove its home."""
        subprocess.run(["gpgconf", "--kill", "all"], env=os.environ | {"GNUPGHOME": str(self.gnupg)}, check=False)
        shutil.rmtree(self.gnupg)


@pytest.fixture
def sshd(tmp_path):
    served = tmp_path / "served"
    for folder in [*(f"{_LA}/{box}" for box in ("inbound", "outbound", "processed", "refused")), f"{_UNIT}/outbound"]:
        (served / folder).mkdir(parents=True)
    with start_sshd(served, tmp_path / "sshd") as server:
        yield server


@pytest.fixture
def people(tmp_path, sshd: Sshd):
    """The hub's operator, the authority's data team and the CHIS unit."""
    today, settings = datetime.now(UTC).date(), sshd.settings()
    extracted = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    hub = Desk(
        tmp_path / "hub",
        {
            "/srv/cpis": str(tmp_path / "hub"),
            "sftp.example.org": settings.host,
            "port = 22": f"port = {settings.port}",
            'user = "cpis-hub"': f'user = "{settings.user}"',
            "ssh-ed25519 AAAA...": settings.host_keys[0],
            "2026-11-01": str(today - timedelta(days=20)),
            "2028-10-31": str(today + timedelta(days=700)),
        },
        {"CPIS_HOME": str(tmp_path / "hub" / "home")},
    )
    authority = Desk(tmp_path / "la", {"2026-11-19T23:40:00+00:00": extracted})
    unit = Desk(tmp_path / "chis", {})
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    for desk in (hub, authority, unit):
        assert all(said in pages for said in desk.known)
    yield hub, authority, unit
    for desk in (hub, authority, unit):
        desk.leave()


def test_who_follows_the_runbook_comes_from_an_empty_folder_to_a_merged_file_its_answer_and_a_chis_extract(people, sshd):
    hub, authority, unit = people
    first, server, partners, reference, imports, looks = marked("operators.md", "hub")
    hub.run(first)
    with (sshd.state / "authorized_keys").open("a") as stream:  # the server's operator
        stream.write("\n" + (hub.folder / "home/keys/ssh/id_ed25519.pub").read_text())
    for block in (server, partners, reference):
        hub.run(block)

    certificate = (hub.folder / "hub.asc").read_bytes()
    for desk, page, who, sent in (
        (authority, "la-data-teams.md", "authority", "hackney.asc"),
        (unit, "chis-units.md", "unit", "chis02.asc"),
    ):
        (desk.folder / "hub.asc").write_bytes(certificate)
        desk.known["FINGERPRINT"] = inspect(certificate).fingerprint
        for block in marked(page, who):
            desk.run(block)
        shutil.copy(desk.folder / sent, hub.folder)
    assert "2 of 2 rows would load" in authority.run("cpis-batch la check extract.csv")

    hub.run(imports)
    assert hub.run(looks).endswith("Everything is ready.\n")
    shutil.move(authority.folder / _EXTRACT, sshd.root / _LA / "inbound")  # WinSCP
    (night,) = marked("operators.md", "night")
    hub.run(night)

    status = json.loads(hub.run("cpis-batch status --json"))
    assert (status["active"], status["files"]) == ({"CPP": 1, "LAC": 0, "UCPP": 1}, {"MERGED": 1})

    outbound = sshd.root / _LA / "outbound"
    for path in outbound.iterdir():
        shutil.move(path, authority.folder)
    by_hand, with_program = marked("la-data-teams.md", "authority answer")
    authority.run(by_hand)
    assert "We loaded every row of this file: 2." in authority.run(with_program)
    with zipfile.ZipFile(authority.folder / "answer.zip") as answer:
        assert json.loads(answer.read("acknowledgement.json"))["file"]["outcome"] == "CPF02"

    fortnight = status["last_release"]
    unit.known["2026F23"] = fortnight
    for path in (sshd.root / _UNIT / "outbound").iterdir():
        shutil.move(path, unit.folder)
    opened_by_program, opened_by_gpg = marked("chis-units.md", "unit opens")
    unit.run(opened_by_program)
    opened = unit.folder / f"CPIS_CHIS_{_UNIT}_{fortnight}_0001.csv"
    told = unit.run(opened_by_gpg)
    assert (unit.folder / "extract.csv").read_bytes() == opened.read_bytes()
    assert json.loads((unit.folder / "manifest.json").read_bytes())["file"]["sha256"] in told
    assert opened.read_text(encoding="utf-8").count("SENDING_LA") == 2

    assert "uncollected 0" in hub.run("cpis-batch run intake; cpis-batch status")
