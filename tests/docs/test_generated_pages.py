"""The pages made from the program say what the program says, and the program says what each of its commands is for."""

from __future__ import annotations

import click
import pytest

from cpis_batch.access import event_rules
from cpis_batch.cli import cli
from cpis_batch.errors import Exit
from cpis_batch.intake import findings, rules
from tests.docs.generate import PAGES
from tests.docs.papers import ROOT, commands, named


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_generated_page_is_what_make_docs_would_write(page):
    assert page.read_text(encoding="utf-8") == PAGES[page](), "run: make docs"


def test_every_command_and_every_option_has_help():
    for name, command, _ in commands():
        assert command.help, name
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name} {option.opts[-1]}"


def test_the_first_page_of_help_says_of_each_command_what_its_own_help_says_or_less():
    listed = {name.split()[-1] for name, _, _ in commands() if name.count(" ") == 1}
    assert listed == set(cli.list_commands(click.Context(cli)))


def test_every_reader_takes_json_and_every_effect_a_dry_run():
    effects = {"init", "resend", "release", "refuse", "import", "master", "hub", "ssh", "intake", "nightly", "fortnightly"}
    effects |= {"practices", "places", "rows"}
    for name, command, _ in commands():
        if isinstance(command, click.Group):
            continue  # it does nothing by itself
        options = {opt for param in command.params for opt in param.opts}
        if name.split()[-1] in effects:
            assert "--dry-run" in options, name
        elif name.split()[-1] in {"list", "show", "check", "status", "files", "deliveries", "preflight"}:
            assert "--json" in options, name


def test_every_code_stands_in_the_list_of_rules_once():
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    for rule in (*rules.ALL, *findings.ALL, *event_rules.RULES):
        assert page.count(f"| {rule.code} |") == 1, rule.code


def test_help_and_runbook_tell_every_exit_code():
    told = cli.help or ""
    runbook = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    for code in Exit:
        assert f" {code.value} " in told, code
        assert f"\n### {code.value} " in runbook, code
