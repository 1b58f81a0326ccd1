"""`register show|log|asof|verify|rebuild`: look into the register, hold it to its files, replay the archive."""

from __future__ import annotations

import sys
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from cpis_batch.cli import national
from cpis_batch.cli.context import Context, Day, Instant, cluster_option, table
from cpis_batch.cli.progress import bar
from cpis_batch.errors import Exit, UsageFault

if TYPE_CHECKING:
    from cpis_batch.runs.rebuild import Rebuild
    from cpis_batch.runs.verify import Verified

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
_la = click.option("--la", "la_code", metavar="CODE", help="Only this authority (its GSS code).")


@click.group()
def register() -> None:
    """Look into the register, verify it, rebuild it. Only `asof` shows anything of a person, and that is written down."""


for _reader in national.READERS:
    register.add_command(_reader)


@register.command()
@_la
@_json
@click.pass_obj
def show(context: Context, la_code: str | None, as_json: bool) -> None:
    """What the register holds: plans by authority and type, their parts and ages. No identifiers."""
    from cpis_batch import catalogue, partners
    from cpis_batch.runs import look

    context = context.with_json(as_json)
    known = partners.load(context.home)
    with catalogue.Catalogue(context.home / catalogue.FILE_NAME) as opened:
        document = look.summary(opened, {code: one.name for code, one in known.items()}, context.now, la_code)
    rows: list[tuple[object, ...]] = [
        (
            la["code"],
            la["name"],
            *(f"{la['active'][kind]:,} of {la['held'][kind]:,}" for kind in la["active"]),
            la["missing"],
            la["age_days"],
            la["sequence"],
            la["commit"],
            la["plans_part"][:12],
            la["logical_digest"][:12],
        )
        for la in document["las"]
    ]
    headings = ("code", "authority", "CPP", "LAC", "UCPP", "missing", "days", "sequence", "commit", "part", "digest")
    total = ", ".join(f"{document['active'][kind]:,} of {document['held'][kind]:,} {kind}" for kind in document["active"])
    lines = [table(headings, rows), "", f"Active, of those held: {total}. Register {document['register_digest'] or '-'}"]
    context.emit("\n".join(lines) if rows else "The register is empty.", document)


@register.command("log")
@_la
@click.option("--last", type=int, default=50, show_default=True, help="How many commits, the newest last.")
@_json
@click.pass_obj
def log_(context: Context, la_code: str | None, last: int, as_json: bool) -> None:
    """Commits, with what each one did. With --la, only those that changed that authority's part, and its digest."""
    from cpis_batch import catalogue
    from cpis_batch.runs import look

    context = context.with_json(as_json)
    with catalogue.Catalogue(context.home / catalogue.FILE_NAME) as opened:
        found = look.commits(opened, la_code)[-last:]
    rows: list[tuple[object, ...]] = [
        (
            one["id"],
            one["made_at"],
            one["business_date"],
            one["kind"],
            one["files_merged"],
            one["rules"][:8],
            one["digest"][:16],
            ", ".join(f"{count:,} {change.lower()}" for change, count in one["changes"].items()),
        )
        for one in found
    ]
    headings = ("commit", "made", "business date", "kind", "files", "rules", "digest", "changes")
    context.emit(table(headings, rows) or "No commits.", {"version": "1.0", "la": la_code, "commits": found})


@register.command()
@click.option("--valid", "valid_on", type=Day(), required=True, help="The day (in England) that is asked about.")
@click.option("--known", "known_at", type=Instant(), required=True, help="As it was known at this instant.")
@_la
@click.option("--reason", required=True, help="Why, by a case reference: written down with the use.")
@click.option("--by", help="Who asks: written down with the use. Default: the login name.")
@_json
@click.pass_obj
def asof(
    context: Context, valid_on: date, known_at: datetime, la_code: str | None, reason: str, by: str | None, as_json: bool
) -> None:
    """What the register said about one person on a day, as known at an instant, and which line of which file said so.

    The NHS number is read from standard input, or asked for where that is a terminal. The answer holds the person's data.
    """
    from cpis_batch.nhs_number import NhsNumber
    from cpis_batch.runs import as_of

    context = context.with_json(as_json)
    use = as_of.Use.of(by, reason)
    if sys.stdin.isatty():
        text = click.prompt("NHS number (not shown)", hide_input=True, err=True)
    else:
        text = sys.stdin.readline().strip()
    try:
        number = NhsNumber.parse(text)
    except ValueError:
        raise UsageFault("That is not an NHS number.", "Give its ten digits on standard input; nothing was looked up.") from None
    found = as_of.as_of(
        context.home, number, valid_on=valid_on, known_at=known_at, la_code=la_code, use=use, today=context.today, now=context.now
    )
    document = {"version": "1.0", "valid_on": valid_on, "known_at": known_at, "plans": [as_of.document(one) for one in found]}
    context.emit("\n\n".join(map(as_of.words, found)) or "Nothing was known of an active plan on that day.", document)


@register.command()
@_json
@click.pass_obj
def verify(context: Context, as_json: bool) -> None:
    """Hold every part, archived file and outbox file against the catalogue, and the catalogue against itself.

    Changes nothing. Exit code 74 where something is damaged, 70 where the balance does not hold.
    """
    from cpis_batch.runs import verify as looks

    context = context.with_json(as_json)
    with bar() as progress:
        found = looks.verify(context.home, progress)
    document = {
        "version": "1.0",
        "commit": found.head.id if found.head else None,
        "register_digest": found.head.register_digest if found.head else None,
        "commits": found.commits,
        "las": found.las,
        "plans": found.plans,
        "files": found.files,
        "unnamed": found.unnamed,
        "imbalance": found.imbalance,
        "damages": found.damages,
        "exit_code": int(found.exit_code),
    }
    context.emit(_words_verified(found), document)
    click.get_current_context().exit(found.exit_code)


def _words_verified(found: Verified) -> str:
    looked = ", ".join(f"{count:,} in {folder}/" for folder, count in found.files.items())
    lines = [
        f"Commit {found.head.id if found.head else 'none'}: {found.las} authorities, {found.plans:,} plans; files: {looked}."
    ]
    for damage in found.damages:
        lines += [f"! {damage.about}", f"    {damage.what}", f"    {damage.advice}"]
    if found.imbalance:
        lines.append(
            f"! IMBALANCE: {found.imbalance} rows are unaccounted for. Send nothing; report it with: register log --json"
        )
    lines += [
        f"  {count} files in {folder}/ are not in use; the next run removes them."
        for folder, count in found.unnamed.items()
        if count
    ]
    if found.exit_code is Exit.DONE:
        lines.append(f"All is as it was written. Register {found.head.register_digest if found.head else '-'}")
    return "\n".join(lines)


@register.command()
@click.option("--la", "las", multiple=True, metavar="CODE", help="Only this authority; may be given several times.")
@click.option("--check", is_flag=True, help="Compare with the catalogue and change nothing: what is done without --replace.")
@click.option("--replace", is_flag=True, help="Write damaged or missing parts of authorities anew.")
@click.option("--yes", is_flag=True, help="Do not ask before replacing.")
@click.option("--reason", help="Why parts are replaced: kept with the run.")
@click.option("--by", help="Who replaces them: kept with the run. Default: the login name.")
@click.option("--dry-run", is_flag=True, help="Say what would be replayed; open nothing.")
@cluster_option
@_json
@click.pass_obj
def rebuild(
    context: Context,
    las: tuple[str, ...],
    check: bool,
    replace: bool,
    yes: bool,
    reason: str | None,
    by: str | None,
    dry_run: bool,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Replay the archive and compare it with every commit. With --replace, write damaged parts anew if they come out the same.

    Exit code 74 where the archive comes to something else, 3 where the rules have changed since.
    """
    from cpis_batch.runs import as_of, hub
    from cpis_batch.runs import rebuild as runs

    context = context.with_json(as_json)
    if replace and (check or las):
        raise UsageFault("--replace goes with neither --check nor --la.", "It finds the damaged parts itself.")
    if dry_run:
        planned = runs.plan(context.home, las)
        words = (
            f"Would replay {planned['files']:,} files ({planned['bytes'] / 1e6:,.1f} MB) of {planned['las']} authorities"
            f" in {planned['commits']} commits."
        )
        context.emit(words, planned)
        return
    if replace:
        use = as_of.Use.of(by, reason or "")
        if not yes:
            click.confirm("Write damaged parts anew from the archive?", abort=True, err=True)
    what = f"register rebuild{' --replace' if replace else ''}"
    with (
        hub.opened(context.home, what=what, business_date=context.today, now=context.now, cluster=cluster) as opened,
        bar() as progress,
    ):
        if replace:
            done = runs.replace(opened, by=use.by, reason=use.reason, progress=progress)
        else:
            done = runs.rebuild(opened, las, progress)
    context.emit(_words_rebuilt(done, replace), _rebuilt(done))
    click.get_current_context().exit(done.exit_code)


def _rebuilt(done: Rebuild) -> dict[str, Any]:
    return {
        "version": "1.0",
        "commit": done.head.id if done.head else None,
        "register_digest": done.head.register_digest if done.head else None,
        "rebuilt_digest": done.register_digest,
        "same": done.same,
        "other_rules": done.other_rules,
        "checkpoints": done.checkpoints,
        "replaced_in": done.replaced.id if done.replaced else None,
        "las": [
            {
                "la": one.la_code,
                "files": one.files,
                "digest": one.digest,
                "stopped": one.stopped,
                "advice": one.advice,
                "differences": one.differences,
            }
            for one in done.las
        ],
        "exit_code": int(done.exit_code),
    }


def _words_rebuilt(done: Rebuild, replace: bool) -> str:
    if replace and not done.las:
        return "No part is damaged: there is nothing to replace."
    lines = [f"Replayed {sum(one.files for one in done.las):,} files of {len(done.las)} authorities."]
    for one in done.las:
        if one.stopped:
            lines += [f"! {one.la_code} could not be replayed: {one.stopped}", f"    {one.advice}"]
        elif one.differences:
            first = one.differences[0]
            lines.append(f"! {one.la_code} differs first in commit {first.commit_id}: {first.column} is recorded as")
            lines.append(f"    {first.recorded}, the archive comes to {first.rebuilt}; {len(one.differences)} differences in all")
            if first.rules_changed:
                lines.append("    That commit was made under other rules than today's.")
    if done.other_rules:
        lines.append(
            f"  {len(done.other_rules)} commits were made under other rules than today's; they were replayed under today's."
        )
    if done.checkpoints:
        lines.append(
            f"  {len(done.checkpoints)} authorities were replayed from the checkpoint of their last erasure: the files before it"
            " are gone, and the commits before it were not compared."
        )
    if done.same:
        every = "every commit since" if done.checkpoints else "every commit"
        lines.append(f"The archive comes to the same register at {every}: {done.register_digest or 'the parts asked for'}")
    if done.replaced:
        lines.append(f"Replaced the parts of {len(done.las)} authorities in commit {done.replaced.id}.")
    elif replace:
        lines.append("Nothing was replaced.")
    return "\n".join(lines)
