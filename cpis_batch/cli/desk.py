"""`cpis-la`: what an authority's or a CHIS unit's desk needs, in one file that brings all it needs (`make la-tool`).

The commands are those of `cpis-batch la` and `cpis-batch chis`; there is no home, no server and no gpg.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from cpis_batch import __version__
from cpis_batch.cli import execute
from cpis_batch.cli.chis import open_
from cpis_batch.cli.context import Context, Instant
from cpis_batch.cli.la import check_, read_ack, seal


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.option("--now", type=Instant(), envvar="CPIS_NOW", help="Take this instant for now: for rehearsals.")
@click.version_option(__version__, prog_name="cpis-la")
@click.pass_context
def desk(ctx: click.Context, as_json: bool, now: datetime | None) -> None:
    """For an LA's or a CHIS unit's desk: check an extract, seal it, read an answer, open a CHIS extract.

    Nothing leaves this computer. Exit codes: 0 done; 64 usage; 65 input refused; 70 bug; 74 disk; 77 key or permission.
    """
    ctx.obj = Context(home=Path(), json=as_json, given_now=now)


for name, command in (("check", check_), ("seal", seal), ("read-ack", read_ack), ("open", open_)):
    desk.add_command(command, name)


def main() -> None:
    """The entry point of `cpis-la`."""
    execute(desk)
