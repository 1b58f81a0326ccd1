"""Nothing is given out before its sender is proven, and no failure to decrypt tells why (F21, F22, F23)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from cpis_batch.config import Limits
from cpis_batch.envelope import hub as hub_keys
from cpis_batch.envelope import status
from cpis_batch.envelope.desk import open_at_desk
from cpis_batch.envelope.opening import GpgHome, open_message
from cpis_batch.envelope.outcome import Opened, Refusal
from cpis_batch.envelope.sealing import seal
from cpis_batch.errors import KeyFault
from cpis_batch.keystore import MasterKey
from tests.envelope_kit import PLAINTEXT, Council, opens, parties


@pytest.fixture(scope="module")
def people():
    return dict(zip(("hub", "la", "other", "outsider"), parties("The Hub", "LA", "Other LA", "Outsider"), strict=True))


@pytest.fixture(scope="module")
def hub(people):
    return people["hub"]


@pytest.fixture(scope="module")
def la(people):
    return people["la"]


@pytest.fixture(scope="module", params=[False, True], ids=["", "with keyboxes"])
def gpg_home(hub, request, tmp_path_factory):
    with GpgHome([hub.secret], tmp_path_factory.mktemp("kept") if request.param else None) as home:
        yield home.path


@pytest.fixture(scope="module")
def council(people):
    desktop = Council().has(people["hub"].certificate, *(people[who].secret for who in ("la", "other", "outsider")))
    yield desktop
    desktop.close()


@pytest.fixture(scope="module")
def sealed(council, hub, la):
    return council.seals(PLAINTEXT * 30, to=[hub], by=la, options=["--compress-algo=none"])


def flipped(message: bytes, place: int) -> bytes:
    altered = bytearray(message)
    altered[place] ^= 0x40
    return bytes(altered)


# F22


@pytest.fixture(scope="module")
def unreadable(council, people, sealed):
    """Causes of a failure to decrypt, all different."""
    hub, la, outsider = people["hub"], people["la"], people["outsider"]
    bomb = council.seals(bytes(17_000_000), to=[hub], by=la)
    return {
        "empty": b"",
        "not OpenPGP": b"H,CPIS-LA-EXTRACT,1.0\r\n",
        "cut short": sealed[:-1],
        "altered": flipped(sealed, len(sealed) // 2),
        "altered at the end": flipped(sealed, -3),
        "with something behind it": sealed + b"x",
        "twice": sealed + sealed,
        "sealed to another hub": council.seals(PLAINTEXT, to=[outsider], by=la),
        "with a password": council.gpg("--passphrase=tea", "--output=-", "--symmetric", given=PLAINTEXT),
        "signed only": council.gpg("-u", la.fingerprint, "--sign", given=PLAINTEXT),
        "clear-signed": council.gpg("-u", la.fingerprint, "--clear-sign", given=PLAINTEXT),
        "literal only": council.gpg("--store", given=PLAINTEXT),
        "a certificate": la.certificate,
        "armor without a body": b"-----BEGIN PGP MESSAGE-----\n\n",
        "over a limit": bomb,
    }


@pytest.fixture(scope="module")
def outcomes(unreadable, la, gpg_home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unreadable")
    return {cause: opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=folder) for cause, message in unreadable.items()}


def test_f22_whatever_the_cause_the_outward_answer_is_one_and_the_same(outcomes):
    assert {cause: outcome.refusal for cause, outcome in outcomes.items()} == dict.fromkeys(outcomes, Refusal.UNREADABLE)


def test_f22_the_operator_is_told_the_cause_in_one_printable_line_without_the_text(outcomes):
    details = {outcome.operator_detail for outcome in outcomes.values()}
    assert len(details) > 4
    assert all(detail.isprintable() and "CPIS-LA-EXTRACT" not in detail for detail in details)


def test_f22_a_desk_says_as_little(unreadable, people):
    desk, hub = people["la"], people["hub"]
    good = seal(PLAINTEXT, recipients=[desk.certificate], signer=hub.secret)
    causes = [*unreadable.values(), good[:-1], flipped(good, len(good) // 2)]
    outcomes = [open_at_desk(message, secret=desk.secret, senders=hub.allowed) for message in causes]
    assert {outcome.refusal for outcome in outcomes} == {Refusal.UNREADABLE}


# F23


def test_f23_unsigned_is_refused_although_gpg_ends_with_zero(council, hub, la, gpg_home, tmp_path):
    message = council.seals(PLAINTEXT, to=[hub], by=None)
    assert opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path).refusal is Refusal.UNSIGNED


@pytest.mark.parametrize("signer", ["other", "outsider", "hub"])
def test_f23_a_good_signature_of_somebody_else_is_refused(signer, people, gpg_home, tmp_path):
    message = seal(PLAINTEXT, recipients=[people["hub"].certificate], signer=people[signer].secret)
    opened = opens(message, gpg_home=gpg_home, allowed=people["la"].allowed, folder=tmp_path)
    assert opened.refusal is Refusal.NOT_YOUR_KEY


def test_f23_nobody_is_let_in_by_an_empty_list(sealed, gpg_home, tmp_path):
    assert opens(sealed, gpg_home=gpg_home, allowed={}, folder=tmp_path).refusal is Refusal.NOT_YOUR_KEY


def test_f23_an_expired_key_is_refused(council, people, gpg_home, tmp_path):
    la = council.makes_key(f"Expired <expired-{gpg_home.name}@example.org>", at="20240301T120000")
    signed = council.gpg("--faked-system-time=20240601T120000!", "-u", la.fingerprint, "--sign", given=PLAINTEXT)
    message = _encrypted_as_it_is(council, people["hub"], signed)
    assert opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path).refusal is Refusal.NOT_YOUR_KEY


def test_f23_a_message_out_of_the_archive_is_judged_by_the_day_it_came(council, people, gpg_home, tmp_path):
    la = council.makes_key(f"One year <one-year-{gpg_home.name}@example.org>")
    (tmp_path / "archived.pgp").write_bytes(council.seals(PLAINTEXT, to=[people["hub"]], by=la))
    years = {
        year: open_message(
            tmp_path / "archived.pgp",
            gpg_home=gpg_home,
            allowed=la.allowed,
            limits=Limits(),
            judged_at=datetime(year, 1, 1, tzinfo=UTC),
        )
        for year in (datetime.now(UTC).year + 1, 2089)
    }
    soon, late = years.values()
    assert isinstance(soon, Opened)
    assert late.refusal is Refusal.NOT_YOUR_KEY


def test_f23_a_key_revoked_since_is_refused_once_we_hold_the_revocation(council, hub, gpg_home, tmp_path):
    la = council.makes_key(f"Revoked <revoked-{gpg_home.name}@example.org>")
    message = council.seals(PLAINTEXT, to=[hub], by=la)
    assert isinstance(opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path), Opened)
    revocation = (council.home / "openpgp-revocs.d" / f"{la.fingerprint}.rev").read_text().replace(":-----BEGIN", "-----BEGIN")
    council.gpg("--import", given=revocation.encode())
    revoked = {la.fingerprint: council.gpg("--export", la.fingerprint)}
    assert opens(message, gpg_home=gpg_home, allowed=revoked, folder=tmp_path).refusal is Refusal.NOT_YOUR_KEY
    with pytest.raises(KeyFault, match="revoked"):
        seal(PLAINTEXT, recipients=list(revoked.values()), signer=hub.secret)


def test_f23_two_signatures_are_one_too_many(council, people, gpg_home, tmp_path):
    la, other = people["la"], people["other"]
    options = [f"--local-user={other.fingerprint}"]
    message = council.seals(PLAINTEXT, to=[people["hub"]], by=la, options=options)
    for allowed in (la.allowed, la.allowed | other.allowed):
        assert opens(message, gpg_home=gpg_home, allowed=allowed, folder=tmp_path).refusal is Refusal.BAD_SIGNATURE


def test_f23_a_signature_over_other_data_is_refused(council, people, gpg_home, tmp_path):
    signed = council.gpg("-u", people["la"].fingerprint, "--compress-algo=none", "--sign", given=PLAINTEXT)
    assert signed.count(b"CPIS-LA") == 1
    message = _encrypted_as_it_is(council, people["hub"], signed.replace(b"E09000012", b"E09000013"))
    # gpg stops at a bad signature before it has checked the encryption's integrity: as good as altered on the way (F22)
    outcome = opens(message, gpg_home=gpg_home, allowed=people["la"].allowed, folder=tmp_path)
    assert outcome.refusal is Refusal.UNREADABLE
    assert "BAD signature" in outcome.operator_detail


def test_f23_signed_first_and_encrypted_in_a_second_step_is_the_same_message(council, people, gpg_home, tmp_path):
    signed = council.gpg("-u", people["la"].fingerprint, "--sign", given=PLAINTEXT)
    message = _encrypted_as_it_is(council, people["hub"], signed)
    opened = opens(message, gpg_home=gpg_home, allowed=people["la"].allowed, folder=tmp_path)
    assert opened == Opened(PLAINTEXT, people["la"].fingerprint, people["hub"].fingerprint)


def test_f23_encrypted_first_and_signed_outside_is_refused(council, people, gpg_home, tmp_path):
    encrypted = council.gpg("--trust-model=always", "-r", people["hub"].fingerprint, "--encrypt", given=PLAINTEXT)
    message = council.gpg("-u", people["la"].fingerprint, "--sign", given=encrypted)
    assert opens(message, gpg_home=gpg_home, allowed=people["la"].allowed, folder=tmp_path).refusal is Refusal.UNREADABLE


def test_f23_a_signed_part_beside_the_encrypted_one_is_refused(council, people, gpg_home, tmp_path):
    signed = council.gpg("-u", people["la"].fingerprint, "--sign", given=PLAINTEXT)
    encrypted = council.gpg("--trust-model=always", "-r", people["hub"].fingerprint, "--encrypt", given=PLAINTEXT)
    for message in (signed + encrypted, encrypted + signed):
        assert opens(message, gpg_home=gpg_home, allowed=people["la"].allowed, folder=tmp_path).refusal is Refusal.UNREADABLE


def test_f23_a_signature_with_a_broken_hash_is_refused(council, people, gpg_home, tmp_path):
    message = council.seals(PLAINTEXT, to=[people["hub"]], by=people["la"], options=["--digest-algo=SHA1"])
    assert opens(message, gpg_home=gpg_home, allowed=people["la"].allowed, folder=tmp_path).refusal is Refusal.BAD_SIGNATURE


def test_f23_a_signature_that_says_it_has_run_out_is_refused(council, people, gpg_home, tmp_path):
    past = datetime.now(UTC) - timedelta(days=90)
    la = council.makes_key(f"Short <short-{gpg_home.name}@example.org>", at=f"{past:%Y%m%dT%H%M%S}")
    clock = f"--faked-system-time={past + timedelta(days=1):%Y%m%dT%H%M%S}!"
    signed = council.gpg(clock, "--default-sig-expire=1d", "-u", la.fingerprint, "--sign", given=PLAINTEXT)
    message = _encrypted_as_it_is(council, people["hub"], signed)
    assert (
        opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path).refusal is Refusal.UNREADABLE
    )  # gpg stops there, as at a bad one


def test_f23_a_certificate_under_another_name_stops_the_partner(sealed, people, gpg_home, tmp_path):
    swapped = {people["la"].fingerprint: people["other"].certificate}
    with pytest.raises(KeyFault, match=people["other"].fingerprint):
        opens(sealed, gpg_home=gpg_home, allowed=swapped, folder=tmp_path)


def test_f23_a_desk_takes_the_signature_of_the_hub_and_no_other(people):
    desk, hub, other = people["la"], people["hub"], people["other"]
    message = seal(PLAINTEXT, recipients=[desk.certificate], signer=other.secret)
    assert open_at_desk(message, secret=desk.secret, senders=hub.allowed).refusal is Refusal.NOT_YOUR_KEY


def test_f23_a_desk_refuses_what_nobody_signed_and_what_two_did(council, people):
    desk, hub = people["la"], people["other"]
    unsigned = council.seals(PLAINTEXT, to=[desk], by=None, options=["--compress-algo=none"])
    assert open_at_desk(unsigned, secret=desk.secret, senders=hub.allowed).refusal is Refusal.UNSIGNED
    twice = council.seals(
        PLAINTEXT, to=[desk], by=hub, options=["--compress-algo=none", f"--local-user={people['outsider'].fingerprint}"]
    )
    for senders in (hub.allowed, hub.allowed | people["outsider"].allowed):
        assert open_at_desk(twice, secret=desk.secret, senders=senders).refusal is Refusal.BAD_SIGNATURE


def _encrypted_as_it_is(council: Council, hub, packets: bytes) -> bytes:
    """Encrypt packets that are made already, as a signature tool and an encryption tool in a row do."""
    return council.gpg(
        "--trust-model=always", "--no-literal", "--compress-algo=none", "-r", hub.fingerprint, "--encrypt", given=packets
    )


# F21


@pytest.fixture
def rotated(tmp_path):
    master = MasterKey(bytes(32))
    first = hub_keys.make(tmp_path, master, user_id="Hub <hub@example.org>", starts=date(2026, 1, 1), ends=date(2088, 1, 1))
    second = hub_keys.make(
        tmp_path, master, user_id="Hub <hub@example.org>", starts=date(2026, 10, 1), ends=date(2088, 10, 1), overlap_days=30
    )
    return hub_keys.load(tmp_path, master), first, second


@pytest.mark.parametrize(
    ("day", "opened"),
    [
        (date(2026, 9, 30), True),
        (date(2026, 10, 1), True),
        (date(2026, 10, 31), True),
        (date(2026, 11, 1), False),
    ],
)
def test_f21_sealed_to_the_previous_hub_key_is_opened_until_its_last_day(rotated, la, tmp_path, day, opened):
    keys, first, _ = rotated
    message = seal(PLAINTEXT, recipients=[first.certificate], signer=la.secret)
    with GpgHome([key.secret for key in keys.accepted(day)]) as home:
        outcome = opens(message, gpg_home=home.path, allowed=la.allowed, folder=tmp_path)
    if opened:
        assert outcome.sealed_to == first.fingerprint
        assert (outcome.sealed_to == keys.current(day).fingerprint) is (day < date(2026, 10, 1))
    else:
        assert outcome.refusal is Refusal.UNREADABLE


def test_f21_the_next_hub_key_opens_before_it_signs(rotated, la, tmp_path):
    keys, first, second = rotated
    day = date(2026, 9, 1)
    message = seal(PLAINTEXT, recipients=[second.certificate], signer=la.secret)
    with GpgHome([key.secret for key in keys.accepted(day)]) as home:
        assert opens(message, gpg_home=home.path, allowed=la.allowed, folder=tmp_path).sealed_to == second.fingerprint
    assert keys.current(day).fingerprint == first.fingerprint


def test_f21_without_a_key_for_the_day_nothing_is_signed(rotated):
    keys, *_ = rotated
    for day in (date(2025, 12, 31), date(2088, 10, 2)):
        with pytest.raises(KeyFault):
            keys.current(day)


# what can be sealed to


def test_nothing_is_sealed_to_an_expired_certificate(council, hub):
    la = council.makes_key("Past <past@example.org>", at="20240301T120000")
    with pytest.raises(KeyFault, match="expired on 2025-03-01"):
        seal(PLAINTEXT, recipients=[la.certificate], signer=hub.secret)


def test_nothing_is_sealed_when_one_of_several_recipients_is_dead(council, people):
    dead = council.makes_key("Dead <dead@example.org>", at="20240301T120000")
    with pytest.raises(KeyFault, match=dead.fingerprint):
        seal(PLAINTEXT, recipients=[people["la"].certificate, dead.certificate], signer=people["hub"].secret)


def test_a_revoked_encryption_subkey_is_no_longer_sealed_to(council, hub):
    made = council.makes_key("Rotated <rotated@example.org>")
    council.gpg("--quick-add-key", made.fingerprint, "cv25519", "encrypt", "1y")
    before = council.gpg("--export", made.fingerprint)
    council.gpg(
        "--no-batch", "--no-tty", "--command-fd=0", "--edit-key", made.fingerprint, given=b"key 1\nrevkey\ny\n1\n\ny\nsave\n"
    )
    after = council.gpg("--export", made.fingerprint)
    old, new = subkeys(council, made.fingerprint)
    assert sealed_to(council, seal(PLAINTEXT, recipients=[before], signer=hub.secret)) == {old, new}
    assert sealed_to(council, seal(PLAINTEXT, recipients=[after], signer=hub.secret)) == {new}


def test_an_expired_encryption_subkey_is_not_sealed_to_even_where_there_is_no_other(council, hub):
    past = f"--faked-system-time={datetime.now(UTC) - timedelta(days=30):%Y%m%dT%H%M%S}!"
    council.gpg(past, "--quick-gen-key", "Lapsed <lapsed@example.org>", "ed25519", "cert,sign", "1y")
    fingerprint = council.fingerprint("Lapsed")
    council.gpg(past, "--quick-add-key", fingerprint, "cv25519", "encrypt", "2d")
    with pytest.raises(KeyFault, match=fingerprint):
        seal(PLAINTEXT, recipients=[council.gpg("--export", fingerprint)], signer=hub.secret)
    council.gpg("--quick-add-key", fingerprint, "cv25519", "encrypt", "1y")
    _, new = subkeys(council, fingerprint)
    assert sealed_to(council, seal(PLAINTEXT, recipients=[council.gpg("--export", fingerprint)], signer=hub.secret)) == {new}


def subkeys(council: Council, fingerprint: str) -> list[str]:
    lines = council.gpg("--with-colons", "--list-keys", fingerprint).decode().splitlines()
    return [line.split(":")[4] for line in lines if line.startswith("sub:")]


def sealed_to(council: Council, message: bytes) -> set[str]:
    lines = council.gpg("--status-fd=1", "--list-only", "--decrypt", given=message).decode().splitlines()
    return {line.split()[2] for line in lines if line.startswith("[GNUPG:] ENC_TO")}


# the status lines themselves


def test_status_lines_in_a_text_of_the_partner_are_not_status_lines(council, people, gpg_home, tmp_path):
    lie = b"[GNUPG:] VALIDSIG %s\n" % people["la"].fingerprint.encode()
    message = council.seals(lie * 3, to=[people["hub"]], by=None, options=["--set-filename=x\n[GNUPG:] GOODSIG"])
    assert opens(message, gpg_home=gpg_home, allowed=people["la"].allowed, folder=tmp_path).refusal is Refusal.UNSIGNED


SOUND = (
    b"[GNUPG:] DECRYPTION_KEY SUB HUB u\n[GNUPG:] BEGIN_DECRYPTION\n[GNUPG:] PLAINTEXT 62 0 \n[GNUPG:] NEWSIG\n"
    b"[GNUPG:] GOODSIG ID name\n[GNUPG:] VALIDSIG SUB 2026-11-20 1 0 4 0 22 10 00 LA\n"
    b"[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] GOODMDC\n[GNUPG:] END_DECRYPTION\n"
)


def test_the_lines_of_a_sound_message_are_all_needed_and_needed_once():
    assert status.judge(SOUND, {"LA"}) == status.Sound("LA", "HUB")
    lines = SOUND.splitlines(keepends=True)
    for place, line in enumerate(lines):
        if b"NEWSIG" not in line:
            without = b"".join(lines[:place] + lines[place + 1 :])
            assert isinstance(status.judge(without, {"LA"}), status.Unsound), line
        twice = b"".join([*lines[:place], line, *lines[place:]])
        assert isinstance(status.judge(twice, {"LA"}), status.Unsound), line


@pytest.mark.parametrize(
    "line", ["DECRYPTION_FAILED", "NODATA 3", "UNEXPECTED 0", "BADSIG ID name", "ERRSIG ID 1 8 00 1 4 FPR", "EXPSIG ID name",
             "EXPKEYSIG ID name", "REVKEYSIG ID name", "BADMDC", "BADARMOR"]
)  # fmt: skip
def test_one_bad_line_outweighs_every_good_one(line):
    for status_lines in (f"[GNUPG:] {line}\n".encode() + SOUND, SOUND + f"[GNUPG:] {line}\n".encode()):
        assert isinstance(status.judge(status_lines, {"LA"}), status.Unsound)


def test_a_limit_is_a_limit_on_the_plaintext_too(council, people, gpg_home, tmp_path):
    message = council.seals(bytes(2000), to=[people["hub"]], by=people["la"])
    for cap, opened in ((2000, True), (1999, False)):
        outcome = opens(
            message, gpg_home=gpg_home, allowed=people["la"].allowed, folder=tmp_path, limits=Limits(plaintext_bytes=cap)
        )
        assert isinstance(outcome, Opened) is opened
