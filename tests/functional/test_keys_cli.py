"""`keys` from the command line, as an operator makes a home ready and keeps it so."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from cpis_batch import catalogue, cli, config, partners
from cpis_batch.catalogue import Catalogue
from cpis_batch.envelope import hub
from cpis_batch.envelope.certificates import inspect
from cpis_batch.keystore import load_master_key
from tests.envelope_kit import Council, parties

CONFIG = """\
[service]
environment = "TEST"

[mailboxes.central]
kind = "sftp"
host = "sftp.example.org"
user = "cpis"
host_keys = []
"""

PARTNER = """\
# kept by hand
code = "{code}"
kind = "LA"
name = "Example"
mailbox = "central"
folder = "{code}"

[agreement]
reference = "DSA-1"
from = 2026-01-01
to = 2080-01-01  # reviewed every year
"""

TODAY = datetime.now(UTC).date()


@pytest.fixture(scope="module")
def people():
    return parties("LA", "Other LA", expires=TODAY + timedelta(days=400))


@pytest.fixture
def run(capfd, monkeypatch, tmp_path):
    """Run one command on the home; (exit code, what it printed, what it said on stderr)."""
    monkeypatch.delenv("CPIS_NOW", raising=False)

    def command(*arguments: str, now: date | None = None) -> tuple[int, str, str]:
        clock = ["--now", f"{now}T12:00:00Z"] if now else []
        monkeypatch.setattr(sys, "argv", ["cpis-batch", "--home", str(tmp_path), *clock, *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return command


@pytest.fixture
def home(tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG)
    with Catalogue(tmp_path / catalogue.FILE_NAME, create=True):
        pass
    for code in ("E09000012", "E09000013"):
        folder = tmp_path / "partners" / code
        folder.mkdir(parents=True)
        (folder / "partner.toml").write_text(PARTNER.format(code=code))
    return tmp_path


@pytest.fixture
def certificate(people, tmp_path):
    file = tmp_path / "from the partner.asc"
    file.write_bytes(inspect(people[0].certificate).armored)
    return str(file)


def make_ready(run, folder, certificate, people):
    """Make every key that a home needs, by the commands of the operators' page."""
    for command in (["make", "master"], ["make", "audit"], ["make", "ssh"], ["make", "hub", "--to", "2085-01-01"]):
        assert run("keys", *command)[0] == 0
    (folder / "other.asc").write_bytes(people[1].certificate)
    assert run("keys", "import", "--party", "E09000012", certificate)[0] == 0
    assert run("keys", "import", "--party", "E09000013", str(folder / "other.asc"))[0] == 0


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    return tmp_path_factory.mktemp("ready")


@pytest.fixture
def ready(made_once, home, run, certificate, people):
    """A home with every key it needs."""
    if not any(made_once.iterdir()):
        make_ready(run, home, certificate, people)
        shutil.copytree(home, made_once, dirs_exist_ok=True)
    shutil.copytree(made_once, home, dirs_exist_ok=True)
    return home


def files_of(home):
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_a_home_is_made_ready_by_commands_alone(ready, run):
    code, out, _ = run("keys", "check")
    assert (code, out) == (0, "All keys, certificates and agreements are good.\n")
    document = json.loads(run("keys", "list", "--json")[1])
    assert document["version"] == "1.0"
    assert [(item["kind"], item["owner"], item["state"]) for item in document["keys"]] == [
        ("MASTER", "hub", "GOOD"),
        ("AUDIT", "hub", "GOOD"),
        ("HUB", "hub", "GOOD"),
        ("SSH", "hub", "GOOD"),
        ("AGREEMENT", "E09000012", "GOOD"),
        ("CERTIFICATE", "E09000012", "GOOD"),
        ("AGREEMENT", "E09000013", "GOOD"),
        ("CERTIFICATE", "E09000013", "GOOD"),
    ]


def test_f70_every_secret_made_is_readable_by_its_owner_alone(ready):
    secret = [*ready.glob("keys/*.key"), *ready.glob("keys/*/*.key"), ready / "keys/ssh/id_ed25519"]
    assert len(secret) == 4
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}


@pytest.mark.parametrize("name", ["keys/master.key", "keys/audit/*.key", "keys/ssh/id_ed25519", "keys/hub/*.key"])
def test_f70_a_key_file_open_to_others_is_named_and_ends_with_77(name, ready, run):
    (path,) = ready.glob(name)
    path.chmod(0o644)
    code, out, _ = run("keys", "check")
    assert code == 77
    assert path.name in out
    assert "chmod 600" in out


def test_f71_a_wrapped_hub_key_that_was_altered_ends_with_77(ready, run):
    (path,) = ready.glob("keys/hub/*.key")
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert run("keys", "check")[0] == 77


@pytest.mark.parametrize(
    "arguments",
    [["make", "master"], ["make", "audit"], ["make", "ssh"], ["make", "hub"], ["import", "--party", "E09000012", "CERTIFICATE"]],
)
def test_a_dry_run_changes_nothing(arguments, home, run, certificate):
    if arguments[-1] == "hub":
        run("keys", "make", "master")
    before = files_of(home)
    code, out, _ = run("keys", *(certificate if word == "CERTIFICATE" else word for word in arguments), "--dry-run")
    assert code == 0
    assert "Would" in out
    assert files_of(home) == before


def test_an_imported_certificate_is_on_the_allow_list_and_the_hand_written_text_stays(ready, people):
    text = (ready / "partners/E09000012/partner.toml").read_text()
    assert text.startswith(PARTNER.format(code="E09000012").rstrip())
    partner = partners.load(ready)["E09000012"]
    assert partners.certificates(ready, partner, TODAY) == {
        people[0].fingerprint: inspect(people[0].certificate).armored,
    }
    # a day before it runs out, so that a night never begins with a certificate that ends in it
    assert partner.keys[0].ends == TODAY + timedelta(days=399)


def test_importing_again_renews_the_certificate_and_adds_no_second_entry(ready, run, certificate):
    before = (ready / "partners/E09000012/partner.toml").read_text()
    code, out, _ = run("keys", "import", "--party", "E09000012", certificate)
    assert code == 0
    assert "renewed" in out
    assert (ready / "partners/E09000012/partner.toml").read_text() == before


def test_the_days_can_be_given_and_the_fingerprint_is_there_to_be_read_out(home, run, certificate, people):
    for key in ("master", "audit"):
        assert run("keys", "make", key)[0] == 0
    arguments = ["--from", str(TODAY), "--to", str(TODAY + timedelta(days=30))]
    code, out, _ = run("keys", "import", "--party", "E09000012", certificate, *arguments)
    assert code == 0
    assert people[0].fingerprint in out.replace(" ", "")
    assert partners.load(home)["E09000012"].keys[0].ends == TODAY + timedelta(days=30)


def test_one_certificate_for_two_authorities_must_be_meant(ready, run, certificate):
    code, _, err = run("keys", "import", "--party", "E09000013", certificate)
    assert code == 65
    assert "E09000012" in err
    assert "--shared" in err
    assert run("keys", "import", "--party", "E09000013", certificate, "--shared")[0] == 0


@pytest.fixture(scope="module")
def council():
    desktop = Council()
    yield desktop
    desktop.close()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("secret", "SECRET"),
        ("revoked", "is revoked"),
        ("expired", "has expired"),
        ("two", "not one"),
        ("text", "not one"),
        ("sign only", "no live key to encrypt to"),
    ],
)
def test_f23_what_must_not_be_believed_is_refused_at_the_door(kind, why, home, run, council, people):
    data = {
        "secret": lambda: people[0].secret,
        "two": lambda: people[0].certificate + people[1].certificate,
        "text": lambda: b"see attached",
        "expired": lambda: council.makes_key("Old <old@example.org>", at="20240301T120000").certificate,
        "sign only": lambda: _sign_only(council),
        "revoked": lambda: _revoked(council),
    }[kind]()
    (home / "sent.asc").write_bytes(data)
    before = files_of(home)
    code, _, err = run("keys", "import", "--party", "E09000012", str(home / "sent.asc"))
    assert code == 65
    assert len(err.strip().splitlines()) >= 2  # what, and what to do
    assert why in err
    assert files_of(home) == before


def _sign_only(council: Council) -> bytes:
    council.gpg("--quick-gen-key", "Sign <sign@example.org>", "ed25519", "sign", "1y")
    return council.gpg("--export", "Sign")


def _revoked(council: Council) -> bytes:
    made = council.makes_key("Gone <gone@example.org>")
    revocation = (council.home / "openpgp-revocs.d" / f"{made.fingerprint}.rev").read_text().replace(":-----BEGIN", "-----BEGIN")
    council.gpg("--import", given=revocation.encode())
    return council.gpg("--export", made.fingerprint)


def test_a_certificate_for_nobody_is_refused(home, run, certificate):
    assert run("keys", "import", "--party", "E09000099", certificate)[0] == 64


@pytest.mark.parametrize(("left", "code"), [(61, 0), (60, 3), (30, 3), (7, 3), (0, 3)])
def test_f24_keys_near_their_end_want_a_person_sixty_days_before(left, code, ready, run):
    certificate_ends = partners.load(ready)["E09000012"].keys[0].ends
    found, out, _ = run("keys", "check", "--json", now=certificate_ends - timedelta(days=left))
    assert found == code
    assert {item["days_left"] for item in json.loads(out)["keys"]} == ({left} if code else set())


def test_f24_the_hubs_last_key_is_warned_of_until_the_next_is_made(ready, run):
    def due(day: date) -> list[tuple[str, int]]:
        document = json.loads(run("keys", "check", "--json", now=day)[1])
        return [(item["kind"], item["days_left"]) for item in document["keys"] if item["kind"] == "HUB"]

    assert run("keys", "make", "hub", "--from", str(TODAY + timedelta(days=1)), "--to", str(TODAY + timedelta(days=40)))[0] == 0
    assert due(TODAY) == [("HUB", 40)]
    assert run("keys", "make", "hub", "--from", str(TODAY + timedelta(days=20)), "--to", "2085-06-01")[0] == 0
    assert due(TODAY) == []


def test_f24_a_partner_whose_next_certificate_is_here_already_is_left_in_peace(ready, run, council):
    ends = partners.load(ready)["E09000012"].keys[0].ends
    made = council.makes_key("Next <next@example.org>")
    council.gpg("--quick-set-expire", made.fingerprint, "4y")
    council.gpg("--quick-set-expire", made.fingerprint, "4y", "*")
    (ready / "next.asc").write_bytes(council.gpg("--export", made.fingerprint))
    assert run("keys", "import", "--party", "E09000012", str(ready / "next.asc"))[0] == 0
    _, out, _ = run("keys", "check", "--json", now=ends - timedelta(days=10))
    assert [item["owner"] for item in json.loads(out)["keys"]] == ["E09000013"]


def test_f24_a_partner_without_a_certificate_that_is_good_today_ends_with_77(ready, run):
    ends = partners.load(ready)["E09000012"].keys[0].ends
    code, out, _ = run("keys", "check", now=ends + timedelta(days=1))
    assert code == 77
    assert "keys import --party E09000012" in out


def test_an_agreement_that_ended_is_named(ready, run):
    code, out, _ = run("keys", "check", now=date(2080, 1, 2))
    assert code == 77
    assert "The agreement ended on 2080-01-01" in out


def test_the_hubs_certificate_is_exported_without_any_secret(ready, run, tmp_path):
    code, out, _ = run("keys", "export")
    assert code == 0
    assert out.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    found = inspect(out.encode())
    keys = hub.load(ready, load_master_key(ready, config.load(ready)))
    assert found.fingerprint == keys.current(TODAY).fingerprint
    assert run("keys", "export", "--output", str(tmp_path / "hub.asc"))[0] == 0
    assert (tmp_path / "hub.asc").read_bytes() == found.armored


def test_f21_a_new_hub_key_takes_over_on_its_day_and_the_old_one_runs_out_after_the_overlap(ready, run):
    begins = TODAY + timedelta(days=30)
    code, _, _ = run("keys", "make", "hub", "--from", str(begins), "--to", "2085-06-01", "--overlap-days", "20")
    assert code == 0
    keys = hub.load(ready, load_master_key(ready, config.load(ready)))
    old, new = keys.keys
    assert keys.current(begins - timedelta(days=1)) == old
    assert keys.current(begins) == new
    assert keys.accepted(begins + timedelta(days=20)) == (old, new)
    assert keys.accepted(begins + timedelta(days=21)) == (new,)
    exported = inspect(run("keys", "export", "--next")[1].encode())
    assert exported.fingerprint == new.fingerprint
    assert run("keys", "make", "hub")[0] == 64  # one that begins earlier than the newest makes no sense


def test_keys_of_the_hub_are_never_overwritten(ready, run):
    before = files_of(ready)
    assert run("keys", "make", "master")[0] == 64
    assert run("keys", "make", "ssh")[0] == 64
    assert files_of(ready) == before


def test_no_output_of_any_command_holds_a_secret(ready, run, certificate):
    master = (ready / "keys/master.key").read_bytes().decode().strip()
    for arguments in (["list"], ["check"], ["export"], ["list", "--json"]):
        _, out, err = run("keys", *arguments)
        assert master not in out + err
        assert "PRIVATE" not in out + err
