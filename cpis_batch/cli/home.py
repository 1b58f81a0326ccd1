"""`init`, `config check`, `preflight`: making a home, and looking whether tonight's run can work."""

from __future__ import annotations

import click

from cpis_batch.cli.context import Context, table
from cpis_batch.errors import CpisError, Exit


@click.command()
@click.option(
    "--environment", type=click.Choice(["TEST", "LIVE"]), default="TEST", show_default=True, help="TEST takes only 999 numbers."
)
@click.option("--dry-run", is_flag=True, help="Say what would be made; change nothing.")
@click.pass_obj
def init(context: Context, environment: str, dry_run: bool) -> None:
    """Make a new home with a commented configuration, a master key, an audit key and an empty catalogue."""
    from cpis_batch.runs import new_home

    made = new_home.make(context.home, environment=environment, now=context.now, dry_run=dry_run)
    lines = [f"{'Would make' if dry_run else 'Made'} {context.home}:", *(f"  {name}" for name in made), "", *new_home.NEXT]
    context.emit("\n".join(lines), {"version": "1.0", "home": str(context.home), "made": made})


@click.group()
def config() -> None:
    """Check the configuration and the partners."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def check(context: Context, as_json: bool) -> None:
    """Read config.toml and every partner.toml, and say what is wrong with them. Exit code 78 where something is."""
    from cpis_batch.runs import preflight

    context = context.with_json(as_json)
    findings = preflight.configuration(context.home, context.today)
    _tell(context, findings, "The configuration is sound.", Exit.CONFIGURATION)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def preflight(context: Context, as_json: bool) -> None:
    """Look whether tonight's run can work: configuration, keys, agreements, gpg, disk, clock, every server. Changes nothing."""
    from cpis_batch.runs import preflight as looks

    context = context.with_json(as_json)
    findings = looks.everything(context.home, context.today, context.now)
    _tell(context, findings, "Everything is ready.", Exit.CONFIGURATION)


def _tell(context: Context, findings: list[tuple[str, str, CpisError | str]], well: str, otherwise: Exit) -> None:
    """Print findings (severity, about, what) and end with the first error's exit code, 3 for warnings alone."""
    rows: list[tuple[object, ...]] = [
        (severity, about, what.message if isinstance(what, CpisError) else what) for severity, about, what in findings
    ]
    data = [
        {"severity": row[0], "about": row[1], "text": row[2], "advice": what.advice if isinstance(what, CpisError) else ""}
        for row, (_, _, what) in zip(rows, findings, strict=True)
    ]
    advice = [f"  {about}: {what.advice}" for _, about, what in findings if isinstance(what, CpisError) and what.advice]
    words = "\n".join([table(("severity", "about", "what"), rows), *advice]) if rows else well
    context.emit(words, {"version": "1.0", "findings": data})
    errors = [what for severity, _, what in findings if severity == "ERROR"]
    code = Exit.DONE if not findings else Exit.PERSON_NEEDED
    if errors:
        code = errors[0].exit_code if isinstance(errors[0], CpisError) else otherwise
    click.get_current_context().exit(code)
