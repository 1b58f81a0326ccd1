"""A keybox is a copy of a sender's certificates: it makes opening quicker, and lets nobody in and keeps nobody out (F22, F23)."""

from __future__ import annotations

import pytest

from cpis_batch.config import Limits
from cpis_batch.envelope import keyboxes
from cpis_batch.envelope.gpg_home import GpgHome
from cpis_batch.envelope.opening import open_message
from cpis_batch.envelope.outcome import Opened, Refusal
from cpis_batch.envelope.sealing import seal
from tests.envelope_kit import parties

PLAINTEXT = b"H,CPIS-LA-EXTRACT,1.0\r\n"


@pytest.fixture(scope="module")
def people():
    return dict(zip(("hub", "la", "other"), parties("Hub", "LA", "Other"), strict=True))


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "kept"


@pytest.fixture
def opens(people, kept, tmp_path):
    """Open a message of one as from another, with the keyboxes in `kept`."""
    with GpgHome([people["hub"].secret], kept) as home:

        def opens(sealed_by: str, of: str = "la"):
            file = tmp_path / "message.pgp"
            file.write_bytes(seal(PLAINTEXT, recipients=[people["hub"].certificate], signer=people[sealed_by].secret))
            return open_message(file, gpg_home=home.path, allowed=people[of].allowed, limits=Limits())

        yield opens


def names(kept):
    return sorted(path.name for path in kept.iterdir())


def test_one_is_made_for_each_senders_certificates_and_used_again(opens, kept, people):
    assert isinstance(opens("la"), Opened)
    (made,) = kept.iterdir()
    assert made.stat().st_mode & 0o777 == 0o600
    stood = made.stat().st_mtime_ns
    assert isinstance(opens("la"), Opened)
    assert (names(kept), made.stat().st_mtime_ns) == ([made.name], stood)
    assert isinstance(opens("other", of="other"), Opened)
    assert len(names(kept)) == 2


@pytest.mark.parametrize("damage", [b"", b"nonsense" * 40, "cut", "another's"], ids=["empty", "nonsense", "cut", "another's"])
def test_f23_a_damaged_one_keeps_nobody_out_and_lets_nobody_in(damage, opens, kept):
    opens("la")
    (mine,) = kept.iterdir()
    opens("other", of="other")
    (theirs,) = set(kept.iterdir()) - {mine}
    mine.write_bytes(damaged := {"cut": mine.read_bytes()[:-100], "another's": theirs.read_bytes()}.get(damage, damage))
    assert opens("other").refusal is Refusal.NOT_YOUR_KEY
    assert opens("la").plaintext == PLAINTEXT
    assert opens("la").plaintext == PLAINTEXT
    assert mine.read_bytes() != damaged, "it was made anew"


def test_what_gpg_does_not_take_is_judged_by_the_certificates_and_not_kept(people, kept):
    with GpgHome([people["hub"].secret], kept) as home:
        assert keyboxes.kept(home.path, people["la"].certificate, {"0" * 40}) is None
        assert names(kept) == []


def test_those_of_replaced_certificates_do_not_pile_up(kept):
    kept.mkdir()
    for number in range(9):
        (kept / f"{number}.kbx").write_bytes(b"")
    keyboxes.tidy(kept, 2)
    assert len(names(kept)) == 9
    keyboxes.tidy(kept, 1)
    assert names(kept) == []
