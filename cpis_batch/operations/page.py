"""The operations page: the overview as one static page, for whoever looks at it in the morning. No value of a record is on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from markupsafe import Markup

from cpis_batch import charts
from cpis_batch.catalogue.records import Hold
from cpis_batch.operations.nights import ENDED, Ended, Night
from cpis_batch.operations.overview import Overview, Trouble
from cpis_batch.pages import day, london, page
from cpis_batch.status import Light

_TEMPLATE = "operations.html"
_LEDGER = ("plan_type", "opening", "new", "reopened", "deleted", "erased", "closing", "active")
_SHOWN = 50  # of the messages that are not delivered: where a server is down they are all, and the figure above says how many
_AGES = (0, 1, 2, 3, 4, 5, 7, 14, 28)  # days: where each column of the chart begins
_LIGHTS = {Light.GREEN: ("good", "On time"), Light.AMBER: ("odd", "Late (amber)"), Light.RED: ("bad", "Very late (red)")}
_NEVER = ("bad", "Never sent (red)")
_TO_DO = {  # docs/operators.md, Holds, says more
    "BRAKE": "Ring the authority: are these numbers right? A truncated export looks exactly like this. If they are, release it; "
    "if not, refuse it.",
    "GAP": "Ask the authority for the missing file, or for a FULL one, which overtakes this. Release it only if the missing one "
    "held nothing.",
    "RESET": "Ask the authority whether it has a new case system. If so, release it: a new count begins.",
    "CONFLICT": "Ask the authority how two files came to have one number. Either decision lets its later files go their way.",
    "PARTNER_HELD": "Decide the CONFLICT of this authority; then this file goes its way.",
    "DEMOGRAPHICS": "Leave it: it goes its way once the trace service answers. If that takes long, release it with its rows "
    "provisional.",
}


@dataclass(frozen=True, slots=True)
class Authority:
    """A line of the table of authorities; `tag` is (class, words)."""

    code: str
    name: str
    last_file_at: datetime | None
    age_days: int | None
    tag: tuple[str, str]
    rows: int
    missing: int
    missing_since: date | None

    @property
    def late(self) -> bool:
        """Whether somebody should ring it."""
        return self.tag != _LIGHTS[Light.GREEN]


@dataclass(frozen=True, slots=True)
class Held:
    """A hold, whose it is, and what to do about it."""

    hold: Hold
    name: str
    advice: str
    commands: tuple[str, ...]


def of_overview(overview: Overview) -> bytes:
    """The page."""
    las = [_authority(la) for la in overview.status["las"]]
    night = overview.last_night
    return page(
        _TEMPLATE,
        overview=overview,
        made_at=overview.made_at,
        name=overview.name,
        trouble=overview.trouble,
        trouble_words=_kind_of(overview.trouble),
        las=sorted(las, key=lambda la: (-(9999 if la.age_days is None else la.age_days), la.code)),
        ages=_ages(las),
        ages_chart=_ages_chart(las),
        holds=[_held(hold, {la.code: la.name for la in las}) for hold in overview.holds],
        night=night,
        stages_rows=[(stage, f"{seconds:.2f}") for stage, seconds in night.summary.stages.items()] if night else [],
        stages_chart=_stages_chart(night) if night else None,
        nights=list(reversed(overview.nights)),
        history_charts=_history(overview.nights),
        **_messages(overview),
        ledger_rows=[[line[name] for name in _LEDGER] for line in overview.ledger],
        keys_rows=[
            (
                item.owner,
                f"{item.kind.capitalize()} {item.name[-16:]}",
                day(item.ends) if item.ends else "",
                item.text,
                item.advice,
            )
            for item in overview.keys_concerning
        ],
    )


def _messages(overview: Overview) -> dict[str, Sequence[tuple[object, ...]]]:
    """The rows of the tables of messages."""
    return {
        "undelivered_rows": [
            (one.partner, one.name, london(one.made_at), one.attempts, one.last_fault or "not tried yet")
            for one in overview.undelivered[:_SHOWN]
        ],
        "late_rows": _late(overview.status["uncollected_late"]),
        "lying_rows": [(one.kind.replace("_", " ").lower(), one.messages, london(one.since)) for one in overview.uncollected],
    }


def _late(files: Sequence[Mapping[str, Any]]) -> Sequence[tuple[object, ...]]:
    """The units that have not collected in time: name, how many files, since how many days the oldest, and how bad that is."""
    units: dict[str, list[Mapping[str, Any]]] = {}
    for file in files:
        units.setdefault(file["name"], []).append(file)
    oldest = {name: max(some, key=lambda one: one["days"]) for name, some in units.items()}
    lines: list[tuple[str, int, int, str]] = [
        (name, len(some), oldest[name]["days"], _LIGHTS[oldest[name]["light"]][1]) for name, some in units.items()
    ]
    return sorted(lines, key=lambda line: (-line[2], line[0]))


def of_trouble(trouble: Trouble, name: str, made_at: datetime) -> bytes:
    """The page where nothing can be told but why: the catalogue cannot be read."""
    return page(_TEMPLATE, overview=None, trouble=trouble, trouble_words=_kind_of(trouble), name=name, made_at=made_at)


def _kind_of(trouble: Trouble | None) -> str:
    return next((words for code, words in ENDED.items() if trouble and code == trouble.exit_code), "")


def _authority(la: Mapping[str, Any]) -> Authority:
    last = datetime.fromisoformat(la["last_file_at"]) if la["last_file_at"] else None
    tag = _LIGHTS[la["lateness"]] if last else _NEVER
    return Authority(
        code=la["code"],
        name=la["name"] or la["code"],
        last_file_at=last,
        age_days=la["age_days"],
        tag=tag,
        rows=la["rows"],
        missing=la["missing"],
        missing_since=la["missing_since"],
    )


def _ages(las: Sequence[Authority]) -> list[tuple[str, int]]:
    """How many authorities' last files are how many days old."""
    ages = [la.age_days for la in las if la.age_days is not None]
    counted = []
    for first, then in zip(_AGES, (*_AGES[1:], None), strict=True):
        some = sum(first <= max(age, 0) and (then is None or age < then) for age in ages)
        counted.append((_span(first, then), some))
    return [*counted, ("never", len(las) - len(ages))]


def _span(first: int, then: int | None) -> str:
    return f"{first}+" if then is None else f"{first}" if then == first + 1 else f"{first}-{then - 1}"


def _ages_chart(las: Sequence[Authority]) -> Markup:
    late = sum(la.late for la in las)
    says = f"{len(las) - late:,} of {len(las):,} authorities are on time, {late:,} are late."
    return charts.columns("Authorities by days since their last file", says, _ages(las))


def _held(hold: Hold, names: Mapping[str, str]) -> Held:
    commands = [f"cpis-batch holds show {hold.id}"]
    if hold.reason != "PARTNER_HELD":
        commands.append(f'cpis-batch holds release {hold.id} --by "YOUR NAME" --reason "WHY"')
    commands.append(f'cpis-batch holds refuse {hold.id} --by "YOUR NAME" --reason "WHY"')
    return Held(hold, names.get(hold.partner, hold.partner), _TO_DO.get(hold.reason, ""), tuple(commands))


def _stages_chart(night: Ended) -> Markup:
    lines = [(stage, round(seconds, 2)) for stage, seconds in night.summary.stages.items()]
    longest = max(lines, key=lambda line: line[1], default=("none", 0.0))
    return charts.bars("Seconds by stage", f"{longest[0]} took the longest, {longest[1]} seconds.", lines)


def _history(nights: Sequence[Night]) -> list[tuple[str, Markup]]:
    """The charts of the history: (caption, image)."""
    days = [f"{night.on.day}/{night.on.month}" for night in nights]
    rows = list(zip(days, (night.rows for night in nights), strict=True))
    took = list(zip(days, (round(night.seconds, 1) for night in nights), strict=True))
    files = list(zip(days, (night.files for night in nights), strict=True))
    return [
        (caption, charts.columns(caption, f"At most {max((figure for _, figure in lines), default=0):,}.", lines))
        for caption, lines in (("Files each night", files), ("Rows each night", rows), ("Seconds each night", took))
    ]
