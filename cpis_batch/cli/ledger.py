"""`ledger show`: where every plan, row and file of a night went, and whether it adds up."""

from __future__ import annotations

from datetime import date
from typing import Any

import click

from cpis_batch.cli.context import Context, Day, table
from cpis_batch.errors import Exit

_PLANS = ("plan_type", "opening", "new", "reopened", "deleted", "erased", "closing", "active")
_FILES = ("files", "merged", "duplicate", "stale", "refused", "held", "acknowledged", "rows", "loaded", "rejected")
_RELEASE = ("active", "sent", "unroutable")
_SHOWN = 20  # differences, of however many there are


@click.group()
def ledger() -> None:
    """The ledger: opening + new + reopened - deleted - erased = closing; active = sent to CHIS units + unroutable."""


@ledger.command()
@click.option("--date", "business_date", type=Day(), help="The business date (that of the last commit without it).")
@click.option("--la", "la_code", help="One authority alone, by its GSS code.")
@click.option("--all", "everything", is_flag=True, help="A line for every authority and plan type, not only the sums.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def show(context: Context, business_date: date | None, la_code: str | None, everything: bool, as_json: bool) -> None:
    """A night's ledger. Ends with 70 where anything, of any night, does not add up."""
    from cpis_batch import catalogue
    from cpis_batch import ledger as reader

    context = context.with_json(as_json)
    with catalogue.Catalogue(context.home / catalogue.FILE_NAME) as opened:
        document = reader.ledger(opened, business_date, la_code)
    context.emit(_words(document, everything=everything or la_code is not None), document)
    if document["differences"]:
        click.get_current_context().exit(Exit.BUG)


def _words(document: dict[str, Any], *, everything: bool) -> str:
    commits = ", ".join(str(one) for one in document["commits"])
    of = f" of {document['la']}" if document["la"] else ""
    lines = [f"Ledger{of} of {document['business_date']}, commits {commits}", ""]
    plans, files, release = document["plans"], document["files"], document["release"]
    if everything:
        lines += [_table(("la_code", *_PLANS), plans, "No plans are held."), ""]
        lines += [_table(("partner", *_FILES), files, "No file was settled.")]
        if release:
            lines += ["", f"Release {release['fortnight']}", _table(("la_code", "plan_type", *_RELEASE), release["lines"])]
    else:
        lines += [_table(_PLANS, document["totals"], "No plans are held."), ""]
        lines += [_table(_FILES, _sums(files, _FILES), "No file was settled.")]
        if release:
            lines += ["", f"Release {release['fortnight']}", _table(_RELEASE, _sums(release["lines"], _RELEASE))]
    amiss = document["differences"]
    lines += ["", f"! DOES NOT BALANCE: {len(amiss):,} differences. Nothing is sent." if amiss else "It balances."]
    for one in amiss[:_SHOWN]:
        where = " ".join(part for part in (one.la_code, one.plan_type) if part)
        lines.append(f"  commit {one.commit_id}, {where or 'all'}: {one.what}, by {one.rows:,}")
    if amiss:
        lines.append("  Keep the home as it is, run: cpis-batch register verify; and report these lines.")
    return "\n".join(lines)


def _table(headings: tuple[str, ...], rows: list[dict[str, Any]], empty: str = "") -> str:
    return table(headings, [tuple(row[name] for name in headings) for row in rows]) or empty


def _sums(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{name: sum(row[name] for row in rows) for name in names}] if rows else []
