"""Commands as an operator types them, in this process, on a hub under test."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from cpis_batch.cli import cli
from cpis_batch.errors import CpisError
from tests.hub import Hub


def typed(hub: Hub, *arguments: str, given: str = "") -> Result:
    """A command at the hub's `now`, with `given` on standard input. A CpisError is raised, as `main` would see it."""
    done = CliRunner().invoke(cli, ["--home", str(hub.home), "--now", hub.now.isoformat(), *arguments], input=given)
    if isinstance(done.exception, CpisError):
        raise done.exception
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def told(hub: Hub, *arguments: str, given: str = "", code: int = 0) -> dict[str, Any]:
    """What a command prints as JSON; it ends with `code`."""
    done = typed(hub, *arguments, "--json", given=given)
    assert done.exit_code == code, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document
