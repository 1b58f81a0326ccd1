"""Partners: agreements, certificates, servers. Whoever is in trouble is told so, and is alone in it."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cpis_batch import config, partners
from cpis_batch.envelope import hub as hub_keys
from cpis_batch.envelope.certificates import generate, inspect
from cpis_batch.envelope.desk import open_at_desk
from cpis_batch.envelope.outcome import Opened
from cpis_batch.envelope.sealing import seal
from cpis_batch.errors import Exit
from cpis_batch.intake import findings
from cpis_batch.keystore import load_master_key
from tests.builders import HACKNEY, KENT, nhs
from tests.hub import NATIONAL, Hub, extract, keys, plan_row
from tests.small_england import small_england


@pytest.fixture
def hub(tmp_path):
    return small_england(tmp_path)


def lying(hub: Hub, la: str, box: str = "inbound") -> list[str]:
    return sorted(path.name for path in (hub.root / la / box).iterdir())


def partner_file(hub: Hub, code: str, old: str, new: str) -> None:
    path = hub.home / "partners" / code / partners.FILE_NAME
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def with_certificate(hub: Hub, code: str, certificate: bytes, **days: date) -> None:
    """Allow a partner one certificate more."""
    fingerprint = inspect(certificate).fingerprint
    folder = hub.home / "partners" / code
    (folder / f"{fingerprint}.asc").write_bytes(certificate)
    starts, ends = days.get("starts", date(2020, 1, 1)), days.get("ends", date(2039, 12, 31))
    with (folder / partners.FILE_NAME).open("a") as stream:
        stream.write(f'[[keys]]\nfingerprint = "{fingerprint}"\nfrom = {starts}\nto = {ends}\n')


# Agreements


@pytest.mark.parametrize("kind", ["intake", "nightly"])
def test_without_an_agreement_nothing_is_taken_or_sent_and_it_is_told(hub, kind):
    hub.add_partner(HACKNEY, "LA", agreement_ends="2026-11-19")
    dropped = hub.drop(HACKNEY, [plan_row(1)])
    hub.drop(KENT, [plan_row(3)])
    night = hub.run(kind)

    assert night.exit_code is Exit.PERSON_NEEDED
    assert "DSA-E09000012" in night.document["partners_in_trouble"][HACKNEY]
    assert lying(hub, HACKNEY) == [dropped.name]
    assert hub.outbound(HACKNEY) == []
    assert hub.active(KENT) == {(nhs(3), "CPP")}

    hub.add_partner(HACKNEY, "LA")
    hub.run(kind)
    assert hub.acknowledgement()["file"]["state"] == "MERGED"


def test_a_partner_whose_agreement_begins_later_is_left_alone_and_nobody_is_alarmed(hub):
    partner_file(hub, HACKNEY, "from = 2020-01-01\nto = 2035", "from = 2026-12-01\nto = 2035")
    dropped = hub.drop(HACKNEY, [plan_row(1)])
    assert hub.run().document["partners_in_trouble"] == {}
    assert lying(hub, HACKNEY) == [dropped.name]


def test_an_answer_that_is_due_when_the_agreement_ends_waits_for_the_next_one(hub):
    outbound = hub.root / HACKNEY / "outbound"
    hub.drop(HACKNEY, [plan_row(1)])
    outbound.rmdir()
    assert hub.run().undelivered
    outbound.mkdir()
    hub.add_partner(HACKNEY, "LA", agreement_ends="2026-11-20")
    hub.next_night()
    night = hub.run()
    assert night.undelivered
    assert hub.outbound(HACKNEY) == []

    hub.add_partner(HACKNEY, "LA")
    hub.run()
    assert len(hub.acknowledgements()) == 1


@pytest.mark.parametrize("ended", [False, True], ids=["refused folder", "agreement ended"])
def test_the_trouble_of_the_national_service_is_told_and_holds_back_no_answer(hub, ended):
    if ended:
        hub.add_partner(NATIONAL, "NATIONAL", agreement_ends="2026-11-19")
    else:
        shutil.rmtree(hub.root / NATIONAL / "inbound")
    hub.drop(HACKNEY, [plan_row(1)])
    night = hub.run("nightly")
    assert set(night.document["partners_in_trouble"]) == {NATIONAL}
    assert night.exit_code is Exit.PERSON_NEEDED
    assert night.servers_down == {}
    assert len(hub.acknowledgements()) == 1


# Certificates


def replace_certificate(hub: Hub, code: str, certificate: bytes) -> None:
    """Allow a partner this certificate and no other."""
    folder = hub.home / "partners" / code
    for old in folder.glob("*.asc"):
        old.unlink()
    (folder / partners.FILE_NAME).write_text((folder / partners.FILE_NAME).read_text().partition("[[keys]]")[0])
    with_certificate(hub, code, certificate)


@pytest.mark.parametrize("lacking", ["not allowed today", "its file is gone", "expired"])
def test_without_a_certificate_to_answer_to_nothing_is_taken_and_it_is_told(hub, lacking):
    if lacking == "not allowed today":
        partner_file(hub, HACKNEY, "to = 2039-12-31", "to = 2026-11-19")
    elif lacking == "its file is gone":
        next((hub.home / "partners" / HACKNEY).glob("*.asc")).unlink()
    else:
        replace_certificate(hub, HACKNEY, generate(["Old <old@example.org>"], expires=date(2034, 1, 1))[0].certificate)
        hub.now = datetime(2034, 6, 1, 2, 0, tzinfo=UTC)
    dropped = hub.drop(HACKNEY, [plan_row(1)])
    hub.drop(KENT, [plan_row(3, "UCPP", born="2010-08-02")])
    night = hub.run()

    assert night.exit_code is Exit.PERSON_NEEDED
    assert set(night.document["partners_in_trouble"]) == {HACKNEY}
    assert lying(hub, HACKNEY) == [dropped.name]
    assert hub.outbound(HACKNEY) == []
    assert len(hub.acknowledgements(KENT)) == 1


def test_one_certificate_may_sign_for_two_authorities_and_each_folder_takes_its_own_alone(tmp_path):
    hub = small_england(tmp_path, las=())
    for la in (HACKNEY, KENT):
        hub.add_partner(la, "LA", key="TRUST")

    def put(folder: str, header: str, rows: list, sequence: int = 1) -> None:
        hub.put(folder, hub.name(folder, sequence), hub.sealed(extract(header, rows, sequence=sequence), "TRUST"))

    put(HACKNEY, HACKNEY, [plan_row(1)])
    put(KENT, KENT, [plan_row(3)])
    hub.run()
    put(HACKNEY, KENT, [plan_row(5)], sequence=2)
    night = hub.run()

    assert [(file["la"], file["state"]) for file in night.document["files"]] == [(HACKNEY, "REFUSED")]
    assert (hub.active(HACKNEY), hub.active(KENT)) == ({(nhs(1), "CPP")}, {(nhs(3), "CPP")})
    assert len(hub.outbound(KENT)) == 1, "what was put down for another folder is answered to that folder's owner alone"
    answer = hub.opened(hub.outbound(HACKNEY)[-1], "TRUST")
    assert nhs(5).encode() not in answer


def test_f23_the_certificate_of_one_authority_does_not_sign_for_another(hub):
    hub.put(HACKNEY, hub.name(HACKNEY, 1), hub.sealed(extract(HACKNEY, [plan_row(1)]), KENT))
    night = hub.run()
    assert [file["state"] for file in night.document["files"]] == ["REFUSED"]
    assert hub.outbound(KENT) == []
    assert hub.status()["rows"] == 0


@pytest.mark.parametrize(("days", "told"), [(61, False), (60, True), (7, True)])
def test_f24_a_key_that_runs_out_soon_is_told_in_the_answer(hub, days, told):
    soon = generate(["Soon <soon@example.org>"], expires=date(2034, 1, 1))[0]
    replace_certificate(hub, HACKNEY, soon.certificate)
    hub.now = datetime(2034, 1, 1, 2, 0, tzinfo=UTC) - timedelta(days=days)
    hub.put(HACKNEY, hub.name(HACKNEY, 1), seal(this_evening(hub, [plan_row(1, "UCPP", born="2005-01-01")]),
                                                 recipients=[hub.certificate], signer=soon.secret))  # fmt: skip
    hub.run()
    (path,) = hub.outbound(HACKNEY)
    found = open_at_desk(path.read_bytes(), secret=soon.secret, senders={inspect(hub.certificate).fingerprint: hub.certificate})
    assert isinstance(found, Opened)
    with_notice = zipped(found.plaintext)["notices"]
    assert any(f"in {days} days" in notice["text"] for notice in with_notice) is told


def zipped(data: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return json.loads(archive.read("acknowledgement.json"))


def this_evening(hub: Hub, rows: list, sequence: int = 1) -> bytes:
    return extract(HACKNEY, rows, sequence=sequence, extracted_at=(hub.now - timedelta(hours=3)).isoformat())


def test_f21_after_the_hub_s_key_changes_the_old_one_is_taken_with_a_warning_and_then_no_more(hub):
    old = hub.certificate
    master = load_master_key(hub.home, config.load(hub.home))
    dates = {"starts": date(2026, 12, 1), "ends": date(2039, 6, 1), "overlap_days": 10}
    new = hub_keys.make(hub.home, master, user_id="Hub <hub@example.org>", **dates)

    def night(day: date, certificate: bytes, children: int) -> Any:
        hub.now = datetime(day.year, day.month, day.day, 2, 0, tzinfo=UTC)
        hub.sequences[HACKNEY] = hub.sequences.get(HACKNEY, 0) + 1
        number = hub.sequences[HACKNEY]
        plaintext = this_evening(hub, [plan_row(child) for child in range(1, children + 1)], number)
        hub.put(HACKNEY, hub.name(HACKNEY, number), seal(plaintext, recipients=[certificate], signer=keys(HACKNEY).secret))
        return hub.run().document["files"][0]

    def last_answer() -> tuple[dict[str, Any], str]:
        path = max(hub.outbound(HACKNEY), key=lambda one: one.name.split("_")[-1])
        senders = {inspect(certificate).fingerprint: certificate for certificate in (old, new.certificate)}
        found = open_at_desk(path.read_bytes(), secret=keys(HACKNEY).secret, senders=senders)
        assert isinstance(found, Opened)
        return zipped(found.plaintext), found.signer

    def warned(answer: dict[str, Any]) -> bool:
        return any(notice["code"] == findings.PREVIOUS_HUB_KEY.code for notice in answer["notices"])

    assert night(date(2026, 11, 30), old, 1)["state"] == "MERGED"
    answer, signer = last_answer()
    assert (warned(answer), signer) == (False, inspect(old).fingerprint)

    assert night(date(2026, 12, 11), old, 2)["state"] == "MERGED"
    answer, signer = last_answer()
    assert (warned(answer), signer) == (True, new.fingerprint)

    assert night(date(2026, 12, 12), old, 3)["state"] == "REFUSED"
    assert night(date(2026, 12, 12), new.certificate, 3)["state"] == "MERGED"
    assert len(hub.active()) == 3


# Birthdays


@pytest.fixture
def nearly_eighteen(hub):
    hub.drop(HACKNEY, [plan_row(1, born="2008-11-25"), plan_row(2), plan_row(4, "UCPP", born="2008-11-25")])
    hub.drop(KENT, [plan_row(3)])
    hub.run()
    hub.next_night(5)
    return hub


def test_f52_who_turns_18_is_no_child_on_a_plan_any_more_without_any_file(nearly_eighteen):
    hub = nearly_eighteen
    assert hub.run().document["changes"] == {"AGED_OUT": 1}
    assert len(hub.acknowledgements()) == 1, "no file, no answer"
    before = hub.status()["commit"]
    hub.next_night()
    hub.run()
    assert hub.active() == {(nhs(2), "CPP"), (nhs(4), "UCPP")}
    assert hub.status()["commit"] == before, "a birthday is kept once"


@pytest.mark.parametrize("lacking", ["certificate", "agreement"])
def test_f52_a_birthday_at_an_authority_that_lacks_a_certificate_or_an_agreement_stops_nobody(nearly_eighteen, lacking):
    hub = nearly_eighteen
    if lacking == "certificate":
        next((hub.home / "partners" / HACKNEY).glob("*.asc")).unlink()
    else:
        hub.add_partner(HACKNEY, "LA", agreement_ends="2026-11-24")
    hub.drop(KENT, [plan_row(3), plan_row(6)])
    night = hub.run()
    assert night.exit_code is Exit.PERSON_NEEDED
    assert night.document["changes"] == {"AGED_OUT": 1, "NEW": 1}
    assert hub.active(KENT) == {(nhs(3), "CPP"), (nhs(6), "CPP")}


def test_f52_a_birthday_asks_nothing_of_a_file_that_is_held(nearly_eighteen):
    hub = nearly_eighteen
    hub.now -= timedelta(days=1)
    hub.drop(HACKNEY, [plan_row(2, end="2026-11-20")], kind="DELTA", sequence=3)
    hub.run()
    hub.next_night()
    assert hub.run().document["changes"] == {"AGED_OUT": 1}
    assert [hold["reason"] for hold in hub.status()["open_holds"]] == ["GAP"]
    assert len(hub.acknowledgements(start="CPIS_NOTICE_")) == 1


# Servers


def test_f14_of_two_servers_one_down_the_other_s_authorities_are_served_and_the_exit_code_is_3(hub, tmp_path):
    two_servers(hub, tmp_path / "other")
    hub.drop(HACKNEY, [plan_row(1)])
    dropped = hub.drop(KENT, [plan_row(3)])
    (tmp_path / "other").mkdir()
    night = hub.run("nightly")
    assert set(night.servers_down) == {"other"}
    assert night.exit_code is Exit.PERSON_NEEDED
    assert len(hub.acknowledgements()) == 1

    assert hub.run("nightly").exit_code is Exit.PERSON_NEEDED, "with nothing new elsewhere it is still one server of two"

    (tmp_path / "other").rmdir()
    shutil.move(hub.root / KENT, tmp_path / "other" / KENT)
    night = hub.run("nightly")
    assert night.servers_down == {}
    assert [file["name"] for file in night.document["files"]] == [dropped.name]


def two_servers(hub: Hub, root: Path) -> None:
    """Kent is on a server of its own, whose folder is at `root`."""
    with (hub.home / config.FILE_NAME).open("a") as stream:
        stream.write(f'\n[mailboxes.other]\nkind = "folder"\npath = "{root}"\n')
    partner_file(hub, KENT, 'mailbox = "central"', 'mailbox = "other"')


def test_a_mailbox_that_no_configuration_names_is_told_and_the_others_are_served(hub):
    partner_file(hub, KENT, 'mailbox = "central"', 'mailbox = "centrall"')
    hub.drop(HACKNEY, [plan_row(1)])
    night = hub.run()
    assert night.exit_code is Exit.PERSON_NEEDED
    assert "mailboxes.centrall" in night.document["servers_down"]["centrall"]
    assert len(hub.acknowledgements()) == 1
