"""The overview as metrics, in the text format of Prometheus, for a node exporter to collect from a file.

Instants are given and not ages, so that they go on growing while nothing runs. No figure of one authority's children is among
them: what has the label `la` is when its last file was made, and how often one is expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cpis_batch import __version__
from cpis_batch.business_time import LONDON
from cpis_batch.envelope.inventory import State
from cpis_batch.operations.overview import Overview

_REASONS = ("BRAKE", "GAP", "RESET", "CONFLICT", "PARTNER_HELD", "DEMOGRAPHICS")  # told of while there is none, too
_DAY = timedelta(days=1).total_seconds()


def metrics(overview: Overview) -> bytes:
    """The whole file."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Overview(overview))
    return generate_latest(registry)


class _Overview(Collector):
    def __init__(self, overview: Overview) -> None:
        self.overview = overview

    def collect(self) -> Iterator[Metric]:
        yield _gauge("cpis_batch_build_info", "The program that wrote this file.", {(__version__,): 1}, "version")
        yield _gauge("cpis_batch_written_timestamp_seconds", "When this file was written.", self.overview.made_at.timestamp())
        yield from _runs(self.overview)
        yield from _standing(self.overview)
        yield from _authorities(self.overview)
        yield from _keys(self.overview)


_Values = float | dict[tuple[str, ...], float]


def _gauge(name: str, what: str, values: _Values, *labels: str) -> GaugeMetricFamily:
    made = GaugeMetricFamily(name, what, labels=labels)
    for key, value in sorted(values.items()) if isinstance(values, dict) else [((), values)]:
        made.add_metric(list(key), value)
    return made


def _runs(overview: Overview) -> Iterator[Metric]:
    """When runs of each kind began and whether they did their work; how long the last one of each took."""
    last, well = overview.last, overview.last_well
    codes: dict[tuple[str, ...], float] = {(kind,): float(one.run.exit_code or 0) for kind, one in last.items()}
    if overview.trouble:
        codes[(overview.trouble.kind,)] = overview.trouble.exit_code
    yield _gauge("cpis_batch_last_run_exit_code", "Exit code of the last run; 0 and 3 are successes.", codes, "run")
    began: dict[tuple[str, ...], float] = {(kind,): one.run.started_at.timestamp() for kind, one in last.items()}
    yield _gauge("cpis_batch_last_run_timestamp_seconds", "When the last run that has ended began.", began, "run")
    did: dict[tuple[str, ...], float] = {(kind,): one.run.started_at.timestamp() for kind, one in well.items()}
    yield _gauge("cpis_batch_last_success_timestamp_seconds", "When the last run that did its work began.", did, "run")
    timed = {kind: one.summary for kind, one in last.items() if one.summary.stages}
    took: dict[tuple[str, ...], float] = {(kind,): one.seconds for kind, one in timed.items()}
    yield _gauge("cpis_batch_last_run_duration_seconds", "How long the last run took.", took, "run")
    stages: dict[tuple[str, ...], float] = {
        (kind, stage): seconds for kind, one in timed.items() for stage, seconds in one.stages.items()
    }
    what = "How long each stage of the last run took."
    yield _gauge("cpis_batch_last_run_stage_duration_seconds", what, stages, "run", "stage")


def _standing(overview: Overview) -> Iterator[Metric]:
    """What stands: files, holds, messages, plans, the ledger."""
    status = overview.status
    files = CounterMetricFamily(
        "cpis_batch_files", "Files of partners that have come to an end, by state and outcome.", labels=("state", "outcome")
    )
    for (state, outcome), count in sorted(overview.files.items()):
        files.add_metric([state, outcome], count)
    yield files
    held = Counter(hold.reason for hold in overview.holds)
    reasons: dict[tuple[str, ...], float] = {(reason,): held[reason] for reason in (*_REASONS, *held)}
    yield _gauge("cpis_batch_holds", "Holds that wait for a decision, by reason.", reasons, "reason")
    yield _gauge("cpis_batch_waiting_files", "Files that may still be growing.", status["waiting"])
    yield _gauge("cpis_batch_undelivered_messages", "Sealed messages not yet delivered.", status["undelivered"])
    yield _gauge("cpis_batch_uncollected_messages", "Messages delivered and not taken away yet.", status["uncollected"])
    late = len(status["uncollected_late"])
    yield _gauge("cpis_batch_uncollected_late_messages", "CHIS files that should have been taken away by now.", late)
    active: dict[tuple[str, ...], float] = {(kind,): count for kind, count in status["active"].items()}
    yield _gauge("cpis_batch_active_plans", "Active plans in the register, by type.", active, "type")
    yield _gauge("cpis_batch_plans", "Plans held, ended ones within their retention included.", status["rows"])
    yield _gauge("cpis_batch_missing_plans", "Open plans that their last full extract left out.", status["missing"])
    if status["oldest_missing_since"]:
        since = _midnight(status["oldest_missing_since"])
        yield _gauge("cpis_batch_missing_oldest_timestamp_seconds", "Since when the oldest of these has been left out.", since)
    yield _gauge("cpis_batch_unroutable_plans", "Plans of the last release that lead to no CHIS unit.", status["unroutable"])
    yield _gauge("cpis_batch_ledger_imbalance", "Rows, plans, files unaccounted for: 0, or nothing is sent.", status["imbalance"])
    past = status["retention"]["days_past"] * _DAY
    yield _gauge("cpis_batch_retention_overdue_seconds", "For how long the oldest plan has been past its retention.", past)
    yield _gauge("cpis_batch_needs_a_person", "How many things in the status need a person.", len(overview.needs))


def _authorities(overview: Overview) -> Iterator[Metric]:
    """By authority: how old its data is."""
    made: dict[tuple[str, ...], float] = {
        (la["code"],): datetime.fromisoformat(la["last_file_at"]).timestamp()
        for la in overview.status["las"]
        if la["last_file_at"]
    }
    yield _gauge("cpis_batch_la_last_file_timestamp_seconds", "When the authority made its last merged file.", made, "la")
    expected: dict[tuple[str, ...], float] = {(code,): days * _DAY for code, days in overview.cadences.items()}
    yield _gauge("cpis_batch_la_cadence_seconds", "How often a file of the authority is expected.", expected, "la")


def _keys(overview: Overview) -> Iterator[Metric]:
    """Of each owner and kind, until when its last usable key, certificate or agreement is good."""
    ends: dict[tuple[str, ...], float] = {}
    for item in overview.keys:
        if item.ends and item.state in (State.GOOD, State.DUE):
            key = (item.kind, item.owner)
            ends[key] = max(ends.get(key, 0.0), _midnight(item.ends + timedelta(days=1)))
    what = "When the last usable key of this kind and owner ends."
    yield _gauge("cpis_batch_key_expiry_timestamp_seconds", what, ends, "kind", "owner")
    broken = sum(item.state is State.BROKEN for item in overview.keys)
    yield _gauge("cpis_batch_keys_broken", "Keys, certificates and agreements that cannot be used and should be.", broken)


def _midnight(day: date) -> float:
    return datetime.combine(day, time(), LONDON).timestamp()
