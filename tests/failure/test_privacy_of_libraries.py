"""F68: what a library says of a record when it fails reaches nobody: one failure of each library that could quote one.

DuckDB's are in `test_privacy.py`. Here, too, every identifier is a canary, and everything that was said, and every byte and name
of the home, is searched afterwards; each test shows first that the library does quote it.
"""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from paramiko.sftp import CMD_STATUS, SFTP_FAILURE

from cpis_batch import config, organisations, ssh_keys
from cpis_batch.keystore import load_master_key
from cpis_batch.register.store import PartStore
from cpis_batch.sandbox.faulty_server import Faults, FaultyServer
from cpis_batch.vocabulary import FileState
from tests.builders import HACKNEY
from tests.envelope_kit import Council, party
from tests.failure.privacy_kit import Home
from tests.failure.test_privacy import FAMILY, GOOD, put
from tests.hub import Hub, extract, keys
from tests.small_england import small_england

CANARY = f"{FAMILY}1 9990000018 2019-04-30"


@pytest.fixture
def home(tmp_path, capfd, monkeypatch) -> Home:
    return Home(small_england(tmp_path / "hub", las=(HACKNEY,)), capfd, monkeypatch)


CATALOGUE = ("catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm")


def altered(hub: Hub, sql: str) -> None:
    catalogue = sqlite3.connect(hub.home / "catalogue.sqlite")
    catalogue.execute("PRAGMA ignore_check_constraints = ON")
    catalogue.executescript(sql)
    catalogue.close()


@pytest.mark.parametrize("words", ["files", "files --json", "run intake"])
def test_f68_msgspec(home, words):
    """A state that there is not, in the catalogue."""
    with pytest.raises(msgspec.ValidationError, match="canary"):
        msgspec.convert(CANARY, FileState)
    put(home.hub, HACKNEY, 1, GOOD)
    home.command("run", "intake")
    altered(home.hub, f"UPDATE arrivals SET state = '{CANARY}', moved_to = NULL")
    assert home.command(*words.split()) == 74
    assert "catalogue" in home.said
    assert home.sightings(*CATALOGUE) == {}


def test_f68_sqlite(home):
    """A trigger that refuses a row, and says which."""
    altered(home.hub, f"CREATE TRIGGER t BEFORE INSERT ON arrivals BEGIN SELECT RAISE(ABORT, '{CANARY}'); END;")
    put(home.hub, HACKNEY, 1, GOOD)
    assert home.command("run", "nightly") == 74
    assert home.command("run", "nightly", "--json") == 74
    assert "catalogue" in home.said
    assert home.sightings(*CATALOGUE) == {}


@pytest.mark.parametrize("column", ["child_id", "start_date", "date_of_birth"])
def test_f68_pyarrow(home, column):
    """A part of the register with text where something else belongs."""
    hub = home.hub
    put(hub, HACKNEY, 1, GOOD)
    home.command("run", "intake")
    store = PartStore(hub.home / "register", load_master_key(hub.home, config.load(hub.home)))
    with hub.catalogue() as catalogue:
        plans = store.read(catalogue.las()[0].plans_part)
    spoilt = pa.array([CANARY] * plans.num_rows) if column != "child_id" else pa.array([[CANARY]] * plans.num_rows)
    if column == "start_date":
        with pytest.raises(pa.ArrowInvalid, match="canary"):
            spoilt.cast(pa.date32())
    part = store.write(plans.set_column(plans.schema.get_field_index(column), column, spoilt))
    altered(hub, f"UPDATE la_versions SET plans_part = '{part.digest}'")
    hub.next_night()
    put(hub, HACKNEY, 2, GOOD[1:])
    for words in (["run", "nightly"], ["register", "show"], ["register", "conflicts"], ["register", "verify"]):
        home.command(*words)
    home.command("run", "nightly", "--json")
    assert home.sightings() == {}


def test_f68_paramiko(home):
    """A server whose refusals quote what it should not know."""
    hub = home.hub
    public = ssh_keys.make_client_key(hub.home / ssh_keys.FILE_NAME, "hub")
    quoted = struct.pack(">II", SFTP_FAILURE, len(CANARY)) + CANARY.encode() + bytes(4)
    put(hub, HACKNEY, 1, GOOD)
    for request in ("opendir", "open", "read", "lstat", "write", "extended"):
        faults = Faults(folder=HACKNEY, garble={request: (CMD_STATUS, quoted)})
        with FaultyServer(hub.root, authorized_keys=[public], faults=faults) as server:
            (hub.home / config.FILE_NAME).write_text(
                f'[service]\nenvironment = "TEST"\n[mailboxes.central]\nkind = "sftp"\nhost = "127.0.0.1"\nport = {server.port}\n'
                f'user = "hub"\nhost_keys = ["{server.host_key}"]\n'
            )
            assert home.command("run", "intake", "--json") in (0, 3)
            assert server.asked(request), request
        hub.next_night()
    assert "status 4" in home.said
    assert home.sightings() == {}


def test_f68_gpg(home):
    """A message whose signature and file name quote a child: gpg prints both, and what it prints is logged where it fails."""
    hub = home.hub
    stranger = party("stranger", keys("STRANGER").secret)
    council = Council().has(hub.certificate).has(stranger.secret)
    try:
        fingerprint = council.gpg("--with-colons", "--list-keys", "hub@example.org").decode()
        to = next(line.split(":")[9] for line in fingerprint.splitlines() if line.startswith("fpr:"))
        words = ("--trust-model=always", f"--set-filename={CANARY}.csv", f"--sig-notation=child@example.org={CANARY}",
                 "--sig-policy-url=https://example.org/" + FAMILY, "-r", to, "-u", stranger.fingerprint)  # fmt: skip
        sealed = council.gpg(*words, "--sign", "--encrypt", given=extract(HACKNEY, GOOD))
        unsigned = council.gpg(*words, "--encrypt", given=extract(HACKNEY, GOOD))
        spoken = council.gpg("--verbose", "--list-packets", given=council.gpg(*words, "--sign", given=b"x"))
        assert b"canary" in spoken
    finally:
        council.close()
    for number, data in enumerate((sealed, unsigned, sealed[:-40], sealed[:-1] + bytes([sealed[-1] ^ 1])), 1):
        hub.put(HACKNEY, hub.name(HACKNEY, number), data)
    assert home.command("run", "intake", "--json") == 3
    log = Path(hub.home / "logs" / f"{hub.now.date()}.jsonl").read_text()
    assert log.count("envelope not opened") == 4
    assert home.sightings() == {}


@pytest.mark.parametrize("table", ["la_chis.csv", "organisation_areas.csv", "withheld_settings.csv"])
@pytest.mark.parametrize("rows", [f"{CANARY}\n", f"{','.join([CANARY] * 12)}\n"], ids=["a value", "a row"])
def test_f68_pyarrow_of_a_table_that_somebody_put_into_reference_by_mistake(home, table, rows):
    columns = (Path(organisations.__file__).parent / "reference" / table).read_text(encoding="utf-8").splitlines()[0]
    given = home.hub.home / "reference" / table
    given.write_text(f"{columns}\n{rows if ',' in rows else rows.strip() + ',' * columns.count(',')}\n")
    put(home.hub, HACKNEY, 1, GOOD)
    for words in (["config", "check"], ["run", "nightly"], ["preflight"]):
        home.command(*words)
    assert home.sightings(table) == {}, home.said
