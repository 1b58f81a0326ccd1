"""The audit log of a real home: what is told in it, and that whoever changes it or what it tells of is found out."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from cpis_batch import audit_key, catalogue, config
from cpis_batch.audit.entry import NOTHING, Deed, Entry, Head, Kind, linked
from cpis_batch.audit.signing import Signer
from cpis_batch.envelope.certificates import generate, inspect
from cpis_batch.errors import KeyFault, Locked, UsageFault
from cpis_batch.keystore import load_master_key
from cpis_batch.runs import audit
from cpis_batch.runs.lock import exclusive
from tests.access_builders import LINE, file_of
from tests.builders import HACKNEY, KENT, nhs
from tests.commands import told, typed
from tests.docs.papers import ROOT
from tests.failure.strace_kit import copy_of
from tests.hub import NATIONAL, Hub, plan_row
from tests.small_england import small_england

CHILDREN = [plan_row(child) for child in range(1, 21)]
REASON = "the authority confirmed it by telephone"


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> Hub:
    """A home in which there was one deed of every kind: two nights, a release, a decision, a look, a resend, a certificate."""
    hub = small_england(tmp_path_factory.mktemp("lived"))
    hub.drop(HACKNEY, CHILDREN)
    hub.drop(KENT, [plan_row(1, "LAC")])
    hub.run("nightly")
    hub.next_night()
    hub.drop(HACKNEY, CHILDREN[:5])
    hub.put(NATIONAL, "CPIS_EVENTS_00000007_20261120T001500Z.csv.pgp", hub.sealed(file_of(LINE), NATIONAL))
    hub.run("nightly")
    (hold,) = hub.status()["open_holds"]
    typed(hub, "holds", "release", str(hold["id"]), "--by", "A. Officer", "--reason", REASON)
    look = ("register", "asof", "--valid", "2026-11-20", "--known", hub.now.isoformat(), "--reason", "case 17", "--by", "B. Doe")
    typed(hub, *look, given=nhs(1))
    typed(hub, "deliveries", "resend", "1")
    (new,) = generate(["Kent, next <kent@example.org>"], expires=hub.now.date() + timedelta(days=4000))
    (hub.home / "kent.asc").write_bytes(inspect(new.certificate).armored)
    typed(hub, "keys", "import", "--party", KENT, str(hub.home / "kent.asc"))
    return hub


@pytest.fixture
def hub(lived, tmp_path) -> Hub:
    """That home, to spoil."""
    return copy_of(lived, tmp_path / "hub")


@contextmanager
def database(hub: Hub) -> Iterator[sqlite3.Connection]:
    """The catalogue, as somebody opens it who has the disk."""
    with closing(sqlite3.connect(hub.home / catalogue.FILE_NAME)) as opened, opened:
        yield opened


def entries(hub: Hub) -> list[Entry]:
    with hub.catalogue() as opened:
        return list(opened.entries())


def of_kind(hub: Hub, kind: Kind) -> list[dict[str, Any]]:
    return [entry.facts for entry in entries(hub) if entry.kind == kind]


def faults(hub: Hub, *arguments: str) -> list[str]:
    """What `audit verify` names; it must end with 74."""
    return [fault["what"] for fault in told(hub, "audit", "verify", *arguments, code=74)["faults"]]


def put_back(hub: Hub, log: list[Entry]) -> None:
    """Write a log in the place of the one that is there."""
    rows = [[getattr(entry, name) for name in Entry.__struct_fields__] for entry in log]
    with database(hub) as opened:
        opened.execute("DELETE FROM audit")
        opened.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def rechained(log: list[Entry], signer: Signer, after: Entry | None = None) -> list[Entry]:
    """Entries that were changed, made to fit again (behind one that stands) by somebody who has another key than the home's."""
    head, made = after.head if after else Head(0, NOTHING), []
    for entry in log:
        made.append(linked(head, deed_of(entry), entry.at, signer if entry.signature else None))
        head = made[-1].head
    return made


def deed_of(entry: Entry) -> Deed:
    return Deed(Kind(entry.kind), entry.facts)


# What is told


def test_the_log_of_a_home_is_whole_and_register_verify_says_so_too(lived):
    found = told(lived, "audit", "verify")
    assert (found["faults"], found["head"]["number"]) == ([], len(entries(lived)))
    assert told(lived, "register", "verify")["damages"] == []
    assert f"It stands at {entries(lived)[-1].head}" in typed(lived, "audit", "verify").output


def test_every_deed_is_told_in_its_order_and_nothing_else(lived):
    night = ["COMMIT", "ACKNOWLEDGEMENT", "ACKNOWLEDGEMENT", "COMMIT", "RELEASE"]
    second = ["COMMIT", "COMMIT", "ACKNOWLEDGEMENT"]  # the file is held; the events and their answer
    decided = ["COMMAND", "COMMIT", "ACKNOWLEDGEMENT"]
    assert [entry.kind for entry in entries(lived)] == [
        "AUDIT_KEY", "COMMAND", *night, *second, *decided, "COMMAND", "COMMAND", "KEYS",
    ]  # fmt: skip


def test_what_is_told_is_what_the_catalogue_has(lived):
    init, release, look, resend = of_kind(lived, Kind.COMMAND)
    assert (init["command"], init["environment"]) == ("init", "TEST")
    said = {name: release[name] for name in ("command", "by", "reason", "held_for", "partner")}
    assert said == {
        "command": "holds release", "by": "A. Officer", "reason": REASON, "held_for": "BRAKE", "partner": HACKNEY,
    }  # fmt: skip
    assert (look["command"], look["by"], look["reason"]) == ("register asof", "B. Doe", "case 17")
    assert resend == {"command": "deliveries resend", "deliveries": [1]}
    assert of_kind(lived, Kind.KEYS)[0]["party"] == KENT
    with lived.catalogue() as opened:
        answers = {one.arrival_id: one.digest for one in opened.deliveries("kind = 'ACKNOWLEDGEMENT'")}
        files = {arrival.id: arrival.digest for arrival in opened.arrivals()}
        seals = [row["seal"] for row in opened.table("SELECT seal FROM seals ORDER BY commit_id")]
        registers = [commit.register_digest for commit in opened.commits()]
    acknowledged = of_kind(lived, Kind.ACKNOWLEDGEMENT)
    assert {one["arrival"]: (one["file"], one["message"]) for one in acknowledged} == {
        arrival: (files[arrival], message) for arrival, message in answers.items()
    }
    assert [(one["seal"], one["register_digest"]) for one in of_kind(lived, Kind.COMMIT)] == list(
        zip(seals, registers, strict=True)
    )
    assert of_kind(lived, Kind.RELEASE)[0]["sent"] == 21


def test_f68_no_value_of_a_record_is_told(lived):
    text = " ".join(entry.what for entry in entries(lived))
    assert not [value for row in (*CHILDREN, plan_row(1, "LAC")) for value in (*row[:4], row[4]) if value and value in text]


def test_a_second_run_of_a_night_tells_nothing(hub):
    before = entries(hub)
    hub.run("nightly")
    assert entries(hub) == before


def test_a_run_is_told_by_its_commits_alone(tmp_path):
    hub = small_england(tmp_path)
    hub.run("intake")  # finds nothing
    assert [entry.kind for entry in entries(hub)] == ["AUDIT_KEY", "COMMAND"]


def test_a_reason_that_may_hold_an_nhs_number_is_refused_for_it_would_be_told_for_ever(tmp_path):
    hub = small_england(tmp_path)
    for by, reason in (("A. Officer", f"child {nhs(1)[:3]} {nhs(1)[3:6]} {nhs(1)[6:]}"), (nhs(1), "asked")):
        with pytest.raises(UsageFault, match="NHS number"):
            hub.decide(1, release=True, by=by, reason=reason)


@pytest.mark.parametrize("arguments", [[], ["--kind", "COMMAND"], ["--since", "2026-11-21"], ["--last", "3"]])
def test_the_log_is_shown_as_published(lived, arguments):
    schema = json.loads((ROOT / "specs/audit/1.0/audit.json-schema.json").read_bytes())
    shown = told(lived, "audit", "show", *arguments)
    Draft202012Validator(schema).validate(shown)
    log = entries(lived)
    wanted = {
        "--kind": [one for one in log if one.kind == "COMMAND"],
        "--since": [one for one in log if one.at >= "2026-11-21"],
        "--last": log[-3:],
    }
    assert [one["number"] for one in shown["entries"]] == [one.number for one in wanted.get(" ".join(arguments[:1]), log)]
    assert typed(lived, "audit", "show", *arguments).output.count("\n") == len(shown["entries"]) + 2


def test_the_log_can_be_checked_without_the_program_as_its_page_says(lived, tmp_path):
    page = (ROOT / "specs/audit/1.0/README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shown = told(lived, "audit", "show")

    def check() -> subprocess.CompletedProcess[str]:
        (tmp_path / "audit.json").write_text(json.dumps(shown))
        return subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert check().stdout.strip() == str(entries(lived)[-1].head)
    shown["entries"][4]["what"]["arrival"] += 1
    assert check().returncode == 1


# Witnesses


def answers(hub: Hub) -> list[dict[str, bytes]]:
    paths = [*hub.outbound(HACKNEY, "CPIS_ACK"), *hub.outbound(HACKNEY, "CPIS_NOTICE")]
    return [hub.unpacked(path, HACKNEY) for path in sorted(paths, key=lambda path: path.name.split("_")[4])]


def test_every_answer_prints_where_the_log_stood_when_its_run_began(lived):
    log = entries(lived)
    first, notice, last = answers(lived)
    stood = [Head(**json.loads(one["acknowledgement.json"])["audit"]) for one in (first, notice, last)]
    before = [log[1], log[6], log[9]]  # what each run found as the newest entry
    assert stood == [entry.head for entry in before]
    for one, head in zip((first, notice, last), stood, strict=True):
        rows = list(csv.DictReader(io.StringIO(one["acknowledgement.csv"].decode("utf-8-sig"))))
        assert [row["code"] for row in rows if row["kind"] == "AUDIT"] == [str(head)]
        assert str(head) in one["acknowledgement.html"].decode()
        assert "not rewritten" in one["acknowledgement.html"].decode()
    (events,) = lived.outbound(NATIONAL, "CPIS_EVENTS_ACK")
    members = lived.unpacked(events, NATIONAL)
    assert Head(**json.loads(members["answer.json"])["audit"]) == log[6].head
    assert f'"AUDIT","{log[6].head}"' in members["answer.csv"].decode()


def test_a_witness_is_taken_by_word_and_by_file(lived, tmp_path):
    (tmp_path / "answer.json").write_bytes(answers(lived)[1]["acknowledgement.json"])
    given = ("--witness", str(tmp_path / "answer.json"), "--witness", str(entries(lived)[2].head))
    assert told(lived, "audit", "verify", *given)["witnesses"] == 2
    for wrong in ("7", f"7:{'0' * 63}", str(tmp_path / "none.json"), __file__):
        with pytest.raises(UsageFault, match="no head of the log"):
            typed(lived, "audit", "verify", "--witness", wrong)


def test_an_older_backup_is_whole_in_itself_and_is_found_by_a_witness(tmp_path):
    hub = small_england(tmp_path)
    hub.drop(HACKNEY, CHILDREN)
    hub.run()
    hub.next_night()
    backup = shutil.copytree(hub.home, tmp_path / "backup")
    hub.drop(HACKNEY, CHILDREN[1:])
    hub.run()
    hub.next_night()
    hub.drop(HACKNEY, CHILDREN)
    hub.run()  # its answer bears witness of the night before
    witness = Head(**hub.acknowledgement()["audit"])
    assert told(hub, "audit", "verify", "--witness", str(witness))["faults"] == []
    restored = Hub(backup, hub.root, hub.now)
    assert told(restored, "audit", "verify")["faults"] == []
    ends = len(entries(restored))
    assert faults(restored, "--witness", str(witness)) == [
        f"a witness has seen entry {witness.number}; the log ends with entry {ends}"
    ]
    restored.drop(KENT, [plan_row(1, "LAC")])
    restored.drop(KENT, [plan_row(1, "LAC"), plan_row(2, "LAC")])
    restored.run()  # goes on from there, past what the witness has seen
    assert f"entry {witness.number} is not the one that a witness has seen" in faults(restored, "--witness", str(witness))


# Who changes it


@pytest.mark.parametrize("column", ["at", "kind", "what", "before", "hash", "signature"])
def test_f71_any_bit_that_flips_in_the_log_on_disk_is_found(hub, column):
    """In the file itself, in every entry, at a place that differs from run to run."""
    with database(hub) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = hub.home / catalogue.FILE_NAME
    sound, chosen, found = path.read_bytes(), Random(), 0
    for entry in entries(hub):
        text = getattr(entry, column)
        whole = f"{entry.at}{entry.kind}{entry.what}{entry.before}{entry.hash}".encode()
        if text is None:
            continue
        # A row's texts stand one behind the other; where SQLite has parted a page, an old copy may lie in its unused bytes.
        starts = [found.start() for found in re.finditer(re.escape(whole), sound)]
        offsets = {"at": 0, "kind": 20, "what": 20 + len(entry.kind), "before": -128, "hash": -64, "signature": len(whole)}
        start = offsets[column] if offsets[column] >= 0 else len(whole) + offsets[column]
        place, bit = start + chosen.randrange(len(text.encode())), 1 << chosen.randrange(8)
        spoilt = bytearray(sound)
        for row in starts:
            spoilt[row + place] ^= bit
        path.write_bytes(spoilt)
        assert audit.verify(hub.home).faults, f"entry {entry.number}, byte {place} of its texts, bit {bit}"
        found += 1
    path.write_bytes(sound)
    assert found > 5
    assert audit.verify(hub.home).faults == []


def test_who_has_the_disk_and_not_the_key_cannot_write_an_entry_anew(hub):
    log, forger = entries(hub), Signer(b"f" * 32)
    place = next(i for i, entry in enumerate(log) if REASON in entry.what)
    changed = [
        msgspec.structs.replace(one, what=one.what.replace("A. Officer", "B. Officer")) if i == place else one
        for i, one in enumerate(log)
    ]
    put_back(hub, changed)
    assert faults(hub)[0] == f"entry {place + 1} is not as it was written: it does not come to its hash"
    put_back(hub, [*log[:place], *rechained(changed[place:], forger, after=log[place - 1])])
    assert f"entry {place + 3} is not signed by the audit key in force" in faults(hub)[1]
    put_back(hub, rechained(changed, forger))
    assert "entry 1 is not signed" in faults(hub)[0]


def test_entries_taken_away_or_put_in_another_order_are_named(hub):
    log = entries(hub)
    put_back(hub, log[:-10])
    assert any(re.fullmatch(r"the catalogue has .*, of which no entry tells", what) for what in faults(hub))
    swapped = [*log[:3], log[4], log[3], *log[5:]]
    put_back(hub, sorted((renumbered(one, i) for i, one in enumerate(swapped, 1)), key=lambda one: one.number))
    assert faults(hub)[0] == "entry 4 does not follow on the one before it"
    put_back(hub, [*log[:3], *log[4:]])
    assert faults(hub)[0] == "entry 4 is missing: entry 5 stands in its place"


def renumbered(entry: Entry, number: int) -> Entry:
    return msgspec.structs.replace(entry, number=number)


def test_the_log_of_another_home_is_not_taken_for_ours(hub, tmp_path):
    other = small_england(tmp_path / "other")
    other.drop(HACKNEY, CHILDREN)
    other.run()
    put_back(hub, entries(other))
    (theirs,) = audit_key.held(other.home)
    assert any(f"the log ends under the audit key {theirs[:16]}; this home holds" in what for what in faults(hub))
    shutil.copytree(other.home / "keys/audit", hub.home / "keys/audit", dirs_exist_ok=True)  # its key as well
    with pytest.raises(KeyFault, match="master key does not open"):
        audit.verify(hub.home)


def test_a_public_key_put_in_the_place_of_ours_is_named(hub):
    (path,) = (hub.home / "keys/audit").glob("*.pub")
    path.write_bytes(Signer(b"f" * 32).public_pem)
    assert faults(hub) == [f"keys/audit/{path.name} is not the public half of the audit key"]
    path.unlink()
    assert faults(hub) == [f"keys/audit/{path.name} is missing"]


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE la_versions SET emergency_phone = '' WHERE commit_id = 1", "another seal of commit 1 than the catalogue"),
        ("UPDATE deliveries SET digest = purpose WHERE id = 1", "another message of acknowledgement of arrival 1"),
        ("UPDATE arrivals SET file_outcome = 'CPF04' WHERE id = 1", "another outcome of acknowledgement of arrival 1"),
        ("UPDATE holds SET decided_by = 'nobody'", "another by of decision on hold 1 than the catalogue"),
        ("UPDATE holds SET detail = 'nothing much'", "another seal of commit 3 than the catalogue"),
        ("UPDATE holds SET decision = 'OVERTAKEN'", "tells of decision on hold 1, which the catalogue has not"),
        ("UPDATE holds SET decision = NULL, decided_in = NULL", "tells of decision on hold 1, which the catalogue has not"),
        ("DELETE FROM runs WHERE kind = 'asof'", "tells of look of run 3, which the catalogue has not"),
        ("UPDATE releases SET sent = sent - 1", "another sent of release 1 than the catalogue"),
        ("DELETE FROM commits WHERE id = 5", "tells of commit 5, which the catalogue has not"),
        (
            "INSERT INTO runs (kind, business_date, started_at) VALUES ('asof', '2026-11-20', '2026-11-20T00:00:00Z')",
            "the catalogue has look of run 4, of which no entry tells",
        ),
        ("UPDATE commits SET kind = 'DECISION' WHERE id = 5", "the catalogue has command of commit 5, of which no entry tells"),
    ],
)
def test_f71_a_catalogue_that_was_changed_does_not_agree_with_the_log(hub, sql, what):
    with database(hub) as opened:
        opened.execute(sql)
    assert any(what in fault for fault in faults(hub))
    assert any(what in damage["what"] for damage in told(hub, "register", "verify", code=74)["damages"])


def test_a_deed_told_twice_is_named(hub):
    with hub.catalogue(signing=True) as opened:
        opened.tell(deed_of(entries(hub)[3]), hub.now)
    assert faults(hub) == [f"entry {len(entries(hub))} tells of acknowledgement of arrival 1 a second time"]


def test_f62_the_log_is_not_verified_while_a_run_is_at_work(hub):
    with exclusive(hub.home, "run nightly"), pytest.raises(Locked, match="run nightly"):
        audit.verify(hub.home)


# The key


def test_a_new_audit_key_is_announced_by_the_old_one_which_is_then_gone(hub):
    (old,) = audit_key.held(hub.home)
    made = json.loads(typed(hub, "--json", "keys", "make", "audit").stdout)
    assert audit_key.held(hub.home) == [made["public"]] != [old]
    announced, begun = entries(hub)[-2:]
    assert (announced.facts, begun.facts) == ({"announces": made["public"]}, {"begins": made["public"]})
    hub.next_night()
    hub.drop(HACKNEY, CHILDREN)
    hub.run()
    assert told(hub, "audit", "verify")["faults"] == []
    put_back(hub, entries(hub)[: begun.number - 2])  # back to before the change, with the old rows too
    assert any("this home holds" in what for what in faults(hub))


def test_f59_a_key_made_by_a_command_that_was_killed_is_used_by_nobody_and_goes(hub):
    (old,) = audit_key.held(hub.home)
    audit_key.make(hub.home, load_master_key(hub.home, config.load(hub.home)))  # and killed before the log began it
    assert told(hub, "audit", "verify")["faults"] == []
    hub.next_night()
    hub.run()
    assert audit_key.held(hub.home) == [old]


def test_a_command_that_began_under_the_old_key_does_not_write_under_it(hub):
    with hub.catalogue(signing=True) as opened:
        typed(hub, "keys", "make", "audit")
        before = entries(hub)
        with pytest.raises(KeyFault, match="replaced in the meantime"):
            opened.resend([1], hub.now)
    assert entries(hub) == before


def test_a_home_without_an_audit_key_is_told_how_to_make_one(tmp_path):
    hub = small_england(tmp_path)
    shutil.rmtree(hub.home / "keys/audit")
    with database(hub) as opened:
        opened.execute("DELETE FROM audit")
    for ask in (hub.run, lambda: typed(hub, "keys", "make", "ssh")):
        with pytest.raises(KeyFault) as fault:
            ask()
        assert fault.value.advice == "Make one: cpis-batch keys make audit"
    found = {one["about"]: one for one in json.loads(typed(hub, "preflight", "--json").stdout)["findings"]}
    assert found["audit"]["advice"] == "Make one: cpis-batch keys make audit"
    typed(hub, "keys", "make", "audit")
    hub.run()
    assert told(hub, "audit", "verify")["faults"] == []


def test_f71_an_audit_key_that_is_lost_or_altered_stops_the_next_run_and_is_named(hub):
    (path,) = (hub.home / "keys/audit").glob("*.key")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(KeyFault, match="audit-key"):
        hub.run()
    assert [one["about"] for one in told(hub, "register", "verify", code=74)["damages"]] == ["keys/audit"]
    path.unlink()
    with pytest.raises(KeyFault, match="is missing"):
        hub.run()
    assert any("this home holds none" in what for what in faults(hub))
    assert typed(hub, "keys", "check").exit_code == 77


def test_the_log_grows_by_one_signature_a_transaction(lived):
    signed = [entry.number for entry in entries(lived) if entry.signature]
    assert signed == [1, 2, 5, 7, 8, 10, 13, 14, 15, 16]


def test_the_secret_half_lies_wrapped(lived):
    (path,) = (lived.home / "keys/audit").glob("*.key")
    assert path.stat().st_mode & 0o777 == 0o600
    signer = audit_key.load(lived.home, load_master_key(lived.home, config.load(lived.home)), path.stem)
    assert signer.public == path.stem
    assert Path(f"{path.parent}/{path.stem}.pub").read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----")
