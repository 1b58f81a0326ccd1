"""The ledger of a night: where every plan, row and file went, as a data engineer and a safeguarding lead read it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cpis_batch import ledger
from cpis_batch.errors import Bug, UsageFault
from tests.builders import HACKNEY, KENT
from tests.commands import told, typed
from tests.hub import Hub, plan_row
from tests.small_england import small_england

CUMBRIA = "E10000006"  # leads to no unit here
CHILDREN = [plan_row(child) for child in range(1, 8)]


@pytest.fixture
def hub(tmp_path) -> Hub:
    """A first night of three authorities with a release; and a second with something of every kind."""
    hub = small_england(tmp_path, las=(HACKNEY, KENT, CUMBRIA))
    hub.drop(HACKNEY, [*CHILDREN, plan_row(8, "LAC"), plan_row(50, start="2026-02-31")])
    hub.drop(KENT, CHILDREN)
    hub.drop(CUMBRIA, CHILDREN[:2])
    assert hub.run("nightly").released
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1, end="2026-11-15"), plan_row(2, delete="2026-11-15"), *CHILDREN[2:], plan_row(9)])
    hub.put(HACKNEY, hub.name(HACKNEY, 9), b"no message at all")
    hub.drop(KENT, CHILDREN[:1])  # held
    hub.run("nightly")
    return hub


def shown(hub: Hub, *more: str) -> dict[str, Any]:
    return told(hub, "ledger", "show", *more)


def line(document: dict[str, Any], la: str, plan_type: str) -> tuple[int, ...]:
    (found,) = [one for one in document["plans"] if (one["la_code"], one["plan_type"]) == (la, plan_type)]
    return tuple(value for name, value in found.items() if name not in ("la_code", "plan_type"))


def test_every_plan_of_a_night_is_accounted_for(hub):
    document = shown(hub)
    assert line(document, HACKNEY, "CPP") == (7, 1, 0, 1, 0, 7, 6), "one new, one deleted, one ended and kept"
    assert line(document, HACKNEY, "LAC") == (1, 0, 0, 0, 0, 1, 1), "left out of the file, and it stays"
    assert line(document, KENT, "CPP") == (7, 0, 0, 0, 0, 7, 7), "nothing of what is held happens"
    assert line(document, CUMBRIA, "UCPP") == (0, 0, 0, 0, 0, 0, 0)
    totals = {one["plan_type"]: one for one in document["totals"]}
    assert (totals["CPP"]["opening"], totals["CPP"]["closing"], totals["CPP"]["active"]) == (16, 16, 15)
    assert document["differences"] == []


def test_every_row_of_every_file_has_one_outcome_and_every_file_one_end_and_one_answer(hub):
    first, second = shown(hub, "--date", "2026-11-20"), shown(hub, "--date", "2026-11-21")
    files = {one["partner"]: one for one in first["files"]}
    assert [files[HACKNEY][name] for name in ("files", "merged", "acknowledged", "rows", "loaded", "rejected")] == [
        1,
        1,
        1,
        9,
        8,
        1,
    ]
    files = {one["partner"]: one for one in second["files"]}
    assert [files[HACKNEY][name] for name in ("files", "merged", "refused", "acknowledged", "rows")] == [2, 1, 1, 2, 8]
    assert [files[KENT][name] for name in ("files", "held", "acknowledged", "rows")] == [1, 1, 0, 0], "no outcome yet"
    for one in (*first["files"], *second["files"]):
        assert one["rows"] == one["loaded"] + one["rejected"]
        assert one["files"] == one["held"] + one["acknowledged"]


def test_active_plans_are_those_sent_and_those_that_lead_nowhere(hub):
    release = shown(hub, "--date", "2026-11-20")["release"]
    sent = {(one["la_code"], one["plan_type"]): (one["active"], one["sent"], one["unroutable"]) for one in release["lines"]}
    assert sent == {
        (HACKNEY, "CPP"): (7, 7, 0),
        (HACKNEY, "LAC"): (1, 1, 0),
        (KENT, "CPP"): (7, 7, 0),
        (CUMBRIA, "CPP"): (2, 0, 2),
    }
    assert shown(hub)["release"] is None


def test_one_authority_s_ledger_is_that_of_its_rows_alone(hub):
    document = shown(hub, "--la", KENT)
    assert {one["la_code"] for one in document["plans"]} == {KENT}
    assert {one["partner"] for one in document["files"]} == {KENT}


def test_it_is_read_in_words(hub):
    words = typed(hub, "ledger", "show", "--date", "2026-11-20").stdout
    assert "It balances." in words
    assert "Release 2026F23" in words
    assert f"{HACKNEY}  CPP" in typed(hub, "ledger", "show", "--all").stdout


@pytest.mark.parametrize(
    ("alter", "what"),
    [
        ("UPDATE balances SET new = new + 1 WHERE commit_id = 1 AND plan_type = 'LAC' RETURNING 1", "is not closing"),
        (
            "UPDATE balances SET closing = 9, new = 2 WHERE plan_type = 'CPP' AND commit_id = 1 AND opening = 0 RETURNING 1",
            "opening",
        ),
        ("UPDATE la_versions SET row_count = 8 WHERE row_count = 7 RETURNING 1", "the part does not hold"),
        ("UPDATE arrivals SET records_loaded = 7 WHERE id = 1 RETURNING 1", "rows of a file that have no outcome"),
        ("DELETE FROM deliveries WHERE arrival_id = 1 RETURNING 1", "without an acknowledgement"),
        ("UPDATE holds SET decision = 'OVERTAKEN', decided_in = commit_id RETURNING 1", "waits for nothing"),
        ("UPDATE release_balances SET sent = sent - 1 WHERE plan_type = 'LAC' RETURNING 1", "neither sent nor listed"),
        ("UPDATE releases SET active = active + 1 RETURNING 1", "the sum of its authorities"),
    ],
)
def test_what_does_not_add_up_is_named_and_ends_with_70(hub, alter, what):
    with hub.catalogue() as catalogue:
        assert catalogue.table(alter)
    shown = typed(hub, "ledger", "show")
    assert shown.exit_code == 70
    assert "DOES NOT BALANCE" in shown.stdout
    assert what in shown.stdout
    assert typed(hub, "status", "--check").exit_code == 70
    lying = sorted(hub.root.glob("*/outbound/*"))
    hub.next_night()
    hub.drop(CUMBRIA, CHILDREN[:2])
    try:
        code = hub.run("nightly").exit_code
    except Bug as fault:  # a part that is not what the catalogue says: the night does not even commit
        code = fault.exit_code
    assert code == 70
    assert sorted(hub.root.glob("*/outbound/*")) == lying, "nothing is sent to anybody"


def test_a_date_or_an_authority_that_there_is_nothing_of_is_told(hub):
    with hub.catalogue() as catalogue:
        with pytest.raises(UsageFault, match="Nothing was committed on 2026-11-19"):
            ledger.ledger(catalogue, date(2026, 11, 19))
        with pytest.raises(UsageFault, match="holds nothing of E06000001"):
            ledger.ledger(catalogue, None, "E06000001")


def test_a_home_in_which_nothing_was_committed_has_no_ledger(tmp_path):
    hub = Hub.make(tmp_path, las=())
    with hub.catalogue() as catalogue, pytest.raises(UsageFault, match="no ledger yet"):
        ledger.ledger(catalogue)
