"""`holds list|show|release|refuse`: what waits for a person, and the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cpis_batch.cli.context import Context, table

if TYPE_CHECKING:
    from cpis_batch.catalogue.records import Hold


@click.group()
def holds() -> None:
    """What is held, why, and the decision on it. A release or a refusal wants a name and a reason, and the LA is told."""


@holds.command("list")
@click.option("--all", "everything", is_flag=True, help="Those decided as well.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def list_(context: Context, everything: bool, as_json: bool) -> None:
    """List holds, the oldest first."""
    from cpis_batch import catalogue

    context = context.with_json(as_json)
    with catalogue.Catalogue(context.home / catalogue.FILE_NAME) as opened:
        found = opened.holds(open_only=not everything)
    rows: list[tuple[object, ...]] = [
        (hold.id, hold.made_at.strftime("%Y-%m-%d %H:%M"), hold.partner, hold.reason, hold.decision or "open", hold.detail)
        for hold in found
    ]
    words = table(("hold", "since", "partner", "reason", "decision", "why"), rows)
    context.emit(words or "Nothing is held.", {"version": "1.0", "holds": found})


@holds.command()
@click.argument("number", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def show(context: Context, number: int, as_json: bool) -> None:
    """One hold, with the file that it stands on."""
    from cpis_batch import catalogue
    from cpis_batch.errors import UsageFault

    context = context.with_json(as_json)
    with catalogue.Catalogue(context.home / catalogue.FILE_NAME) as opened:
        hold = opened.hold(number)
        if hold is None:
            raise UsageFault(f"There is no hold {number}.", "See: cpis-batch holds list")
        arrival = opened.arrivals("id = ?", (hold.arrival_id,))[0]
    lines = [
        f"Hold {hold.id}: {hold.reason} of {hold.partner}, {hold.decision or 'open'}",
        f"  since: {hold.made_at:%d %b %Y %H:%M} UTC",
        f"  why:   {hold.detail}",
        f"  file:  {arrival.name}, sequence {arrival.sequence}, {arrival.size:,} bytes",
        "  none of its rows is applied while it is held",
        *would_words(hold),
    ]
    if hold.decision:
        lines.append(f"  decided by {hold.decided_by}: {hold.decision_reason}")
    else:
        lines.append(f"  next:  cpis-batch holds release {hold.id} --by NAME --reason TEXT    (or: holds refuse)")
    context.emit("\n".join(lines), {"version": "1.0", "hold": hold, "file": arrival})


def would_words(hold: Hold) -> list[str]:
    """What a release would do, as counts of plans; for a hold that is decided, what was told before the decision."""
    if hold.would is None:
        return (
            ["  on release: this file stays refused; the authority's later files are taken again"]
            if hold.decision is None
            else []
        )
    told = [(change.plan_type, change.change, change.plans) for change in hold.would.changes]
    before, after = hold.would.active_before, hold.would.active_after
    active = [(str(kind), before[kind], after.get(kind, 0), after.get(kind, 0) - before[kind]) for kind in sorted(before)]
    words = table(("type", "change", "plans"), list(told)) or "no plan would change"
    lines = [words, table(("type", "active before", "active after", "difference"), list(active))]
    return ["  on release, as things stood when it was held:", *(f"    {line}" for block in lines for line in block.splitlines())]


def _decision(function: click.decorators.FC) -> click.decorators.FC:
    function = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")(function)
    function = click.option("--dry-run", is_flag=True, help="Say what would be decided; change nothing.")(function)
    function = click.option("--reason", required=True, help="Why: kept with the decision.")(function)
    function = click.option("--by", required=True, help="Who decides: kept with the decision.")(function)
    return click.argument("number", type=int)(function)


@holds.command()
@_decision
@click.pass_obj
def release(context: Context, number: int, by: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Apply what is held."""
    _decide(context.with_json(as_json), number, release=True, by=by, reason=reason, dry_run=dry_run)


@holds.command()
@_decision
@click.pass_obj
def refuse(context: Context, number: int, by: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Refuse what is held: nothing of it is ever applied."""
    _decide(context.with_json(as_json), number, release=False, by=by, reason=reason, dry_run=dry_run)


def _decide(context: Context, number: int, *, release: bool, by: str, reason: str, dry_run: bool) -> None:
    from cpis_batch.cli.progress import warn
    from cpis_batch.runs import decide, operations
    from cpis_batch.runs.exchange import Servers
    from cpis_batch.runs.hub import opened
    from cpis_batch.runs.nightly import file_outcome

    what = "release" if release else "refuse"
    with (
        opened(context.home, what=f"holds {what} {number}", business_date=context.today, now=context.now) as hub,
        Servers(hub) as servers,
    ):
        hold = decide.open_hold(hub, number, release=release)
        if dry_run:
            words = [f"Hold {number} ({hold.partner}, {hold.reason}) would be {what}d: {hold.detail}"]
            context.emit(
                "\n".join(words + (would_words(hold) if release else [])), {"version": "1.0", "would": what, "hold": hold}
            )
            return
        done = decide.decide(hub, servers, number, release=release, by=by, reason=reason)
        warn(operations.publish(hub))
    files = [file_outcome(arrival) for arrival in done.arrivals]
    lines = [f"Hold {number} {what}d. The authority is told."]
    lines += [
        f"  {file['la']} sequence {file['sequence']}: {file['state'].lower()} {file['file_outcome'] or ''}".rstrip()
        for file in files
    ]
    lines += [f"  changes: {count:,} {change.lower()}" for change, count in sorted(done.changes.items())]
    lines += [f"  held again, {hold.reason}: {hold.detail}" for hold in done.holds]
    context.emit("\n".join(lines), {"version": "1.0", "decided": what, "files": files, "changes": done.changes})
