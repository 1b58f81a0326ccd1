"""A home to rehearse in: complete, sound, and with the partners' secrets on their own side."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from cpis_batch import config, organisations, partners
from cpis_batch.config import Limits, SftpServer
from cpis_batch.envelope import hub
from cpis_batch.envelope.certificates import inspect
from cpis_batch.envelope.gpg_home import GpgHome
from cpis_batch.envelope.opening import open_message
from cpis_batch.envelope.outcome import Opened, Refusal, Unopened
from cpis_batch.keystore import load_master_key
from cpis_batch.partners import Partner, PartnerKind
from cpis_batch.runs import nightly
from cpis_batch.sandbox.drops import Drop, Sealing, Senders
from cpis_batch.sandbox.evenings import Rehearsal, compare
from cpis_batch.sandbox.faults import CATALOGUE
from cpis_batch.sandbox.home import make_home, point_to, senders
from cpis_batch.sandbox.volumes import KENT, TRUST

MONDAY, TONIGHT = date(2026, 10, 5), datetime(2026, 10, 5, 22, 30, tzinfo=UTC)
SCILLY, RUTLAND = "E06000053", "E06000017"
LAS = (SCILLY, RUTLAND, *TRUST)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: some fifty keys."""
    folder = tmp_path_factory.mktemp("rehearsal") / "home"
    make_home(folder, las=LAS, starts=MONDAY, expires=datetime.now(UTC).date() + timedelta(days=400))
    return folder


@pytest.fixture(scope="module")
def given(home: Path) -> Senders:
    return senders(home)


@pytest.fixture(scope="module")
def opener(home: Path) -> Iterator[GpgHome]:
    keys = hub.load(home, load_master_key(home, config.load(home)))
    with GpgHome([keys.current(MONDAY).secret]) as opened:
        yield opened


def parties(home: Path) -> dict[str, Partner]:
    return partners.load(home)


def put_down(given: Senders, sender: str, content: bytes = b"H,T", **how: object) -> Path:
    drop = Drop(sender=sender, name="put-down.csv.pgp", put_at=TONIGHT, content=content, **how)  # type: ignore[arg-type]
    given.put_down([drop])
    return given.root / given.folders[sender] / "inbound" / drop.name


def opened(path: Path, home: Path, opener: GpgHome, sender: str) -> Opened | Unopened:
    try:
        allowed = partners.certificates(home, parties(home)[sender], MONDAY)
        return open_message(path, gpg_home=opener.path, allowed=allowed, limits=Limits())
    finally:
        path.unlink()


def test_every_party_has_an_agreement_a_certificate_and_its_folders(home: Path) -> None:
    known = parties(home)
    units = {unit.code for unit in organisations.load().units_on(MONDAY)}
    assert set(known) == {*LAS, *units, "NATIONAL", "TRACE"}
    for partner in known.values():
        assert partner.agreement.covers(MONDAY)
        assert len(partners.certificates(home, partner, MONDAY)) == 1
        assert {path.name for path in (home / "sandbox/remote" / partner.folder).iterdir()} == {
            "inbound",
            "outbound",
            "processed",
            "refused",
        }


def test_one_certificate_serves_the_two_authorities_of_the_trust_and_no_others(home: Path) -> None:
    las = [partner for partner in parties(home).values() if partner.kind is PartnerKind.LA]
    one, other = (partner.fingerprints_on(MONDAY) for partner in las if partner.code in TRUST)
    assert one == other
    assert len({partner.fingerprints_on(MONDAY) for partner in las}) == len(las) - 1


def test_no_secret_of_a_partner_lies_in_the_hubs_own_folders(home: Path) -> None:
    secrets = {path.read_bytes() for path in (home / "sandbox/keys").iterdir()}
    assert len(secrets) == len(parties(home)) - 1
    hubs = [path for path in home.rglob("*") if path.is_file() and "sandbox" not in path.relative_to(home).parts]
    assert not [path for path in hubs if any(secret in path.read_bytes() for secret in secrets)]
    for path in (home / "partners").rglob("*.asc"):
        assert inspect(path.read_bytes()).fingerprint == path.stem


def test_a_proper_drop_is_opened_as_its_senders(home: Path, given: Senders, opener: GpgHome) -> None:
    path = put_down(given, RUTLAND, b"H,1\r\n")
    assert path.stat().st_mtime == TONIGHT.timestamp()
    result = opened(path, home, opener, RUTLAND)
    assert isinstance(result, Opened)
    assert (result.plaintext, result.signer) == (b"H,1\r\n", parties(home)[RUTLAND].keys[0].fingerprint)


@pytest.mark.parametrize(
    ("how", "refusal"),
    [
        ({"sealing": Sealing.UNSIGNED}, Refusal.UNSIGNED),
        ({"sealing": Sealing.STRANGER}, Refusal.NOT_YOUR_KEY),
        ({"sealing": Sealing.NONE}, Refusal.UNREADABLE),
        ({"sealing": Sealing.BOMB}, Refusal.UNREADABLE),
        ({"keep": 0.7}, Refusal.UNREADABLE),
    ],
    ids=["f23-unsigned", "f23-stranger", "f22-not-sealed", "f28-bomb", "f01-cut-short"],
)
def test_a_wrongly_sealed_drop_is_refused_for_what_it_is(
    home: Path, given: Senders, opener: GpgHome, how: dict[str, object], refusal: Refusal
) -> None:
    result = opened(put_down(given, RUTLAND, **how), home, opener, RUTLAND)
    assert isinstance(result, Unopened)
    assert result.refusal is refusal


def test_the_bomb_is_small_enough_to_be_fetched(home: Path, given: Senders) -> None:
    path = put_down(given, RUTLAND, sealing=Sealing.BOMB)
    assert 50_000 < path.stat().st_size < 300_000
    path.unlink()


def test_a_file_can_be_put_down_again_as_it_was(given: Senders) -> None:
    first = put_down(given, RUTLAND)
    again = put_down(given, RUTLAND, same_as=first.name)
    assert again.read_bytes() == first.read_bytes()
    again.unlink()


def test_a_rehearsal_can_be_pointed_to_a_server(home: Path) -> None:
    before = (home / config.FILE_NAME).read_bytes()
    server = SftpServer(host="127.0.0.1", port=2022, user="hub", host_keys=("ssh-ed25519 AAAA",))
    point_to(home, server, anchor=MONDAY)
    settings = config.load(home)
    (home / config.FILE_NAME).write_bytes(before)
    assert settings.mailboxes == {"central": server}
    assert settings.extracts.fortnight_anchor == MONDAY


def test_two_nights_of_a_small_england_end_as_expected(tmp_path: Path) -> None:
    home = tmp_path / "home"
    wanted = {"wrong-authority", "truncated", "replayed", "twice"}
    rehearsal = Rehearsal(
        3,
        ("E06000008", "E06000010", "E09000012", SCILLY, KENT),
        scale=0.3,
        dates=(MONDAY, date(2026, 10, 6)),
        catalogue=tuple(fault for fault in CATALOGUE if fault.name in wanted),
    )
    given = make_home(home, las=rehearsal.las, starts=MONDAY, expires=datetime.now(UTC).date() + timedelta(days=400))
    happened = []
    for night in rehearsal.nights():
        given.put_down(night.drops)
        run = nightly.run(home, kind="nightly", business_date=night.on, now=night.now)
        document = msgspec.json.decode(msgspec.json.encode(run.document))
        happened += compare(night, document)
        assert document["access_events"]["new"] > 0
    assert not [each for each in happened if not each.agrees]
    assert {each.fault.name for each in happened if each.fault} == wanted
