"""`deliveries`: the sharing log, and sending again."""

from __future__ import annotations

import click

from cpis_batch.cli.context import Context, table


@click.group(invoke_without_command=True)
@click.option("--partner", help="Only to this partner (its code).")
@click.option("--undelivered", is_flag=True, help="Only what is still to be delivered.")
@click.option("--uncollected", is_flag=True, help="Only what lies delivered and was not taken away.")
@click.option("--last", type=int, default=50, show_default=True, help="How many, the newest last.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_context
def deliveries(ctx: click.Context, partner: str | None, undelivered: bool, uncollected: bool, last: int, as_json: bool) -> None:
    """What was sent to whom, for which purpose, under which agreement."""
    if ctx.invoked_subcommand:
        return
    from cpis_batch import catalogue

    context: Context = ctx.obj.with_json(as_json)
    wanted, values = ["TRUE"], []
    if partner:
        wanted.append("partner = ?")
        values.append(partner)
    if undelivered:
        wanted.append("delivered_at IS NULL")
    if uncollected:
        wanted.append("delivered_at IS NOT NULL AND collected_at IS NULL")
    with catalogue.Catalogue(context.home / catalogue.FILE_NAME) as opened:
        found = opened.deliveries(" AND ".join(wanted), values)[-last:]
    rows: list[tuple[object, ...]] = [
        (
            one.id,
            one.made_at.strftime("%Y-%m-%d %H:%M"),
            one.partner,
            one.kind,
            one.record_count,
            "collected" if one.collected_at else "delivered" if one.delivered_at else f"due, tried {one.attempts}",
            one.agreement,
            one.name,
        )
        for one in found
    ]
    words = table(("no", "made", "partner", "kind", "records", "state", "agreement", "name"), rows)
    context.emit(words or "No deliveries.", {"version": "1.0", "deliveries": found})


@deliveries.command()
@click.argument("numbers", type=int, nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Say what would be sent; change nothing.")
@click.pass_obj
def resend(context: Context, numbers: tuple[int, ...], dry_run: bool) -> None:
    """Put deliveries there again: the same sealed bytes under the same name, to the same recipient."""
    from cpis_batch.errors import UsageFault
    from cpis_batch.runs.exchange import Servers
    from cpis_batch.runs.hub import opened

    with (
        opened(context.home, what="deliveries resend", business_date=context.today, now=context.now) as hub,
        Servers(hub) as servers,
    ):
        places = ", ".join("?" * len(numbers))
        found = hub.catalogue.deliveries(f"id IN ({places})", numbers)
        if unknown := sorted(set(numbers) - {one.id for one in found}):
            raise UsageFault(f"There is no delivery {', '.join(map(str, unknown))}.", "See: cpis-batch deliveries")
        if erased := [one.id for one in found if one.erased_in is not None]:
            raise UsageFault(
                f"Delivery {', '.join(map(str, erased))} cannot be sent again: retention has erased its bytes.",
                "Its recipient may have them; what stands now is in its next answer, report or extract.",
            )
        listed = "\n".join(f"  {one.id}  {one.partner}  {one.name}" for one in found)
        if dry_run:
            context.emit(f"Would be sent again:\n{listed}", {"version": "1.0", "would_resend": found})
            return
        hub.catalogue.resend(numbers, hub.now)
        delivered, failed = servers.deliver()
    context.emit(
        f"Sent again: {delivered}\n{listed}" + "".join(f"\n  not delivered: {name}: {why}" for name, why in failed.items()),
        {"version": "1.0", "delivered": delivered, "failed": failed},
    )
    if failed:
        click.get_current_context().exit(69)
