"""A home through real nights with one person in it who is to leave no trace, and the search for that trace.

The person has a plan at Hackney that ends, was looked at, was sent to a CHIS unit, was once told under another start date; every
form in which the program could have kept anything of them is searched: raw bytes, and all that the hub's own keys open.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import config, partners
from cpis_batch.envelope import hub as hub_keys
from cpis_batch.envelope.opening import GpgHome, open_message
from cpis_batch.envelope.outcome import Opened
from cpis_batch.keystore import load_master_key
from cpis_batch.register.store import PartStore
from tests.builders import HACKNEY, KENT, nhs
from tests.commands import told
from tests.hub import NATIONAL, Hub, Row, plan_row
from tests.small_england import small_england

PERSON, OTHER = 77, 78  # the second is at Hackney and at Kent
NUMBER, FAMILY, GIVEN, BORN = nhs(PERSON), "Quillcanary", "Zephyrine", "2011-03-07"
TRACE = tuple(
    text.encode() for text in (NUMBER, f"{NUMBER[:3]} {NUMBER[3:6]} {NUMBER[6:]}", FAMILY, GIVEN, BORN, "07/03/2011", "LC-000077")
)
OTHERS = [plan_row(child) for child in range(1, 12)]
APPLY = ("--by", "Records officer", "--reason", "retention of the month")


def person(**more: Any) -> Row:
    """The person's row."""
    return plan_row(PERSON, family=FAMILY, given=GIVEN, born=BORN, **more)


def looks(hub: Hub, sequence: int, *looked: tuple[str, int, str]) -> None:
    """A file of the national service: (event id, child, care setting), a day ago."""
    at = hub.now.replace(hour=1).isoformat()
    lines = [f"D,{event},{at},{nhs(child)},PERSON,Jo Smith,R0050,,RX101,Seaside,{care},Y" for event, child, care in looked]
    text = "\n".join([f"H,CPIS-ACCESS-EVENTS,1.0,TEST,{sequence},{hub.now.isoformat()}", *lines, f"T,{len(lines)}", ""])
    name = f"CPIS_EVENTS_{sequence:08}_{hub.now:%Y%m%dT%H%M%SZ}.csv.pgp"
    hub.put(NATIONAL, name, hub.sealed(text.encode(), NATIONAL))


def lived(folder: Path) -> Hub:
    """A year and more after the person's plan ended: everybody has been told, and it is due."""
    hub = small_england(folder)
    hub.drop(HACKNEY, [*OTHERS, person(), plan_row(OTHER)])
    hub.drop(KENT, [plan_row(OTHER, "LAC")])
    looks(hub, 1, ("e-1", PERSON, "EMERGENCY-DEPARTMENT"), ("e-2", 1, "EMERGENCY-DEPARTMENT"), ("e-3", PERSON, "POP-UP"))
    hub.run("nightly")
    hub.next_night()
    hub.drop(HACKNEY, [*OTHERS, person(start="2026-02-12"), plan_row(OTHER)])
    hub.put(HACKNEY, hub.name(HACKNEY, 90), b"no message at all")
    hub.run("nightly")
    hub.next_night()
    hub.drop(HACKNEY, [*OTHERS, person(start="2026-02-12", end="2026-11-21"), plan_row(OTHER, end="2026-11-21")])
    hub.run("nightly")
    hub.next_night(370)
    hub.drop(HACKNEY, [*OTHERS, person(start="2026-02-12", end="2026-11-21")])  # it goes on sending the old row
    hub.run("nightly")
    return hub


def applied(hub: Hub, *more: str, code: int = 0) -> dict[str, Any]:
    """Plan, and apply that plan."""
    token = told(hub, "retention", "plan")["token"]
    return told(hub, "retention", "apply", "--plan", token, *APPLY, *more, code=code)


def traces(hub: Hub, trace: tuple[bytes, ...] = TRACE) -> set[str]:
    """Every place in the home where the person's data still stand, in plain or under keys that the hub has."""
    found = {
        f"{path.relative_to(hub.home).parent} in plain"
        for path in hub.home.rglob("*")
        if path.is_file() and any(word in path.read_bytes() for word in trace)
    }
    master = load_master_key(hub.home, config.load(hub.home))
    for folder in ("register", "archive"):
        store = PartStore(hub.home / folder, master)
        for path in (hub.home / folder).glob("*.parquet"):
            if any(word in _text(store.read(path.stem)) for word in trace):
                found.add(f"a part in {folder}")
    allowed = {}
    for partner in partners.load(hub.home).values():
        allowed |= partners.certificates(hub.home, partner, hub.now.date())
    keys = hub_keys.load(hub.home, master).accepted(hub.now.date())
    with GpgHome([key.secret for key in keys]) as opener:
        for path in (*(hub.home / "archive").glob("*.pgp"), *(hub.home / "outbox").glob("*.pgp")):
            opened = open_message(path, gpg_home=opener.path, allowed=allowed, limits=config.load(hub.home).limits)
            if isinstance(opened, Opened) and any(word in opened.plaintext for word in trace):
                found.add(f"a message in {path.parent.name}")
    return found


def _text(table: pa.Table) -> bytes:
    columns = [pc.fill_null(column.cast(pa.string()), "") for column in table.columns]
    return "\n".join(value for column in columns for value in column.to_pylist()).encode()
