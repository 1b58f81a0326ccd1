"""A night on a real Dask cluster: a scheduler and workers as separate processes, over TLS on loopback.

It comes to what it comes to on one machine, whatever becomes of workers meanwhile; nothing of a record or a key stands in any
file that Dask writes; and a cluster that is not fit is refused before it is sent anything.
"""

from __future__ import annotations

import base64
import fcntl
import gc
import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import distributed
import pytest

from cpis_batch import config
from cpis_batch.errors import ClusterUnreachable, ConfigFault, Exit, Locked
from cpis_batch.keystore import load_master_key
from cpis_batch.ledger import ledger
from cpis_batch.runs import nightly, rebuild
from cpis_batch.runs.hub import opened
from cpis_batch.runs.pool import workers
from tests.builders import HACKNEY, KENT, nhs
from tests.hub import NATIONAL, Hub, plan_row
from tests.integration.dask_cluster import DaskCluster, dask_cluster, settings_of_the_page
from tests.small_england import UNITS, small_england

PROGRAM = Path(sys.executable).with_name("cpis-batch")
CAMDEN, ISLINGTON = "E09000007", "E09000019"
LAS = (HACKNEY, KENT, CAMDEN, ISLINGTON)
DEBUG = "logging:\n  distributed: debug\n  distributed.client: debug\n"


def evening(folder: Path) -> Hub:
    """A night's work: four authorities' files, one of which has faults, and an event at a child of each."""
    hub = small_england(folder / "hub", las=LAS)
    for number, la in enumerate(LAS):
        rows = [plan_row(10 * number + child, family=f"Quillcanary{child}") for child in range(1, 5)]
        hub.drop(la, [*rows, plan_row(10 * number + 9, start="2026-13-45")] if la == KENT else rows)
    at = (hub.now - timedelta(hours=2)).isoformat(timespec="seconds")
    looks = [
        f"D,e-{number},{at},{nhs(10 * number + 1)},PERSON,Jo Lookcanary,R0050,,RX101,Seaside General,EMERGENCY-DEPARTMENT,Y"
        for number in range(len(LAS))
    ]
    text = "\n".join([f"H,CPIS-ACCESS-EVENTS,1.0,TEST,1,{at}", *looks, f"T,{len(looks)}", ""])
    hub.put(NATIONAL, f"CPIS_EVENTS_00000001_{hub.now:%Y%m%dT%H%M%SZ}.csv.pgp", hub.sealed(text.encode(), NATIONAL))
    return hub


def twin(hub: Hub, folder: Path) -> Hub:
    """The same hub once more, with the same files lying there."""
    shutil.copytree(hub.home.parent, folder)
    other = Hub(folder / hub.home.name, folder / hub.root.name, hub.now, dict(hub.sequences))
    path = other.home / config.FILE_NAME
    path.write_text(path.read_text().replace(str(hub.root), str(other.root)))
    return other


def night_of(hub: Hub, cluster: str | None = None) -> nightly.Night:
    return nightly.run(hub.home, kind="nightly", business_date=hub.now.date(), now=hub.now, cluster=cluster)


def members(name: str, plaintext: bytes) -> dict[str, bytes]:
    """What a message says; those of a zip apart, since a zip has times of its own."""
    if not zipfile.is_zipfile(BytesIO(plaintext)):
        return {name: plaintext}
    with zipfile.ZipFile(BytesIO(plaintext)) as archive:
        return {f"{name}/{member}": archive.read(member) for member in archive.namelist()}


def outcome(hub: Hub) -> dict[str, Any]:
    """All that a night comes to but what differs by chance: the bytes of what was sealed."""
    with hub.catalogue() as catalogue:
        head = catalogue.head()
        assert head
        found: dict[str, Any] = {
            "register": head.register_digest,
            "children": head.children,
            "ledger": ledger(catalogue, hub.now.date(), None),
            "audit": hub.audit_log(),
            "arrivals": [
                (one.partner, one.name, one.state, one.file_outcome, one.records_loaded) for one in catalogue.arrivals()
            ],
            "deliveries": [(one.partner, one.kind, one.name, one.record_count) for one in catalogue.deliveries()],
        }
    for partner, key in [(la, la) for la in LAS] + [(unit, "CHIS") for unit in UNITS] + [(NATIONAL, NATIONAL)]:
        for path in hub.outbound(partner):
            found |= members(f"{partner}/{path.name}", hub.opened(path, key))
    return found


@dataclass
class Here:
    """An evening, and what its night comes to on one machine."""

    hub: Hub
    outcome: dict[str, Any]


pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def what_dask_leaves_open() -> Iterator[None]:
    """Have sockets that Dask's client forgets to close found here, not in whatever test comes next."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Here:
    folder = tmp_path_factory.mktemp("here")
    hub = evening(folder)
    local = twin(hub, folder / "local")
    night = night_of(local)
    assert night.exit_code is Exit.DONE, night.document
    assert night.document["access_reports"] == len(LAS)
    assert night.document["release"]["sent"] > 0
    return Here(hub, outcome(local))


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Iterator[DaskCluster]:
    """Three workers; they log all that Dask can say."""
    with dask_cluster(tmp_path_factory.mktemp("three"), settings=settings_of_the_page() + DEBUG) as cluster:
        yield cluster


@pytest.fixture
def there(here, tmp_path) -> Hub:
    return twin(here.hub, tmp_path / "there")


class Gpg:
    """A script in the place of a worker's gpg, which runs the real one: it can wait until it is let go, or kill its worker."""

    def __init__(self, folder: Path, *, waits: bool = False, kills: str = "") -> None:
        (folder / "bin").mkdir(parents=True)
        there, held = folder / "there", folder / "held"
        os.mkfifo(there)
        self.there = os.open(there, os.O_RDWR)
        self._held = os.open(held, os.O_RDWR | os.O_CREAT)
        if waits:
            fcntl.flock(self._held, fcntl.LOCK_EX)
        real = shutil.which("gpg")
        assert real
        script = folder / "bin" / "gpg"
        script.write_text(
            '#!/bin/sh\ncase "$*" in *--decrypt*)\n'
            f'case "$(readlink /proc/$PPID/fd/*)" in */{kills or "-"}.pgp*) kill -KILL $PPID; exit 9;; esac\n'
            f'echo there > {there}; flock --shared {held} true;;\nesac\nexec {real} "$@"\n'
        )
        script.chmod(0o755)
        self.environment = {"PATH": f"{script.parent}:{os.environ['PATH']}"}

    def let_go(self) -> None:
        fcntl.flock(self._held, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self.there)
        os.close(self._held)


@pytest.fixture
def gpgs(tmp_path) -> Iterator[Any]:
    made: list[Gpg] = []

    def make(**how: Any) -> Gpg:
        made.append(Gpg(tmp_path / f"gpg-{len(made)}", **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


@dataclass
class Typed:
    """`cpis-batch run nightly --cluster`, as an operator types it."""

    process: subprocess.Popen[str]

    def wait_for(self, *gpgs: Gpg) -> Gpg:
        """Until one of these is there; that one."""
        ended = os.pidfd_open(self.process.pid)
        ready, _, _ = select.select([*(one.there for one in gpgs), ended], [], [])
        os.close(ended)
        found = [one for one in gpgs if one.there in ready]
        assert found, f"the run ended before a worker opened a file: {self.process.communicate()}"
        assert os.read(found[0].there, 6) == b"there\n"
        return found[0]

    def ended(self) -> tuple[int, dict[str, Any], str]:
        out, errors = self.process.communicate(timeout=120)
        return self.process.returncode, json.loads(out) if out else {}, errors


def typed(hub: Hub, address: str, environment: dict[str, str] | None = None) -> Typed:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DASK_", "CPIS_"))}
    given = inherited | {"CPIS_HOME": str(hub.home), "CPIS_NOW": hub.now.isoformat()} | (environment or {})
    words = [str(PROGRAM), "run", "nightly", "--json", "--cluster", address]
    return Typed(subprocess.Popen(words, env=given, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))


def test_a_night_on_three_workers_comes_to_what_it_comes_to_here_and_dask_writes_nothing_of_it(here, there, three):
    three.configure(there.home)
    night = night_of(there, three.address)
    assert night.exit_code is Exit.DONE, night.document
    assert outcome(there) == here.outcome
    told = [node.log.read_text() for node in three.workers]
    assert all(text.count("Run out-of-band function 'take'") >= 3 for text in told), "intake, reports and release, each worker"

    with opened(there.home, what="test", business_date=there.now.date(), now=there.now, cluster=three.address) as hub:
        assert rebuild.rebuild(hub).same

    master = load_master_key(there.home, config.load(there.home)).key
    secret = hub.hub_keys.current(hub.business_date).secret
    sought = [b"canary", *(nhs(10 * number + child).encode() for number in range(len(LAS)) for child in range(1, 5))]
    for key in (master, secret[-48:]):
        sought += [key, key.hex().encode(), base64.b64encode(key)[:-4]]
    looked_through = 0
    for path in three.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            looked_through += len(data)
            assert not [one for one in sought if one.lower() in data.lower()], path
    assert looked_through > 10_000
    assert not list(there.home.rglob(".part-*"))
    for path in three.folder.rglob("local/**/*"):
        assert not path.is_file() or path.suffix in ("", ".lock") or path.stat().st_size == 0, path


def test_workers_forget_when_their_run_has_ended_and_are_one_runs_at_a_time(there, three):
    three.configure(there.home)
    other = twin(there, there.home.parent.parent / "other")
    how = {"what": "test", "business_date": there.now.date(), "now": there.now, "cluster": three.address}
    with opened(there.home, **how) as hub:
        with workers(hub, 9) as executor:
            assert executor.submit(pow, 2, 5).result() == 32
            with pytest.raises(Locked, match="works for another run"), opened(other.home, **how):
                pass
        with opened(other.home, **how) as second, workers(second, 9) as executor:
            assert executor.submit(pow, 3, 2).result() == 9


@pytest.fixture
def held(tmp_path, gpgs) -> Iterator[tuple[DaskCluster, list[Gpg]]]:
    """Three workers, each with a gpg that waits."""
    with dask_cluster(tmp_path / "cluster", workers=0) as cluster:
        made = [gpgs(waits=True) for _ in range(3)]
        for one in made:
            cluster.start(environment=one.environment)
        yield cluster, made


def test_a_worker_killed_in_the_middle_changes_nothing(here, there, held):
    cluster, gpgs = held
    cluster.configure(there.home)
    run = typed(there, cluster.address)
    at = gpgs.index(run.wait_for(*gpgs))
    cluster.workers[at].kill()
    for one in gpgs:
        one.let_go()
    code, document, errors = run.ended()
    assert (code, document.get("failed")) == (0, {}), errors
    assert outcome(there) == here.outcome


def test_what_a_scheduler_holds_of_a_task_is_sealed(there, held):
    """While workers are at work: of whom a task is, no word stands there in plain, as it would in any task of Dask's."""
    cluster, gpgs = held
    cluster.configure(there.home)
    run = typed(there, cluster.address)
    run.wait_for(*gpgs)

    def specifications(dask_scheduler: Any) -> dict[str, bytes]:
        import pickle

        return {str(key): pickle.dumps(task.run_spec) for key, task in dask_scheduler.tasks.items()}

    ca, certificate, key = (f"{cluster.tls}/{name}" for name in ("ca.pem", "node.pem", "node.key"))
    files = {"tls_ca_file": ca, "tls_client_cert": certificate, "tls_client_key": key}
    security = distributed.Security(require_encryption=True, **files)
    with distributed.Client(cluster.address, security=security, set_as_default=False) as client:
        found = client.run_on_scheduler(specifications)
    assert found
    assert all(key.startswith("cpis-batch-") and b"perform" in told for key, told in found.items())
    for la in (HACKNEY, KENT, CAMDEN, ISLINGTON):
        assert not [key for key, told in found.items() if la.encode() in told]
    for one in gpgs:
        one.let_go()
    code, document, errors = run.ended()
    assert (code, document.get("failed")) == (0, {}), errors


def test_a_worker_that_comes_in_the_middle_is_given_the_keys_and_works(here, there, tmp_path, gpgs):
    with dask_cluster(tmp_path / "cluster", workers=0) as cluster:
        gpg = gpgs(waits=True)
        (first,) = cluster.start(environment=gpg.environment)
        cluster.configure(there.home)
        run = typed(there, cluster.address)
        run.wait_for(gpg)
        (second,) = cluster.start()
        first.kill()
        code, document, errors = run.ended()
        assert (code, document.get("failed")) == (0, {}), errors
        assert "Run out-of-band function 'take'" in second.log.read_text()
    assert outcome(there) == here.outcome


def test_a_month_of_accesses_on_three_workers_is_that_made_here(here, three, tmp_path):
    evening_before = twin(here.hub, tmp_path / "evening")
    assert night_of(evening_before).exit_code is Exit.DONE
    evening_before.next_night((date(2026, 12, 3) - evening_before.now.date()).days)
    local, far = (twin(evening_before, tmp_path / name) for name in ("local", "far"))
    three.configure(far.home)
    before = sum(node.log.read_text().count("Run out-of-band function 'take'") for node in three.workers)
    for hub, address in ((local, None), (far, three.address)):
        night = night_of(hub, address)
        assert night.exit_code is Exit.PERSON_NEEDED, "nobody has sent anything for a fortnight"
        assert (night.document.get("failed", {}), night.document["monthly_access_reports"]) == ({}, len(LAS))
    made = outcome(far)
    assert made == outcome(local)
    assert sum("access-month.csv" in name for name in made) == len(LAS)
    tasks = sum(node.log.read_text().count("Run out-of-band function 'take'") for node in three.workers) - before
    assert tasks >= 2 + len(LAS), "events put aside, ids that stand twice looked for, each authority's month made"


def test_an_authority_whose_file_kills_every_worker_is_alone_in_it(there, tmp_path, gpgs):
    (kent,) = (there.root / KENT / "inbound").iterdir()
    gpg = gpgs(kills=hashlib.sha256(kent.read_bytes()).hexdigest())
    with dask_cluster(tmp_path / "cluster", workers=0) as cluster:
        cluster.start(3, environment=gpg.environment)
        cluster.configure(there.home)
        code, document, errors = typed(there, cluster.address, gpg.environment).ended()
        assert code == Exit.BUG, errors
        assert set(document["failed"]) == {KENT}
        assert "killed" in document["failed"][KENT]
        assert {file["la"] for file in document["files"]} == {HACKNEY, CAMDEN, ISLINGTON}
        assert [node.process.poll() is None for node in cluster.workers].count(True) == 1, "two tries, and no more"


def test_a_night_whose_scheduler_is_lost_commits_nothing_and_the_next_is_whole(here, there, held):
    cluster, gpgs = held
    cluster.configure(there.home)
    run = typed(there, cluster.address)
    run.wait_for(*gpgs)
    cluster.scheduler.kill()
    code, _, errors = run.ended()
    assert code == Exit.UNREACHABLE, errors
    assert "scheduler was lost" in errors
    with there.catalogue() as catalogue:
        assert catalogue.head() is None
    for one in gpgs:
        one.let_go()
    assert night_of(there).exit_code is Exit.DONE
    found = outcome(there)
    assert found["register"] == here.outcome["register"]
    assert found["deliveries"] == here.outcome["deliveries"]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory) -> Iterator[DaskCluster]:
    """A scheduler to which tests bring workers that are not fit."""
    with dask_cluster(tmp_path_factory.mktemp("unfit"), workers=0) as cluster:
        yield cluster


def test_a_scheduler_without_workers_and_one_that_is_not_there_are_told(there, scheduler):
    scheduler.configure(there.home, "connect_seconds = 2.0\n")
    with pytest.raises(ClusterUnreachable, match="has no workers"):
        night_of(there, scheduler.address)
    with pytest.raises(ClusterUnreachable, match="does not answer"):
        night_of(there, "tls://127.0.0.1:9")


def refused(hub: Hub, cluster: DaskCluster, says: str, **worker: Any) -> None:
    """A worker is started, the run refuses it before it has sent anything, and it is gone."""
    (node,) = cluster.start(**worker)
    try:
        with pytest.raises(ConfigFault, match=says):
            night_of(hub, cluster.address)
        assert "function 'take'" not in node.log.read_text()
    finally:
        node.kill()


def test_a_worker_that_spills_is_refused(there, scheduler):
    scheduler.configure(there.home)
    for name in ("target", "spill"):
        settings = settings_of_the_page().replace(f"{name}: false", f"{name}: 0.6")
        refused(there, scheduler, f"distributed.worker.memory.{name} is on", settings=settings)


def test_a_worker_of_another_version_is_refused(there, scheduler, tmp_path):
    scheduler.configure(there.home)
    older = tmp_path / "older.py"
    older.write_text("import cpis_batch\n\ncpis_batch.__version__ = '0.0.1'\n")
    refused(there, scheduler, r"cpis-batch 0\.0\.1 and not", preload=older)


def test_a_worker_that_does_not_see_the_home_is_refused(there, scheduler, monkeypatch):
    """The path leads each process to its own working folder."""
    scheduler.configure(there.home)
    monkeypatch.chdir(there.home)
    elsewhere = Hub(Path("/proc/self/cwd"), there.root, there.now)
    refused(elsewhere, scheduler, "does not see this home")


def test_a_scheduler_with_dasks_own_settings_is_refused(there, tmp_path):
    with dask_cluster(tmp_path / "cluster", workers=0, settings="distributed: {}\n") as cluster:
        cluster.configure(there.home)
        with pytest.raises(ConfigFault, match=r"allowed-failures is 3.*no-workers-timeout is None"):
            night_of(there, cluster.address)


def test_a_scheduler_without_tls_is_not_spoken_to_as_if_it_had_it(there, tmp_path):
    with dask_cluster(tmp_path / "cluster", workers=3, protocol="tcp") as cluster:
        cluster.configure(there.home, "connect_seconds = 2.0\n")
        with pytest.raises(ClusterUnreachable):
            night_of(there, cluster.address.replace("tcp://", "tls://"))
        assert night_of(there, cluster.address).exit_code is Exit.DONE, "on this machine it needs none"


def test_dask_is_not_imported_by_a_night_without_a_cluster(there):
    told = (
        "import sys; from datetime import datetime; from pathlib import Path; from cpis_batch.runs import nightly\n"
        f"now = datetime.fromisoformat('{there.now.isoformat()}')\n"
        f"nightly.run(Path('{there.home}'), kind='nightly', business_date=now.date(), now=now)\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('dask', 'distributed')])\n"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
