"""The benchmark runs, and both sides of it read the same rows. Nothing here is timed."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from benchmarks import cluster, distance, envelopes, fetch, guards, large, month, night, trace_nights
from benchmarks.page import Section, Table, page, renewed
from cpis_batch.sandbox.volumes import choose


def test_the_benchmark_of_the_night_has_both_sides_read_the_same_rows_and_send_as_many_files(tmp_path):
    contest = night.run(tmp_path / "work", las=choose(3), scale=0.1, rounds=1, told=lambda _: None)

    for evening, (ours, theirs, outward) in zip(contest.evenings, night.RUNS, strict=True):
        assert contest.rows[ours] == contest.rows[theirs] == contest.rows[outward] == {evening.rows}
        assert contest.delivered[ours] == contest.delivered[outward] != contest.delivered[theirs] == {0}
        assert evening.rows > 100
    assert contest.rows[night.NO_NEWS] == {0}
    for cost in (cost for costs in contest.costs.values() for cost in costs):
        assert cost.seconds > 0
        assert cost.processor_seconds > 0
        assert cost.megabytes > 0

    text = page([night.section(contest)], load=0.0)
    assert f"| {night.FIRST}" in text
    assert "in neither" in text


def test_the_benchmark_of_the_month_rebuilds_what_its_nights_have_made(tmp_path):
    measured = month.run(tmp_path / "work", las=choose(3), scale=0.1, rounds=1, nights=2, told=lambda _: None)
    assert set(measured.costs) == {*month.MOST_SECONDS, month.RETENTION}
    assert measured.rows > 200
    assert f"| {month.RETENTION}" in page([month.section(measured)], load=0.0)


def test_the_benchmark_of_the_trace_has_the_same_nights_with_it_and_without(tmp_path):
    measured = trace_nights.run(tmp_path / "work", las=choose(2), scale=0.1, rounds=1, told=lambda _: None)
    assert set(measured.costs) == set(trace_nights.NIGHTS)
    assert measured.settled[trace_nights.NIGHTS[1]] > 0
    assert f"| {trace_nights.NIGHTS[0]}" in page([trace_nights.section(measured)], load=0.0)


def test_the_benchmark_of_the_guards_comes_to_one_register_with_them_and_without(tmp_path):
    compared = guards.run(tmp_path / "work", las=choose(2), scale=0.1, rounds=1, told=lambda _: None)
    for name in guards.NIGHTS:
        (digest,) = compared.digests[name, guards.WITH]
        assert compared.digests[name, guards.WITHOUT] == {digest}
        assert len(compared.shares(name)) == 1
    assert f"| {guards.NIGHTS[0]}" in page([guards.section(compared)], load=0.0)


def test_the_benchmark_of_fetching_has_all_bring_the_same_bytes(tmp_path):
    race = fetch.run(tmp_path / "work", rounds=1, files=3, large_bytes=300_000, told=lambda _: None)
    assert (race.files, race.large_bytes) == (3, 300_000)
    assert {who for *_, who in race.costs} >= {fetch.OURS, fetch.SFTP}
    text = page([fetch.section(race)], load=0.0)
    assert all(f"| {what}" in text and where in text for what in (fetch.SMALL, fetch.LARGE) for where in (fetch.NEAR, fetch.FAR))


def test_a_server_behind_the_delay_answers_late_and_whole(tmp_path):
    given = bytes(range(256)) * 4096
    with socket.create_server(("127.0.0.1", 0)) as echo, distance.away(echo.getsockname()[1], 40.0) as port:
        answering = threading.Thread(target=_echo, args=(echo,))
        answering.start()
        with socket.create_connection(("127.0.0.1", port)) as client:
            began = time.monotonic()
            client.sendall(given)
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as stream:
                assert stream.read() == given
            assert time.monotonic() - began >= 0.04
        answering.join()


def _echo(server: socket.socket) -> None:
    came, _ = server.accept()
    with came, came.makefile("rb") as stream:
        came.sendall(stream.read())


def test_the_benchmark_of_the_envelope_opens_and_seals_every_message(tmp_path):
    race = envelopes.run(tmp_path / "work", las=choose(3), scale=0.1, rounds=1, told=lambda _: None)
    assert race.messages == 3
    assert race.plain_bytes > 10_000
    assert f"| {envelopes.OPENING}" in page([envelopes.section(race)], load=0.0)


def test_the_benchmark_of_the_cluster_comes_to_one_register_whoever_works(tmp_path):
    scaling = cluster.run(tmp_path / "work", las=choose(4), scale=0.1, rounds=1, counts=(2,), told=lambda _: None)
    assert len(scaling.digests) == 1
    assert len(scaling.seconds) == 2
    assert f"| {cluster.LOCAL}" in page([cluster.section(scaling)], load=0.0)


def test_the_large_benchmarks_run_at_two_sizes_and_tell_of_all_they_measure(tmp_path, capsys: pytest.CaptureFixture[str]):
    target = tmp_path / "page.md"
    large.main(["--quick", "--work", str(tmp_path / "work"), "--page", str(target)])
    text = target.read_text(encoding="utf-8")
    assert text.strip() == capsys.readouterr().out.strip()
    for title in (
        "## Validation of",
        "## A full extract of everything",
        "## Whole nights",
        "## A release to the CHIS units",
        "## Access reports",
    ):
        assert title in text
    assert "| duckdb" in text
    assert "| one authority" in text
    assert "ours: views" in text
    assert "ours: reports" in text
    assert not (tmp_path / "work").exists()


def test_a_release_is_measured_alone_at_the_sizes_asked_for(tmp_path, capsys: pytest.CaptureFixture[str]):
    large.main(["--quick", "--only", "release", "--scale", "2", "--scale", "0.2", "--work", str(tmp_path / "work")])
    text = capsys.readouterr().out
    assert "## A release alone" in text
    assert "| 2 against 0.2" in text
    assert "## Whole nights" not in text


def test_a_stage_by_itself_renews_its_part_of_the_page_and_leaves_the_others():
    def measured(title: str, figure: str) -> Section:
        return Section(title, (f"Of {title}.",), (Table(("what", "seconds"), ((title, figure),)),))

    whole = page([measured("One", "1.0"), measured("Two", "2.0")], load=0.0)
    again = renewed(whole, [measured("Two", "3.0"), measured("Three", "4.0")], load=0.0)
    assert [line for line in again.splitlines() if line.startswith("## ")] == ["## One", "## Two", "## Three"]
    assert "| One  | 1.0 " in again
    assert "| Two  | 3.0 " in again
    assert "2.0" not in again.partition("## One")[2]
    assert "Measured in the last run: Two; Three. Written by an earlier one: One." in again
    assert renewed("", [measured("One", "1.0")], load=0.0) == page([measured("One", "1.0")], load=0.0)
