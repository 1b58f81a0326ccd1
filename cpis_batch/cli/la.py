"""`la`: an LA's desk. Check an extract before it is sent, seal it, read the answer; no home and no network are needed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cpis_batch.cli.context import Context, Day, typed_password
from cpis_batch.vocabulary import FileOutcome

if TYPE_CHECKING:
    from cpis_batch.intake.check import Verdict

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
_NOT_SENT = (FileOutcome.UNREADABLE, FileOutcome.NONE_LOADED, FileOutcome.VERSION_NOT_SUPPORTED)


@click.group()
def la() -> None:
    """For an LA's desk: check an extract, seal it, read an answer."""


@la.command("check")
@click.argument("file", type=_FILE)
@click.option("--la", "la_code", help="Your GSS code. Default: the header's, whatever it says.")
@click.option("--date", "day", type=Day(), help="Check as on this day. Default: today.")
@_JSON
@click.pass_obj
def check_(context: Context, file: Path, la_code: str | None, day: date | None, as_json: bool) -> None:
    """Hold FILE, not yet sealed, to the very rules of the service. Ends with 65 where a row or the file would not load."""
    from cpis_batch.errors import Exit

    verdict = _verdict(file, la_code, day or context.today)
    document = _document(file, verdict)
    context.with_json(as_json).emit(_words(file, document), document)
    if verdict.file_outcome is not FileOutcome.ALL_LOADED:
        click.get_current_context().exit(Exit.INPUT_REFUSED)


@la.command("seal")
@click.argument("file", type=_FILE)
@click.option("--key", "key_file", required=True, type=_FILE, help="Your secret key.")
@click.option("--hub", "hub_file", required=True, type=_FILE, help="The hub's certificate.")
@click.option("--password", is_flag=True, help="Ask for the password of the key (or read it from standard input).")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write into this folder. Default: beside FILE.")
@_JSON
@click.pass_obj
def seal(context: Context, file: Path, key_file: Path, hub_file: Path, password: bool, out: Path | None, as_json: bool) -> None:
    """Check FILE, sign it with your key, encrypt it to the hub, and name it as the service wants it named."""
    from cpis_batch import config, files
    from cpis_batch.envelope import sealing
    from cpis_batch.errors import InputRefused, UsageFault
    from cpis_batch.intake.names import ExtractName

    verdict = _verdict(file, None, context.today)
    header = verdict.header
    if header is None or verdict.file_outcome in _NOT_SENT:
        raise InputRefused(f"{file.name} would be refused ({verdict.file_outcome}).", f"See why: cpis-batch la check {file.name}")
    name = ExtractName(header.la_code, header.kind, header.sequence, header.extracted_at)
    target = (out or file.parent) / str(name)
    if target.exists():
        raise UsageFault(f"{target} is there already.", "Raise the sequence in the header, or move the old file away.")
    phrase = typed_password() if password else None
    sealed = sealing.seal(
        file.read_bytes(), recipients=[hub_file.read_bytes()], signer=config.private_bytes(key_file), password=phrase
    )
    files.write(target, sealed)
    document = _document(file, verdict) | {"sealed": str(target)}
    words = f"{_words(file, document)}\n\nSealed as {target}. Put it into your inbound folder."
    context.with_json(as_json).emit(words, document)


@la.command("read-ack")
@click.argument("file", type=_FILE)
@click.option("--key", "key_file", required=True, type=_FILE, help="Your secret key.")
@click.option("--hub", "hub_file", required=True, type=_FILE, help="The hub's certificate.")
@click.option("--password", is_flag=True, help="Ask for the password of the key (or read it from standard input).")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Also write the answer's page, workbook, CSV and JSON here."
)
@_JSON
@click.pass_obj
def read_ack(
    context: Context, file: Path, key_file: Path, hub_file: Path, password: bool, out: Path | None, as_json: bool
) -> None:
    """Open the answer in FILE and say what it says."""
    from cpis_batch import config, files
    from cpis_batch.envelope.certificates import inspect
    from cpis_batch.envelope.desk import open_at_desk
    from cpis_batch.envelope.outcome import Unopened
    from cpis_batch.errors import InputRefused
    from cpis_batch.intake import answer_file

    hub = hub_file.read_bytes()
    phrase = typed_password() if password else None
    secret = config.private_bytes(key_file)
    opened = open_at_desk(file.read_bytes(), secret=secret, senders={inspect(hub).fingerprint: hub}, password=phrase)
    if isinstance(opened, Unopened):
        raise InputRefused(
            f"{file.name} was not opened: {opened.refusal.replace('_', ' ').lower()}.",
            "Collect it again; if that does not help, ask the hub to send it again, and check both keys.",
        )
    forms = answer_file.members(opened.plaintext)
    document = answer_file.document(forms["acknowledgement.json"])
    if out:
        for name, data in forms.items():
            files.write(out / name, data)
    told = document["file"]
    lines = [f"{told['name']}: {told['outcome'] or told['state']}. {document['sentence']}", *_grouped(document["faults"])]
    lines += [f"Notice {notice['code']}: {notice['text']} {notice['cure']}".rstrip() for notice in document["notices"]]
    context.with_json(as_json).emit("\n".join(lines), document)


def _verdict(file: Path, la_code: str | None, today: date) -> Verdict:
    """The check of a file as the hub would do it. Where no authority is named, it is taken for the header's own."""
    from cpis_batch.intake import file_facts
    from cpis_batch.intake.check import CheckContext, check
    from cpis_batch.intake.read import read_extract
    from cpis_batch.vocabulary import Environment

    reading = read_extract(file.read_bytes())
    facts = file_facts.facts(reading)
    environment = Environment.LIVE if facts["environment"] == Environment.LIVE else Environment.TEST
    return check(reading, CheckContext(la_code or facts["la_code"] or "", environment, today))


def _document(file: Path, verdict: Verdict) -> dict[str, Any]:
    from cpis_batch.intake.answering import explained

    return {
        "version": "1.0",
        "file": file.name,
        "outcome": verdict.file_outcome,
        "rows": verdict.outcomes.num_rows,
        "loads": verdict.accepted.num_rows,
        "faults": explained(verdict.faults).drop_columns(["child_id"]).to_pylist(),
    }


def _words(file: Path, document: dict[str, Any]) -> str:
    outcome, rows, loads = document["outcome"], document["rows"], document["loads"]
    would = "The file would be refused." if outcome in _NOT_SENT and not loads else f"{loads:,} of {rows:,} rows would load."
    return "\n".join([f"{file.name}: {outcome}. {would}", *_grouped(document["faults"])])


def _grouped(faults: list[dict[str, Any]]) -> list[str]:
    """Faults for a terminal: one mistake made 300 times reads once, with all its lines."""
    groups: dict[tuple[str, str, str, str, str], list[int]] = {}
    for fault in faults:
        key = (fault["severity"], fault["code"], fault["field"] or "", fault["cause"], fault["cure"])
        groups.setdefault(key, []).extend([fault["line"]] if fault["line"] else [])
    told = []
    for (severity, code, field, cause, cure), lines in sorted(groups.items()):
        place = (
            f"line {lines[0]:,}"
            if len(lines) == 1
            else f"{len(lines):,} lines: {', '.join(map(str, lines))}"
            if lines
            else "the file"
        )
        told += ["", f"{severity} {code} {field}".rstrip() + f", {place}", f"  {cause}", f"  {cure}"]
    return told
