"""F68: no command says anything of a record, in words or as JSON, after good nights and bad ones; nor in a fault."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.builders import HACKNEY, KENT
from tests.docs.papers import commands
from tests.failure.privacy_kit import Home
from tests.failure.test_privacy import BROKEN, GOOD, SCILLY, looks, put, row
from tests.hub import extract, keys
from tests.small_england import small_england

# Every command with what it needs, in an order in which the one leaves something for the next. None of these is asked about a
# person: `register asof` is, and answers; `la read-ack` and `chis open` open for its owner what is sealed to them.
GIVEN = """
config check | preflight | status | status --all | status --check | files | files --state REFUSED --last 5
holds list --all | holds show 1 | holds release 1 --by J.Okafor --reason asked --dry-run
holds refuse 1 --by J.Okafor --reason asked | deliveries | deliveries list | deliveries resend 1
register show | register show --la E09000012 | register log | register conflicts | register gaps | register unborn
register returns | register verify | register rebuild --check
keys list | keys check | keys export | keys make hub --from 2027-01-01 --to 2029-01-01 | keys make ssh
audit show | audit verify | ledger show | keys make audit --dry-run
keys make master --dry-run | keys import --party E09000012 OWN | rules list | rules show CPB-302
la check EXTRACT | la check BROKEN | la seal BROKEN --key KEY --hub HUB
sandbox hostile | sandbox faults | sandbox serve | sandbox england --on 2026-11-20 --after 2026-11-21 NOWHERE | demo | init
run national --dry-run | run national | run intake --dry-run | run nightly --dry-run | run fortnightly | run intake | run nightly
holds show 77 | holds release 77 --by x --reason y | deliveries resend 77 | rules show CPB-999
retention plan | retention apply --plan 000000000000 --by J.Okafor --reason asked --yes
reference check | reference rehearse --on 2027-04-01 | reference import practices BROKEN --yes
reference import places BROKEN --yes | reference import boards BROKEN --yes | reference import rows BROKEN --yes
publish --month 2026-10 --reason asked | publish --month BROKEN --reason asked
files --partner Nobody | la check NOWHERE
"""
APART = {"register asof", "la read-ack", "chis open"}


def words_of(given: str) -> list[list[str]]:
    return [one.split() for line in given.strip().splitlines() for one in line.split(" | ")]


def test_every_command_is_tried():
    leaves = {name.partition(" ")[2] for name, command, _ in commands() if not isinstance(command, click.Group)}
    tried = {name for name in leaves if any(words[: len(name.split())] == name.split() for words in words_of(GIVEN))}
    assert leaves - tried == APART


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["words", "JSON"])
def test_f68_no_command_says_anything_of_a_record(tmp_path, capfd, monkeypatch, form):
    hub = small_england(tmp_path / "hub", las=(HACKNEY, KENT, SCILLY))
    home = Home(hub, capfd, monkeypatch)
    for la in (HACKNEY, KENT, SCILLY):
        put(hub, la, 1, GOOD)
    looks(hub, 1, 1, 2)
    home.command("run", "nightly")
    hub.next_night()
    put(hub, HACKNEY, 2, [*GOOD, *BROKEN])
    put(hub, KENT, 2, GOOD[:2])  # held
    put(hub, SCILLY, 2, GOOD, by=KENT)
    home.command("run", "nightly")
    files = {"EXTRACT": extract(HACKNEY, GOOD), "BROKEN": extract(HACKNEY, [*GOOD, *BROKEN]), "HUB": hub.certificate}
    files |= {"KEY": keys(HACKNEY).secret, "OWN": keys(HACKNEY).certificate}
    desk: dict[str, Path] = {}
    for name, data in files.items():
        desk[name] = tmp_path / f"{name.lower()}.file"
        desk[name].touch(mode=0o600)
        desk[name].write_bytes(data)
    codes = {}
    for words in words_of(GIVEN):
        given = [str(desk.get(word, word)) for word in words]
        codes[" ".join(words)] = home.command(*form, *given)
    assert set(codes.values()) <= {0, 3, 64, 65, 69, 77, 78}, codes
    assert codes["la check BROKEN"] == 65
    assert codes["register verify"] == codes["status"] == 0
    put(hub, HACKNEY, 3, [row(1, end="2026-11-15"), *GOOD[1:]])
    hub.next_night()
    home.command(*form, "run", "nightly")
    for shell in ("bash", "zsh", "fish"):
        monkeypatch.setenv("_CPIS_BATCH_COMPLETE", f"{shell}_complete")
        for typed in ("cpis-batch ", "cpis-batch files --partner ", "cpis-batch holds show ", "cpis-batch register show --la "):
            monkeypatch.setenv("COMP_WORDS", typed)
            monkeypatch.setenv("COMP_CWORD", str(len(typed.split())))
            home.command()
    assert home.sightings() == {}
