"""F55: a month's statistics, from whole nights to what is published; held to the ledger and to what was published before."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from frictionless import Resource, Schema

from cpis_batch import files, spec
from cpis_batch.audit.entry import Deed, Kind
from cpis_batch.errors import Bug, InputRefused, StateFault, UsageFault
from tests.builders import HACKNEY, KENT, nhs
from tests.commands import told, typed
from tests.functional.test_access_night import events, look
from tests.hub import Hub, plan_row
from tests.small_england import small_england

WHY = ("--reason", "monthly statistics", "--by", "Lead")


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """November is over: Hackney has 12 children on a CPP and 3 looked after, Kent 30 and 9; five accesses were made."""
    hub = small_england(tmp_path)
    dropped(hub)
    hub.run("nightly")
    hub.next_night()
    events(hub, *(look(f"e-{n}", n, hub=hub) for n in range(1, 6)), look("e-9", 7, setting="SEXUAL-HEALTH", hub=hub))
    hub.run("nightly")
    hub.next_night((date(2026, 12, 1) - hub.now.date()).days)
    return hub


def dropped(hub: Hub, more: int = 0) -> None:
    hub.drop(HACKNEY, [plan_row(n) for n in range(1, 13 + more)] + [plan_row(n, "LAC") for n in range(1, 4)])
    hub.drop(KENT, [plan_row(n) for n in range(101, 131)] + [plan_row(n, "LAC") for n in range(101, 110)])


def rows(hub: Hub, month: str = "2026-11") -> dict[tuple[str, str, str], str]:
    text = (hub.home / "statistics" / month / "statistics.csv").read_bytes().decode()
    return {
        (row["measure"], row["geography_code"], row["item"]): row["value"] or row["marker"]
        for row in csv.DictReader(io.StringIO(text, newline=""))
    }


def published(hub: Hub, *more: str, code: int = 0) -> dict[str, object]:
    return dict(told(hub, "publish", "--month", "2026-11", *WHY, *more, code=code))


def test_f55_england_is_exact_others_are_rounded_and_small_ones_hidden(hub: Hub) -> None:
    document = published(hub)
    assert (document["written"], document["as_at"]) == (True, "2026-11-30")
    found = rows(hub)
    assert found["PLANS", "E92000001", "CPP"] == "42"
    assert found["PLANS", "E92000001", "ALL"] == "54"
    assert found["CHILDREN", "E92000001", "ALL"] == "42", "who has two plans is one person"
    assert found["PLANS", HACKNEY, "LAC"] == "*"
    assert found["PLANS", KENT, "CPP"] in ("30", "*")
    assert found["PLANS", "E09000025", "CPP"] == "0", "an authority that has nothing is counted too"
    assert found["AUTHORITIES", "E92000001", "ALL"] == "2"
    assert found["ACCESSES", "E92000001", "ALL"] == "*"
    assert not [key for key in found if key[2] == "SEXUAL-HEALTH"], "what is withheld is in no figure (F44)"
    assert len({key[1] for key in found if key[0] == "PLANS"}) == 153 + 9 + 42 + 1


def test_the_csv_keeps_to_its_table_schema_and_holds_nobody(hub: Hub) -> None:
    published(hub)
    folder = hub.home / "statistics" / "2026-11"
    schema = Schema.from_descriptor(json.loads((spec.folder() / "statistics/1.0/statistics.schema.json").read_bytes()))
    report = Resource(path="statistics.csv", basepath=str(folder), schema=schema).validate()
    assert report.valid, report.flatten(["note"])
    for path in folder.iterdir():
        data = path.read_bytes()
        assert not [child for child in range(1, 131) if nhs(child).encode() in data], path.name


def published_before(hub: Hub, was: bytes, other: bytes) -> Path:
    """The month published twice: as it is now, and then with another figure, as the audit log knows."""
    published(hub)
    path = hub.home / "statistics" / "2026-11" / "statistics.csv"
    first = path.read_bytes()
    assert was in first
    path.write_bytes(first.replace(was, other))
    (path.parent / "earlier").mkdir()
    (path.parent / "earlier" / "first.csv").write_bytes(first)
    with hub.catalogue(signing=True) as catalogue:
        facts = {"command": "publish", "month": "2026-11", "public": True, "sha256": files.digest_of(path.read_bytes())}
        catalogue.tell(Deed(Kind.COMMAND, facts), hub.now)
    return path


def test_f55_the_same_again_is_the_same(hub: Hub) -> None:
    published(hub)
    path = hub.home / "statistics" / "2026-11" / "statistics.csv"
    first = path.read_bytes()
    assert published(hub)["differs"] == []
    assert path.read_bytes() == first


def test_f55_other_figures_than_were_published_want_a_correction_and_what_was_published_is_kept(hub: Hub) -> None:
    path = published_before(hub, b"PLANS,CPP,42,", b"PLANS,CPP,41,")
    was = path.read_bytes()
    with pytest.raises(InputRefused, match="1 counts were others"):
        typed(hub, "publish", "--month", "2026-11", *WHY)
    assert path.read_bytes() == was
    assert published(hub, "--correct")["written"] is True
    assert b"PLANS,CPP,42," in path.read_bytes()
    assert was in [kept.read_bytes() for kept in (path.parent / "earlier").iterdir()]


def test_f55_a_count_that_was_hidden_is_not_shown_by_a_correction_either(hub: Hub) -> None:
    published_before(hub, b"PLANS,CPP,42,", b"PLANS,CPP,,*")
    with pytest.raises(InputRefused, match="hidden then would be shown now"):
        typed(hub, "publish", "--month", "2026-11", *WHY, "--correct")


def test_f55_a_release_that_was_altered_or_taken_away_is_missed(hub: Hub) -> None:
    published(hub)
    path = hub.home / "statistics" / "2026-11" / "statistics.csv"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"PLANS,CPP,42,", b"PLANS,CPP,41,"))
    with pytest.raises(StateFault, match="not there as it was published"):
        typed(hub, "publish", "--month", "2026-11", *WHY, "--correct")
    path.unlink()
    with pytest.raises(StateFault, match="not there as it was published"):
        typed(hub, "publish", "--month", "2026-11", *WHY)
    path.write_bytes(whole)
    assert published(hub)["written"] is True


def test_a_month_is_published_as_it_stood_at_its_end_whatever_has_come_since(hub: Hub) -> None:
    dropped(hub, more=1)
    hub.run("nightly")
    published(hub)
    assert rows(hub)["PLANS", "E92000001", "CPP"] == "42"
    hub.next_night(31)
    told(hub, "publish", "--month", "2026-12", *WHY)
    assert rows(hub, "2026-12")["PLANS", "E92000001", "CPP"] == "43"


def test_what_does_not_come_to_the_ledger_is_not_published(hub: Hub) -> None:
    with hub.catalogue() as catalogue:
        catalogue._db.execute("PRAGMA ignore_check_constraints = ON")
        catalogue._db.execute("UPDATE la_versions SET active_cpp = active_cpp + 1 WHERE la_code = ?", (HACKNEY,))
        catalogue._db.commit()
    with pytest.raises(Bug, match="ledger"):
        typed(hub, "publish", "--month", "2026-11", *WHY)
    assert not (hub.home / "statistics").exists()


def test_json_goes_to_standard_output_and_nothing_else_does(hub: Hub) -> None:
    program = Path(sys.executable).with_name("cpis-batch")
    command = [str(program), "--home", str(hub.home), "publish", "--month", "2026-11", *WHY, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, env=os.environ | {"CPIS_NOW": hub.now.isoformat()})
    assert json.loads(done.stdout)["written"] is True


def test_a_month_that_has_not_ended_or_is_none_is_refused_and_a_dry_run_writes_nothing(hub: Hub) -> None:
    for month, says in (("2026-12", "has not ended"), ("2026-13", "is no month"), ("November", "is no month")):
        with pytest.raises(UsageFault, match=says):
            typed(hub, "publish", "--month", month, *WHY)
    assert published(hub, "--dry-run")["written"] is False
    assert not (hub.home / "statistics").exists()


def test_each_publication_is_in_the_audit_log_with_who_and_why(hub: Hub) -> None:
    published(hub)
    told_of = [entry for entry in told(hub, "audit", "show")["entries"] if "publish" in json.dumps(entry)]
    assert len(told_of) == 1
    assert "Lead" in json.dumps(told_of)


def test_the_internal_profile_hides_nothing_and_says_that_it_is_not_for_publication(hub: Hub) -> None:
    told(hub, "publish", "--month", "2026-11", *WHY, "--profile", "internal")
    assert rows(hub, "internal-2026-11")["PLANS", HACKNEY, "LAC"] == "3"
    page = (hub.home / "statistics" / "internal-2026-11" / "index.html").read_text(encoding="utf-8")
    assert "not for publication" in page
    assert "Official-sensitive" in page


def test_the_workbook_opens_in_libreoffice_and_says_what_the_csv_says(hub: Hub, tmp_path: Path) -> None:
    published(hub)
    out = tmp_path / "opened"
    subprocess.run(
        ["soffice", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless", "--convert-to",
         "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1", "--outdir", str(out),
         str(hub.home / "statistics" / "2026-11" / "statistics.ods")],
        check=True, capture_output=True, timeout=180,
    )  # fmt: skip
    sheets = {
        path.stem.partition("-")[2]: list(csv.reader(path.read_text(encoding="utf-8").splitlines())) for path in out.iterdir()
    }
    assert set(sheets) == {"Cover", "Notes", "Plans", "Accesses"}
    found = rows(hub)
    for row in sheets["Plans"][4:]:
        assert row[3:7] == [found["PLANS", row[1], item] for item in ("CPP", "LAC", "UCPP", "ALL")]
        assert row[7] == found["CHILDREN", row[1], "ALL"]
    assert len(sheets["Plans"]) == 4 + 153 + 9 + 42 + 1
