"""`retention plan|apply`: what is past its time, and erasing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cpis_batch.cli.context import Context, cluster_option, table
from cpis_batch.cli.progress import bar, warn

if TYPE_CHECKING:
    from cpis_batch.runs.erasure import Applied
    from cpis_batch.runs.retention import Plan

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")


@click.group()
def retention() -> None:
    """What is past its time, and erasing it. In two steps: look at the plan, then apply that plan and no other."""


@retention.command()
@_json
@click.pass_obj
def plan(context: Context, as_json: bool) -> None:
    """What would be erased today, by authority, and what is left out and why. Counts only; changes nothing."""
    from cpis_batch.runs import retention as runs

    context = context.with_json(as_json)
    planned = runs.plan(context.home, context.today)
    context.emit(_words_planned(planned), planned.document)


def _words_planned(planned: Plan) -> str:
    document = planned.document
    rows: list[tuple[object, ...]] = [
        (
            one.la_code,
            *(f"{one.plans[kind]:,} of {one.held[kind]:,}" for kind in one.plans),
            one.versions,
            one.persons,
            one.waiting,
            one.files,
            one.messages,
            f"{one.left_out}: {one.why}" if one.left_out else "",
        )
        for one in planned.las
    ]
    headings = ("code", "CPP", "LAC", "UCPP", "versions", "persons", "wait", "files", "messages", "left out")
    lines = [table(headings, rows), ""] if rows else []
    lines.append(
        f"On {planned.business_date}, {planned.days} days after their end: {document['plans']:,} plans and"
        f" {document['versions']:,} versions of plans of {len(planned.going)} authorities would be erased."
    )
    lines.append(
        f"With them {document['archived_files']:,} archived files of authorities, {document['events_files']:,} of access events,"
        f" {document['messages']:,} delivered messages, and all but the ids of {document['access_events']:,} access events."
    )
    if planned.unnamed_files:
        lines.append(f"And {planned.unnamed_files:,} archived files that no line of the catalogue names.")
    lines.append(f"To apply it: cpis-batch retention apply --plan {planned.token} --by NAME --reason TEXT")
    return "\n".join(lines)


@retention.command()
@click.option("--plan", "token", required=True, metavar="TOKEN", help="The plan, by the token that `retention plan` printed.")
@click.option("--by", required=True, help="Who applies it: kept with the run.")
@click.option("--reason", required=True, help="Why: kept with the run.")
@click.option("--la", "las", multiple=True, metavar="CODE", help="Only this authority; may be given several times.")
@click.option("--beyond-brake", is_flag=True, help="Those too of which more would go than max(5, 10%) of a type.")
@click.option(
    "--unproven", is_flag=True, help="Erase though the archive of the authorities named does not bear out the register."
)
@click.option("--dry-run", is_flag=True, help="Say what would be erased; change nothing.")
@cluster_option
@_json
@click.pass_obj
def apply(
    context: Context,
    token: str,
    by: str,
    reason: str,
    las: tuple[str, ...],
    beyond_brake: bool,
    unproven: bool,
    dry_run: bool,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Erase what the plan names, if it is still the plan. Nothing of it comes back, but out of a backup.

    Of each authority the archive is replayed first and held against the register. Exit code 3 where one was left out.
    """
    from cpis_batch.errors import UsageFault
    from cpis_batch.runs import erasure, operations
    from cpis_batch.runs.as_of import Use
    from cpis_batch.runs.hub import opened

    context = context.with_json(as_json)
    if not by.strip():
        raise UsageFault("An erasure needs the name of who applies it.", "Say who with --by.")
    use = Use.of(by, reason)
    asked = erasure.Asked(token, las, beyond_brake=beyond_brake, unproven=unproven)
    if dry_run:
        done = erasure.rehearse(context.home, asked, context.today)
    else:
        with (
            opened(context.home, what="retention apply", business_date=context.today, now=context.now, cluster=cluster) as hub,
            bar() as progress,
        ):
            done = erasure.apply(hub, asked, use, progress)
            warn(operations.publish(hub))
    context.emit(_words_applied(done), done.document)
    click.get_current_context().exit(done.exit_code)


def _words_applied(done: Applied) -> str:
    document = done.document
    would = "Would be erased" if done.dry_run else "Erased"
    files = f"{document['archived_files']:,} archived files, {document['messages']:,} messages"
    events = f"all but the ids of {document['access_events']:,} access events"
    lines = [f"{would}: {document['plans']:,} plans and {document['versions']:,} versions of plans; {files}, {events}."]
    lines += [f"  left out {one['la']}: {one['reason']}: {one['why']}" for one in document["left_out"]]
    if done.head:
        lines.append(f"Commit {done.head.id}. Register {done.head.register_digest}")
        lines.append("What is in backups stays there until they are overwritten: docs/operators.md, Retention.")
    elif not done.dry_run:
        lines.append("Nothing was due.")
    return "\n".join(lines)
