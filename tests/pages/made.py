"""One page of each kind that people are sent or shown, with something of everything on it, made by the program itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import structs

from cpis_batch import organisations, spec
from cpis_batch.access import month_render
from cpis_batch.access.month import NOTHING, Month
from cpis_batch.access.report import report
from cpis_batch.access.withheld import sift
from cpis_batch.extracts import summary
from cpis_batch.intake import acknowledge, answer_forms
from cpis_batch.statistics import count, disclosure, page
from cpis_batch.statistics.count import Area
from cpis_batch.statistics.profiles import PUBLISHED
from cpis_batch.statistics.release import Release
from cpis_batch.vocabulary import FileOutcome, FileState
from tests.access_builders import event, events, packaged, seen_in
from tests.builders import HACKNEY, KENT, plan, plans
from tests.hub import Hub, plan_row
from tests.unit import test_access_report as access_report
from tests.unit.test_acknowledge import answer

NOW = datetime(2026, 12, 3, 2, 5, tzinfo=UTC)
MANIFEST = max((spec.folder().parent / "sample_data" / "chis-extract").glob("*manifest*.json"))
NOVEMBER = Month(2026, 11)
SETTINGS = ("EMERGENCY-DEPARTMENT", "URGENT-CARE", "AMBULANCE", "NHS-111")


def _answer(**facts: object) -> bytes:
    return answer_forms.forms(structs.replace(answer(), **facts))["acknowledgement.html"]


def _refused() -> bytes:
    return _answer(
        state=FileState.REFUSED, outcome=FileOutcome.UNREADABLE, faults=acknowledge.FAULTS.empty_table(), match=None,
        missing=acknowledge.MISSING.empty_table(), to_check=acknowledge.TO_CHECK.empty_table(),
    )  # fmt: skip


def _month(*, quiet: bool = False) -> bytes:
    held = plans([plan(child, start=date(2026, 10, 1)) for child in range(1, 30)])
    looks = [
        event(
            number, datetime(2026, 11, 1 + number % 29, number % 24, tzinfo=UTC), child=1 + number * number % 29,
            care_setting=SETTINGS[number % 4], organisation_code=f"RX{number % 15:02}1",
            organisation_name=f"Hospital {number % 15}",
        )
        for number in range(80)
    ]  # fmt: skip
    found = NOTHING if quiet else seen_in(looks, held, NOVEMBER)[HACKNEY]
    made = month_render.render(found, NOVEMBER, packaged(), la_code=HACKNEY, la_name="Hackney", made_at=NOW)
    return made["access-month.html"]


def _statistics() -> bytes:
    england = organisations.load()
    areas = [
        Area(la.code, la.name, la.region_code, la.region, england.icb_of(la.code, date(2026, 11, 30)), f"Board of {la.name}")
        for la in england.las_on(date(2026, 11, 30))[:25]
    ]
    held = plans([plan(n, ("CPP", "LAC", "UCPP")[n % 3], la_code=areas[n % 25].code) for n in range(1, 900)])
    looks = sift(events([event(n, child=n, care_setting=SETTINGS[n % 4]) for n in range(1, 60)]), packaged())
    rows = report(looks, held, packaged())
    counts = count.count(count.Month(held, rows, frozenset({areas[0].code})), areas)
    names = {area.code: area.name for area in areas}
    shown = disclosure.protect(counts, PUBLISHED)
    return page.to_page(Release(NOVEMBER, PUBLISHED, date(2026, 11, 30), 7, NOW, shown, names), areas, {})


def _operations() -> bytes:
    """After two nights of which something is amiss: a file is held, one is refused, an authority has sent nothing."""
    with TemporaryDirectory() as folder:
        hub = Hub.make(Path(folder))
        hub.drop(HACKNEY, [plan_row(child) for child in range(1, 30)])
        hub.run("nightly")
        hub.next_night()
        hub.drop(HACKNEY, [plan_row(1)])
        hub.put(KENT, hub.name(KENT, 1), hub.sealed(b"none of ours", HACKNEY))
        hub.run("nightly")
        return (hub.home / "operations" / "index.html").read_bytes()


PAGES: dict[str, Callable[[], bytes]] = {
    "answer": _answer,
    "answer-held": lambda: _answer(state=FileState.HELD, outcome=None, holds=("It would end 40 of 300 plans.",)),
    "answer-refused": _refused,
    "access-report": lambda: next(data for path, data in access_report.samples().items() if path.suffix == ".html"),
    "access-month": _month,
    "access-month-quiet": lambda: _month(quiet=True),
    "chis-summary": lambda: summary.to_page(MANIFEST.read_bytes()),
    "statistics": _statistics,
    "operations": _operations,
}


@cache
def page_of(name: str) -> bytes:
    """The page, made once."""
    return PAGES[name]()
