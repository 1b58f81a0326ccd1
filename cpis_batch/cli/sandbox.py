"""`sandbox`: a rehearsal's SFTP server, and files with faults to put down on it."""

from __future__ import annotations

import click

from cpis_batch.cli.context import Context, table


@click.group()
def sandbox() -> None:
    """Rehearse on a home that `demo` has made."""


@sandbox.command()
@click.pass_obj
def serve(context: Context) -> None:
    """Serve the rehearsal's partners' folders by SFTP on loopback, until interrupted."""
    from cpis_batch.sandbox import demo

    demo.serve(
        context.home,
        lambda running: click.echo(
            f"Serving {context.home}/sandbox/remote at 127.0.0.1:{running.port}; Ctrl-C ends it.", err=True
        ),
    )


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
