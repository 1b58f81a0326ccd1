"""A complete home to rehearse in: every party of England with keys and an agreement, and the partners' own side of it.

    <home>/                        as `init` makes it, with hub keys, an SSH key and all partners
    <home>/sandbox/keys/<code>.key the partners' secret keys: theirs, so the hub never looks here
    <home>/sandbox/host_key        the key of the rehearsal's SFTP server
    <home>/sandbox/remote/         what that server serves: <kind>/<code>/{inbound,outbound,processed,refused}

One children's trust serves two authorities with one certificate (`volumes.TRUST`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import msgspec

from cpis_batch import config, files, organisations, partners, ssh_keys
from cpis_batch.business_time import start_of
from cpis_batch.config import FolderServer, SftpServer
from cpis_batch.envelope import certificates, hub
from cpis_batch.keystore import load_master_key
from cpis_batch.partners import FILE_NAME as PARTNER_FILE
from cpis_batch.partners import PartnerKind
from cpis_batch.runs import new_home
from cpis_batch.sandbox.drops import Senders
from cpis_batch.sandbox.events import NATIONAL, organisation_areas
from cpis_batch.sandbox.server import new_host_key
from cpis_batch.sandbox.tracing import TRACE, practices
from cpis_batch.sandbox.volumes import TRUST, volumes
from cpis_batch.vocabulary import Environment

FOLDER = "sandbox"
MAILBOX = "central"
REMOTE = f"{FOLDER}/remote"
HOST_KEY = f"{FOLDER}/host_key"
_KEYS = f"{FOLDER}/keys"
_PLACES = ("inbound", "outbound", "processed", "refused")
_FOLDERS = {PartnerKind.LA: "las", PartnerKind.CHIS: "chis", PartnerKind.NATIONAL: "national", PartnerKind.TRACE: "trace"}


@dataclass(frozen=True, slots=True)
class Party:
    """A partner to be made. Parties with the same `key_of` have one key, which is kept under that code."""

    code: str
    kind: PartnerKind
    name: str
    key_of: str

    @property
    def folder(self) -> str:
        """Its folder on the server."""
        return f"{_FOLDERS[self.kind]}/{self.code}"


def parties(home: Path, las: Sequence[str], on: date) -> list[Party]:
    """The authorities `las`, every CHIS unit there is `on` that day, the national service and the trace service."""
    trust = set(TRUST) <= set(las)
    found = [
        Party(code, PartnerKind.LA, volumes()[code].name, TRUST[0] if trust and code in TRUST else code) for code in sorted(las)
    ]
    units = organisations.load(home / "reference").units_on(on)
    found += [Party(unit.code, PartnerKind.CHIS, unit.name, unit.code) for unit in units]
    return [
        *found,
        Party(NATIONAL, PartnerKind.NATIONAL, "National CP-IS service", NATIONAL),
        Party(TRACE, PartnerKind.TRACE, "PDS trace service", TRACE),
    ]


def make_home(
    home: Path,
    *,
    las: Sequence[str],
    starts: date,
    expires: date,
    anchor: date | None = None,
    environment: Environment = Environment.TEST,
) -> Senders:
    """Make a home that is new; what its partners drop files with.

    `starts` is the first business date to be rehearsed, `expires` the last day of all keys and agreements (by the
    machine's clock it must lie ahead: gpg judges keys by that). A fortnight begins on `anchor`, by default on the third
    night. The mailbox is the folder of the remote tree; `point_to` changes that to a server. A LIVE `environment` is for an
    England beyond the numbers for tests (`scaled`). UsageFault where there is a home.
    """
    begins = starts - timedelta(days=365)
    new_home.make(home, environment=environment, now=start_of(begins))
    files.write(home / "reference" / "organisation_areas.csv", organisation_areas())
    links = organisations.load().tables["la_chis"].to_pylist()
    files.write(home / "reference" / "practice_chis.csv", practices({link["la_gss_code"]: link["chis_code"] for link in links}))
    files.make_folder(home / _KEYS)
    files.write(home / HOST_KEY, new_host_key())
    ssh_keys.make_client_key(home / ssh_keys.FILE_NAME, "cpis-batch rehearsal")
    point_to(home, FolderServer(path=REMOTE), anchor=anchor or starts + timedelta(days=2), environment=environment)
    master = load_master_key(home, config.load(home))
    hub.make(home, master, user_id="CP-IS hub, rehearsal <hub@example.org>", starts=begins, ends=expires)

    members = parties(home, las, starts)
    owners = sorted({party.key_of: party for party in reversed(members)}.values(), key=lambda party: party.key_of)
    pairs = dict(zip((party.key_of for party in owners), _generate(owners, expires), strict=True))
    for party in members:
        _make(home, party, pairs[party.key_of], begins, expires)
    return senders(home)


def _generate(owners: Sequence[Party], expires: date) -> list[certificates.KeyPair]:
    """A key for each, in two gpg processes side by side: one key costs 14 ms."""
    user_ids = [f"{owner.name}, rehearsal <{owner.key_of.lower()}@example.org>" for owner in owners]
    middle = len(user_ids) // 2
    with ThreadPoolExecutor(2) as threads:
        halves = threads.map(lambda some: certificates.generate(some, expires=expires), (user_ids[:middle], user_ids[middle:]))
        return [pair for half in halves for pair in half]


def _make(home: Path, party: Party, pair: certificates.KeyPair, begins: date, expires: date) -> None:
    """One partner: its folder of the home, its secret key on its own side, its folders on the server."""
    certificate = certificates.inspect(pair.certificate)
    folder = home / "partners" / party.code
    files.write(folder / f"{certificate.fingerprint}.asc", certificate.armored)
    files.write(folder / PARTNER_FILE, _partner_toml(party, certificate.fingerprint, begins, expires).encode())
    secret = home / _KEYS / f"{party.code}.key"
    secret.touch(mode=0o600)
    secret.write_bytes(pair.secret)  # on the partner's desk: not the hub's to make durable
    for place in _PLACES:
        (home / REMOTE / party.folder / place).mkdir(parents=True)


def _partner_toml(party: Party, fingerprint: str, begins: date, expires: date) -> str:
    return (
        f'code = "{party.code}"\nkind = "{party.kind}"\nname = {_text(party.name)}\n'
        f'mailbox = "{MAILBOX}"\nfolder = "{party.folder}"\n'
        f'agreement = {{ reference = "DSA-REHEARSAL-{party.code}", from = {begins}, to = {expires} }}\n'
        f'\n[[keys]]\nfingerprint = "{fingerprint}"\nfrom = {begins}\nto = {expires}\n'
    )


def point_to(
    home: Path, mailbox: FolderServer | SftpServer, *, anchor: date, environment: Environment = Environment.TEST
) -> None:
    """Write the settings of a rehearsal, with its partners' files on `mailbox` and a fortnight that begins on `anchor`."""
    given: Mapping[str, object] = msgspec.to_builtins(mailbox)
    lines = [f"{key} = {_text(value)}" for key, value in given.items()]
    files.write(
        home / config.FILE_NAME,
        "\n".join(
            [
                "# A rehearsal. `cpis-batch init` makes a home for real partners, with every setting explained.",
                "[service]",
                f'environment = "{environment}"',
                'name = "CP-IS batch exchange, rehearsal"',
                "",
                f"[mailboxes.{MAILBOX}]",
                *lines,
                "",
                "[extracts]",
                f"fortnight_anchor = {anchor}",
                "",
            ]
        ).encode(),
    )


def _text(value: object) -> str:
    """A string, number or list of strings as TOML, which writes them as JSON does."""
    return msgspec.json.encode(value).decode()


def senders(home: Path) -> Senders:
    """What the partners of a rehearsal's home drop files with."""
    (certificate,) = (home / hub.FOLDER).glob("*.asc")
    return Senders(
        root=home / REMOTE,
        keys=home / _KEYS,
        folders={code: partner.folder for code, partner in partners.load(home).items()},
        hub_certificate=certificate.read_bytes(),
    )
