"""`demo`: the main job on a synthetic England, from nothing to a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cpis_batch.business_time import text_of
from cpis_batch.cli.context import Context, table
from cpis_batch.cli.progress import bar, wipe

if TYPE_CHECKING:
    from cpis_batch.sandbox.demo import Demonstration, Told


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Decides everything; the same seed tells the same.")
@click.option(
    "--scale",
    type=click.FloatRange(0, 3, min_open=True),
    default=1.0,
    show_default=True,
    help="The size of England, 1 being the real one.",
)
@click.option("--afresh", is_flag=True, help="Remove an earlier demonstration from the home first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def demo(context: Context, seed: int, scale: float, afresh: bool, as_json: bool) -> None:
    """A synthetic England of 153 authorities: several nights with every common fault, a fortnight's release, the reports.

    Everything is made in the home (--home): keys for every party, an SFTP server on loopback, sealed extracts. Nothing in
    it is about a real person.
    """
    from cpis_batch import catalogue, config, partners, status
    from cpis_batch.sandbox import demo as demonstration

    context = context.with_json(as_json)
    if afresh:
        demonstration.clear(context.home)
    if not context.json:
        click.echo(f"A synthetic England in {context.home}, seed {seed}. No row of it is about a real person.\n")
    with bar() as progress:

        def told(one: Told) -> None:
            if not context.json:
                wipe()
                click.echo(_night(one))

        done = demonstration.run(context.home, seed=seed, scale=scale, progress=progress, told=told)
    settings, known = config.load(context.home), partners.load(context.home)
    with catalogue.Catalogue(context.home / catalogue.FILE_NAME) as opened:
        standing = status.status(opened, settings, known, done.nights[-1].now)
    document = {
        "version": "1.0",
        "seed": seed,
        "seconds": round(done.seconds, 1),
        "nights": [told.night.document for told in done.nights],
        "surprises": len(done.surprises),
        "status": standing,
    }
    context.emit(_summary(context, done, standing), document)
    click.get_current_context().exit(1 if done.surprises else 0)


def _night(one: Told) -> str:
    document = one.night.document
    states: dict[str, int] = {}
    for file in document["files"]:
        states[file["state"].lower()] = states.get(file["state"].lower(), 0) + 1
    made = document["release"]
    return (
        f"{document['business_date']}  {one.seconds:5.1f} s  "
        + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        + f"; {document['access_reports']} access reports"
        + (f"; release {made['fortnight']} to the CHIS units" if made else "")
        + f"; {document['delivered']} delivered"
    )


def _summary(context: Context, done: Demonstration, standing: dict[str, Any]) -> str:
    faults: dict[str, tuple[object, ...]] = {}
    for told in done.nights:
        for one in told.comparisons:
            if one.fault:
                fate = f"{one.fate or 'NOT SEEN'} {one.outcome or ''}".strip()
                said = "as expected" if one.agrees else "NOT AS EXPECTED"
                faults.setdefault(one.fault.name, (one.fault.name.replace("-", " "), one.fault.shows, fate, said))
    told_faults = table(("what was wrong", "fault", "came to", ""), list(faults.values()))
    home, active = context.home, standing["active"]
    surprises = (
        f"{len(done.surprises)} FILES CAME TO SOMETHING ELSE" if done.surprises else "Every file came to what was expected"
    )
    lines = [
        "",
        "What was wrong with some of the files, and what the first of each came to:",
        told_faults,
        "",
        f"The register holds {standing['rows']:,} plans of {len(standing['las'])} authorities, active, ended and to come.",
        f"Active: {active['CPP']:,} CPP, {active['LAC']:,} LAC, {active['UCPP']:,} UCPP, of {standing['children']:,} children.",
        f"Held for a person: {standing['holds']}. Left out of a full extract, and kept: {standing['missing']}.",
        f"The balance {'DOES NOT HOLD' if standing['imbalance'] else 'holds'}. {surprises}. {done.seconds:.0f} seconds.",
        "",
        "Where things lie:",
        f"  {home}/sandbox/remote/    the SFTP server's folders: inbound, outbound, processed, refused of every partner",
        f"  {home}/register/          the register: encrypted Parquet, a part an authority",
        f"  {home}/catalogue.sqlite   what is true since when, and what was sent to whom",
        f"  {home}/logs/              the runs' logs, without identifiers",
        "",
        "Try next (the nights lie in the past; CPIS_NOW lets the clock stand at the last one):",
        f"  CPIS_NOW={text_of(done.nights[-1].now)} cpis-batch --home {home} status",
        f"  cpis-batch --home {home} holds list",
        f"  cpis-batch --home {home} deliveries --last 10",
        f"  cpis-batch --home {home} register verify",
        f"  cpis-batch --home {home} sandbox serve &     the SFTP server again, for: run nightly",
    ]
    some = next(iter(sorted(home.glob("sandbox/remote/las/*/outbound/CPIS_ACK_*"))), None)
    hub = next((home / "keys" / "hub").glob("*.asc"))
    if some:
        key = home / "sandbox" / "keys" / f"{some.parts[-3]}.key"
        lines.append(f"  cpis-batch la read-ack {some} --key {key} --hub {hub}")
    return "\n".join(lines)
