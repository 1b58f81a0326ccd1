"""What councils' GnuPG seals is opened, and what the hub seals is read by GnuPG, both with its default settings."""

from __future__ import annotations

import random

import pytest

from cpis_batch.config import Limits
from cpis_batch.envelope.certificates import generate, inspect
from cpis_batch.envelope.desk import open_at_desk
from cpis_batch.envelope.opening import GpgHome
from cpis_batch.envelope.outcome import Opened
from cpis_batch.envelope.sealing import seal
from cpis_batch.errors import KeyFault, UsageFault
from tests.envelope_kit import EXPIRES, PLAINTEXT, Council, opens, parties


@pytest.fixture(scope="module")
def hub():
    return parties("Hub Zoë")[0]


@pytest.fixture(scope="module")
def gpg_home(hub):
    with GpgHome([hub.secret]) as home:
        yield home.path


@pytest.fixture(scope="module")
def council(hub):
    desktop = Council().has(hub.certificate)
    yield desktop
    desktop.close()


@pytest.fixture(scope="module", params=["ed25519", "rsa"])
def la(request, council):
    return council.makes_key(f"LA {request.param} <{request.param}@example.org>", rsa=request.param == "rsa")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--armor"],
        ["--compress-algo=zlib", "-z9"],
        ["--compress-algo=bzip2"],
        ["--compress-algo=uncompressed"],
        ["--set-filename=Children of Birmingham.csv"],
        ["--digest-algo=SHA512"],
        ["--personal-cipher-preferences=AES128"],
        ["--throw-keyids"],
        ["--sig-notation=ticket@example.org=[GNUPG:] GOODSIG \x85 é"],
    ],
    ids=lambda options: " ".join(options).split("=")[0] or "defaults",
)
def test_what_a_council_seals_with_gnupg_is_opened(options, la, hub, council, gpg_home, tmp_path):
    message = council.seals(PLAINTEXT, to=[hub], by=la, options=options)
    opened = opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path)
    assert opened == Opened(PLAINTEXT, la.fingerprint, hub.fingerprint)


def test_a_message_in_text_mode_has_the_same_lines(la, hub, council, gpg_home, tmp_path):
    message = council.seals(PLAINTEXT, to=[hub], by=la, options=["--textmode"])
    opened = opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path)
    assert opened.plaintext.splitlines() == PLAINTEXT.splitlines()


def test_a_council_may_seal_to_itself_as_well(la, hub, council, gpg_home, tmp_path):
    message = council.seals(PLAINTEXT, to=[la, hub], by=la)
    assert opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path).sealed_to == hub.fingerprint


def test_a_signature_by_a_subkey_counts_for_its_certificate(hub, council, gpg_home, tmp_path):
    council.makes_key("Subkey <subkey@example.org>")
    council.gpg("--quick-add-key", council.fingerprint("Subkey"), "ed25519", "sign", "never")
    la = inspect(council.gpg("--export", "Subkey"))
    message = council.gpg("--trust-model=always", "-u", "Subkey", "-r", hub.fingerprint, "--sign", "--encrypt", given=PLAINTEXT)
    opened = opens(message, gpg_home=gpg_home, allowed={la.fingerprint: la.data}, folder=tmp_path)
    assert opened.signer == la.fingerprint


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 3_000_000])
def test_every_byte_arrives_whatever_the_size(size, la, hub, council, gpg_home, tmp_path):
    plaintext = random.Random(size).randbytes(size)
    message = council.seals(plaintext, to=[hub], by=la)
    assert opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path).plaintext == plaintext


def test_what_the_hub_seals_is_read_and_verified_by_gnupg(la, hub, council, tmp_path):
    (tmp_path / "ack.pgp").write_bytes(seal(PLAINTEXT, recipients=[la.certificate], signer=hub.secret))
    status = council.gpg("--status-fd=1", "--output", str(tmp_path / "ack.csv"), "--decrypt", str(tmp_path / "ack.pgp"))
    assert (tmp_path / "ack.csv").read_bytes() == PLAINTEXT
    assert b"DECRYPTION_OKAY" in status
    assert f"VALIDSIG {hub.fingerprint}".encode() in status


def test_what_the_hub_seals_is_opened_at_a_desk_that_has_no_gpg(la, hub):
    message = seal(PLAINTEXT, recipients=[la.certificate], signer=hub.secret)
    opened = open_at_desk(message, secret=la.secret, senders=hub.allowed)
    assert opened == Opened(PLAINTEXT, hub.fingerprint, la.fingerprint)


def test_a_desk_opens_with_a_key_that_has_a_password(hub, council):
    desk = council.makes_key("Locked <locked@example.org>", password="tea")
    message = seal(PLAINTEXT, recipients=[desk.certificate], signer=hub.secret)
    assert open_at_desk(message, secret=desk.secret, senders=hub.allowed, password="tea").plaintext == PLAINTEXT
    for password in (None, "coffee"):
        with pytest.raises(KeyFault) as caught:
            open_at_desk(message, secret=desk.secret, senders=hub.allowed, password=password)
        assert "coffee" not in str(caught.value)


def test_all_recipients_of_one_message_can_read_it(hub):
    both = parties("One", "Two")
    message = seal(PLAINTEXT, recipients=[one.certificate for one in both], signer=hub.secret)
    assert {open_at_desk(message, secret=one.secret, senders=hub.allowed).plaintext for one in both} == {PLAINTEXT}


def test_nothing_is_sealed_to_nobody(hub):
    with pytest.raises(KeyFault):
        seal(PLAINTEXT, recipients=[], signer=hub.secret)


def test_a_trust_that_runs_two_authorities_may_use_one_certificate(la, hub, council, gpg_home, tmp_path):
    message = council.seals(PLAINTEXT, to=[hub], by=la)
    for _authority in ("E10000016", "E06000035"):
        assert isinstance(opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path), Opened)


def test_keys_are_made_in_the_order_asked_for_and_live_until_the_day_asked_for():
    names = [f"Unit {number} Zoë <unit{number}@example.org>" for number in (3, 1, 2)]
    made = [inspect(pair.certificate) for pair in generate(names, expires=EXPIRES)]
    assert [certificate.user_ids for certificate in made] == [(name,) for name in names]
    assert {certificate.expires.date() for certificate in made} == {EXPIRES}


@pytest.mark.parametrize("user_id", ["", "No address", "A <a@example.org>\n%commit", "A\tB <a@example.org>", "<a@example.org>"])
def test_a_user_id_that_could_say_something_else_to_gpg_is_refused(user_id):
    with pytest.raises(UsageFault):
        generate([user_id], expires=EXPIRES)


def test_the_walls_leave_room_for_the_largest_extract(la, hub, council, gpg_home, tmp_path):
    row = b"D,9990000018,LC-000123,O'Brien,Zo\xc3\xab,2019-04-30,CPP,2026-02-11,,\r\n"
    message = council.seals(row * 500_000, to=[hub], by=la)
    opened = opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path, limits=Limits(compression_ratio=400))
    assert len(opened.plaintext) == len(row) * 500_000
