"""`run intake`, `run nightly`, `run fortnightly`, `run national`: the jobs, safe to run again."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from cpis_batch.cli.context import Context, Day, cluster_option
from cpis_batch.cli.progress import bar, warn

if TYPE_CHECKING:
    from cpis_batch.runs.nightly import Night


@click.group()
def run() -> None:
    """Run the night, the intake alone, a fortnight's release, or the national view. All are safe to run again."""


def _options(function: click.decorators.FC) -> click.decorators.FC:
    function = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")(function)
    function = click.option("--dry-run", is_flag=True, help="Print what would be done; change nothing.")(function)
    return click.option("--date", "business_date", type=Day(), help="The business date (in England). Default: today.")(function)


@run.command()
@_options
@cluster_option
@click.pass_obj
def intake(context: Context, business_date: date | None, dry_run: bool, as_json: bool, cluster: str | None) -> None:
    """Collect, check, merge and answer the local authorities' files, as often as you like."""
    _run(context, "intake", business_date, dry_run=dry_run, as_json=as_json, cluster=cluster)


@run.command()
@_options
@cluster_option
@click.pass_obj
def nightly(context: Context, business_date: date | None, dry_run: bool, as_json: bool, cluster: str | None) -> None:
    """The whole night: intake, trace, access reports, and whatever release to the CHIS units is due."""
    _run(context, "nightly", business_date, dry_run=dry_run, as_json=as_json, cluster=cluster)


@run.command()
@_options
@cluster_option
@click.pass_obj
def fortnightly(context: Context, business_date: date | None, dry_run: bool, as_json: bool, cluster: str | None) -> None:
    """The fortnight's release to the CHIS units, if one is due; a missed one is caught up and marked."""
    _run(context, "fortnightly", business_date, dry_run=dry_run, as_json=as_json, cluster=cluster)


@run.command()
@_options
@click.pass_obj
def national(context: Context, business_date: date | None, dry_run: bool, as_json: bool) -> None:
    """Tell each authority which of its children another one holds too, or nobody any more; each matter once until it changes."""
    from cpis_batch.runs import national as runs

    if dry_run:
        context = context.with_json(as_json)
        planned = runs.plan(context.home, on=business_date or context.today)
        context.emit(runs.words(planned), planned)
        return
    _run(context, "national", business_date, dry_run=False, as_json=as_json)


def _run(
    context: Context, kind: str, business_date: date | None, *, dry_run: bool, as_json: bool, cluster: str | None = None
) -> None:
    from cpis_batch.runs import nightly, plan

    context = context.with_json(as_json)
    day = business_date or context.today
    if dry_run:
        planned = plan.plan(context.home, kind=kind, business_date=day, now=context.now)
        context.emit(plan.words(planned), planned)
        return
    with bar() as progress:
        night = nightly.run(context.home, kind=kind, business_date=day, now=context.now, cluster=cluster, progress=progress)
    warn(night.warnings)
    context.emit(words(night), night.document)
    click.get_current_context().exit(night.exit_code)


def words(night: Night) -> str:
    """A run for people: what came, what became of it, what needs somebody."""
    document = night.document
    states: dict[str, int] = {}
    for file in document["files"]:
        states[file["state"]] = states.get(file["state"], 0) + 1
    took = f"commit {document['commit']}" if document["commit"] else "no authority's file was new"
    lines = [f"{night.kind.capitalize()} of {night.business_date}: {took}."]
    if states:
        lines.append("  files:    " + ", ".join(f"{count} {state.lower()}" for state, count in sorted(states.items())))
    if night.intake.changes:
        lines.append(
            "  changes:  " + ", ".join(f"{count:,} {change.lower()}" for change, count in sorted(night.intake.changes.items()))
        )
    if night.reports.sent:
        lines.append(f"  access:   {night.reports.sent} reports")
    if document["national"]:
        lines.append(f"  national: {document['national']['lists']} lists, {document['national']['owed']} owed")
    if document["release"]:
        made = document["release"]
        lines.append(f"  release:  {made['fortnight']}, {made['sent']:,} plans sent, {made['unroutable']:,} unroutable")
    lines.append(f"  delivered: {night.delivered}")
    lines += [
        f"  {file['state'].lower():8}  {file['la']} {file['name']} {file['file_outcome'] or ''} {file['code'] or ''}".rstrip()
        for file in document["files"]
        if file["state"] in ("REFUSED", "HELD")
    ]
    lines += [f"  held      {hold['partner']}: {hold['detail']}" for hold in document["holds"]]
    lines += [f"  waiting   {file['la']} {file['name']}: perhaps still being uploaded" for file in document["waiting"]]
    lines += [
        f"  passed over {partner}: {', '.join(f'{count} {reason}' for reason, count in reasons.items())}"
        for partner, reasons in document["skipped"].items()
    ]
    lines += [f"  trouble   {partner}: {fault}" for partner, fault in document["partners_in_trouble"].items()]
    lines += [f"  server    {name}: {fault}" for name, fault in document["servers_down"].items()]
    lines += [f"  FAILED    {la}: {fault} Nothing of this authority was changed." for la, fault in document["failed"].items()]
    lines += [f"  STOPPED   {step}: {fault.message} {fault.advice}".rstrip() for step, fault in night.stopped.items()]
    if document["undelivered"]:
        lines.append(f"  not delivered: {len(document['undelivered'])}; the next run tries again")
    lines += [f"  ! {need}" for need in document["needs_a_person"]]
    return "\n".join(lines)
