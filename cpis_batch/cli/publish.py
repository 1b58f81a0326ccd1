"""`publish`: a month's statistics, made safe to publish."""

from __future__ import annotations

import click

from cpis_batch.cli.context import Context


@click.command()
@click.option("--month", required=True, help="The month, as 2026-11. It must have ended.")
@click.option("--profile", default="published", show_default=True, help="How counts are made safe: published, or internal.")
@click.option("--reason", required=True, help="Why, for the audit log: a reference, no name or number of a person.")
@click.option("--by", help="Who publishes. Default: your login name.")
@click.option("--correct", is_flag=True, help="Replace an earlier release of the month that says otherwise.")
@click.option("--dry-run", is_flag=True, help="Count, and say what would be hidden and what differs; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def publish(
    context: Context, month: str, profile: str, reason: str, by: str | None, correct: bool, dry_run: bool, as_json: bool
) -> None:
    """Publish a month's statistics: children and plans by area, accesses by setting; small counts cannot be worked out.

    Writes a page, an OpenDocument workbook and a tidy CSV into the home's statistics/ folder. Ends with 65 where an earlier
    release of the month says otherwise, and with 70 where the register does not come to what the ledger says.
    """
    from cpis_batch.access.month import Month
    from cpis_batch.errors import UsageFault
    from cpis_batch.runs import publish as runs
    from cpis_batch.runs.as_of import Use
    from cpis_batch.runs.hub import opened
    from cpis_batch.statistics import profiles

    context = context.with_json(as_json)
    try:
        of = Month.named(month)
        assert str(of) == month and of.first  # noqa: PT018 - both say that it is a month
    except (ValueError, AssertionError):
        raise UsageFault(f"{month!r} is no month.", "Give it as 2026-11.") from None
    use = Use.of(by, reason)
    with opened(context.home, what=f"publish {month}", business_date=context.today, now=context.now) as hub:
        done = runs.run(hub, of, profiles.named(profile), use, correct=correct, dry_run=dry_run)
    document = done.document
    words = f"{month}, as at {document['as_at']}: {document['counts']:,} counts, of which {document['hidden']:,} are not shown."
    if done.differs:
        words += f" {len(done.differs):,} are other than published before."
    words += (
        f"\nWritten into {done.folder}: index.html, statistics.ods, statistics.csv." if done.written else "\nNothing was written."
    )
    context.emit(words, document)
