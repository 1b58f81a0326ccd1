"""A real, small hub for tests: a home made by the program's own commands, partners with real keys, a mailbox to drop into.

hub = Hub.make(tmp_path)                   # Hackney and Kent, all CHIS units, the national service; a folder mailbox
hub.drop(HACKNEY, [plan_row(1)])           # sealed as Hackney, sequence 1, FULL
night = hub.nightly(day=20)
hub.acknowledgement(HACKNEY)["file"]["outcome"]
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from cpis_batch import audit_key, catalogue, config, partners
from cpis_batch.audit.signing import Signer
from cpis_batch.catalogue import Catalogue
from cpis_batch.envelope import hub as hub_keys
from cpis_batch.envelope.certificates import KeyPair, generate, inspect
from cpis_batch.envelope.desk import open_at_desk
from cpis_batch.envelope.outcome import Opened
from cpis_batch.envelope.sealing import seal
from cpis_batch.keystore import load_master_key
from cpis_batch.organisations import load as load_organisations
from cpis_batch.register import view
from cpis_batch.register.store import PartStore
from cpis_batch.runs import decide, erasure, new_home, nightly, retention
from cpis_batch.runs.as_of import Use
from cpis_batch.runs.exchange import Servers
from cpis_batch.runs.hub import opened
from cpis_batch.runs.nightly import Night
from cpis_batch.status import status
from tests.builders import HACKNEY, KENT, nhs

NATIONAL = "NATIONAL"
DAY = date(2026, 11, 20)
Row = Sequence[str]


@cache
def keys(name: str) -> KeyPair:
    """A partner's key pair, made by gpg once a test process."""
    return generate([f"{name} <{name.lower()}@example.org>"], expires=date(2040, 1, 1))[0]


def plan_row(
    child: int = 1,
    plan_type: str = "CPP",
    start: str = "2026-02-11",
    end: str = "",
    delete: str = "",
    *,
    born: str = "2019-04-30",
    number: str | None = None,
    family: str = "Someone",
    given: str = "Zoë",
) -> Row:
    """One D record without its record type: the fields of an extract as text."""
    return (number or nhs(child), f"LC-{child:06d}", family, given, born, plan_type, start, end, delete)


def extract(
    la: str = HACKNEY,
    rows: Iterable[Row] = (),
    *,
    sequence: int = 1,
    kind: str = "FULL",
    extracted_at: str = "2026-11-19T23:40:00+00:00",
    environment: str = "TEST",
    version: str = "1.0",
) -> bytes:
    """The plaintext of an LA extract 1.0."""
    rows = list(rows)
    total = sum(int(row[0]) for row in rows if row[0].isascii() and row[0].isdigit()) % 10**10
    lines = [
        ("H", "CPIS-LA-EXTRACT", version, environment, la, kind, str(sequence), extracted_at, "020 7946 0100", "020 7946 0199"),
        *(("D", *row) for row in rows),
        ("T", str(len(rows)), str(total)),
    ]
    return ("\r\n".join(",".join(_cell(cell) for cell in line) for line in lines) + "\r\n").encode()


def _cell(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if any(mark in text for mark in ',"') else text


def inflated(data: bytes) -> bytes:
    """A workbook's members one after the other; anything else as it is."""
    if not data.startswith(b"PK\x03\x04"):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


@dataclass
class Hub:
    """The hub under test, and its partners' hands."""

    home: Path
    root: Path  # what the mailbox serves
    now: datetime = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    sequences: dict[str, int] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, *, las: Sequence[str] = (HACKNEY, KENT), server: str | None = None) -> Hub:
        """A home for TEST with these LAs. `server` is the text of [mailboxes.central]; a folder mailbox without it."""
        home, root = folder / "home", folder / "served"
        new_home.make(home, environment="TEST", now=datetime(2026, 1, 1, tzinfo=UTC))
        text = (
            (home / config.FILE_NAME)
            .read_text()
            .replace("[mailboxes]\n", server or f'[mailboxes.central]\nkind = "folder"\npath = "{root}"\n')
        )
        (home / config.FILE_NAME).write_text(text)
        hub_keys.make(
            home,
            load_master_key(home, config.load(home)),
            user_id="Hub <hub@example.org>",
            starts=date(2026, 1, 1),
            ends=date(2039, 1, 1),
        )
        hub = cls(home, root)
        for la in las:
            hub.add_partner(la, "LA")
        for unit in load_organisations().units_on(DAY):
            hub.add_partner(unit.code, "CHIS", key="CHIS")
        hub.add_partner(NATIONAL, "NATIONAL")
        return hub

    def add_partner(
        self, code: str, kind: str, *, key: str | None = None, agreement_ends: str = "2035-01-01", more: str = ""
    ) -> None:
        """A partner with an agreement and one certificate, and its folders in the mailbox."""
        certificate = keys(key or code).certificate
        fingerprint = inspect(certificate).fingerprint
        folder = self.home / "partners" / code
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{fingerprint}.asc").write_bytes(certificate)
        (folder / partners.FILE_NAME).write_text(
            f'code = "{code}"\nkind = "{kind}"\nname = "Test {code}"\nmailbox = "central"\nfolder = "{code}"\n{more}'
            f'[agreement]\nreference = "DSA-{code}"\nfrom = 2020-01-01\nto = {agreement_ends}\n'
            f'[[keys]]\nfingerprint = "{fingerprint}"\nfrom = 2020-01-01\nto = 2039-12-31\n'
        )
        for box in ("inbound", "outbound", "processed", "refused"):
            (self.root / code / box).mkdir(parents=True, exist_ok=True)

    @property
    def certificate(self) -> bytes:
        """The hub's certificate, as partners have it."""
        return next((self.home / "keys" / "hub").glob("*.asc")).read_bytes()

    # The partners' hands

    def sealed(self, plaintext: bytes, by: str) -> bytes:
        """`plaintext`, signed by a partner and sealed to the hub."""
        return seal(plaintext, recipients=[self.certificate], signer=keys(by).secret)

    def put(self, code: str, name: str, data: bytes, *, minutes_ago: float = 600) -> Path:
        """Put bytes into a partner's inbound folder."""
        path = self.root / code / "inbound" / name
        path.write_bytes(data)
        at = (self.now - timedelta(minutes=minutes_ago)).timestamp()
        os.utime(path, (at, at))
        return path

    def drop(
        self, la: str = HACKNEY, rows: Iterable[Row] = (), *, sequence: int | None = None, kind: str = "FULL", **header: Any
    ) -> Path:
        """An extract of an LA's: the next in its sequence unless told, extracted the evening before `now`."""
        number = self.sequences.get(la, 0) + 1 if sequence is None else sequence
        self.sequences[la] = max(number, self.sequences.get(la, 0))
        header.setdefault("extracted_at", (self.now - timedelta(hours=3)).isoformat(timespec="seconds"))
        return self.put(la, self.name(la, number, kind), self.sealed(extract(la, rows, sequence=number, kind=kind, **header), la))

    def name(self, la: str, sequence: int, kind: str = "FULL") -> str:
        """The name of an extract."""
        return f"CPIS_LA_{la}_{kind}_{sequence:08d}_{self.now:%Y%m%dT%H%M%SZ}.csv.pgp"

    # The hub's hands

    def run(self, kind: str = "intake", day: date | None = None) -> Night:
        """A run, at `now`."""
        return nightly.run(self.home, kind=kind, business_date=day or self.now.date(), now=self.now)

    def next_night(self, days: int = 1) -> None:
        """Let the clock go on."""
        self.now += timedelta(days=days)

    def decide(self, hold_id: int, *, release: bool, by: str = "Duty officer", reason: str = "asked the LA") -> Any:
        """A person's decision on a hold."""
        with opened(self.home, what="test", business_date=self.now.date(), now=self.now) as hub, Servers(hub) as servers:
            return decide.decide(hub, servers, hold_id, release=release, by=by, reason=reason)

    def erase(self, *, beyond_brake: bool = False) -> erasure.Applied:
        """Retention as of today: planned, and that plan applied."""
        today = self.now.date()
        asked = erasure.Asked(retention.plan(self.home, today).token, beyond_brake=beyond_brake)
        with opened(self.home, what="test", business_date=today, now=self.now) as hub:
            return erasure.apply(hub, asked, Use(by="Records officer", reason="retention of the month"))

    # What is seen afterwards

    def outbound(self, code: str, start: str = "") -> list[Path]:
        """What lies for a partner, by name."""
        return sorted(path for path in (self.root / code / "outbound").iterdir() if path.name.startswith(start))

    def opened(self, path: Path, by: str) -> bytes:
        """A message of the hub's, opened and verified by its recipient."""
        hub = [path.read_bytes() for path in (self.home / "keys" / "hub").glob("*.asc")]
        senders = {inspect(certificate).fingerprint: certificate for certificate in hub}
        found = open_at_desk(path.read_bytes(), secret=keys(by).secret, senders=senders)
        assert isinstance(found, Opened), found
        return found.plaintext

    def unpacked(self, path: Path, by: str) -> dict[str, bytes]:
        """The members of a sealed zip."""
        with zipfile.ZipFile(io.BytesIO(self.opened(path, by))) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def plain(self, path: Path, by: str) -> bytes:
        """All that is in a sealed zip, the members of workbooks taken out of theirs too: what a search must look through."""
        return b"".join(inflated(data) for data in self.unpacked(path, by).values())

    def acknowledgements(self, la: str = HACKNEY, start: str = "CPIS_ACK_") -> list[dict[str, Any]]:
        """All answers to an LA, in the order of the arrivals."""
        paths = sorted(self.outbound(la, start), key=lambda path: path.name.split("_")[-1])
        return [json.loads(self.unpacked(path, la)["acknowledgement.json"]) for path in paths]

    def acknowledgement(self, la: str = HACKNEY) -> dict[str, Any]:
        """The newest answer to an LA."""
        return self.acknowledgements(la)[-1]

    def catalogue(self, *, signing: bool = False) -> Catalogue:
        """The catalogue, open; a context manager. `signing`: with the audit key, so that it can be written to."""
        found = Catalogue(self.home / catalogue.FILE_NAME)
        if signing:
            found.sign_with(self.signer)
        return found

    @property
    def signer(self) -> Signer:
        """The audit key in force."""
        with self.catalogue() as opened_catalogue:
            public = opened_catalogue.audit_key()
        return audit_key.load(self.home, load_master_key(self.home, config.load(self.home)), public)

    def audit_log(self) -> list[tuple[str, dict[str, Any]]]:
        """What the audit log tells, entry by entry, but for the digests of sealed bytes: those differ by chance each time."""
        with self.catalogue() as opened_catalogue:
            told = [(entry.kind, entry.facts) for entry in opened_catalogue.entries()]
        return [(kind, {name: fact for name, fact in facts.items() if name not in ("seal", "message")}) for kind, facts in told]

    def status(self) -> dict[str, Any]:
        """The status at `now`."""
        with self.catalogue() as opened_catalogue:
            return status(opened_catalogue, config.load(self.home), partners.load(self.home), self.now)

    def plans(self, la: str = HACKNEY) -> pa.Table:
        """An LA's part."""
        return self._parts(la)[0]

    def history(self, la: str = HACKNEY) -> pa.Table:
        """The versions of an LA's plans that were replaced."""
        return self._parts(la)[1]

    def _parts(self, la: str) -> tuple[pa.Table, pa.Table]:
        with self.catalogue() as opened_catalogue:
            version = opened_catalogue.la(la)
        assert version is not None
        return retention.parts_of(PartStore(self.home / "register", load_master_key(self.home, config.load(self.home))), version)

    def active(self, la: str = HACKNEY) -> set[tuple[str, str]]:
        """(NHS number, plan type) of an LA's active plans on the day of `now`."""
        rows = view.active(self.plans(la), self.now.date()).select(["nhs_number", "plan_type"]).to_pylist()
        return {(row["nhs_number"], row["plan_type"]) for row in rows}
