"""`audit verify|show`: the log of what was committed, answered, released, decided and asked."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cpis_batch.cli.context import Context, Day, table
from cpis_batch.errors import UsageFault

if TYPE_CHECKING:
    from cpis_batch.audit.entry import Head
    from cpis_batch.runs.audit import Audited

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
_KINDS = ("AUDIT_KEY", "COMMAND", "COMMIT", "ACKNOWLEDGEMENT", "RELEASE", "ERASURE", "KEYS")


@click.group()
def audit() -> None:
    """The audit log: every commit, answer, release, erasure and operator's command, chained and signed."""


@audit.command()
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="HEAD",
    help="What a partner holds: NUMBER:HASH as an answer prints it, or an answer's JSON file. May be given several times.",
)
@_json
@click.pass_obj
def verify(context: Context, witnesses: tuple[str, ...], as_json: bool) -> None:
    """Hold the log to its hashes and signatures, to the catalogue, and to what witnesses have seen of it.

    Changes nothing. Exit code 74 where something does not fit: what was written was changed, or taken away.
    """
    from cpis_batch.runs import audit as looks

    context = context.with_json(as_json)
    found = looks.verify(context.home, [_witness(text) for text in witnesses])
    document = {
        "version": "1.0",
        "head": found.head,
        "commits": found.commits,
        "witnesses": found.witnesses,
        "faults": found.faults,
        "advice": looks.ADVICE if found.faults else "",
        "exit_code": int(found.exit_code),
    }
    context.emit(_words(found, looks.ADVICE), document)
    click.get_current_context().exit(found.exit_code)


def _witness(text: str) -> Head:
    from cpis_batch.audit.entry import Head
    from cpis_batch.audit.witness import head_in

    try:
        return Head.parse(text) if ":" in text and not Path(text).exists() else head_in(Path(text).read_bytes())
    except (OSError, ValueError):
        raise UsageFault(
            f"There is no head of the log in {text!r}.", "Give NUMBER:HASH as an answer prints it, or its acknowledgement.json."
        ) from None


def _words(found: Audited, advice: str) -> str:
    lines = [f"{found.head.number:,} entries, {found.commits:,} commits, {found.witnesses} witnesses."]
    if found.faults:
        lines += [f"! {fault.what}" for fault in found.faults]
        lines.append(f"    {advice}")
    else:
        lines.append(f"The log is whole. It stands at {found.head}")
    return "\n".join(lines)


@audit.command()
@click.option("--kind", type=click.Choice(_KINDS), help="Only entries of this kind.")
@click.option("--since", type=Day(), help="Only entries of this day in England, and later ones.")
@click.option("--last", type=click.IntRange(min=1), help="Only so many, the newest.")
@_json
@click.pass_obj
def show(context: Context, kind: str | None, since: date | None, last: int | None, as_json: bool) -> None:
    """The entries of the log, the oldest first. Nothing of a person is in them."""
    from cpis_batch import catalogue
    from cpis_batch.business_time import start_of, text_of

    context = context.with_json(as_json)
    with catalogue.Catalogue(context.home / catalogue.FILE_NAME) as opened:
        head = opened.audit_head()
        begins = text_of(start_of(since)) if since else ""
        found = [one for one in opened.entries() if kind in (None, one.kind) and one.at >= begins]
    found = found[-last:] if last else found
    rows: list[tuple[object, ...]] = [
        (one.number, one.at, one.kind, "signed" if one.signature else "", one.words) for one in found
    ]
    context.emit(
        table(("no", "at", "kind", "", "what"), rows) or "No entries.",
        {"version": "1.0", "head": head, "entries": [one.document for one in found]},
    )
