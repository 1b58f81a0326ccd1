"""What `status`, `run`, `ledger show` and `retention` print with --json is what specs/ says: no field more, none less."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from cpis_batch import ledger
from cpis_batch.runs import erasure, retention
from cpis_batch.runs.as_of import Use
from cpis_batch.runs.hub import opened
from tests.builders import HACKNEY, KENT
from tests.docs.papers import ROOT
from tests.hub import NATIONAL, Hub, plan_row

KINDS = ("status", "run", "ledger", "retention-plan", "retention-apply")
_UPLOAD_CUT_OFF = -40


def schema(kind: str) -> dict[str, Any]:
    """A published schema."""
    found: dict[str, Any] = json.loads((ROOT / "specs" / kind / "1.0" / f"{kind}.json-schema.json").read_text(encoding="utf-8"))
    return found


def fields(node: Any) -> set[str]:
    """The name of every field that a schema describes, at any depth."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = set(node["properties"]) if isinstance(node, dict) and "properties" in node else set()
    return found.union(*map(fields, inner))


def closed(node: Any) -> Any:
    """A schema that allows no field which it does not describe: what is published says nothing of fields to come."""
    if isinstance(node, list):
        return [closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    more = {"additionalProperties": False} if "properties" in node and node.get("type") in ("object", ["object", "null"]) else {}
    return {name: closed(one) for name, one in node.items()} | more


def told(document: dict[str, Any]) -> Any:
    """A document as the command prints it."""
    return json.loads(msgspec.json.encode(document))


def hold(kind: str, document: dict[str, Any]) -> None:
    """Every way in which a document is not as published."""
    wrong = list(Draft202012Validator(closed(schema(kind)), format_checker=FormatChecker()).iter_errors(told(document)))
    assert not wrong, [f"{fault.json_path}: {fault.message}" for fault in wrong]


@pytest.mark.parametrize("kind", KINDS)
def test_a_published_schema_is_one_and_describes_every_field(kind):
    published = schema(kind)
    Draft202012Validator.check_schema(published)
    assert set(published["required"]) == set(published["properties"])


def test_a_home_in_which_nothing_has_happened_has_a_status(tmp_path):
    hold("status", Hub.make(tmp_path).status())


def test_nights_of_every_kind_are_told_as_published(tmp_path):
    hub = Hub.make(tmp_path)
    hub.drop(HACKNEY, [plan_row(child) for child in range(1, 30)])
    hub.drop(KENT, [plan_row(40), plan_row(41, start="2026-02-31")])
    first = hub.run("nightly")
    hold("run", first.document)
    assert first.document["release"]
    assert {file["file_outcome"] for file in first.document["files"]} == {"CPF02", "CPF03"}

    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1)])  # far fewer: held
    hub.drop(KENT, [plan_row(40)], sequence=1)  # another file under a used number: refused, a conflict
    dropped = hub.drop(KENT, [plan_row(40)])
    hub.put(KENT, dropped.name, dropped.read_bytes()[:_UPLOAD_CUT_OFF], minutes_ago=1)  # still growing
    hub.put(HACKNEY, "notes.txt", b"")
    hub.put(HACKNEY, hub.name(HACKNEY, 9), b"no message at all")
    (hub.root / NATIONAL / "inbound").rmdir()
    second = hub.run("nightly")
    hold("run", second.document)
    assert {file["state"] for file in second.document["files"]} == {"HELD", "REFUSED"}
    assert second.document["waiting"]
    assert second.document["skipped"]
    assert second.document["needs_a_person"]
    assert second.exit_code == 3

    hub.now = hub.now.replace(day=29)
    status = hub.status()
    hold("status", status)
    assert {one["reason"] for one in status["open_holds"]} == {"BRAKE", "CONFLICT"}
    assert {one["light"] for one in status["uncollected_late"]} == {"RED"}
    assert {la["lateness"] for la in status["las"]} == {"RED"}
    hold("run", hub.run("fortnightly").document)
    with hub.catalogue() as catalogue:
        hold("ledger", ledger.ledger(catalogue))
        hold("ledger", ledger.ledger(catalogue, date(2026, 11, 20), HACKNEY))
        catalogue.table("UPDATE balances SET new = new + 1 WHERE plan_type = 'LAC' RETURNING 1")
        assert ledger.ledger(catalogue)["differences"]
        hold("ledger", ledger.ledger(catalogue))


def test_a_retention_run_is_told_as_published(tmp_path):
    hub = Hub.make(tmp_path)
    hub.drop(HACKNEY, [plan_row(1, end="2026-11-19"), *(plan_row(child, "LAC", end="2026-11-19") for child in range(2, 9))])
    hub.drop(KENT, [plan_row(40, end="2026-11-19")])
    hub.run("nightly")
    hub.next_night(370)
    planned = retention.plan(hub.home, hub.now.date())
    hold("retention-plan", planned.document)
    assert [one.left_out for one in planned.las] == ["BRAKE", None]
    asked = erasure.Asked(planned.token)
    hold("retention-apply", erasure.rehearse(hub.home, asked, hub.now.date()).document)
    with opened(hub.home, what="test", business_date=hub.now.date(), now=hub.now) as home:
        done = erasure.apply(home, asked, Use(by="Records officer", reason="a test"))
    hold("retention-apply", done.document)
    assert (done.document["plans"], done.exit_code) == (1, 3)
    hold("status", hub.status())


def test_a_run_of_the_national_view_is_told_as_published(tmp_path):
    hub = Hub.make(tmp_path)
    for la in (HACKNEY, KENT):
        hub.drop(la, [plan_row(1)])
    hub.run()
    told_to_two = hub.run("national").document
    assert told_to_two["national"] == {"new": 2, "lists": 2, "owed": 0}
    hold("run", told_to_two)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_a_published_json_names_only_fields_that_there_are(kind):
    page = (ROOT / "specs" / kind / "1.0" / "README.md").read_text(encoding="utf-8")
    answers = [line.split("|")[2] for line in page.splitlines() if line.startswith("| ") and "?" in line]
    named = {part for found in re.findall(r"`([a-z_.\[\]]+)`", " ".join(answers)) for part in re.findall(r"[a-z_]+", found)}
    assert named
    assert named <= fields(schema(kind))
