"""The dead-man's switch: called as a run begins and ends, with an exit code and nothing else, and never waited for long."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cpis_batch import config
from cpis_batch.errors import ConfigFault, KeyFault, Locked, UsageFault
from cpis_batch.operations import ping
from cpis_batch.runs.lock import exclusive
from tests.builders import HACKNEY
from tests.commands import typed
from tests.hub import Hub, plan_row

SECRET = "5a1c-of-nobody"


class Service(ThreadingHTTPServer):
    """A service that is called; `answer` is its status, `calls` what it was told: (path, body, headers)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.elsewhere = 200, ""
        self.calls: list[tuple[str, bytes, dict[str, str]]] = []

    def address(self, which: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{SECRET}/{which}"

    @property
    def told(self) -> list[tuple[str, bytes]]:
        return [(path.rpartition("/")[2], body) for path, body, _ in self.calls]


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.path, body, dict(self.headers)))
        self.send_response(self.server.answer)
        if self.server.elsewhere:
            self.send_header("Location", self.server.elsewhere)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - the name is the library's

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def hub(tmp_path: Path, service: Service) -> Hub:
    hub = Hub.make(tmp_path)
    (hub.home / "secrets").mkdir(mode=0o700)
    lines = []
    for which in ("start", "done", "failed"):
        secret = hub.home / "secrets" / f"ping-{which}"
        secret.write_text(service.address(which) + "\n")
        secret.chmod(0o600)
        lines.append(f'{which} = "file:secrets/ping-{which}"\n')
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace("[operations.ping]\n", f"[operations.ping]\n{''.join(lines)}seconds = 1.0\n"))
    hub.drop(HACKNEY, [plan_row(1)])
    return hub


def point(hub: Hub, which: str, address: str) -> None:
    (hub.home / "secrets" / f"ping-{which}").write_text(address)


def test_a_night_calls_as_it_begins_and_as_it_ends_with_its_exit_code_and_nothing_else(hub, service):
    assert hub.run("nightly").warnings == []
    assert service.told == [("start", b""), ("done", b"3")], "Kent never sent a file: done, and a person is needed"
    for _, _, headers in service.calls:
        assert set(headers) == {"Accept-Encoding", "Content-Length", "Host", "User-Agent", "Connection", "Content-Type"}
        assert headers["User-Agent"] == "cpis-batch"


def test_other_runs_do_not_keep_the_switch_quiet(hub, service):
    hub.run("intake")
    hub.run("national")
    assert service.told == []


def test_a_night_that_fails_calls_the_other_address(hub, service):
    (hub.home / "reference" / "la_chis.csv").write_text("la_gss_code,chis_code\n")
    with pytest.raises(ConfigFault):
        hub.run("nightly")
    assert service.told == [("failed", b"78")], "it could not begin"
    (hub.home / "reference" / "la_chis.csv").unlink()
    (hub.root / "served-no-more").mkdir()
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace(f'path = "{hub.root}"', f'path = "{hub.root}/gone"'))
    assert hub.run("nightly").exit_code == 69
    assert service.told[1:] == [("start", b""), ("failed", b"69")]


def test_f62_a_start_that_finds_another_run_at_work_or_is_asked_for_wrongly_is_no_failure(hub, service):
    with exclusive(hub.home, "run nightly of a test"), pytest.raises(Locked):
        hub.run("nightly")
    with pytest.raises(UsageFault):
        hub.run("nightly", day=hub.now.date() + timedelta(days=1))
    assert service.told == []
    assert list((hub.home / "logs").iterdir()) == []


@pytest.mark.parametrize("answer", [404, 500, 302])
def test_what_the_service_answers_changes_nothing_and_no_other_host_is_asked(hub, service, answer):
    service.answer = answer
    with Service() as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        service.elsewhere = other.address("stolen") if answer == 302 else ""
        night = hub.run("nightly")
        assert other.calls == []
        other.shutdown()
    assert night.exit_code == 3
    assert night.warnings == [
        f"Not told to those who watch, {end} of the run: [operations.ping] {which}: the service answered {answer}."
        for end, which in (("start", "start"), ("end", "done"))
    ]
    assert len(service.calls) == 2, "nothing is asked twice"


def test_f63_a_service_that_never_comes_to_an_end_holds_no_night_up(hub):
    ends = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            while not ends.is_set():
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 ")
                    while not ends.wait(0.05):  # each byte begins the time limit of a socket anew
                        try:
                            connection.sendall(b"2")
                        except OSError:
                            break

        threading.Thread(target=drip, daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/{SECRET}"
        began = time.monotonic()
        assert ping.call(address, b"0", 0.5) == "no answer in 0.5 s"
        assert time.monotonic() - began < 5
        ends.set()


def test_a_service_that_is_down_is_warned_of_and_its_address_stands_nowhere(hub, service):
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    for which in ("start", "done"):
        point(hub, which, f"http://127.0.0.1:{port}/{SECRET}")
    done = typed(hub, "run", "nightly", "--json")
    assert done.exit_code == 3
    assert "[operations.ping] done: Connection refused." in done.stderr
    everything = done.stdout + done.stderr
    for path in hub.home.rglob("*"):
        if path.is_file() and not path.name.startswith("ping-"):
            everything += path.read_bytes().decode("latin-1")
    assert SECRET not in everything
    assert service.calls == []


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (f"http://ping.example.org/{SECRET}", "it is not https, and not this machine"),
        (f"file:///etc/{SECRET}", "it is no address that begins with https://"),
        (f"https://me:{SECRET}@example.org/", "it holds a name or password, which is not sent"),
        (SECRET, "it is no address that begins with https://"),
        (f"https://[{SECRET}", "it is no address"),
    ],
)
def test_an_address_that_is_not_fit_is_refused_before_the_night_and_in_it(hub, address, why):
    point(hub, "done", address)
    done = typed(hub, "config", "check")
    assert done.exit_code == 78
    assert why in done.stdout
    night = hub.run("nightly")
    assert night.exit_code == 3
    assert night.warnings == [f"Not told to those who watch, end of the run: [operations.ping] done: {why}."]
    assert SECRET not in done.stdout + "".join(night.warnings)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:80"])
def test_this_machine_may_be_called_without_https(host):
    assert ping.unfit(f"http://{host}/x") is None


def test_f70_an_address_in_the_configuration_itself_is_refused_and_not_quoted(hub):
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace('done = "file:secrets/ping-done"', f'done = "https://example.org/{SECRET}"'))
    done = typed(hub, "config", "check")
    assert done.exit_code == 78
    assert "A secret in config.toml is not a reference." in done.stdout
    assert SECRET not in done.stdout
    assert hub.run("nightly").exit_code == 3


def test_f70_an_address_that_others_can_read_is_not_called(hub, service):
    (hub.home / "secrets" / "ping-start").chmod(0o644)
    with pytest.raises(KeyFault):
        config.secret(hub.home, "file:secrets/ping-start")
    night = hub.run("nightly")
    assert "can be read by others" in night.warnings[0]
    assert service.told == [("done", b"3")]


def test_a_night_that_was_killed_leaves_the_switch_to_ring(hub, service):
    """What the switch is for: it hears the start, and no end."""
    from tests.failure.strace_kit import injected

    assert injected(hub, "fsync:signal=KILL:when=3").returncode == -9
    assert service.told == [("start", b"")]
    log = [json.loads(line) for line in (hub.home / "logs" / f"{hub.now.date()}.jsonl").read_text().splitlines()]
    assert log[-1]["event"] == "run begins"
