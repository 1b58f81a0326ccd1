"""`sandbox`: a rehearsal's SFTP server, and files with faults to put down on it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from cpis_batch.cli.context import Context, Day, table
from cpis_batch.cli.progress import bar


@click.group()
def sandbox() -> None:
    """Rehearse on a home that `demo` has made, or on an England of any size."""


@sandbox.command()
@click.option("--hostile", "behaviour", metavar="NAME", help="Serve as this one of `sandbox hostile`.")
@click.option("--partner", metavar="CODE", help="Keep that to the folders of this partner. Default: all partners.")
@click.pass_obj
def serve(context: Context, behaviour: str | None, partner: str | None) -> None:
    """Serve the rehearsal's partners' folders by SFTP on loopback, until interrupted.

    With --hostile the server misbehaves, so that you see what a run makes of it and what it says.
    """
    from cpis_batch.sandbox import demo

    demo.serve(
        context.home,
        lambda running: click.echo(
            f"Serving {context.home}/sandbox/remote at 127.0.0.1:{running.port}; Ctrl-C ends it.", err=True
        ),
        behaviour=behaviour,
        partner=partner,
    )


@sandbox.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def hostile(context: Context, as_json: bool) -> None:
    """What a hostile server may do, by name, and what comes of a partner's file where it does so."""
    from cpis_batch.sandbox.hostile import CATALOGUE

    context = context.with_json(as_json)
    rows: list[tuple[object, ...]] = [(one.name, one.shows, one.story, one.comes) for one in CATALOGUE]
    data = [
        {"name": one.name, "shows": one.shows, "story": one.story, "comes_of_it": one.comes, "exit_code": int(one.code)}
        for one in CATALOGUE
    ]
    context.emit(table(("hostile", "fault", "what it does", "what comes of it"), rows), {"version": "1.0", "hostile": data})


@sandbox.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def faults(context: Context, as_json: bool) -> None:
    """The faults that the demonstration injects, and what each stands for."""
    from cpis_batch.sandbox.faults import CATALOGUE

    context = context.with_json(as_json)
    rows: list[tuple[object, ...]] = [(fault.name, fault.shows, fault.story) for fault in CATALOGUE]
    data = [{"name": fault.name, "shows": fault.shows, "story": fault.story} for fault in CATALOGUE]
    context.emit(table(("fault", "number", "story"), rows), {"version": "1.0", "faults": data})


@sandbox.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--scale", type=click.FloatRange(0, 297, min_open=True), default=1.0, show_default=True, help="1 is the real size.")
@click.option("--seed", type=int, default=1, show_default=True, help="Decides everything; the same seed makes the same bytes.")
@click.option("--on", type=Day(), required=True, help="The day on which authorities hold these plans.")
@click.option("--after", type=Day(), help="An earlier day, whose England is carried on to --on: most rows stay as they were.")
@click.option("--sequence", type=click.IntRange(1, 99_999_999), default=1, show_default=True, help="Of each extract.")
@click.option("--events", type=click.IntRange(0, 1_000_000_000), default=0, help="How many access events of the 30 days before.")
@click.option(
    "--events-form",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    help="As the national service sends them, or with the columns that the hub keeps, not encrypted.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes. Default: one a core. It changes nothing of what is written.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def england(
    context: Context,
    folder: Path,
    scale: float,
    seed: int,
    on: date,
    after: date | None,
    sequence: int,
    events: int,
    events_form: str,
    workers: int | None,
    as_json: bool,
) -> None:
    """A synthetic England of any size in FOLDER: an extract an authority, in plain, and access events.

    FOLDER must be new or empty. Real size is some 227,000 rows, 60 times that 13.6 million.
    No row is about a real person. Up to 3 times the real size NHS numbers are of the 999 range and files say TEST. Beyond that
    there are too few: numbers then begin with 900 to 998, never issued either, and files say LIVE, because the hub takes 999
    alone for tests. Such files are for rehearsals on your own machine: do not send them to anybody. Nothing is written into a
    home of real partners.
    """
    from cpis_batch.errors import UsageFault
    from cpis_batch.sandbox import scaled

    context = context.with_json(as_json)
    if after and after >= on:
        raise UsageFault(f"--after {after} is not before --on {on}.", "Nothing was written.")
    wanted = scaled.Wanted(
        seed=seed,
        scale=scale,
        on=on,
        after=after,
        sequence=sequence,
        events=events,
        events_form=scaled.EventsForm(events_form),
    )
    with bar() as progress:
        made = scaled.write(folder, wanted, workers=workers or 0, progress=lambda done, of: progress("writing", done, of))
    rows, looks = sum(one.extract.rows for one in made), sum(file.rows for one in made for file in one.events)
    document = {
        "version": "1.0",
        "folder": str(folder),
        "environment": wanted.environment,
        "rows": rows,
        "changed": sum(one.changed for one in made),
        "events": looks,
    }
    words = f"{len(made)} authorities, {rows:,} rows and {looks:,} access events in {folder}, for {wanted.environment}."
    context.emit(words, document)
