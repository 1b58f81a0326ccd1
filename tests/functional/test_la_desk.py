"""An LA's desk: `la check`, `la seal`, `la read-ack` and `rules`, as a data officer uses them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from cpis_batch import cli
from cpis_batch.audit.entry import Head
from cpis_batch.envelope.certificates import inspect
from cpis_batch.envelope.desk import open_at_desk
from cpis_batch.envelope.outcome import Opened
from cpis_batch.envelope.sealing import seal
from cpis_batch.intake import acknowledge, answer_forms
from cpis_batch.spec import folder
from cpis_batch.vocabulary import FileOutcome, FileState
from tests.envelope_kit import parties
from tests.extracts import d, extract

_SAMPLES = folder().parent / "sample_data" / "la-extract"


@pytest.fixture(scope="module")
def people():
    return parties("LA", "Hub", expires=datetime.now(UTC).date() + timedelta(days=400))


@pytest.fixture
def desk(tmp_path, people):
    """A folder with the authority's key, private, and the hub's certificate."""
    la, hub = people
    (tmp_path / "own.key").write_bytes(la.secret)
    (tmp_path / "own.key").chmod(0o600)
    (tmp_path / "hub.asc").write_bytes(hub.certificate)
    return tmp_path


@pytest.fixture
def run(capfd, monkeypatch):
    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cpis-batch", "--now", "2026-11-20T12:00:00Z", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def test_a_good_file_is_told_so(run):
    code, out, _ = run("la", "check", _SAMPLES / "full.csv")
    assert code == 0
    assert out.startswith("full.csv: CPF02. 10 of 10 rows would load.")


def test_every_fault_is_told_with_line_cause_and_cure(run):
    code, out, _ = run("la", "check", _SAMPLES / "nhs-numbers.csv")
    assert code == 65
    assert "ERROR CPB-302 nhs_number, line 3" in out
    assert "scientific notation" in out


def test_a_mistake_made_many_times_reads_once_with_all_its_lines(run, tmp_path):
    (tmp_path / "many.csv").write_bytes(extract(*(d(n, end_date="31/10/2026") for n in range(40))))
    _, out, _ = run("la", "check", tmp_path / "many.csv")
    assert out.count("CPB-531") == 1
    assert f"40 lines: {', '.join(str(line) for line in range(2, 42))}" in out


def test_the_same_as_json(run):
    code, out, _ = run("la", "check", _SAMPLES / "unclosed-quote.csv", "--json")
    document = json.loads(out)
    assert code == 65
    assert (document["outcome"], document["rows"], document["loads"]) == ("CPF03", 3, 2)
    assert [(fault["line"], fault["code"]) for fault in document["faults"]] == [(3, "CPB-201")]


def test_f68_no_value_of_a_record_is_printed(run):
    for sample in (path for path in _SAMPLES.glob("*.csv") if ".expected" not in path.name):
        _, out, err = run("la", "check", sample)
        for value in ("9990000", "LC-0", "O'Brien", "Fernando", "2019-04-30"):
            assert value not in out + err, (sample.name, value)


def test_another_authority_is_told_where_the_own_code_is_given(run):
    code, out, _ = run("la", "check", _SAMPLES / "another-authority.csv", "--la", "E09000012")
    assert code == 65
    assert "CPB-131" in out


def test_a_sealed_extract_opens_at_the_hub_under_the_name_that_is_wanted(run, desk, people):
    la, hub = people
    code, out, _ = run("la", "seal", _SAMPLES / "full.csv", "--key", desk / "own.key", "--hub", desk / "hub.asc", "--out", desk)
    sealed = desk / "CPIS_LA_E09000012_FULL_00000118_20261119T234000Z.csv.pgp"
    assert code == 0
    assert str(sealed) in out
    opened = open_at_desk(sealed.read_bytes(), secret=hub.secret, senders={la.fingerprint: la.certificate})
    assert isinstance(opened, Opened)
    assert opened.plaintext == (_SAMPLES / "full.csv").read_bytes()


def test_sealing_again_does_not_overwrite(run, desk):
    command = ("la", "seal", _SAMPLES / "full.csv", "--key", desk / "own.key", "--hub", desk / "hub.asc", "--out", desk)
    assert run(*command)[0] == 0
    assert run(*command)[0] == 64


def test_a_file_that_would_be_refused_is_not_sealed(run, desk):
    before = set(desk.iterdir())
    code, _, err = run(
        "la", "seal", _SAMPLES / "trailer-missing.csv", "--key", desk / "own.key", "--hub", desk / "hub.asc", "--out", desk
    )
    assert code == 65
    assert "la check" in err
    assert set(desk.iterdir()) == before


def test_a_key_that_others_can_read_is_refused(run, desk):
    (desk / "own.key").chmod(0o644)
    code, _, err = run("la", "seal", _SAMPLES / "full.csv", "--key", desk / "own.key", "--hub", desk / "hub.asc", "--out", desk)
    assert code == 77
    assert "chmod 600" in err


def test_an_answer_is_read(run, desk, people):
    la, hub = people
    at = datetime(2026, 11, 20, 2, tzinfo=UTC)
    answer = acknowledge.Answer(
        reference="A1",
        la_code="E09000012",
        la_name="Hackney",
        file_name="CPIS_LA_x.csv.pgp",
        file_digest="0" * 64,
        received_at=at,
        answered_at=at,
        state=FileState.MERGED,
        outcome=FileOutcome.ALL_LOADED,
        audit=Head(1, "0" * 64),
        sequence=118,
    )
    (desk / "answer.zip.pgp").write_bytes(seal(answer_forms.render(answer), recipients=[la.certificate], signer=hub.secret))
    command = ("la", "read-ack", desk / "answer.zip.pgp", "--key", desk / "own.key", "--hub", desk / "hub.asc")
    code, out, _ = run(*command, "--out", desk / "opened")
    assert code == 0
    assert out.startswith("CPIS_LA_x.csv.pgp: CPF02. ")
    assert {path.name for path in (desk / "opened").iterdir()} == {
        f"acknowledgement.{form}" for form in ("csv", "json", "html", "xlsx")
    }
    assert json.loads(run(*command, "--json")[1])["file"]["sequence"] == 118


def test_an_answer_by_somebody_else_is_not_read(run, desk, people):
    la, _ = people
    (desk / "answer.zip.pgp").write_bytes(seal(b"PK", recipients=[la.certificate], signer=la.secret))
    code, _, err = run("la", "read-ack", desk / "answer.zip.pgp", "--key", desk / "own.key", "--hub", desk / "hub.asc")
    assert code == 65
    assert "was not opened" in err


def test_rules_list_prints_the_rules_and_the_findings(run):
    code, out, _ = run("rules", "list")
    assert code == 0
    assert "CPB-302" in out
    assert "CPB-913" in out
    assert len(json.loads(run("rules", "list", "--json")[1])["rules"]) > 130


def test_rules_show_prints_cause_cure_and_predicate(run):
    assert "Broken where: end_date < start_date" in run("rules", "show", "cpb-571")[1]
    assert json.loads(run("rules", "show", "CPB-105", "--json")[1])["file_outcome"] == "CPF06"
    assert "sequence" in run("rules", "show", "CPB-913")[1]
    assert run("rules", "show", "CPB-000")[0] == 64


def test_a_key_with_a_password_seals_when_the_password_is_typed(run, desk, people, tmp_path, monkeypatch):
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "correct horse"]
    subprocess.run([*gpg, "--quick-gen-key", "LA <la@example.org>", "default", "default", "1y"], check=True, capture_output=True)
    secret = subprocess.run([*gpg, "--export-secret-keys"], check=True, capture_output=True).stdout
    public = subprocess.run([*gpg, "--export"], check=True, capture_output=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    (desk / "own.key").write_bytes(secret)
    command = ("la", "seal", _SAMPLES / "full.csv", "--key", desk / "own.key", "--hub", desk / "hub.asc", "--out", desk)
    code, _, err = run(*command)
    assert code == 77
    assert "--password" in err
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert run(*command, "--password")[0] == 0
    (sealed,) = desk.glob("CPIS_LA_*.pgp")
    opened = open_at_desk(sealed.read_bytes(), secret=people[1].secret, senders={inspect(public).fingerprint: public})
    assert isinstance(opened, Opened)
