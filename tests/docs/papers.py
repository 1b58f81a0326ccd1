"""What the tests of the papers read: the pages, their code blocks, links and headings, and the live tree of commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from cpis_batch.cli import cli

ROOT = Path(__file__).parents[2]
PROGRAM = "cpis-batch"

_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_INLINE = re.compile(rf"`({PROGRAM} [^`]+)`")
_OPERATORS = {"|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "<<"}


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git keeps, and every new one that it would: what a fresh clone has."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def pages() -> list[Path]:
    """Every Markdown page."""
    return sorted(path for path in tracked() if path.suffix == ".md")


def named(path: Path) -> str:
    """How a test calls a file."""
    return str(path.relative_to(ROOT))


def blocks(text: str) -> list[str]:
    """The text of every fenced block."""
    return [found["text"] for found in _FENCE.finditer(text)]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> list[str]:
    """Every target of a link that is no web address."""
    return [target for target in _LINK.findall(prose(text)) if "://" not in target and not target.startswith("mailto:")]


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings get where Markdown is shown."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-") for heading in headings}


def invocations(text: str) -> Iterator[list[str]]:
    """The arguments of every call of the program in a page's code."""
    for inline in _INLINE.findall(prose(text)):
        yield from _calls(inline)
    for block in blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from _calls(line)


def _calls(line: str) -> Iterator[list[str]]:
    if PROGRAM not in line:
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # an apostrophe in what the program prints
        words = line.split()
    places = [place for place, word in enumerate(words) if word.rpartition("/")[2].rpartition("=")[2] == PROGRAM]
    for place in places:
        arguments: list[str] = []
        for word in words[place + 1 :]:
            if word in _OPERATORS or word.startswith(("(", ")")):
                break
            arguments.append(word)
        yield arguments


def _context(command: click.Command, parent: click.Context | None) -> click.Context:
    settings = command.context_settings | {"terminal_width": 100}
    return click.Context(command, parent=parent, info_name=command.name if parent else PROGRAM, **settings)


def commands(
    command: click.Command = cli, parent: click.Context | None = None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command of the program with its whole name, the program itself first."""
    context = _context(command, parent)
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, context)


def misused(arguments: list[str], command: click.Command = cli, parent: click.Context | None = None) -> str | None:
    """Why the program would not take these arguments; None where it would. Values are not looked at."""
    context = _context(command, parent)
    try:
        given, rest, _ = command.make_parser(context).parse_args(list(arguments))
    except click.UsageError as fault:
        return fault.format_message()
    if given.get("help") is True or "--version" in arguments:
        return None
    if isinstance(command, click.Group):
        if not rest:
            return None
        found = command.get_command(context, rest[0])
        return misused(rest[1:], found, context) if found else f"no command {rest[0]}"
    if rest:
        return f"too many arguments: {rest}"
    lacking = [one.name for one in command.params if one.required and given.get(one.name or "") is None]
    return f"lacks {', '.join(map(str, lacking))}" if lacking else None
