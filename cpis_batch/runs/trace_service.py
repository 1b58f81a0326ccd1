"""What the intake knows of the trace service: whether there is one, whether it answers, and what it has told by now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from cpis_batch.business_time import business_date as date_in_england
from cpis_batch.catalogue import Catalogue
from cpis_batch.config import Demographics
from cpis_batch.partners import Partner, PartnerKind


@dataclass(frozen=True, slots=True)
class TraceService:
    """As it stood when the run began.

    `exists`: whether it is a partner; `silent_since`: the day of the first request that no response has followed, once that is
    as many nights ago as the settings say; `keeps_waiting`: whether files wait meanwhile (CPF05). `persons` and `questions` are
    the parts with demographics.schema.PERSONS and REQUESTS, None before the first trace.
    """

    exists: bool = False
    silent_since: date | None = None
    keeps_waiting: bool = False
    persons: str | None = None
    questions: str | None = None


def known(catalogue: Catalogue, partners: Mapping[str, Partner], settings: Demographics, on: date) -> TraceService:
    """What the catalogue tells on the business date `on`."""
    parts = {part.name: part.part for part in catalogue.trace_parts()}
    codes = [partner.code for partner in partners.values() if partner.kind is PartnerKind.TRACE]
    asked = _unanswered_since(catalogue, codes)
    silent = asked if asked and (on - asked).days >= settings.unavailable_nights else None
    return TraceService(
        exists=bool(codes),
        silent_since=silent,
        keeps_waiting=silent is not None and settings.unavailable == "wait",
        persons=parts.get("PERSONS"),
        questions=parts.get("QUESTIONS"),
    )


def _unanswered_since(catalogue: Catalogue, codes: list[str]) -> date | None:
    """The day in England of the first request that was made with or after the newest response that could be used."""
    marks = ", ".join("?" * len(codes))
    answered = catalogue.one(f"SELECT max(seen_at) FROM arrivals WHERE state = 'MERGED' AND partner IN ({marks})", codes)
    asked = catalogue.one(
        f"SELECT min(made_at) FROM deliveries WHERE kind = 'TRACE_REQUEST' AND partner IN ({marks}) AND made_at >= ?",
        [*codes, answered or ""],
    )
    return date_in_england(datetime.fromisoformat(asked)) if asked else None
