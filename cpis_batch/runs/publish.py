"""A month's statistics: counted from the register as it stood at the month's end, held to the ledger, made safe, written down.

Where what the register says does not come to what the ledger says of the same commits, nothing is published. A month that was
published is published anew only with the same figures, or as a correction for which somebody gives a reason; never so that a
count that was hidden is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from cpis_batch import files
from cpis_batch.access import reference
from cpis_batch.access.month import Month, within
from cpis_batch.audit.entry import Deed, Kind
from cpis_batch.business_time import text_of
from cpis_batch.catalogue.records import CommitHead, LaVersion
from cpis_batch.errors import Bug, InputRefused, StateFault, UsageFault
from cpis_batch.register import view
from cpis_batch.register.schema import HISTORY
from cpis_batch.runs import month_work, monthly
from cpis_batch.runs.as_of import Use
from cpis_batch.runs.hub import Hub
from cpis_batch.statistics import count, disclosure, ods, page
from cpis_batch.statistics.cells import Shown
from cpis_batch.statistics.count import LIVE_DAYS, Area
from cpis_batch.statistics.profiles import Profile
from cpis_batch.statistics.release import Release, against, read_csv, to_csv
from cpis_batch.vocabulary import PlanType

FOLDER = "statistics"
EARLIER = "earlier"  # in a month's folder: the CSVs of the releases that a correction has replaced
VERSION = "1.0"


@dataclass(slots=True)
class Published:
    """What came of it; `document` has counts and no value of a record. `differs`: from an earlier release of the month."""

    release: Release
    folder: Path
    written: bool = False
    differs: list[str] = field(default_factory=list)

    @property
    def document(self) -> dict[str, Any]:
        """One object, versioned and only ever added to."""
        shown = self.release.shown
        return {
            "version": VERSION,
            "month": str(self.release.month),
            "profile": self.release.profile.name,
            "as_at": self.release.as_at,
            "commit": self.release.commit,
            "counts": len(shown),
            "hidden": sum(value is None for value in shown.values()),
            "differs": self.differs,
            "written": self.written,
            "folder": str(self.folder),
        }


def run(hub: Hub, month: Month, profile: Profile, use: Use, *, correct: bool = False, dry_run: bool = False) -> Published:
    """Count a month and write its release. UsageFault for a month that has not ended; InputRefused where an earlier release of it
    says otherwise; Bug where the register does not come to what the ledger says."""
    hub.hold_to_the_ledger()
    if month.last >= hub.business_date:
        raise UsageFault(f"{month} has not ended on {hub.business_date}.", f"Publish it from {month.next.first} on.")
    base = _stood(hub, month.last)
    areas, renamed = _areas(hub, month.last)
    plans = _as_known(hub, base)
    active = _renamed(view.active(plans, month.last), renamed)
    rows = _renamed(within(monthly.lines(hub, hub.plans(columns=month_work.PLANS)), month), renamed)
    counts = count.count(count.Month(active, rows, _live(hub, base, month.last, renamed)), areas)
    release = Release(month, profile, month.last, base.id, hub.now, disclosure.protect(counts, profile), _names(areas))
    folder = hub.home / FOLDER / (str(month) if profile.public else f"{profile.name}-{month}")
    done = Published(release, folder)
    if profile.public:
        for earlier in _earlier(hub, month, folder):
            differs = against(earlier, release.shown)
            _hold_to_the_earlier(month, differs, correct=correct)
            done.differs = differs  # from the newest, which comes last
    if not dry_run:
        _write(hub, done, areas, use, correct=correct)
    return done


def _stood(hub: Hub, day: date) -> CommitHead:
    """The last commit of a business date up to that day."""
    found = [commit for commit in hub.catalogue.commits() if commit.business_date <= day]
    if not found:
        raise UsageFault(f"The register has nothing of {day} or before.", "Publish a month in which it was kept.")
    return found[-1]


def _as_known(hub: Hub, base: CommitHead) -> pa.Table:
    """The plans as they stood after that commit, held to what the ledger has of it: active plans by authority and type."""
    made_in = {version.la_code: number for number, version in hub.catalogue.versions() if number <= base.id}
    days = {commit.id: commit.business_date for commit in hub.catalogue.commits()}
    then = {version.la_code: version for version in hub.catalogue.las(base.id)}
    tables = []
    for version in hub.catalogue.las():
        if version.la_code not in then:
            continue
        table = hub.store.read(version.plans_part)
        past = hub.store.read(version.history_part) if version.history_part else HISTORY.empty_table()
        known = view.known(table, past, base.made_at)
        _reconcile(then[version.la_code], view.by_type(view.active(known, days[made_in[version.la_code]])))
        tables.append(known)
    return pa.concat_tables(tables)


def _reconcile(version: LaVersion, active: Mapping[PlanType, int]) -> None:
    ledger = {PlanType.CPP: version.active_cpp, PlanType.LAC: version.active_lac, PlanType.UCPP: version.active_ucpp}
    if active != ledger:
        raise Bug(
            f"The active plans of {version.la_code} do not come to what the ledger has of them; nothing was published.",
            "Look at: cpis-batch register verify, cpis-batch ledger show. Report it.",
        )


def _areas(hub: Hub, on: date) -> tuple[list[Area], dict[str, str]]:
    """The authorities of that day, and under which of them an abolished one counts that still has plans: its first successor."""
    england = hub.organisations
    boards = {row["ods_code"]: row["name"] for row in england.tables["integrated_care_boards"].to_pylist()}
    areas = []
    for la in england.las_on(on):
        board = england.icb_of(la.code, on)
        areas.append(Area(la.code, la.name, la.region_code, la.region, board, boards.get(board) if board else None))
    known = {area.code for area in areas}
    gone = {version.la_code for version in hub.catalogue.las()} - known
    renamed = {code: heirs[0] for code in sorted(gone) if (heirs := england.successors(code, on))}
    if lost := sorted(gone - renamed.keys()):
        raise UsageFault(f"Nobody knows in whose area {', '.join(lost)} lies.", "Put its successors into local_authorities.csv.")
    return areas, renamed


def _renamed(table: pa.Table, renamed: dict[str, str]) -> pa.Table:
    codes = pa.array([renamed.get(code, code) for code in table["la_code"].to_pylist()], pa.string())
    return table.set_column(table.column_names.index("la_code"), "la_code", codes) if renamed else table


def _live(hub: Hub, base: CommitHead, on: date, renamed: dict[str, str]) -> frozenset[str]:
    recent = on - timedelta(days=LIVE_DAYS)
    return frozenset(
        renamed.get(version.la_code, version.la_code)
        for version in hub.catalogue.las(base.id)
        if version.last_extracted_at.date() >= recent
    )


def _names(areas: list[Area]) -> dict[str, str]:
    names = {count.ENGLAND: "England"}
    for area in areas:
        names |= {area.code: area.name, area.region: area.region_name}
        if area.icb:
            names[area.icb] = area.icb_name or area.icb
    return names


def _earlier(hub: Hub, month: Month, folder: Path) -> list[Shown]:
    """All releases of the month, the newest last. StateFault where the audit log knows of one that is not there as published."""
    found = {files.digest_of(data): data for path in sorted((folder / EARLIER).glob("*.csv")) if (data := path.read_bytes())}
    newest = folder / "statistics.csv"
    if newest.exists():
        data = newest.read_bytes()
        found.pop(files.digest_of(data), None)
        found[files.digest_of(data)] = data
    told = (entry.facts for entry in hub.catalogue.entries() if entry.kind == Kind.COMMAND)
    known = [facts["sha256"] for facts in told if (facts.get("command"), facts.get("month")) == ("publish", str(month))
             and facts["public"]]  # fmt: skip
    if missing := set(known) - found.keys():
        raise StateFault(
            f"A release of {month} is not there as it was published: {', '.join(sorted(digest[:16] for digest in missing))}.",
            f"Put its statistics.csv back into {folder} or its {EARLIER}/: the next one has to be held to it.",
        )
    return [read_csv(data) for data in found.values()]


def _hold_to_the_earlier(month: Month, differs: list[str], *, correct: bool) -> None:
    if any("was hidden and would be shown" in one for one in differs):
        raise InputRefused(
            f"{month} was published before, and a count that was hidden then would be shown now.",
            "Whoever has both would learn it. Leave the first release standing.",
        )
    if differs and not correct:
        raise InputRefused(
            f"{month} was published before, and {len(differs):,} counts were others: {differs[0]}.",
            "Two versions tell by their difference what neither tells alone. If it must be put right, say so: --correct.",
        )


def _write(hub: Hub, done: Published, areas: list[Area], use: Use, *, correct: bool) -> None:
    release = done.release
    settings = _settings(hub)
    forms = {
        "statistics.csv": to_csv(release),
        "statistics.ods": ods.to_ods(release, settings),
        "index.html": page.to_page(release, areas, settings),
    }
    facts = {
        "command": "publish", "month": str(release.month), "profile": release.profile.name, "by": use.by, "reason": use.reason,
        "public": release.profile.public, "correct": correct, "sha256": files.digest_of(forms["statistics.csv"]),
    }  # fmt: skip
    done.written = True
    forms["release.json"] = msgspec.json.format(
        msgspec.json.encode(done.document | {"made_at": text_of(release.made_at), "by": use.by, "reason": use.reason}), indent=1
    )
    before = done.folder / "statistics.csv"
    with files.names_together():
        if before.exists() and before.read_bytes() != forms["statistics.csv"]:
            kept = before.read_bytes()
            files.write(done.folder / EARLIER / f"{files.digest_of(kept)}.csv", kept)
        for name, data in forms.items():
            files.write(done.folder / name, data)
    hub.catalogue.tell(Deed(Kind.COMMAND, facts), hub.now)  # last: a kill before it leaves files that the next run writes again


def _settings(hub: Hub) -> dict[str, str]:
    table = reference.load(hub.home / "reference").care_settings
    return dict(zip(table["code"].to_pylist(), table["name"].to_pylist(), strict=True))
