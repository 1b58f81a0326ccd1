"""`sandbox`: a rehearsal's SFTP server, and files with faults to put down on it."""

from __future__ import annotations

import click

from cpis_batch.cli.context import Context, table


@click.group()
def sandbox() -> None:
    """Rehearse on a home that `demo` has made."""


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
