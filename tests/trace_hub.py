"""The trace over several nights: a hub with a trace service among its partners, and that service's hands."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from cpis_batch import config
from cpis_batch.keystore import load_master_key
from cpis_batch.register.store import PartStore
from tests.builders import nhs
from tests.hub import Hub
from tests.small_england import KENT_AND_MEDWAY, NORTH_EAST_LONDON, replace_table, small_england

TRACE = "TRACE"


def traced_england(folder: Path) -> Hub:
    """small_england with a trace service and two practices: ZP0001 of North East London, ZP0002 of Kent and Medway."""
    made = small_england(folder)
    replace_table(
        made,
        "practice_chis",
        [
            "practice_code,chis_code,valid_from,valid_to",
            f"ZP0001,{NORTH_EAST_LONDON},2009-01-01,",
            f"ZP0002,{KENT_AND_MEDWAY},2009-01-01,",
        ],
    )
    made.add_partner(TRACE, "TRACE")
    return made


def asked(hub: Hub) -> dict[str, str]:
    """The references of the newest request that lies for the service, by NHS number."""
    lines = hub.opened(hub.outbound(TRACE, "CPIS_TRACE_REQUEST_")[-1], TRACE).decode().splitlines()
    return {row[2]: row[1] for row in csv.reader(lines) if row[0] == "D"}


def respond(hub: Hub, *lines: str, sequence: int = 1, by: str = TRACE) -> None:
    """Put a response down."""
    at = f"{hub.now:%Y-%m-%dT%H:%M:%S}+00:00"
    text = "\n".join([f"H,CPIS-TRACE-RESPONSE,1.0,TEST,{sequence},{at}", *lines, f"T,{len(lines)}", ""])
    hub.put(TRACE, f"CPIS_TRACE_RESPONSE_{sequence:08d}_{hub.now:%Y%m%dT%H%M%SZ}.csv.pgp", hub.sealed(text.encode(), by))


def found(reference: str, child: int, code: str = "20", **facts: str) -> str:
    """An answer with the record of `tests.hub.plan_row`."""
    record = {
        "number": nhs(child),
        "family": "SOMEONE",
        "given": "ZOE",
        "born": "2019-04-30",
        "sensitive": "N",
        "practice": "ZP0001",
        "residence": "E09000012",
        "died": "",
    }
    return ",".join(["D", reference, code, *(record | facts).values()])


def table(hub: Hub, name: str) -> list[dict[str, Any]]:
    """A table of what the trace tells of persons, as the catalogue has it now."""
    with hub.catalogue() as catalogue:
        parts = {part.name: part.part for part in catalogue.trace_parts()}
    read: pa.Table = PartStore(hub.home / "register", load_master_key(hub.home, config.load(hub.home))).read(parts[name])
    return list(read.to_pylist())


def messages(hub: Hub, la: str, start: str) -> list[Mapping[str, list[dict[str, str]]]]:
    """The tables of every message of a kind that lies for an authority."""
    return [
        {name: list(csv.DictReader(io.StringIO(data.decode(), newline=""))) for name, data in hub.unpacked(path, la).items()}
        for path in hub.outbound(la, start)
    ]
