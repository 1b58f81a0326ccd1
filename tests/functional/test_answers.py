"""What an authority reads in its answer."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta

import jsonschema
import pytest

from cpis_batch import spec
from cpis_batch.envelope.certificates import inspect
from cpis_batch.envelope.desk import open_at_desk
from cpis_batch.envelope.outcome import Unopened
from cpis_batch.spec import table_schema
from tests.builders import HACKNEY, KENT, nhs
from tests.hub import Hub, keys, plan_row


@pytest.fixture
def hub(tmp_path):
    return Hub.make(tmp_path, las=(HACKNEY,))


def test_an_answer_keeps_to_its_published_schemas_and_holds_no_identifier(hub):
    hub.drop(rows=[plan_row(1, family="Canary", given="Zoë"), plan_row(2, start="31/12/2025")])
    hub.run()
    (path,) = hub.outbound(HACKNEY)
    members = hub.unpacked(path, HACKNEY)
    schema = json.loads((spec.folder() / "acknowledgement" / "1.0" / "acknowledgement.json-schema.json").read_bytes())
    jsonschema.validate(json.loads(members["acknowledgement.json"]), schema, format_checker=jsonschema.FormatChecker())
    heading = members["acknowledgement.csv"].decode().splitlines()[0].replace('"', "")
    assert tuple(heading.split(",")) == table_schema("acknowledgement", "1.0", "acknowledgement").names
    for data in members.values():
        assert not [word for word in (nhs(1), "Canary", "Zoë", "2019-04-30") if word.encode() in data]


def test_one_mistake_made_many_times_reads_once_on_the_page_and_is_counted_in_full(hub):
    hub.drop(rows=[plan_row(child, start="01/02/2024") for child in range(1, 41)])
    hub.run()
    (path,) = hub.outbound(HACKNEY)
    members = hub.unpacked(path, HACKNEY)
    page = members["acknowledgement.html"].decode()
    assert "40 rows" in page
    assert "and 20 more" in page
    assert sum(fault["field"] == "start_date" for fault in json.loads(members["acknowledgement.json"])["faults"]) == 40


def test_what_a_partner_wrote_stays_text_on_the_page(hub):
    row = list(plan_row(1, start="x"))
    row[1] = "<script>alert(1)</script>"
    hub.drop(rows=[row])
    hub.run()
    page = hub.unpacked(hub.outbound(HACKNEY)[0], HACKNEY)["acknowledgement.html"].decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "Content-Security-Policy" in page


@pytest.mark.parametrize("then", ["comes back", "ends", "is deleted", "ends by a delta"])
def test_the_missing_are_listed_by_the_authority_s_own_id_until_they_come_back_end_or_are_deleted(hub, then):
    everyone = [plan_row(child) for child in range(1, 21)]
    hub.drop(rows=everyone)
    hub.run()
    hub.next_night()
    since = (hub.now - timedelta(hours=3)).date()
    for nights in range(3):
        hub.drop(rows=everyone[1:])
        hub.run()
        (plan,) = hub.acknowledgement()["missing"]
        assert (plan["child_id"], plan["plan_type"], plan["missing_since"]) == ("LC-000001", "CPP", since.isoformat())
        assert len(hub.active()) == 20
        status = hub.status()
        assert (status["missing"], status["oldest_missing_since"], status["oldest_missing_days"]) == (1, since, nights + 1)
        (hackney,) = [la for la in status["las"] if la["code"] == HACKNEY]
        assert hackney["missing_since"] == since
        hub.next_night()
    first = {"comes back": everyone[0], "is deleted": plan_row(1, delete="2026-11-20")}.get(then, plan_row(1, end="2026-11-20"))
    delta = then == "ends by a delta"
    hub.drop(rows=[first] if delta else [first, *everyone[1:]], kind="DELTA" if delta else "FULL")
    hub.run()
    assert hub.acknowledgement()["missing"] == []
    status = hub.status()
    assert (status["missing"], status["oldest_missing_since"], status["oldest_missing_days"]) == (0, None, None)
    assert len(hub.active()) == (20 if then == "comes back" else 19)


def test_a_delete_of_a_plan_that_is_not_held_and_a_plan_of_long_ago_are_told(hub):
    hub.drop(rows=[plan_row(1), plan_row(2, delete="2026-11-01"), plan_row(3, start="2020-01-01", end="2020-06-01")])
    hub.run()
    answer = hub.acknowledgement()
    told = {(fault["line"], fault["code"]) for fault in answer["faults"] if fault["code"].startswith("CPB-92")}
    assert told == {(3, "CPB-923"), (4, "CPB-924")}
    assert hub.plans().num_rows == 1


def test_a_release_waives_only_what_it_was_asked_about(hub):
    everyone = [plan_row(child) for child in range(1, 41)]
    hub.drop(rows=everyone)
    hub.run()
    gone = [plan_row(child, end="2026-11-18") for child in range(1, 31)]
    hub.drop(rows=gone, kind="DELTA", sequence=3)
    hub.run()
    (gap,) = hub.status()["open_holds"]
    hub.decide(gap["id"], release=True)
    (brake,) = hub.status()["open_holds"]
    assert (gap["reason"], brake["reason"]) == ("GAP", "BRAKE")
    assert len(hub.active()) == 40
    hub.decide(brake["id"], release=True)
    assert len(hub.active()) == 10
    assert len(hub.acknowledgements()) == 2


def test_f75_what_is_sent_opens_for_its_reader_alone_and_its_pages_load_nothing(tmp_path):
    hub = Hub.make(tmp_path)
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run()
    (path,) = hub.outbound(HACKNEY)
    senders = {inspect(hub.certificate).fingerprint: hub.certificate}
    assert isinstance(open_at_desk(path.read_bytes(), secret=keys(KENT).secret, senders=senders), Unopened)
    page = hub.unpacked(path, HACKNEY)["acknowledgement.html"].decode()
    assert "default-src 'none'" in html.unescape(page)
    assert not re.search(r"<(script|link|img|iframe|form)|url\(|https?://", page)


def test_f19_what_a_killed_upload_has_left_with_a_partner_is_cleared_away_by_the_next_run(hub):
    hub.drop(rows=[plan_row(1)])
    outbound = hub.root / HACKNEY / "outbound"
    (outbound / ".cpis-0123456789abcdef.tmp").write_bytes(b"the beginning of an answer")
    (outbound / ".listing").write_bytes(b"the partner's own")
    hub.run()
    assert sorted(path.name.partition("_")[0] for path in outbound.iterdir()) == [".listing", "CPIS"]
