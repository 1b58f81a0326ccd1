"""A new home: folders, a commented configuration, the master key, a catalogue in which the audit log begins, and its key.

No partner and no demonstration is in it.
"""

from __future__ import annotations

from datetime import datetime
from importlib import resources
from pathlib import Path

from cpis_batch import __version__, audit_key, catalogue, config, files
from cpis_batch.audit.entry import Deed, Kind
from cpis_batch.catalogue import Catalogue
from cpis_batch.errors import UsageFault
from cpis_batch.keystore import make_master_key

FOLDERS = ("partners", "keys/hub", "keys/audit", "keys/ssh", "reference", "archive", "register", "outbox", "logs")
NEXT = (
    "Next:",
    "  1. cpis-batch keys make hub     the hub's OpenPGP key; give its certificate to every partner: keys export",
    "  2. cpis-batch keys make ssh     the key with which you log in to the SFTP servers; their operators need its public half",
    "  3. edit config.toml: your SFTP servers with their host keys",
    "  4. one folder a partner under partners/, with partner.toml, and its certificate: keys import --party CODE FILE",
    "  5. cpis-batch preflight",
    "Keep keys/master.key in a safe as well: without it nothing in this home can be read.",
)


def make(home: Path, *, environment: str, now: datetime, dry_run: bool = False) -> list[str]:
    """Make the home; the names of what was made. UsageFault where a configuration stands there already."""
    if (home / config.FILE_NAME).exists():
        raise UsageFault(f"{home} is a home already.", "Nothing was changed. Name another folder with --home.")
    made = [config.FILE_NAME, catalogue.FILE_NAME, "keys/master.key", *(f"{folder}/" for folder in FOLDERS)]
    if dry_run:
        return made
    files.make_folder(home)
    home.chmod(0o700)
    for folder in FOLDERS:
        files.make_folder(home / folder)
    master = make_master_key(home / "keys" / "master.key")
    with Catalogue(home / catalogue.FILE_NAME, create=True) as made_catalogue:
        told = Deed(Kind.COMMAND, {"command": "init", "environment": environment, "program": __version__})
        made_catalogue.begin_key(audit_key.make(home, master), now, [told])
    text = resources.files("cpis_batch.templates").joinpath("config.toml").read_text(encoding="utf-8")
    files.write(home / config.FILE_NAME, text.replace("@ENVIRONMENT@", environment).encode())
    return made
