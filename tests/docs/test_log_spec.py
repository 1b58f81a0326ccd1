"""What runs log is what specs/log says: its table has every event, and every line of good and bad nights keeps to the schema."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import date

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from cpis_batch import config
from cpis_batch.errors import KeyFault
from cpis_batch.runs import log
from tests.builders import HACKNEY, KENT, nhs
from tests.commands import typed
from tests.docs.papers import ROOT
from tests.hub import NATIONAL, Hub, plan_row

FOLDER = ROOT / "specs" / "log" / "1.0"
SCHEMA = json.loads((FOLDER / "log.json-schema.json").read_text(encoding="utf-8"))
_ROWS = [
    line.split("|")[1:4] for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")
]
EVENTS = {event.strip() for events, *_ in _ROWS[1:] for event in events.split(",")}


def events() -> Iterator[tuple[str, set[str]]]:
    """Every event that the program logs, with the fields that it names there."""
    for path in (ROOT / "cpis_batch").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "log.event":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}: an event is fixed words"
                yield str(node.args[0].value), {keyword.arg for keyword in node.keywords if keyword.arg}


def lines(hub: Hub) -> list[dict[str, object]]:
    return [json.loads(line) for path in sorted((hub.home / "logs").iterdir()) for line in path.read_text().splitlines()]


def test_the_table_has_every_event_and_no_other_and_the_schema_every_field():
    Draft202012Validator.check_schema(SCHEMA)
    told = dict(events())
    assert set(told) == EVENTS
    assert set().union(*told.values()) <= set(SCHEMA["properties"])
    fields = {field for _, _, more in _ROWS[1:] for field in re.findall(r"`([a-z_]+)`", more)}
    assert fields <= set(SCHEMA["properties"])


def test_every_step_of_a_night_that_can_be_stopped_is_in_both_schemas():
    steps = set(re.findall(r'_apart\(hub, night, "([a-z ]+)"\)', (ROOT / "cpis_batch" / "runs" / "nightly.py").read_text()))
    assert len(steps) > 3
    assert steps == set(SCHEMA["properties"]["step"]["enum"])
    run = json.loads((ROOT / "specs" / "run" / "1.0" / "run.json-schema.json").read_text(encoding="utf-8"))
    told = run["properties"]["stages"]["description"].partition("each stage: ")[2].partition(";")[0]
    assert steps <= set(told.split(", "))


@pytest.fixture
def hub(tmp_path) -> Hub:
    """Nights of which something is amiss, retention, and a look at a person."""
    hub = Hub.make(tmp_path)
    hub.drop(HACKNEY, [plan_row(1, end="2026-11-19"), *(plan_row(child) for child in range(2, 30))])
    hub.drop(KENT, [plan_row(40)])
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace("[operations]\n", '[operations]\npage = "config.toml/page.html"\n'))
    hub.run("nightly")
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1)])
    hub.put(KENT, hub.name(KENT, 2), b"no message at all")
    (hub.root / NATIONAL / "inbound").rmdir()
    hub.run("nightly")
    master = hub.home / "keys" / "master.key"
    master.chmod(0o640)
    with pytest.raises(KeyFault):
        hub.run("nightly")
    master.chmod(0o600)
    hub.run("national")
    when = ("--valid", "2026-11-20", "--known", hub.now.isoformat())
    typed(hub, "register", "asof", *when, "--by", "J. Okafor", "--reason", "case review 12", given=f"{nhs(1)}\n")
    hub.next_night(370)
    hub.erase()
    return hub


def test_every_line_is_as_published(hub):
    held = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
    found = lines(hub)
    wrong = [f"{line['event']}: {fault.json_path}: {fault.message}" for line in found for fault in held.iter_errors(line)]
    assert not wrong
    seen = {line["event"] for line in found}
    assert {"run begins", "run ends", "run not begun", "file", "held", "envelope not opened", "partner in trouble", "not told",
            "answered", "retention begins", "left out of retention", "retention ends"} <= seen  # fmt: skip


def test_every_line_of_a_run_has_its_number(hub):
    with hub.catalogue() as catalogue:
        kinds = {run.id: run.kind for run in catalogue.runs(date(2026, 1, 1))}
    begun = {line["run"]: line["kind"] for line in lines(hub) if line["event"] == "run begins"}
    assert begun
    assert begun.items() <= kinds.items()
    without = [line["event"] for line in lines(hub) if line["run"] is None]
    assert without == ["run not begun", "not told"]
    assert all(line["run"] in kinds for line in lines(hub) if line["run"] is not None)


def test_f69_what_somebody_wrote_neither_begins_a_line_nor_colours_a_terminal(tmp_path):
    hub = Hub.make(tmp_path)
    log.start(hub.home, hub.now.date())
    log.event("held", detail='a\nb\r\x1b[31m\u2028\u202e"quoted" Zoë')
    log.stop()
    (path,) = (hub.home / "logs").iterdir()
    written = path.read_bytes()
    assert written.count(b"\n") == 1
    assert set(written) - {10} <= set(range(32, 127))
    assert json.loads(written)["detail"] == 'a\nb\r\x1b[31m\u2028\u202e"quoted" Zoë'
