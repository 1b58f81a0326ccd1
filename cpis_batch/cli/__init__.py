"""The command line: one module a command group; this one only finds them, and turns errors into exit codes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from pathlib import Path

import click

from cpis_batch import __version__
from cpis_batch.cli.context import Context, Instant
from cpis_batch.errors import CpisError, Exit, exit_code_of, place_of

# command -> (module, its one-line help): modules are imported when their command is used, so that --help answers at once.
_COMMANDS = {
    "init": ("home", "Make a new home with a commented configuration."),
    "config": ("home", "Check the configuration and the partners."),
    "preflight": ("home", "Look whether tonight's run can work: keys, servers, disk, clock, agreements."),
    "run": ("run", "Run the night, the intake alone, or a fortnight's release."),
    "status": ("status", "What stands, how old it is, and what needs a person."),
    "files": ("status", "Every file seen and what became of it."),
    "deliveries": ("deliveries", "What was sent to whom; resend."),
    "holds": ("holds", "What is held, why, and the decision on it."),
    "ledger": ("ledger", "Where every plan, row and file of a night went; whether it adds up."),
    "register": ("register", "Look into the register, verify it, rebuild it."),
    "reference": ("reference", "Authorities, practices, places and CHIS units: check, rehearse, import."),
    "audit": ("audit", "The log of commits, answers and commands: verify it, show it."),
    "publish": ("publish", "A month's statistics, made safe to publish."),
    "retention": ("retention", "What is past its time, and erasing it."),
    "keys": ("keys", "Make, list, import and check keys."),
    "rules": ("rules", "The rules that rows and files are held to."),
    "la": ("la", "For an LA's desk: check an extract, seal it, read an answer."),
    "chis": ("chis", "For a CHIS unit's desk: open an extract."),
    "demo": ("demo", "A synthetic England: several nights, a fortnight, the reports."),
    "sandbox": ("sandbox", "Rehearse: the demo's SFTP server, files with faults to drop."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"cpis_batch.cli.{_COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="CPIS_HOME",
    default=Path(),
    show_default="this folder",
    help="The home to work on (or CPIS_HOME).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.option("--now", type=Instant(), envvar="CPIS_NOW", help="Take this instant for now: for rehearsals.")
@click.version_option(__version__, prog_name="cpis-batch")
@click.pass_context
def cli(ctx: click.Context, home: Path, as_json: bool, now: datetime | None) -> None:
    """The CP-IS batch file exchange: local authority extracts in, a national register, answers and extracts out.

    Exit codes: 0 done; 3 done, a person is needed; 64 usage; 65 input refused; 69 partner unreachable; 70 bug;
    74 disk; 75 locked; 76 host key; 77 key or permission; 78 configuration; 130 interrupted.
    """
    ctx.obj = Context(home=home.resolve(), json=as_json, given_now=now)


def main() -> None:
    """The entry point: run, and end with the published exit code."""
    execute(cli)


def execute(command: click.Command) -> None:
    """Run a command line, and end with the published exit code."""
    os.umask(0o077)
    _no_core_files()
    try:
        code = command.main(standalone_mode=False)
    except click.ClickException as fault:
        fault.show()
        code = Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        _say("Interrupted. Nothing half-done is left; run the same command again.")
        code = Exit.INTERRUPTED
    except CpisError as fault:
        _say(f"cpis-batch: {fault.message}", *([f"            {fault.advice}"] if fault.advice else []))
        code = fault.exit_code
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - nobody reads any more; keep Python's own flush quiet
        code = Exit.DONE
    except Exception as fault:  # noqa: BLE001 - the text of a foreign exception may quote a record: it is never printed
        _say(
            f"cpis-batch: a fault of the program itself, {place_of(fault)}.",
            "            Nothing half-done is left. Report it with this line and the run's log.",
        )
        code = exit_code_of(fault)
    finally:
        if "cpis_batch.engine" in sys.modules:
            sys.modules["cpis_batch.engine"].close()
    sys.exit(int(code or 0))


def _no_core_files() -> None:
    """A core file would hold keys and plaintext. Windows makes none."""
    if os.name != "nt":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say(*lines: str) -> None:
    """Tell on stderr. Where that cannot be written either, the exit code still tells."""
    with suppress(OSError):
        for line in lines:
            click.echo(line, err=True)
