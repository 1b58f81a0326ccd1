"""The page that goes with a CHIS extract: what is in it, what to take down, how old each authority's data are.

It is made of the manifest alone, whose counts are of that unit's rows (`extracts.recipients` has held them to the register), so
it can say nothing that the manifest does not.
"""

from __future__ import annotations

import msgspec

from cpis_batch import pages
from cpis_batch.extracts.manifest import Manifest
from cpis_batch.vocabulary import ExtractChange, PlanType

OLD_DAYS, VERY_OLD_DAYS = 7, 28  # from when the page says so beside an authority's age
_WORDS = {
    PlanType.CPP: "Child protection plan",
    PlanType.LAC: "Looked after",
    PlanType.UCPP: "Unborn child's plan (on the mother)",
}
_CHANGES = {
    ExtractChange.NEW: "New: put up",
    ExtractChange.CHANGED: "Changed: replace",
    ExtractChange.UNCHANGED: "As before",
    ExtractChange.CEASED: "Ceased: take down",
}


def to_page(manifest: bytes) -> bytes:
    """The page of a manifest (JSON of `manifest.manifest`)."""
    told = msgspec.json.decode(manifest, type=Manifest)
    ceased = sum(of[ExtractChange.CEASED] for of in told.counts.values())
    lines = [(_WORDS[kind], *(told.counts[kind][change] for change in _CHANGES), _active(told.counts[kind])) for kind in PlanType]
    return pages.page(
        "chis_summary.html",
        told=told,
        ceased=ceased,
        changes=[("Plan", False), *((words, True) for words in _CHANGES.values()), ("Active now", True)],
        lines=lines,
        authorities=[(one, _age(one.age_days)) for one in told.authorities],
        old=OLD_DAYS,
    )


def _active(counts: dict[str, int]) -> int:
    return sum(count for change, count in counts.items() if change != ExtractChange.CEASED)


def _age(days: int | None) -> tuple[str, str]:
    """A tag's class and its words."""
    if days is None:
        return "bad", "nothing has ever come"
    words = "today" if days == 0 else "1 day" if days == 1 else f"{days:,} days"
    return ("good" if days < OLD_DAYS else "odd" if days < VERY_OLD_DAYS else "bad"), words
