"""F01: no part of a sealed file that begins where the file begins is ever taken for the file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from cpis_batch.config import Limits
from cpis_batch.envelope.desk import open_at_desk
from cpis_batch.envelope.opening import GpgHome, open_message
from cpis_batch.envelope.outcome import Opened, Refusal
from cpis_batch.envelope.sealing import seal
from tests.envelope_kit import PLAINTEXT, Council, opens, parties


@pytest.fixture(scope="module")
def people():
    return parties("Hub", "LA")


@pytest.fixture(scope="module")
def gpg_home(people):
    with GpgHome([people[0].secret]) as home:
        yield home.path


@pytest.fixture(scope="module")
def sealed(people):
    """One message as each tool makes it."""
    hub, la = people
    council = Council().has(hub.certificate, la.secret)
    armored = council.seals(PLAINTEXT, to=[hub], by=la, options=["--armor"])
    yield {
        "GnuPG": council.seals(PLAINTEXT, to=[hub], by=la),
        "GnuPG, armored": armored,
        "GnuPG, armored on Windows": armored.replace(b"\n", b"\r\n"),
        "PySequoia": seal(PLAINTEXT, recipients=[hub.certificate], signer=la.secret),
    }
    council.close()


def lengths(whole: int, last: int) -> list[int]:
    """Every length near the end, where signature and integrity check lie, and one in seventeen before it."""
    return list(chain(range(0, whole - last, 17), range(max(0, whole - last), whole)))


@pytest.mark.parametrize(
    ("made_by", "last"), [("GnuPG", 200), ("PySequoia", 120), ("GnuPG, armored", 60), ("GnuPG, armored on Windows", 60)]
)
def test_f01_no_strict_prefix_of_a_sealed_file_is_ever_opened(made_by, last, sealed, people, gpg_home, tmp_path):
    _, la = people
    message = sealed[made_by]
    whole = opens(message, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path)
    assert isinstance(whole, Opened)

    def refusal(length: int) -> object:
        part = tmp_path / f"{length}.pgp"
        part.write_bytes(message[:length])
        outcome = open_message(part, gpg_home=gpg_home, allowed=la.allowed, limits=Limits())
        return getattr(outcome, "refusal", "opened")

    cuts = lengths(len(message), last)
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(cuts, pool.map(refusal, cuts), strict=True))
    assert found == dict.fromkeys(cuts, Refusal.UNREADABLE)


def test_f01_nor_at_a_desk(sealed, people):
    hub, la = people
    message = sealed["PySequoia"]
    assert isinstance(open_at_desk(message, secret=hub.secret, senders=la.allowed), Opened)
    found = {
        getattr(open_at_desk(message[:length], secret=hub.secret, senders=la.allowed), "refusal", "opened")
        for length in range(len(message))
    }
    assert found == {Refusal.UNREADABLE}


def test_f01_what_stands_behind_a_message_is_refused_too(sealed, people, gpg_home, tmp_path):
    _, la = people
    for message in sealed.values():
        for more in (b"\n", b"\x00", message):
            outcome = opens(message + more, gpg_home=gpg_home, allowed=la.allowed, folder=tmp_path)
            assert getattr(outcome, "refusal", "opened") is Refusal.UNREADABLE
