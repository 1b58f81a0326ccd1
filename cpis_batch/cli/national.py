"""`register conflicts|gaps|unborn|returns`: what the national view finds, as counts for operators. No identifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cpis_batch.cli.context import Context, table

if TYPE_CHECKING:
    from cpis_batch.national.schema import Matter

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")


@click.command()
@_json
@click.pass_obj
def conflicts(context: Context, as_json: bool) -> None:
    """How many persons have an active plan at more than one authority, by pair of authorities and plan types. No identifiers.

    Doubtful are plans of the same type at both for over 30 days; a handover is shorter.
    """
    from cpis_batch.national import lists
    from cpis_batch.national.schema import Matter
    from cpis_batch.register import conflicts as pairs
    from cpis_batch.register import view
    from cpis_batch.runs import national

    context = context.with_json(as_json)
    seen = national.look_in(context.home, on=context.today)
    active = view.active(seen.known, context.today)
    counts, persons = pairs.counts(active).to_pylist(), pairs.persons(active)
    standings = lists.persons(seen.found[Matter.CONFLICT])
    rows: list[tuple[object, ...]] = [tuple(one.values()) for one in counts]
    lines = [
        table(("authority", "plan", "other authority", "plan", "persons"), rows),
        "",
        f"Persons with an active plan at more than one authority: {persons:,}",
        *(f"  {standing.lower().replace('_', ' '):11} {count:,}" for standing, count in standings.items()),
    ]
    document = {"version": "1.0", "on": context.today, "persons": persons, "standings": standings, "pairs": counts}
    context.emit("\n".join(lines) if rows else "No conflicts.", document)


@click.command()
@_json
@click.pass_obj
def gaps(context: Context, as_json: bool) -> None:
    """How many children were seen after their last plan ended, by the authority where it did. No identifiers.

    Overdue once 15 working days have gone by and no authority holds a plan; running until then.
    """
    from cpis_batch.national.schema import Matter

    _matter(context, Matter.GAP, as_json=as_json)


@click.command()
@_json
@click.pass_obj
def unborn(context: Context, as_json: bool) -> None:
    """How many plans for unborn children are over, or must be, and no child's plan has followed. No identifiers.

    Cannot tell: the authority has plans for newborns, and the register does not know whose children they are.
    """
    from cpis_batch.national.schema import Matter

    _matter(context, Matter.UNBORN, as_json=as_json)


@click.command()
@_json
@click.pass_obj
def returns(context: Context, as_json: bool) -> None:
    """How many children have a plan again of a type that ended within the year before, by the authority told. No identifiers."""
    from cpis_batch.national.schema import Matter

    _matter(context, Matter.RETURN, as_json=as_json)


def _matter(context: Context, matter: Matter, *, as_json: bool) -> None:
    """The counts of one matter, by authority, standing and plan type."""
    from cpis_batch.national import lists
    from cpis_batch.runs import national

    context = context.with_json(as_json)
    found = national.look_in(context.home, on=context.today).found[matter]
    counts = lists.counts(found).to_pylist()
    rows: list[tuple[object, ...]] = [tuple(one.values()) for one in counts]
    words = table(("authority", "standing", "plan", "persons"), rows) if rows else "None."
    context.emit(words, {"version": "1.0", "on": context.today, "standings": lists.persons(found), "las": counts})


READERS = (conflicts, gaps, unborn, returns)
