"""Access events of a day, as the national service sends them: who in the NHS looked at whose information.

Some 470 looks of unscheduled care a day in England (14,300 a month), and beside them what the reports must deal with:
silent reads, visits that must never be told, looks far from home, at persons whose plan has ended, and events sent twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.business_time import text_of
from cpis_batch.sandbox import extracts, people
from cpis_batch.sandbox.drops import Drop
from cpis_batch.sandbox.england import England
from cpis_batch.sandbox.volumes import volumes

NATIONAL = "NATIONAL"  # the national service, as a partner
FORMAT = "CPIS-ACCESS-EVENTS"
FIRST_SEQUENCE = 41

FIELDS = (
    "event_id",
    "accessed_at",
    "nhs_number",
    "author_kind",
    "author_name",
    "job_role",
    "responsible_person",
    "organisation_code",
    "organisation_name",
    "care_setting",
    "notifies_la",
)

UNSCHEDULED_A_DAY = 470.0
OF_ROWS = 227_464  # at 1x
OUT_OF_AREA = 0.2
BY_DEVICE = 0.08
SENT_TWICE = 0.01

# Care setting, what its organisations are called, how many looks for each 1,000 of unscheduled care, and how the notify
# flag is given. A flag left out notifies. The last two must never be told, whatever the flag says.
SETTINGS = (
    ("EMERGENCY-DEPARTMENT", "Emergency Department", 520, ("Y", "")),
    ("CHILDRENS-EMERGENCY", "Children's Emergency Department", 90, ("Y",)),
    ("URGENT-CARE", "Urgent Treatment Centre", 110, ("Y", "")),
    ("MINOR-INJURY", "Minor Injury Unit", 50, ("Y",)),
    ("AMBULANCE", "Ambulance Station", 60, ("Y",)),
    ("NHS-111", "NHS 111 Centre", 40, ("Y",)),
    ("GP-OUT-OF-HOURS", "GP Out of Hours", 50, ("Y", "")),
    ("MATERNITY", "Maternity Unit", 40, ("Y",)),
    ("PAEDIATRIC-WARD", "Children's Ward", 40, ("Y",)),
    ("OUTPATIENTS", "Outpatients", 60, ("N",)),
    ("GENERAL-PRACTICE", "Surgery", 60, ("N",)),
    ("HEALTH-VISITING", "0-19 Service", 50, ("N",)),
    ("CAMHS", "CAMHS Clinic", 30, ("N",)),
    ("SEXUAL-HEALTH", "Sexual Health Clinic", 15, ("N", "Y", "")),
    ("SARC", "Sexual Assault Referral Centre", 5, ("N", "")),
)

ROLES = ("R0050", "R0610", "R0620", "R0600", "R0260")
DEVICES = ("Dispatch System 1", "Triage Gateway", "Bed Board")


@dataclass(frozen=True)
class Events:
    """One day's file. `table` holds FIELDS as text, one row an event."""

    sequence: int
    table: pa.Table
    drop: Drop


def organisation_code(la_code: str, setting: str) -> str:
    """The ODS code, of no real organisation, of the place of that kind in an authority's area."""
    return f"ZZ{list(volumes()).index(la_code):03d}{chr(ord('A') + [name for name, *_ in SETTINGS].index(setting))}"


def organisation_areas() -> bytes:
    """Where the invented organisations lie, as `organisation_areas.csv` of a home's `reference/`."""
    lines = [f"{organisation_code(code, setting)},{code},2009-01-01," for code in volumes() for setting, *_ in SETTINGS]
    return "\n".join(["ods_code,la_gss_code,valid_from,valid_to", *lines, ""]).encode()


def events_of(england: England, index: int, now: datetime, before: Events | None) -> Events:
    """The events of the day `england.on`, made an hour before `now`; a few of those `before` are in it again."""
    rng = np.random.default_rng([england.seed, england.on.toordinal(), 3])
    a_day = UNSCHEDULED_A_DAY * england.plans.num_rows / OF_ROWS
    weights = np.array([weight for _, _, weight, _ in SETTINGS], dtype=float)
    count = int(rng.poisson(a_day * weights.sum() / 1000))
    fresh = _drawn(england, rng, count, now, weights / weights.sum())
    again = [fresh.slice(0, int(np.ceil(count * SENT_TWICE)))]
    if before:
        again.append(before.table.slice(0, int(np.ceil(before.table.num_rows * SENT_TWICE))))
    table = pa.concat_tables([fresh, *again])
    sequence, made_at = FIRST_SEQUENCE + index, now - timedelta(hours=1)
    header = f"H,{FORMAT},1.0,TEST,{sequence},{text_of(made_at)}\r\n"
    body = extracts.records([table[name] for name in FIELDS])
    stamp = text_of(made_at).replace("-", "").replace(":", "")
    drop = Drop(
        sender=NATIONAL,
        name=f"CPIS_EVENTS_{sequence:08d}_{stamp}.csv.pgp",
        put_at=made_at + timedelta(minutes=5),
        content=header.encode() + body + b"T,%d\r\n" % table.num_rows,
    )
    return Events(sequence, fresh, drop)


def _drawn(england: England, rng: np.random.Generator, count: int, now: datetime, weights: np.ndarray) -> pa.Table:
    """`count` events on persons with a plan, or with one that ended lately."""
    plans = england.plans.filter(pc.is_null(england.plans["delete_date"]))
    chance = np.where(plans["end_date"].is_null().to_numpy(), 1.0, 0.04)
    seen = plans.take(pa.array(rng.choice(plans.num_rows, count, p=chance / chance.sum()) if count else [], pa.int64()))
    settings = rng.choice(len(SETTINGS), count, p=weights)
    codes = list(volumes())
    stock = np.array([volume.looked_after + volume.plans for volume in volumes().values()], dtype=float)
    elsewhere = rng.choice(len(codes), count, p=stock / stock.sum())
    far = rng.random(count) < OUT_OF_AREA
    seconds = np.sort(rng.integers(0, 21 * 3600, count))
    devices = rng.random(count) < BY_DEVICE
    family, given = people.names(rng, np.zeros(count, dtype=bool))
    staff = pc.binary_join_element_wise(given, family, " ").to_pylist()
    begins = now - timedelta(hours=22)
    rows = []
    for row, (number, home) in enumerate(zip(seen["nhs_number"].to_pylist(), seen["la_code"].to_pylist(), strict=True)):
        setting, title, _, flags = SETTINGS[settings[row]]
        area = codes[elsewhere[row]] if far[row] else home
        rows.append(
            {
                "event_id": f"EV-{england.on:%Y%m%d}-{row:06d}",
                "accessed_at": text_of(begins + timedelta(seconds=int(seconds[row]))),
                "nhs_number": number,
                "author_kind": "DEVICE" if devices[row] else "PERSON",
                "author_name": DEVICES[row % len(DEVICES)] if devices[row] else staff[row],
                "job_role": "" if devices[row] else ROLES[row % len(ROLES)],
                "responsible_person": staff[row] if devices[row] else "",
                "organisation_code": organisation_code(area, setting),
                "organisation_name": f"Illustrative {title}, {volumes()[area].name}",
                "care_setting": setting,
                "notifies_la": flags[row % len(flags)],
            }
        )
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in FIELDS]))
