"""`chis open`: a CHIS unit opens what it collected, with nothing but this package and its own key."""

from __future__ import annotations

from pathlib import Path

import click

from cpis_batch.cli.context import Context, typed_password


@click.group()
def chis() -> None:
    """For a CHIS unit's desk: open an extract."""


@chis.command("open")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key", "key_file", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Your secret key."
)
@click.option(
    "--hub",
    "hub_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The hub's certificate.",
)
@click.option("--password", is_flag=True, help="Ask for the password of the key (or read it from standard input).")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write here. Default: beside FILE, without .pgp.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "xlsx"]),
    default="csv",
    help="The file as it was sent, or a workbook of it in which every cell is text. Default: csv.",
)
@click.option(
    "--manifest",
    "manifest_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its manifest, to hold it against.",
)
@click.pass_obj
def open_(
    context: Context,
    file: Path,
    key_file: Path,
    hub_file: Path,
    password: bool,
    out: Path | None,
    form: str,
    manifest_file: Path | None,
) -> None:
    """Verify that FILE comes from the hub, decrypt it, and write it for its owner's eyes alone.

    FILE is an extract, its manifest or its page. In a workbook a number keeps its digits and a date its form.
    """
    from cpis_batch import config, files
    from cpis_batch.envelope.certificates import inspect
    from cpis_batch.envelope.desk import open_at_desk
    from cpis_batch.envelope.outcome import Unopened
    from cpis_batch.errors import InputRefused, UsageFault
    from cpis_batch.extracts import desk
    from cpis_batch.extracts.manifest import described

    of_extract = ".csv" in file.suffixes
    if form == "xlsx" and not of_extract:
        raise UsageFault(f"{file.name} is no extract, and there is no workbook of it.", "Leave --format out.")
    plain = file.with_suffix("") if file.suffix == ".pgp" else file.with_name(f"{file.name}.opened")
    target = out or (plain.with_suffix(".xlsx") if form == "xlsx" else plain)
    if target.exists():
        raise UsageFault(f"{target} is there already.", "Move it away, or name another file with --out.")
    secret, hub = config.private_bytes(key_file), hub_file.read_bytes()
    senders = {inspect(hub).fingerprint: hub}
    phrase = typed_password() if password else None

    def opened(path: Path) -> bytes:
        result = open_at_desk(path.read_bytes(), secret=secret, senders=senders, password=phrase)
        if isinstance(result, Unopened):
            raise InputRefused(
                f"{path.name} was not opened: {result.refusal.replace('_', ' ').lower()}.",
                "Collect it again; if that does not help, ask the hub to send it again, and check both keys.",
            )
        return result.plaintext

    plaintext = opened(file)
    rows = max(0, plaintext.count(b"\n") - 1) if of_extract else 0
    if manifest_file:
        told = described(opened(manifest_file))
        if told.sha256 != files.digest_of(plaintext):
            raise InputRefused(f"{file.name} is not the file that {manifest_file.name} speaks of.", "Collect both again.")
        rows = told.rows
    files.write(target, desk.to_workbook(plaintext, made_at=context.now) if form == "xlsx" else plaintext)
    held = f"{rows:,} rows, " if of_extract else ""
    unchecked = "" if manifest_file or not of_extract else " Not held to its manifest: name it with --manifest."
    words = f"{target}: {held}signed by the hub.{unchecked}"
    context.emit(words, {"version": "1.0", "file": str(target), "rows": rows, "manifest": manifest_file is not None})
