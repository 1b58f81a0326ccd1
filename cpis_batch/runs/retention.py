"""What a retention run would erase, by authority, and what is left out and why: counted, never named. Nothing is erased here.

Beside plans past retention go the files and messages in which they came and were told: the authority's archived files, its
delivered answers, access events of persons who then stand in no register. `runs.erasure` does it, by the token of such a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import catalogue, config, files, partners
from cpis_batch.access import erasure as access_erasure
from cpis_batch.business_time import business_date as date_in_england
from cpis_batch.catalogue import Catalogue
from cpis_batch.catalogue.records import Arrival, LaVersion
from cpis_batch.config import Settings
from cpis_batch.extracts.routing import UNROUTABLE
from cpis_batch.intake import collect
from cpis_batch.keystore import load_master_key
from cpis_batch.partners import Partner, PartnerKind
from cpis_batch.register import erasure, retention
from cpis_batch.register.schema import HISTORY
from cpis_batch.register.store import PartStore
from cpis_batch.register.view import by_type
from cpis_batch.runs import demographics, reports
from cpis_batch.vocabulary import ExtractChange, PlanType

VERSION = "1.0"
_TOKEN_DIGITS = 12
_SHOWN = ["la_code", "nhs_number", "plan_type", "start_date"]


class LeftOut(StrEnum):
    """Why nothing of an authority is erased this time."""

    RELEASE = "RELEASE"  # by itself: what is due waits for the release that tells its CHIS unit
    HOLD = "HOLD"
    UNDELIVERED = "UNDELIVERED"
    BRAKE = "BRAKE"
    UNPROVEN = "UNPROVEN"  # found by `runs.erasure` alone: its archive does not come to its register


@dataclass(frozen=True, slots=True)
class OfLa:
    """What is due of one authority: plans by type, versions of plans, persons who then stand in its register no more.

    `waiting` plans wait for the release that tells their CHIS unit; `files` and `messages` go with what is erased.
    """

    la_code: str
    held: dict[PlanType, int]
    plans: dict[PlanType, int]
    versions: int
    persons: int
    waiting: int
    files: int
    messages: int
    left_out: LeftOut | None
    why: str

    @property
    def document(self) -> dict[str, Any]:
        """Its published form."""
        return {
            "la": self.la_code,
            "held": self.held,
            "plans": self.plans,
            "versions": self.versions,
            "persons": self.persons,
            "waiting_for_release": self.waiting,
            "archived_files": self.files,
            "messages": self.messages,
            "left_out": self.left_out,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What a retention run would do on a business date. `las` are those with something due, left out or not."""

    business_date: date
    days: int
    outbox_days: int
    register_digest: str | None
    las: tuple[OfLa, ...]
    events_files: int
    events: int  # access events of persons who would stand in no register
    messages: int  # delivered longer ago than `outbox_days`, of partners from whom nothing else goes
    unnamed_files: int  # in the archive, longer than `outbox_days`, that no line of the catalogue names

    @property
    def going(self) -> tuple[OfLa, ...]:
        """The authorities from which something would be erased."""
        return tuple(one for one in self.las if one.left_out is None)

    @property
    def document(self) -> dict[str, Any]:
        """Its published form, specs/retention-plan/1.0; without the token it is what the token is taken over."""
        counted = {
            "version": VERSION,
            "business_date": self.business_date,
            "days": self.days,
            "outbox_days": self.outbox_days,
            "register_digest": self.register_digest,
            "plans": sum(sum(one.plans.values()) for one in self.going),
            "versions": sum(one.versions for one in self.going),
            "waiting_for_release": sum(one.waiting for one in self.going),
            "archived_files": sum(one.files for one in self.going),
            "messages": sum(one.messages for one in self.going) + self.messages,
            "access_events": self.events,
            "events_files": self.events_files,
            "unnamed_files": self.unnamed_files,
            "las": [one.document for one in self.las],
        }
        return counted | {"token": files.digest_of(msgspec.json.encode(counted))[:_TOKEN_DIGITS]}

    @property
    def token(self) -> str:
        """What names this plan and no other: of another day, another register or other counts it is another."""
        return str(self.document["token"])


def plan(home: Path, business_date: date) -> Plan:
    """Look through a home; nothing is changed. ConfigFault, KeyFault; StateFault where a part cannot be read."""
    settings = config.load(home)
    store = PartStore(home / "register", load_master_key(home, settings))
    with Catalogue(home / catalogue.FILE_NAME) as opened:
        return planned(home, opened, store, settings, partners.load(home), business_date)


def planned(
    home: Path, opened: Catalogue, store: PartStore, settings: Settings, known: dict[str, Partner], business_date: date
) -> Plan:
    """The plan of an open home."""
    days, outbox_days = settings.retention.days, settings.retention.outbox_days
    shown = shown_by_release(opened, store)
    archived: dict[str, list[Arrival]] = {}
    for arrival in opened.arrivals("erased_in IS NULL AND state <> 'HELD'"):
        archived.setdefault(arrival.partner, []).append(arrival)
    checkpoints = {one.la_code for _, one in opened.checkpoints()}
    obstacles = _obstacles(opened, known, business_date)
    messages = _delivered(opened)
    las: list[OfLa] = []
    staying: list[pa.Table] = []
    for version in opened.las():
        code = version.la_code
        plans, history = parts_of(store, version)
        goes, waits = retention.told(retention.due(plans, history, business_date, days), plans, shown_of(shown, code))
        came = archived.get(code, [])
        files_go = _may_hold_the_erased(came, business_date, days, code in checkpoints)
        if not (goes.anything or waits.anything or files_go):
            staying += _numbers(plans, history)
            continue
        left_out, why = obstacles.get(code, (None, ""))
        partner = known.get(code)
        brake = (partner.brake if partner else None) or settings.brake
        if not (goes.anything or files_go):
            left_out, why = LeftOut.RELEASE, "A CHIS unit is still to be told that its plans have ceased."
        elif left_out is None and (braked := retention.excess(plans, goes, brake)):
            left_out, why = LeftOut.BRAKE, " ".join(braked)
        left = erasure.erase(plans, history, goes, business_date)
        staying += _numbers(left.plans, left.history) if left_out is None else _numbers(plans, history)
        las.append(
            OfLa(
                la_code=code,
                held=by_type(plans),
                plans=by_type(goes.plans),
                versions=goes.history.num_rows,
                persons=len(persons(plans, history)) - len(persons(left.plans, left.history)),
                waiting=waits.plans.num_rows,
                files=len(came),
                messages=len(messages.get(code, ())),
                left_out=left_out,
                why=why,
            )
        )
    going = {one.la_code for one in las if one.left_out is None}
    head = opened.head()
    return Plan(
        business_date=business_date,
        days=days,
        outbox_days=outbox_days,
        register_digest=head.register_digest if head else None,
        las=tuple(las),
        events_files=len(settled_events_files(opened, known)),
        events=sum(ids.num_rows for _, ids in events_due(opened, store, persons(*staying), business_date, days)),
        messages=len([one for one in old_messages(opened, business_date, outbox_days) if one[1] not in going]),
        unnamed_files=len(unnamed_files(home, opened, business_date, outbox_days)),
    )


def parts_of(store: PartStore, version: LaVersion) -> tuple[pa.Table, pa.Table]:
    """PLANS and HISTORY of an authority."""
    history = store.read(version.history_part) if version.history_part else HISTORY.empty_table()
    return store.read(version.plans_part), history


def shown_by_release(opened: Catalogue, store: PartStore) -> pa.Table:
    """la_code and key of every plan that the newest release shows as active, or would have shown had it led to a unit."""
    empty = UNROUTABLE.empty_table().select(_SHOWN)
    releases = opened.releases()
    if not releases:
        return empty
    rows = store.read(releases[-1].rows_part, [*_SHOWN, "change"])
    rows = rows.filter(pc.not_equal(rows["change"], ExtractChange.CEASED)).select(_SHOWN)
    return pa.concat_tables([empty, rows, store.read(releases[-1].unroutable_part, _SHOWN)])


def shown_of(shown: pa.Table, la_code: str) -> pa.Table:
    """One authority's rows of it."""
    return shown.filter(pc.equal(shown["la_code"], la_code))


def _obstacles(opened: Catalogue, known: dict[str, Partner], business_date: date) -> dict[str, tuple[LeftOut, str]]:
    """The authorities that have to wait whatever is due, with why.

    One that is sent nothing any more, its agreement having ended, is not waited for; what it was not sent stays sealed to it.
    """
    undelivered = opened.table("SELECT partner, count(*) AS n FROM deliveries WHERE delivered_at IS NULL GROUP BY partner")
    found = {
        row["partner"]: (LeftOut.UNDELIVERED, f"{row['n']} messages to it are still to be delivered.")
        for row in undelivered
        if (partner := known.get(row["partner"])) and partner.agreement.covers(business_date)
    }
    return found | {
        hold.partner: (LeftOut.HOLD, f"Decide hold {hold.id} first: the held file holds the same rows.")
        for hold in reversed(opened.holds())
    }


def _may_hold_the_erased(came: list[Arrival], business_date: date, days: int, begun: bool) -> bool:
    """Whether an authority's archived files may hold somebody who is due, though nothing in its register is.

    Those of an authority of which something was erased before: it may send such a row again, and be told that it is past
    retention. And those older than retention: a row that was never let in stands in them alone.
    """
    oldest = business_date - timedelta(days=days)
    return bool(came) and (begun or date_in_england(min(one.seen_at for one in came)) < oldest)


def _numbers(*tables: pa.Table) -> list[pa.Table]:
    """The columns of NHS numbers alone, so that of 153 authorities no more is held at once."""
    return [table.select(["nhs_number"]) for table in tables]


def persons(*tables: pa.Table) -> pa.Array:
    """The NHS numbers in these tables, each once."""
    chunks: Iterable[pa.Array] = (chunk for table in tables for chunk in table["nhs_number"].chunks)
    return pc.unique(pa.chunked_array(list(chunks), pa.string()))


def settled_events_files(opened: Catalogue, known: dict[str, Partner]) -> list[int]:
    """The settled arrivals of the national service and the trace service: what was taken of them stands in parts."""
    services = {code for code, partner in known.items() if partner.kind in (PartnerKind.NATIONAL, PartnerKind.TRACE)}
    settled = opened.arrivals("erased_in IS NULL AND state <> 'HELD'")
    return [arrival.id for arrival in settled if arrival.partner in services]


def events_due(
    opened: Catalogue, store: PartStore, staying: pa.Array, business_date: date, days: int
) -> Iterator[tuple[str, pa.Table]]:
    """Of each part of access events that has some, the EVENT_IDS of those about persons who are not among `staying`."""
    for part in opened.event_parts():
        if part.month == reports.KNOWN:
            continue
        rows = store.read(part.part, ["event_id", "nhs_number", "accessed_at"])
        if part.month == reports.WAITING:
            gone = access_erasure.waited_out(rows, staying, business_date, days)
        else:
            gone = access_erasure.of_others(rows, staying)
        if gone.num_rows:
            yield part.month, gone


def trace_without(opened: Catalogue, store: PartStore, staying: pa.Array) -> Iterator[tuple[str, pa.Table]]:
    """Each table of the trace (runs.demographics.TABLES) that tells of persons not among `staying`, without them.

    Nobody is asked about or told of who stands in no register; an answer that is still to come then answers no question.
    """
    for part in opened.trace_parts():
        rows = store.read(part.part)
        if "nhs_number" in rows.column_names:
            stays = rows.filter(pc.is_in(rows["nhs_number"], value_set=staying))
            if stays.num_rows < rows.num_rows:
                yield part.name, stays


def _delivered(opened: Catalogue) -> dict[str, list[int]]:
    """The delivered messages that are still kept, by partner."""
    found: dict[str, list[int]] = {}
    for row in opened.table("SELECT id, partner FROM deliveries WHERE delivered_at IS NOT NULL AND erased_in IS NULL"):
        found.setdefault(row["partner"], []).append(row["id"])
    return found


def old_messages(opened: Catalogue, business_date: date, outbox_days: int) -> list[tuple[int, str]]:
    """Number and partner of the messages that were delivered more than `outbox_days` ago and are still kept.

    A request to the trace service is kept for nobody once it is delivered: the next asks again whomever nobody answered for.
    """
    before = business_date - timedelta(days=outbox_days)
    kept = opened.deliveries("delivered_at IS NOT NULL AND erased_in IS NULL")
    return [
        (one.id, one.partner)
        for one in kept
        if one.delivered_at and (one.kind == demographics.REQUEST or date_in_england(one.delivered_at) < before)
    ]


def unnamed_files(home: Path, opened: Catalogue, business_date: date, outbox_days: int) -> list[Path]:
    """The archived files that no line of the catalogue names and that have lain there for more than `outbox_days`.

    A run that was killed leaves such a file where its sender then took it back or replaced it.
    """
    named = opened.archived() | opened.erased() | {waiting.digest for waiting in opened.waiting()}
    before = business_date - timedelta(days=outbox_days)
    lying = (path for path in (home / "archive").glob(f"*{collect.SUFFIX}") if path.stem not in named)
    return [path for path in lying if _day_of(path) < before]


def _day_of(path: Path) -> date:
    return date_in_england(datetime.fromtimestamp(path.stat().st_mtime).astimezone())
