"""What every command is given: the home, the form of its output, and the time."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import click
import msgspec

from cpis_batch import business_time


@dataclass(frozen=True)
class Context:
    """Made once by the top-level command; commands take it with `@click.pass_obj`."""

    home: Path
    json: bool
    given_now: datetime | None = None

    @property
    def now(self) -> datetime:
        """The instant to take for now: the clock's, or the one given for a rehearsal."""
        return self.given_now or datetime.now(UTC)

    def with_json(self, wanted: bool) -> Context:
        """This context, with JSON output where the command itself was asked for it."""
        return replace(self, json=self.json or wanted)

    @property
    def today(self) -> date:
        """The business date of now."""
        return business_time.business_date(self.now)

    def emit(self, human: str, data: object) -> None:
        """Print `data` as one JSON document with --json, else the words for people."""
        if self.json:
            sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n")
            sys.stdout.buffer.flush()
        else:
            click.echo(human)


cluster_option = click.option(
    "--cluster",
    metavar="tls://HOST:PORT",
    envvar="CPIS_CLUSTER",
    help="Work on the workers of this Dask scheduler (or CPIS_CLUSTER); the home must be a folder that all of them see.",
)


def typed_password() -> str:
    """A password, typed unseen at a terminal, or the first line of standard input where there is none."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\n")


class Day(click.ParamType[date]):
    """An option that takes a date, YYYY-MM-DD."""

    name = "date"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Turn text into a date, or fail with the form wanted."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail("write the date as YYYY-MM-DD", param, ctx)


class Instant(click.ParamType[datetime]):
    """An option that takes an instant with a zone, ISO 8601."""

    name = "instant"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Turn text into an aware datetime, or fail with the form wanted."""
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail("write the instant as 2026-11-20T01:30:00Z", param, ctx)
        if found.tzinfo is None:
            self.fail("the instant needs a zone, as in 2026-11-20T01:30:00Z", param, ctx)
        return found.astimezone(UTC)


def table(headings: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Columns aligned for a terminal; numbers to the right."""
    if not rows:
        return ""
    cells = [[str("" if cell is None else cell) for cell in row] for row in rows]
    widths = [max(len(heading), *(len(row[i]) for row in cells)) for i, heading in enumerate(headings)]
    right = [all(isinstance(row[i], int | float) or row[i] is None for row in rows) for i in range(len(headings))]

    def line(parts: list[str]) -> str:
        return "  ".join(p.rjust(w) if r else p.ljust(w) for p, w, r in zip(parts, widths, right, strict=True)).rstrip()

    return "\n".join([line(list(headings)), line(["-" * w for w in widths]), *(line(row) for row in cells)])
