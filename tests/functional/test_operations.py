"""The operations page and the metrics: written after every run, however it ended; true; and no run ends otherwise for them."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cpis_batch import config
from cpis_batch.errors import KeyFault, Locked, StateFault, UsageFault
from cpis_batch.runs import nightly
from cpis_batch.runs.lock import exclusive
from tests.builders import HACKNEY, KENT
from tests.commands import typed
from tests.failure.strace_kit import injected
from tests.hub import Hub, plan_row

PROM = "metrics.prom"


class Shown(HTMLParser):
    """The words of a page, and its tags."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.words, self.tags = "", []
        self._tag = False
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self._tag = tag == "span" and "tag" in (dict(attrs).get("class") or "").split()

    def handle_endtag(self, tag):  # noqa: ARG002 - the signature is the library's
        self.words += " "

    def handle_data(self, data):
        self.words += data
        if self._tag:
            self.tags.append(data)
            self._tag = False

    @property
    def said(self) -> str:
        return " ".join(self.words.split())


def page_of(hub: Hub) -> Shown:
    return Shown((hub.home / "operations" / "index.html").read_bytes())


def settings(hub: Hub, **operations: Any) -> None:
    """Settings under [operations]."""
    path = hub.home / config.FILE_NAME
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in operations.items())
    path.write_text(path.read_text().replace("[operations]\n", f"[operations]\n{lines}", 1))


def measured(path: Path) -> dict[tuple[str, ...], float]:
    """Every sample of a file of metrics: (name, value of each label in the alphabetical order of labels) -> value."""
    families = text_string_to_metric_families(path.read_text())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """Two authorities after a night of which nothing is amiss."""
    hub = Hub.make(tmp_path)
    hub.drop(HACKNEY, [plan_row(child) for child in range(1, 30)])
    hub.drop(KENT, [plan_row(40), plan_row(41, "LAC")])
    settings(hub, metrics=PROM)
    assert hub.run("nightly").exit_code == 0
    return hub


def test_after_a_good_night_the_page_says_so_and_is_for_its_owner_alone(hub):
    shown = page_of(hub)
    assert (hub.home / "operations" / "index.html").stat().st_mode & 0o777 == 0o600
    assert "Nothing needs a person." in shown.said
    assert "Made at 20 November 2026, 02:00 GMT. A page that is older than a day means that nothing runs." in shown.said
    assert set(shown.tags) == {"Done", "On time", "Balances"}
    assert re.search(r"CPP 0 30 0 0 0 30 30", shown.said), "the ledger of the date"


def test_a_hold_is_shown_with_what_to_do_and_a_late_authority_in_words(hub):
    hub.next_night(3)
    hub.drop(HACKNEY, [plan_row(1)])
    assert hub.run("nightly").exit_code == 3
    shown = page_of(hub)
    assert "1 held: cpis-batch holds list" in shown.said
    assert f"BRAKE of Test {HACKNEY} ({HACKNEY})" in shown.said
    assert 'cpis-batch holds release 1 --by "YOUR NAME" --reason "WHY"' in shown.said
    assert "Late (amber)" in shown.tags
    assert "2 of 2 authorities late" in shown.said, "what is held counts for no file"
    hub.next_night(5)
    hub.run("nightly")
    assert "Very late (red)" in page_of(hub).tags


def test_an_authority_that_never_sent_a_file_is_red(hub):
    hub.add_partner("E09000007", "LA")
    hub.run()
    assert "Never sent (red)" in page_of(hub).tags


def test_a_decision_on_a_hold_shows_at_once(hub):
    hub.next_night()
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run("nightly")
    typed(hub, "holds", "release", "1", "--by", "Duty officer", "--reason", "asked")
    assert "Nothing is held." in page_of(hub).said


def test_the_history_has_a_line_for_every_night_and_for_every_one_that_was_not(hub):
    hub.next_night(3)
    hub.drop(KENT, [plan_row(40), plan_row(41, "LAC")])
    hub.run("intake")
    hub.run("nightly")
    said = page_of(hub).said
    nights = said[said.index("Nights, the newest first") :]
    assert "23 November 2026 Done, a person is needed (3) 2 1 0 0 2 " in nights, "files and rows of both its runs"
    assert re.search(r" 22 November 2026 No night 0 0 .* 21 November 2026 No night 0 0 ", nights)
    assert " 20 November 2026 Done 1 2 0 0 31 " in nights


def test_the_stages_are_those_of_the_night_and_no_longer_than_it(hub):
    night = hub.run("nightly")
    assert list(night.stages)[:3] == ["open the home", "collect", "check and merge"]
    assert {"answers", "trace", "access reports", "release", "deliveries", "move away", "status"} <= set(night.stages)
    assert 0 < sum(night.stages.values()) <= night.seconds
    assert night.document["stages"] == {stage: round(seconds, 3) for stage, seconds in night.stages.items()}
    with hub.catalogue() as catalogue:
        kept = json.loads(catalogue.runs(date(2026, 11, 20))[-1].summary or "")
    assert kept == json.loads(json.dumps(night.document, default=str))


def test_f60_a_run_that_breaks_off_is_on_the_page(hub):
    hub.next_night()
    hub.drop(KENT, [plan_row(40)])
    assert injected(hub, "fsync:error=ENOSPC:when=3").returncode == 74
    shown = page_of(hub)
    assert "The disk (74)" in shown.tags
    assert "It was broken off: Cannot write under" in shown.said
    assert measured(hub.home / PROM)[("cpis_batch_last_run_exit_code", "nightly")] == 74
    status = hub.status()["last_run"]
    assert (status["exit_code"], status["ended_at"] is not None) == (74, True)


def test_a_run_that_cannot_open_its_home_is_on_the_page(hub):
    (hub.home / "keys" / "master.key").chmod(0o644)
    with pytest.raises(KeyFault):
        hub.run("nightly")
    shown = page_of(hub)
    assert "The last start of a run (nightly) came to nothing: a key or a permission, exit code 77." in shown.said
    assert "chmod 600" in shown.said
    assert "30 0 0 0 30 30" in shown.said, "what stands is shown all the same"
    assert measured(hub.home / PROM)[("cpis_batch_last_run_exit_code", "nightly")] == 77
    last = json.loads((hub.home / "logs" / "2026-11-20.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["run"], last["exit_code"]) == ("run not begun", None, 77)


def test_where_the_catalogue_cannot_be_read_the_page_says_that_alone(hub):
    (hub.home / "catalogue.sqlite").write_bytes(b"x" * 8192)
    with pytest.raises(StateFault):
        hub.run("nightly")
    shown = page_of(hub)
    assert "exit code 74" in shown.said
    assert "Nothing else can be told: the catalogue of the home cannot be read." in shown.said


def test_f62_a_run_that_finds_another_at_work_and_one_asked_for_wrongly_leave_the_page_alone(hub):
    before = (hub.home / "operations" / "index.html").read_bytes()
    with exclusive(hub.home, "run nightly of a test"), pytest.raises(Locked):
        hub.run("nightly")
    with pytest.raises(UsageFault):
        nightly.run(hub.home, kind="nightly", business_date=date(2026, 12, 1), now=hub.now)
    assert (hub.home / "operations" / "index.html").read_bytes() == before


@pytest.mark.parametrize("what", ["page", "metrics"])
def test_what_cannot_be_written_is_warned_of_and_changes_nothing(hub, what):
    (hub.home / "file").write_text("in the way")
    settings(hub, **{what: f"file/{what}.prom"}) if what == "page" else _metrics_in_the_way(hub)
    hub.drop(KENT, [plan_row(40), plan_row(41, "LAC")])
    night = hub.run("nightly")
    assert night.exit_code == 0
    (warning,) = night.warnings
    assert warning.startswith(f"Not told to those who watch, {'operations page' if what == 'page' else 'metrics'}: ")
    assert "Not a directory" in warning or "File exists" in warning
    log = [json.loads(line) for line in (hub.home / "logs" / "2026-11-20.jsonl").read_text().splitlines()]
    assert [line["level"] for line in log if line["event"] == "not told"] == ["WARNING"]
    done = typed(hub, "run", "nightly", "--json")
    assert json.loads(done.stdout)["exit_code"] == 0
    assert "Not told to those who watch" in done.stderr


def _metrics_in_the_way(hub: Hub) -> None:
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace(f'metrics = "{PROM}"', 'metrics = "file/metrics.prom"'))


def test_nothing_is_written_where_nothing_is_wanted(tmp_path):
    hub = Hub.make(tmp_path)
    settings(hub, page="")
    hub.run("nightly")
    assert not (hub.home / "operations").exists()


def test_the_modes_are_those_asked_for_whatever_the_umask(tmp_path):
    hub = Hub.make(tmp_path)
    path = hub.home / config.FILE_NAME
    folder = tmp_path / "elsewhere"
    asked = f'[operations]\npage = "{folder}/page.html"\npage_mode = 0o640\nmetrics = "{folder}/m.prom"\n'
    path.write_text(path.read_text().replace("[operations]\n", asked))
    hub.run("intake")
    assert [(folder / name).stat().st_mode & 0o777 for name in ("page.html", "m.prom")] == [0o640, 0o644]
    assert sorted(one.name for one in folder.iterdir()) == ["m.prom", "page.html"]


def test_the_metrics_are_those_of_the_status(hub):
    hub.next_night(3)
    hub.drop(HACKNEY, [plan_row(1)])
    hub.drop(KENT, [plan_row(41, "LAC"), *(plan_row(child, "LAC") for child in range(42, 46))])
    hub.run("nightly")
    found, status = measured(hub.home / PROM), hub.status()
    assert found[("cpis_batch_active_plans", "LAC")] == status["active"]["LAC"] == 5
    assert found[("cpis_batch_missing_plans",)] == status["missing"] == 1
    since = datetime.combine(status["oldest_missing_since"], datetime.min.time()).astimezone(hub.now.tzinfo)
    assert abs(found[("cpis_batch_missing_oldest_timestamp_seconds",)] - since.timestamp()) <= 3600
    assert found[("cpis_batch_holds", "BRAKE")] == status["holds"] == 1
    assert found[("cpis_batch_undelivered_messages",)] == status["undelivered"] == 0
    assert found[("cpis_batch_uncollected_messages",)] == status["uncollected"] > 0
    assert found[("cpis_batch_ledger_imbalance",)] == 0
    assert found[("cpis_batch_files_total", "CPF02", "MERGED")] == 3
    made = {la["code"]: datetime.fromisoformat(la["last_file_at"]).timestamp() for la in status["las"]}
    assert {key[1]: at for key, at in found.items() if key[0] == "cpis_batch_la_last_file_timestamp_seconds"} == made
    assert found[("cpis_batch_la_cadence_seconds", KENT)] == 86400
    assert found[("cpis_batch_last_run_exit_code", "nightly")] == 3
    assert found[("cpis_batch_last_success_timestamp_seconds", "nightly")] == hub.now.timestamp()
    agreed = datetime(2035, 1, 2, tzinfo=hub.now.tzinfo).timestamp()  # both days of it included
    assert found[("cpis_batch_key_expiry_timestamp_seconds", "AGREEMENT", KENT)] == agreed
    assert ("cpis_batch_last_run_stage_duration_seconds", "nightly", "collect") in found


def test_the_names_of_the_metrics_keep_to_the_conventions(hub):
    text = (hub.home / PROM).read_text()
    families = list(text_string_to_metric_families(text))
    assert len(families) > 20
    for family in families:
        assert family.name.startswith("cpis_batch_")
        assert family.documentation.endswith(".")
        assert family.type in ("gauge", "counter")
        assert not re.search(r"_(days|hours|minutes|ms|milliseconds|count)$", family.name), "base units"
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert set(sample.labels) <= {"run", "stage", "state", "outcome", "reason", "type", "la", "kind", "owner", "version"}
    by_la = {family.name for family in families for sample in family.samples if "la" in sample.labels}
    assert by_la == {"cpis_batch_la_last_file_timestamp_seconds", "cpis_batch_la_cadence_seconds"}, "no figure of one authority's"


def test_the_rules_for_alerts_speak_of_metrics_that_there_are(hub):
    rules = (Path(__file__).parents[2] / "cron" / "prometheus-alerts.yml").read_text()
    there = {sample.name for family in text_string_to_metric_families((hub.home / PROM).read_text()) for sample in family.samples}
    there.add("cpis_batch_missing_oldest_timestamp_seconds")  # there while a plan is missing
    named = set(re.findall(r"\bcpis_batch_[a-z_]+", re.sub(r"#.*", "", rules)))
    assert named
    assert named <= there
    assert rules.count("- alert:") == rules.count("expr:") == rules.count("summary:")


def test_page_and_metrics_can_be_asked_for_and_never_in_the_home(hub, tmp_path):
    done = typed(hub, "status", "--page", str(tmp_path / "now.html"), "--metrics", str(tmp_path / "now.prom"))
    assert done.exit_code == 0
    assert "Nothing needs a person." in Shown((tmp_path / "now.html").read_bytes()).said
    assert measured(tmp_path / "now.prom")[("cpis_batch_plans",)] == 31
    with pytest.raises(UsageFault):
        typed(hub, "status", "--page", str(hub.home / "operations" / "index.html"))


def test_preflight_says_what_could_not_be_told(hub):
    assert typed(hub, "preflight").exit_code == 0
    settings(hub, page="config.toml/page.html")
    done = typed(hub, "preflight")
    assert done.exit_code == 3
    assert "config.toml/page.html cannot be written" in done.stdout


def test_what_a_partner_is_called_stays_text(tmp_path):
    hub = Hub.make(tmp_path)
    path = hub.home / "partners" / HACKNEY / "partner.toml"
    path.write_text(path.read_text().replace(f"Test {HACKNEY}", "<script>alert(1)</script>"))
    hub.run("intake")
    text = (hub.home / "operations" / "index.html").read_text()
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text
    assert not re.search(r"<link|<img|<iframe|src=|href=(?!\"#)|url\(|style=", text)
