"""The archive alone comes to the same register, whatever happened on the way; and brings back a part that was lost."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import date, timedelta

import pytest

from cpis_batch import catalogue, config, partners
from cpis_batch.envelope import hub as hub_keys
from cpis_batch.errors import UsageFault
from cpis_batch.keystore import load_master_key
from cpis_batch.register.store import PartStore
from tests.builders import HACKNEY, KENT
from tests.commands import told, typed
from tests.hub import Hub, plan_row

MANY = [plan_row(child) for child in range(1, 31)]


def night(hub: Hub, *drops: tuple[str, list, dict]) -> None:
    """The next night, with what the authorities put down before it."""
    hub.next_night()
    for la, rows, how in drops:
        hub.drop(la, rows, **how)
    hub.run()


def decide(hub: Hub, *, release: bool = True) -> None:
    (hold,) = hub.status()["open_holds"]
    hub.decide(hold["id"], release=release)


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Hub:
    """Nights with everything in them that moves a plan, or does not."""
    hub = Hub.make(tmp_path_factory.mktemp("story"))
    delta = {"kind": "DELTA"}
    grown_up = plan_row(40, "LAC", born="2008-11-24")
    rows = [*MANY, grown_up]
    night(hub, (HACKNEY, rows, {}), (KENT, [plan_row(1, "LAC"), plan_row(50, "UCPP", born="1994-08-02")], {}))
    changed = [plan_row(1, end="2026-11-20"), plan_row(2, delete="2026-11-20"), plan_row(3, start="2026-02-12")]
    one_bad = [plan_row(60, "LAC"), plan_row(61, number="1234567890")]
    night(hub, (HACKNEY, changed, delta), (HACKNEY, one_bad, delta))
    night(hub, (HACKNEY, [plan_row(2), plan_row(1), plan_row(4, family="Other")], delta))
    hub.put(HACKNEY, hub.name(HACKNEY, 90), b"no message at all")
    night(hub)  # it is refused, it is somebody's 18th birthday, and nobody sends
    night(hub, (HACKNEY, rows[:10], {}))  # twenty are left out
    decide(hub)
    night(hub, (HACKNEY, rows[10:12], {**delta, "sequence": 20}))  # fourteen files did not come
    decide(hub)
    night(hub, (HACKNEY, [*rows, plan_row(70)], {"sequence": 1}))  # a new case system
    decide(hub)
    night(hub, (HACKNEY, [plan_row(70, end="2026-11-21")], {**delta, "sequence": 2}), (KENT, [], {}))
    decide(hub, release=False)
    return hub


@pytest.fixture
def hub(story, tmp_path) -> Hub:
    """The story's home, to spoil."""
    home = shutil.copytree(story.home, tmp_path / "home")
    return Hub(home, story.root, story.now, dict(story.sequences))


def altered(hub: Hub, sql: str) -> None:
    """Change the catalogue behind the program's back."""
    with sqlite3.connect(hub.home / catalogue.FILE_NAME) as database:
        database.execute(sql)
    database.close()


def test_the_story_holds_what_it_is_to_hold(story):
    with story.catalogue() as opened:
        changes = {row["change"] for row in opened.table("SELECT DISTINCT change FROM changes")}
        decisions = {(hold.reason, hold.decision) for hold in opened.holds(open_only=False)}
    assert changes >= {"NEW", "ENDED", "DELETED", "AMENDED", "RESUMED", "REOPENED", "AGED_OUT", "MISSING"}
    assert decisions == {("BRAKE", "RELEASED"), ("GAP", "RELEASED"), ("RESET", "RELEASED"), ("BRAKE", "REFUSED")}


def test_the_archive_comes_to_the_same_register_at_every_commit(story):
    found = told(story, "register", "rebuild", "--check")
    assert found["same"]
    assert found["rebuilt_digest"] == story.status()["register_digest"]
    assert [(one["la"], one["stopped"], one["differences"]) for one in found["las"]] == [(HACKNEY, None, []), (KENT, None, [])]
    assert sum(one["files"] for one in found["las"]) == story.status()["files"]["MERGED"]


def test_worker_processes_come_to_the_same(tmp_path):
    hub = Hub.make(tmp_path, las=(HACKNEY, KENT, "E08000025"))
    for la in (HACKNEY, KENT, "E08000025"):
        hub.drop(la, MANY)
    hub.run()
    assert told(hub, "register", "rebuild")["rebuilt_digest"] == hub.status()["register_digest"]


@pytest.mark.parametrize("part", ["plans_part", "history_part"])
def test_f71_a_lost_part_is_named_and_comes_back_out_of_the_archive(hub, part):
    before = hub.status()["register_digest"]
    with hub.catalogue() as opened:
        lost = getattr(opened.la(HACKNEY), part)
    rows = hub.plans().drop_columns([]) if part == "history_part" else None
    (hub.home / "register" / f"{lost}.parquet").unlink()

    (damage,) = told(hub, "register", "verify", code=74)["damages"]
    assert damage["about"] == f"register/{lost}.parquet"
    assert HACKNEY in damage["what"]
    assert "register rebuild --replace" in damage["advice"]

    done = told(hub, "register", "rebuild", "--replace", "--yes", "--reason", "disk of 20 November", "--by", "Duty engineer")

    assert [one["la"] for one in done["las"]] == [HACKNEY]
    assert told(hub, "register", "verify")["damages"] == []
    assert hub.status()["register_digest"] == before
    assert told(hub, "register", "rebuild")["same"]
    if rows is not None:
        assert hub.plans().equals(rows)
    commit = told(hub, "register", "log")["commits"][-1]
    assert (commit["id"], commit["kind"], commit["changes"]) == (done["replaced_in"], "DECISION", {})
    with hub.catalogue() as opened:
        assert "disk of 20 November" in opened.one("SELECT summary FROM runs WHERE kind = 'rebuild'")


def test_a_part_that_is_readable_and_wrong_comes_back_too(hub):
    with hub.catalogue() as opened:
        first = next(version for _, version in opened.versions() if version.la_code == HACKNEY)
        before = opened.head()
    store = PartStore(hub.home / "register", load_master_key(hub.home, config.load(hub.home)))
    stray = store.write(hub.plans(HACKNEY).slice(1)).digest
    assert before is not None
    altered(hub, f"UPDATE la_versions SET plans_part = '{stray}' WHERE plans_part = (SELECT plans_part FROM la_current"
                 f" WHERE la_code = '{first.la_code}')")  # fmt: skip
    done = told(hub, "register", "rebuild", "--replace", "--yes", "--reason", "a test")
    assert [one["la"] for one in done["las"]] == [HACKNEY]
    assert hub.status()["register_digest"] == before.register_digest
    assert told(hub, "register", "rebuild", "--la", HACKNEY)["same"]


def test_the_night_goes_on_after_a_part_was_brought_back(hub):
    with hub.catalogue() as opened:
        (hub.home / "register" / f"{opened.la(KENT).plans_part}.parquet").write_bytes(b"nothing")
    told(hub, "register", "rebuild", "--replace", "--yes", "--reason", "a test")
    night(hub, (KENT, [plan_row(1, "LAC"), plan_row(51)], {"sequence": 3}))
    assert (hub.status()["holds"], hub.status()["imbalance"]) == (0, 0)
    assert told(hub, "register", "rebuild")["same"]


def test_bringing_back_a_part_on_an_18th_birthday_ends_nothing_before_the_night_does(tmp_path):
    hub = Hub.make(tmp_path, las=(HACKNEY,))
    night(hub, (HACKNEY, [plan_row(1, "LAC", born="2008-11-22")], {}))
    hub.next_night()
    with hub.catalogue() as opened:
        (hub.home / "register" / f"{opened.la(HACKNEY).plans_part}.parquet").unlink()
    told(hub, "register", "rebuild", "--replace", "--yes", "--reason", "a test")
    assert hub.plans()["end_date"].to_pylist() == [None]
    assert told(hub, "register", "rebuild")["same"]
    hub.run()
    assert hub.plans()["end_basis"].to_pylist() == ["AGE"]
    assert told(hub, "register", "rebuild")["same"]


def test_what_is_whole_is_not_written_anew(hub):
    before = hub.status()["commit"]
    done = typed(hub, "register", "rebuild", "--replace", "--yes", "--reason", "to be sure")
    assert "nothing to replace" in done.output
    assert hub.status()["commit"] == before


@pytest.mark.parametrize("spoilt", ["missing", "altered"])
def test_without_the_archive_s_file_nothing_is_replaced_and_the_file_is_named(hub, spoilt):
    with hub.catalogue() as opened:
        (hub.home / "register" / f"{opened.la(HACKNEY).plans_part}.parquet").unlink()
        first = opened.arrivals("partner = ? AND state = 'MERGED'", (HACKNEY,))[0].digest
        before = opened.head()
    path = hub.home / "archive" / f"{first}.pgp"
    path.unlink() if spoilt == "missing" else path.write_bytes(b"nothing")

    done = told(hub, "register", "rebuild", "--replace", "--yes", "--reason", "a test", code=74)

    assert first in done["las"][0]["stopped"]
    assert spoilt in done["las"][0]["stopped"]
    with hub.catalogue() as opened:
        assert opened.head() == before


def test_a_part_that_comes_out_otherwise_is_not_replaced(hub):
    with hub.catalogue() as opened:
        (hub.home / "register" / f"{opened.la(HACKNEY).plans_part}.parquet").unlink()
    altered(hub, f"UPDATE la_versions SET logical_digest = '{'0' * 64}' WHERE la_code = '{HACKNEY}'")
    done = told(hub, "register", "rebuild", "--replace", "--yes", "--reason", "a test", code=74)
    assert done["replaced_in"] is None
    assert not done["same"]


def test_a_difference_names_authority_commit_and_column(hub):
    altered(hub, f"UPDATE la_versions SET emergency_phone = '020 7946 0111' WHERE la_code = '{KENT}'")
    found = told(hub, "register", "rebuild", code=74)
    (difference,) = next(one for one in found["las"] if one["la"] == KENT)["differences"]
    assert difference == {
        "commit_id": 1,
        "column": "emergency_phone",
        "recorded": "020 7946 0111",
        "rebuilt": "020 7946 0199",
        "rules_changed": False,
    }


def test_rows_that_the_digest_does_not_tell_apart_are_compared_too(hub):
    altered(hub, "UPDATE commits SET made_at = '2026-11-22T01:00:00Z' WHERE made_at = '2026-11-22T02:00:00Z'")
    found = told(hub, "register", "rebuild", "--la", HACKNEY, code=74)
    assert {one["column"] for one in found["las"][0]["differences"]} == {"plans_part", "history_part"}


def test_f72_where_the_rules_have_changed_since_the_difference_is_told_with_that(hub):
    altered(hub, f"UPDATE la_versions SET usual_rows = 99 WHERE la_code = '{KENT}'")
    altered(hub, "UPDATE commits SET rules = 'those of last year' WHERE id = 1")
    found = told(hub, "register", "rebuild", code=3)
    assert found["other_rules"] == [1]
    (difference,) = next(one for one in found["las"] if one["la"] == KENT)["differences"]
    assert difference["rules_changed"]
    assert "under other rules" in typed(hub, "register", "rebuild").output


def test_messages_open_by_the_keys_of_their_night(hub):
    key = hub_keys.load(hub.home, load_master_key(hub.home, config.load(hub.home))).keys[0]
    master = load_master_key(hub.home, config.load(hub.home))
    starts = hub.now.date() + timedelta(days=1)
    hub_keys.make(hub.home, master, user_id="Hub <h@example.org>", starts=starts, ends=date(2040, 1, 1), overlap_days=0)
    for la in (HACKNEY, KENT):
        path = hub.home / "partners" / la / partners.FILE_NAME
        path.write_text(path.read_text().replace("to = 2039-12-31", f"to = {hub.now.date()}"))
    hub.next_night(400)

    assert key.fingerprint not in {one.fingerprint for one in hub_keys.load(hub.home, master).accepted(hub.now.date())}
    assert told(hub, "register", "rebuild")["same"]


def test_a_sender_that_was_not_allowed_on_its_night_is_not_merged_again(hub):
    path = hub.home / "partners" / KENT / partners.FILE_NAME
    path.write_text(path.read_text().replace("from = 2020-01-01\nto = 2039-12-31", "from = 2026-11-28\nto = 2039-12-31"))
    found = told(hub, "register", "rebuild", code=74)
    stopped = next(one for one in found["las"] if one["la"] == KENT)["stopped"]
    assert "keys of its night" in stopped
    assert found["rebuilt_digest"] is None


def test_a_rehearsal_says_what_would_be_replayed_and_opens_nothing(hub):
    (hub.home / "archive").rename(hub.home / "elsewhere")
    found = told(hub, "register", "rebuild", "--dry-run")
    assert (found["las"], found["files"]) == (2, hub.status()["files"]["MERGED"])


def test_f74_replacing_asks_or_wants_yes_and_a_reason(hub):
    with pytest.raises(UsageFault, match="reason"):
        typed(hub, "register", "rebuild", "--replace", "--yes")
    assert typed(hub, "register", "rebuild", "--replace", "--reason", "a test", given="n\n").exit_code == 1
    with pytest.raises(UsageFault, match="neither"):
        typed(hub, "register", "rebuild", "--replace", "--la", HACKNEY)
    with pytest.raises(UsageFault, match="E06000001"):
        typed(hub, "register", "rebuild", "--la", "E06000001")
