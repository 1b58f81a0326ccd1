"""`reference check|rehearse|import`: whether everything leads somewhere, a vesting day, public lists taken in."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cpis_batch.cli.context import Context, Day, table
from cpis_batch.errors import Exit

if TYPE_CHECKING:
    from cpis_batch.runs.reference import Change

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
_SHOWN = 40  # gaps, of however many there are
_on = click.option("--on", type=Day(), help="The day from which the list holds (today without it).")
_yes = click.option("--yes", is_flag=True, help="Do not ask before the table is written.")
_dry = click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def reference() -> None:
    """Authorities, practices, places and CHIS units by date: checked, rehearsed, brought up to date from public lists."""


@reference.command()
@click.option("--on", type=Day(), help="The first day that is looked at (today without it).")
@_json
@click.pass_obj
def check(context: Context, on: date | None, as_json: bool) -> None:
    """Whether every authority, practice and district leads to a CHIS unit on every day from now to the last one known.

    Ends with 3 where one does not.
    """
    from cpis_batch import organisations
    from cpis_batch.geography import coverage

    context = context.with_json(as_json)
    known = organisations.load(context.home / "reference").routing_reference()
    first = on or context.today
    days, found = coverage.turning_days(known, first), coverage.gaps(known, first)
    rows: list[tuple[object, ...]] = [(gap.kind, gap.code, gap.since, gap.until, gap.reason) for gap in found]
    words = table(("what", "code", "from", "to", "why"), rows[:_SHOWN])
    if len(rows) > _SHOWN:
        words += f"\nand {len(rows) - _SHOWN:,} more; --json lists them all"
    whole = f"Everything leads to a CHIS unit from {first} on; the last day on which anything changes is {days[-1]}."
    context.emit(words or whole, {"version": "1.0", "from": first, "last_change": days[-1], "gaps": found})
    if found:
        click.get_current_context().exit(Exit.PERSON_NEEDED)


@reference.command()
@click.option("--on", type=Day(), required=True, help="The vesting day.")
@_json
@click.pass_obj
def rehearse(context: Context, on: date, as_json: bool) -> None:
    """Where every child with an active plan lands on a day to come: authority, CHIS unit, basis. Counts, no identifiers.

    Ends with 3 where a plan would lead to no unit. Changes nothing.
    """
    from cpis_batch.runs import reference as runs

    context = context.with_json(as_json)
    found = runs.rehearsed(context.home, today=context.today, on=on).to_pylist()
    headings = ("authority", "then", "unit now", "unit then", "basis", "unroutable", "persons")
    rows: list[tuple[object, ...]] = [tuple(row.values()) for row in found]
    lost = [row for row in found if row["chis_then"] is None and row["reason"] != "DECEASED"]
    moved = [row for row in found if row["chis_then"] and row["chis_then"] != row["chis_now"]]
    words = (
        f"{table(headings, rows)}\n\nOn {on} {sum(row['persons'] for row in moved):,} persons would come to another unit,"
        f" and {sum(row['persons'] for row in lost):,} would lead to none."
    )
    context.emit(words if rows else "The register is empty.", {"version": "1.0", "on": on, "landings": found})
    if lost:
        click.get_current_context().exit(Exit.PERSON_NEEDED)


@reference.group("import")
def import_() -> None:
    """Take a public list into the home's tables. What changes begins on a day; what it replaces ends the day before.

    What a list leaves out stays, and is counted. Nothing is written before you have seen what changes and said yes.
    """


@import_.command()
@click.argument("file", type=_file)
@click.option("--areas", type=_file, help="CSV area_code,chis_code: the unit of an ICB or commissioner where it has several.")
@_on
@_yes
@_dry
@_json
@click.pass_obj
def practices(context: Context, file: Path, areas: Path | None, on: date | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """GP practices, from the ODS list epraccur.csv: the CHIS unit of each."""
    from cpis_batch.runs import reference as runs

    context = context.with_json(as_json)
    of_areas = areas.read_bytes() if areas else None
    change = runs.of_practices(context.home, file.read_bytes(), areas=of_areas, on=on or context.today)
    _settle(context, [change], yes=yes, dry_run=dry_run)


@import_.command()
@click.argument("file", type=_file)
@_on
@_yes
@_dry
@_json
@click.pass_obj
def places(context: Context, file: Path, on: date | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Districts, from an ONS lookup of lower to upper tier authorities: the authority of each."""
    from cpis_batch.runs import reference as runs

    context = context.with_json(as_json)
    change = runs.of_places(context.home, file.read_bytes(), on=on or context.today)
    _settle(context, [change], yes=yes, dry_run=dry_run)


@import_.command("boards")
@click.argument("file", type=_file)
@_on
@_yes
@_dry
@_json
@click.pass_obj
def boards_(context: Context, file: Path, on: date | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Integrated care boards, from an ONS lookup of areas to ICBs and districts: the boards of each authority."""
    from cpis_batch.runs import reference as runs

    context = context.with_json(as_json)
    changes = runs.of_boards(context.home, file.read_bytes(), on=on or context.today)
    _settle(context, changes, yes=yes, dry_run=dry_run)


@import_.command("rows")
@click.argument("files", type=_file, nargs=-1, required=True)
@_yes
@_dry
@_json
@click.pass_obj
def rows_(context: Context, files: tuple[Path, ...], yes: bool, dry_run: bool, as_json: bool) -> None:
    """Rows of dated tables, each file named as its table (la_chis.csv): for an authority that is split or merged.

    A row that begins on the same day for the same code is replaced, all others are added; the files count together.
    """
    from cpis_batch.runs import reference as runs

    context = context.with_json(as_json)
    changes = runs.of_rows(context.home, {file.stem: file.read_bytes() for file in files})
    _settle(context, changes, yes=yes, dry_run=dry_run)


def _settle(context: Context, changes: list[Change], *, yes: bool, dry_run: bool) -> None:
    """Say what changes, ask, write. Nothing is asked or written where nothing changes."""
    from cpis_batch.runs import reference as runs

    words = []
    for change in changes:
        words.append(
            f"{change.name}: " + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in change.revised.counts.items())
        )
        words += [f"  {count:,} passed over: {why}" for why, count in sorted(change.left_out.items())]
    document = {
        "version": "1.0",
        "tables": [{"table": one.name, "counts": one.revised.counts, "passed_over": one.left_out} for one in changes],
    }
    wanted = [change for change in changes if change.changes]
    written = bool(wanted) and not dry_run
    if written:
        if not yes:
            click.echo("\n".join(words), err=True)
            click.confirm("Write this into the home's reference tables?", abort=True, err=True)
        runs.write(context.home, wanted, now=context.now)
        words.append("Written. Look where everything leads now: cpis-batch reference check")
    context.emit("\n".join(words), document | {"written": written})
