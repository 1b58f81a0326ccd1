"""The papers that are made from the program itself: docs/commands.md, docs/rules.md and the worked example of an answer.

`make docs` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent

from cpis_batch.access import event_rules
from cpis_batch.intake import findings, rules
from cpis_batch.intake.rules import Rule, Scope
from cpis_batch.vocabulary import Severity
from tests.docs.papers import ROOT, commands
from tests.unit import test_access_report as access_report
from tests.unit.test_acknowledge import SAMPLES, samples

_WHAT = {
    (Scope.FILE, Severity.ERROR): "file",
    (Scope.FILE, Severity.WARNING): "warning",
    (Scope.ROW, Severity.ERROR): "row",
    (Scope.ROW, Severity.WARNING): "warning",
}
_FAMILIES = (
    ("CPB-0", "The file as text"),
    ("CPB-1", "Header, sender and trailer"),
    ("CPB-2", "Lines"),
    ("CPB-3", "NHS number"),
    ("CPB-4", "Names and your own id"),
    ("CPB-5", "Dates"),
    ("CPB-6", "Plan type"),
    ("CPB-7", "Ages"),
    ("CPB-8", "Rows against each other"),
)


def commands_page() -> str:
    """Every command with the help that it prints."""
    parts = [
        "# Commands",
        "Made from the program by `make docs`; a test holds it to the program.",
        "What each command is for, day by day, is in the [runbook](operators.md).",
        "Exit codes are those of the [runbook](operators.md#exit-codes). Every effect has `--dry-run`, every reader `--json`.",
    ]
    for name, _, context in commands():
        parts += [f"## {name}", f"```\n{context.get_help()}\n```"]
    return "\n\n".join(parts) + "\n"


def rules_page() -> str:
    """Every code that an authority, or the national service, may meet in an answer."""
    parts = [
        "# Rules",
        dedent("""\
            Made from the program by `make docs`; a test holds it to the program.

            What each code of an answer means. The third column says what it costs: **file**: the file is refused whole;
            **row**: this row is kept out, the others get in; **warning**: nothing is kept out."""),
        "## LA extract",
    ]
    for prefix, title in _FAMILIES:
        parts += [f"### {title}", _table(rule for rule in rules.ALL if rule.code.startswith(prefix))]
    parts += [
        "### The file as a whole",
        "What the envelope, the sequence, or a person's decision says of a file.",
        _lines(("code", "what is the matter", "how to mend it"), ((one.code, one.cause, one.cure) for one in findings.ALL)),
        "## Access events",
        "One access event, as the national service sends it.",
        "Codes of the file as a whole are in the [format's page](../specs/access-events/1.0/README.md#the-answer).",
        _table(event_rules.RULES),
    ]
    return "\n\n".join(parts) + "\n"


def _table(found: Iterable[Rule]) -> str:
    return _lines(
        ("code", "field", "", "what is the matter", "how to mend it"),
        (
            (rule.code, ", ".join(rule.fields), _WHAT[rule.scope, rule.severity], rule.cause, rule.cure)
            for rule in sorted(found, key=lambda rule: rule.code)
        ),
    )


def _lines(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


PAGES = {ROOT / "docs" / "commands.md": commands_page, ROOT / "docs" / "rules.md": rules_page}


def write(path: Path, data: bytes) -> None:
    """Write a paper where it has changed, and say so."""
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    for page, made in PAGES.items():
        write(page, made().encode())
    for name, data in samples().items():
        write(SAMPLES / name, data)
    for path, data in access_report.samples().items():
        write(path, data)
