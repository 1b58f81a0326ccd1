"""What the pages say can be done, and nothing is in them, or in any file, that has no place in public."""

from __future__ import annotations

import re

import pytest

from cpis_batch.nhs_number import is_valid
from tests.docs.papers import PROGRAM, ROOT, anchors, invocations, links, misused, named, pages, tracked

_OWN = {"docs/commands.md"}  # made from the program; its usage lines are no calls

# Pieced together, so that this file does not hold what it looks for.
_NOT_IN_PUBLIC = {
    "a package registry's host": "|".join(
        ("py" + r"pi\.org", "files.python" + "hosted", "npm" + r"js\.", "crates" + r"\.io", "proxy.go" + "lang")
    ),
    "a path of somebody's machine": "|".join(
        ("/" + r"work/(main|shared)", "/ro" + "ot/", "/Us" + "ers/", r"/ho" + r"me/[a-z]+/", r"C:\\+Us" + "ers")
    ),
    "a secret key": "BEGIN (OPENSSH|RSA|EC|PGP) PRIV" + "ATE KEY",
    "a note to self": "|".join((r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b")),
}


@pytest.mark.parametrize("page", [page for page in pages() if named(page) not in _OWN], ids=named)
def test_a_page_names_only_commands_and_options_that_there_are(page):
    for arguments in invocations(page.read_text(encoding="utf-8")):
        assert (wrong := misused(arguments)) is None, f"{PROGRAM} {' '.join(arguments)}: {wrong}"


def test_the_timers_start_commands_that_there_are():
    units = [path for path in tracked() if path.parent.name == "cron" and path.suffix in ("", ".service")]
    called = [arguments for path in units for arguments in invocations(f"```\n{path.read_text(encoding='utf-8')}```")]
    assert [arguments for arguments in called if arguments[:1] == ["run"]]
    assert not [arguments for arguments in called if arguments[:1] in (["run"], ["preflight"]) and misused(arguments)]


def test_what_the_program_advises_can_be_done():
    calls = re.compile(rf"(?<!['\"]){PROGRAM}((?: [a-z][a-z-]*| --[a-z-]+)+)")  # in quotes it is the program's name for itself
    for path in tracked():
        if path.suffix in (".py", ".toml") and path.is_relative_to(ROOT / "cpis_batch"):
            for found in calls.findall(path.read_text(encoding="utf-8")):
                words = found.split()
                assert (wrong := misused(words)) is None or "lacks" in wrong or "argument" in wrong, (
                    f"{named(path)}:{found}: {wrong}"
                )


@pytest.mark.parametrize("page", pages(), ids=named)
def test_a_link_leads_somewhere(page):
    for target in links(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim in tracked() or any(aim in each.parents for each in tracked()), target
        assert not anchor or anchor in anchors(aim.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("what", _NOT_IN_PUBLIC)
def test_no_file_holds(what):
    wrong = re.compile(_NOT_IN_PUBLIC[what])
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{named(path)}:{number}" for number, line in enumerate(text.splitlines(), 1) if wrong.search(line)]
    assert not found


@pytest.mark.parametrize("page", pages(), ids=named)
def test_whoever_is_named_in_a_page_does_not_exist(page):
    text = page.read_text(encoding="utf-8")
    real = [number for number in re.findall(r"\b[0-9]{10}\b", text) if is_valid(number) and not number.startswith("999")]
    assert not real, "NHS numbers are of the 999 range"
    assert not re.findall(r"(?<![0-9])0[1-9](?:[ -]?[0-9]){8,9}(?![0-9])", re.sub(r"020 7946 0[0-9]{3}", "", text)), (
        "numbers are Ofcom's"
    )
    hosts = re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text)
    assert not [host for host in hosts if not re.fullmatch(r"([\w-]+\.)?example\.org|cpis-batch\.invalid", host)]
