"""`status` and `files`: what stands, and what became of every file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cpis_batch.cli.context import Context, table
from cpis_batch.errors import Exit, UsageFault

_SHOWN = 15  # late authorities, the latest first


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.option("--all", "everything", is_flag=True, help="List every authority, not only those that are late.")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Write the operations page into this file as well.")
@click.option("--metrics", type=click.Path(path_type=Path, dir_okay=False), help="Write the metrics into this file as well.")
@click.option("--check", is_flag=True, help="End with 3 where something needs a person, with 70 where the balance does not hold.")
@click.pass_obj
def status(context: Context, as_json: bool, everything: bool, page: Path | None, metrics: Path | None, check: bool) -> None:
    """What stands, how old it is, and what needs a person. Runs write page and metrics by themselves."""
    from cpis_batch import catalogue, config, partners
    from cpis_batch import status as reader

    context = context.with_json(as_json)
    for path in (page, metrics):
        _hold_to_outside(context, path)
    settings, known = config.load(context.home), partners.load(context.home)
    with catalogue.Catalogue(context.home / catalogue.FILE_NAME) as opened:
        document = reader.status(opened, settings, known, context.now)
        if page or metrics:
            from cpis_batch.runs import operations

            found = operations.look(context.home, settings, known, opened, context.now, document)
            operations.write(found, settings.operations, page=page, metrics=metrics)
    needs = reader.needs_a_person(document)
    context.emit(_words(document, needs, everything), document | {"needs_a_person": needs})
    if check:
        click.get_current_context().exit(Exit.BUG if document["imbalance"] else Exit.PERSON_NEEDED if needs else Exit.DONE)


def _hold_to_outside(context: Context, path: Path | None) -> None:
    """Files of the home are written by runs, under its lock: the next one sweeps away what anybody else is writing there."""
    if path and path.resolve().is_relative_to(context.home):
        raise UsageFault(f"{path} lies in the home, where runs alone write.", "Name a file outside of it, or run: run intake")


def _words(document: dict[str, Any], needs: list[str], everything: bool) -> str:
    types = ", ".join(f"{count:,} {plan_type}" for plan_type, count in document["active"].items())
    files = ", ".join(f"{count:,} {state.lower()}" for state, count in sorted(document["files"].items()))
    children = "uncounted" if document["children"] is None else f"{document['children']:,}"
    since = f", the oldest for {document['oldest_missing_days']} days" if document["missing"] else ""
    retained = document["retention"]
    lines = [
        f"{document['environment']} as at {document['at']}",
        f"commit {document['commit']} of {document['business_date']}, register {document['register_digest'][:16]}"
        if document["commit"]
        else "No file has been merged yet.",
        f"{document['rows']:,} plans held, {children} children with an active one: {types}",
        f"{document['missing']:,} open plans left out of their authority's last full extract{since}",
        f"files: {files or 'none yet'}",
        f"balance: {'DOES NOT HOLD' if document['imbalance'] else 'holds'}; last release {document['last_release'] or 'none'}",
        f"undelivered {document['undelivered']}, uncollected {document['uncollected']}",
        f"retention: last run {retained['last_run_at'] or 'never'}, {retained['authorities_due']} authorities with something due",
    ]
    late = [la for la in document["las"] if la["lateness"] != "GREEN"]
    shown = document["las"] if everything else sorted(late, key=lambda la: -(la["age_days"] or 9999))[:_SHOWN]
    if shown:
        columns = ("code", "name", "last_file_at", "age_days", "lateness", "rows", "missing", "missing_since")
        told = [la | {"last_file_at": la["last_file_at"] or "never"} for la in shown]
        headings = ("code", "authority", "last file", "days", "light", "plans", "missing", "since")
        lines += ["", table(headings, [tuple(la[name] for name in columns) for la in told])]
    if len(late) > len(shown):
        lines.append(f"... and {len(late) - len(shown)} more that are late: --all")
    lines += ["", *(f"! {need}" for need in needs)] if needs else ["", "Nothing needs a person."]
    return "\n".join(lines)


@click.command()
@click.option("--partner", help="Only this partner's files (its code).")
@click.option("--state", type=click.Choice(["HELD", "MERGED", "DUPLICATE", "STALE", "REFUSED"]), help="Only files in this state.")
@click.option("--last", type=int, default=50, show_default=True, help="How many, the newest last.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def files(context: Context, partner: str | None, state: str | None, last: int, as_json: bool) -> None:
    """Every file seen and what became of it."""
    from cpis_batch import catalogue

    context = context.with_json(as_json)
    wanted, values = ["TRUE"], []
    for column, value in (("partner", partner), ("state", state)):
        if value:
            wanted.append(f"{column} = ?")
            values.append(value)
    with catalogue.Catalogue(context.home / catalogue.FILE_NAME) as opened:
        found = opened.arrivals(" AND ".join(wanted), values)[-last:]
    rows: list[tuple[object, ...]] = [
        (
            arrival.id,
            arrival.seen_at.strftime("%Y-%m-%d %H:%M"),
            arrival.partner,
            arrival.sequence,
            arrival.state,
            arrival.file_outcome,
            arrival.code,
            arrival.records_loaded,
            arrival.records_rejected,
            arrival.name,
        )
        for arrival in found
    ]
    words = table(("no", "seen", "partner", "sequence", "state", "outcome", "code", "loaded", "rejected", "name"), rows)
    context.emit(words or "No files.", {"version": "1.0", "files": found})
