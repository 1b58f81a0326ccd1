"""Whatever is damaged at rest, `register verify` names it and says what to do (FAULTS F71)."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cpis_batch import catalogue
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.records import Balance, Commit
from cpis_batch.catalogue.seal import seal_of
from cpis_batch.errors import Bug, Locked
from cpis_batch.runs.lock import exclusive
from cpis_batch.runs.verify import verify
from tests.access_builders import LINE, file_of
from tests.builders import HACKNEY, KENT
from tests.commands import told, typed
from tests.hub import NATIONAL, Hub, plan_row

MANY = [plan_row(child) for child in range(1, 9)]
WAITING = LINE.replace("e-1", "e-2").replace("EMERGENCY-DEPARTMENT", "A-SETTING-TO-COME")


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Hub:
    """A home with every kind of file in it."""
    hub = Hub.make(tmp_path_factory.mktemp("sound"))
    hub.drop(HACKNEY, MANY)
    hub.drop(KENT, [plan_row(1, "LAC")])
    hub.run("nightly")
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1, end="2026-11-20")], kind="DELTA")
    events = hub.sealed(file_of(LINE, WAITING), NATIONAL)
    hub.put(NATIONAL, "CPIS_EVENTS_00000007_20261120T001500Z.csv.pgp", events)
    hub.run("nightly")
    return hub


@pytest.fixture
def hub(sound, tmp_path) -> Hub:
    """That home, to spoil."""
    return Hub(shutil.copytree(sound.home, tmp_path / "home"), sound.root, sound.now)


def flip(path: Path, place: int) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 0b100
    path.write_bytes(data)


def flip_text(hub: Hub, text: str) -> None:
    """Flip one bit of some text in the catalogue's file, where it stands first: not in the log of runs."""
    with sqlite3.connect(hub.home / catalogue.FILE_NAME) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    path = hub.home / catalogue.FILE_NAME
    place = path.read_bytes().index(text.encode())
    flip(path, place + len(text) - 1)


def altered(hub: Hub, sql: str) -> None:
    """Change the catalogue behind the program's back."""
    with closing(sqlite3.connect(hub.home / catalogue.FILE_NAME)) as database, database:
        database.execute(sql)


def one(hub: Hub, sql: str) -> str:
    with hub.catalogue() as opened:
        return str(opened.one(sql))


def named(hub: Hub, code: int = 74) -> set[str]:
    """The files that verify names."""
    return {damage["about"] for damage in told(hub, "register", "verify", code=code)["damages"]}


def test_a_sound_home_is_found_sound(sound):
    found = told(sound, "register", "verify")
    assert (found["damages"], found["imbalance"]) == ([], 0)
    assert found["unnamed"] == {"register": found["unnamed"]["register"], "archive": 0, "outbox": 0}
    assert found["plans"] == sound.status()["rows"]
    assert found["files"]["archive"] == 4
    assert sound.status()["register_digest"] in typed(sound, "register", "verify").output


KINDS = {
    "plans": f"SELECT plans_part FROM la_current WHERE la_code = '{HACKNEY}'",
    "history": "SELECT history_part FROM la_current WHERE history_part IS NOT NULL",
    "access events": "SELECT part FROM event_current WHERE month LIKE '2026%'",
    "events that wait": "SELECT part FROM event_current WHERE month = 'WAITING'",
    "CHIS rows": "SELECT rows_part FROM release_current",
    "unroutable rows": "SELECT unroutable_part FROM release_current",
}


@pytest.mark.parametrize("kind", KINDS)
def test_f71_a_flipped_bit_in_any_part_is_named(hub, kind):
    digest = one(hub, KINDS[kind])
    path = hub.home / "register" / f"{digest}.parquet"
    flip(path, path.stat().st_size // 2)
    assert named(hub) == {f"register/{digest}.parquet"}


@pytest.mark.parametrize("table", ["arrivals", "deliveries"])
@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_f71_a_flipped_or_missing_file_of_archive_and_outbox_is_named(hub, table, how):
    digest = one(hub, f"SELECT digest FROM {table} ORDER BY id LIMIT 1")
    about = f"{'archive' if table == 'arrivals' else 'outbox'}/{digest}.pgp"
    flip(hub.home / about, 100) if how == "flipped" else (hub.home / about).unlink()
    assert named(hub) == {about}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT register_digest FROM commits ORDER BY id DESC LIMIT 1",
        "SELECT logical_digest FROM la_current LIMIT 1",
        "SELECT plans_part FROM la_current LIMIT 1",
        "SELECT digest FROM arrivals LIMIT 1",
        "SELECT digest FROM deliveries LIMIT 1",
        "SELECT part FROM event_current LIMIT 1",
        "SELECT last_content FROM la_current LIMIT 1",
        "SELECT emergency_phone FROM la_current LIMIT 1",
        "SELECT purpose FROM deliveries ORDER BY id DESC LIMIT 1",
        "SELECT seal FROM seals ORDER BY commit_id DESC LIMIT 1",
    ],
)
def test_f71_a_flipped_bit_in_a_digest_of_the_catalogue_is_named(hub, text):
    flip_text(hub, one(hub, text))
    assert named(hub)


def test_f71_a_flipped_bit_in_the_catalogue_s_structure_is_named(hub):
    pages = (hub.home / catalogue.FILE_NAME).stat().st_size // 4096
    for page in range(pages):
        spoilt = hub.home / catalogue.FILE_NAME
        before = spoilt.read_bytes()
        flip(spoilt, page * 4096 + 3)  # the count of cells of a page of a tree; within the file's mark on the first
        assert named(hub) >= {catalogue.FILE_NAME}, page
        spoilt.write_bytes(before)


def test_f71_an_index_that_says_otherwise_than_its_table_is_named(hub):
    digest = one(hub, "SELECT digest FROM arrivals LIMIT 1")
    page = int(one(hub, "SELECT rootpage FROM sqlite_schema WHERE name = 'arrivals_by_digest'"))
    spoilt = hub.home / catalogue.FILE_NAME
    flip(spoilt, spoilt.read_bytes().index(digest.encode(), (page - 1) * 4096))
    assert any("SQLite finds" in damage["what"] for damage in told(hub, "register", "verify", code=74)["damages"])


def test_f71_a_commit_rewritten_with_its_seal_breaks_the_next_one(hub):
    altered(hub, "UPDATE la_versions SET office_phone = '' WHERE commit_id = 1")
    with closing(sqlite3.connect(hub.home / catalogue.FILE_NAME)) as database, database:
        database.execute("UPDATE seals SET seal = ? WHERE commit_id = 1", (seal_of(database, 1, ""),))
    whats = [damage["what"] for damage in told(hub, "register", "verify", code=74)["damages"]]
    assert [what.split(" is ")[0] for what in whats if not what.startswith("audit log")] == ["commit 2"]
    assert "audit log: entry 3 has another seal of commit 1 than the catalogue" in whats


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        (f"UPDATE la_versions SET row_count = row_count + 1 WHERE la_code = '{KENT}'", "has row_count 2, the part 1"),
        (f"UPDATE la_versions SET active_lac = 0 WHERE la_code = '{KENT}'", "has active_lac 0, the part 1"),
        (f"UPDATE la_versions SET next_age_out = '2030-01-01' WHERE la_code = '{KENT}'", "has next_age_out 2030-01-01"),
        (f"UPDATE la_versions SET last_kind = 'SOME' WHERE la_code = '{KENT}'", "holds what cannot stand there"),
        (f"UPDATE la_versions SET emergency_phone = '' WHERE la_code = '{KENT}'", "commit 1 is not as it was written"),
        ("UPDATE commits SET children = children + 1 WHERE id = 4", "commit 4 counts 9 children; the parts hold 8"),
        ("UPDATE commits SET parent = 1 WHERE id = 3", "commit 3 does not follow on"),
        ("UPDATE commits SET made_at = '2026-11-01T00:00:00Z' WHERE id = 2", "commit 2 is older than the one before"),
        ("UPDATE commits SET register_digest = '' WHERE id = 2", "the register digest of commit 2 is not that"),
        (f"UPDATE arrivals SET state = 'STALE' WHERE partner = '{KENT}'", "names a source file that was not merged"),
        ("DELETE FROM commits WHERE id = 2", "refers to one of commits that is not there"),
        ("DELETE FROM seals WHERE commit_id = 2", "commit 2 is not as it was written"),
        ("UPDATE event_parts SET row_count = 7 WHERE month = 'WAITING'", "has 7 rows, the part 1"),
        ("UPDATE releases SET unroutable = 5", "has 5 rows, the part 0"),
    ],
)
def test_f71_a_catalogue_that_contradicts_itself_or_its_parts_is_named(hub, sql, what):
    altered(hub, sql)
    assert any(what in damage["what"] for damage in told(hub, "register", "verify", code=74)["damages"])


def test_a_part_of_another_authority_is_not_taken_for_its_own(hub):
    kent = one(hub, f"SELECT plans_part FROM la_current WHERE la_code = '{KENT}'")
    altered(hub, f"UPDATE la_versions SET plans_part = '{kent}' WHERE la_code = '{HACKNEY}'")
    whats = [damage["what"] for damage in told(hub, "register", "verify", code=74)["damages"]]
    assert f"plans of {HACKNEY}: it holds rows of another authority" in whats


ONE_TOO_MANY = Balance(la_code=KENT, plan_type="LAC", opening=1, new=1, reopened=0, deleted=0, erased=0, closing=1)


def unbalanced(opened: Catalogue, hub: Hub) -> Commit:
    """A commit that would lose a plan."""
    head = opened.head()
    assert head is not None
    provenance = {name: getattr(head, name) for name in ("program", "rules", "reference", "children", "business_date")}
    return Commit(kind="AGEING", made_at=hub.now, balances=(ONE_TOO_MANY,), **provenance)


def test_what_would_not_balance_is_not_committed(hub):
    with hub.catalogue(signing=True) as opened:
        head, told_so_far = opened.head(), opened.audit_head()
        with pytest.raises(Bug, match="The ledger would not balance"):
            opened.commit(unbalanced(opened, hub))
        assert (opened.head(), opened.audit_head()) == (head, told_so_far)


class WithoutTheLedger(Catalogue):
    """The program with a fault: it commits what does not balance, sealed and told in the audit log like all else."""

    def _hold_to_the_ledger(self, commit_id: int) -> None: ...


def test_an_imbalance_alone_ends_with_70(hub):
    with WithoutTheLedger(hub.home / catalogue.FILE_NAME) as opened:
        opened.sign_with(hub.signer)
        opened.commit(unbalanced(opened, hub))
    found = told(hub, "register", "verify", code=70)
    assert found["damages"] == []
    assert found["imbalance"] == 1


def test_everything_damaged_is_named_in_one_go_with_what_to_do(hub):
    digests = {
        "register/{}.parquet": one(hub, KINDS["plans"]),
        "archive/{}.pgp": one(hub, "SELECT digest FROM arrivals LIMIT 1"),
        "outbox/{}.pgp": one(hub, "SELECT digest FROM deliveries LIMIT 1"),
    }
    for pattern, digest in digests.items():
        (hub.home / pattern.format(digest)).unlink()
    damages = told(hub, "register", "verify", code=74)["damages"]
    assert {damage["about"] for damage in damages} == {pattern.format(digest) for pattern, digest in digests.items()}
    assert all(damage["advice"] for damage in damages)


def test_what_no_commit_names_is_counted_and_is_no_damage(hub):
    (hub.home / "archive" / f"{'0' * 64}.pgp").write_bytes(b"left by a killed run")
    assert told(hub, "register", "verify")["unnamed"]["archive"] == 1


def test_verify_changes_nothing(hub):
    def state() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in hub.home.rglob("*") if path.is_file() and path.name != "run.lock"}

    altered(hub, "UPDATE releases SET unroutable = unroutable + 1")
    before = state()
    named(hub)
    assert state() == before


def test_f62_verify_waits_for_no_run_but_says_that_one_is_on(hub):
    with exclusive(hub.home, "run nightly"), pytest.raises(Locked, match="run nightly"):
        verify(hub.home)
