"""F68, F69: no identifier stands anywhere outside the sealed files made for their owner, whatever goes wrong.

Every identifier of these nights is a canary. After good nights and bad ones, killed, damaged, with wrong keys and with exceptions
that quote records, everything is searched: what was printed and logged, every byte and every name in the home and on the
server, the catalogue's free pages with it, and the argument lists and environments of all processes that were started.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from cpis_batch import config
from cpis_batch.keystore import load_master_key
from cpis_batch.register.store import PartStore
from tests.builders import HACKNEY, KENT, nhs
from tests.failure.strace_kit import injected
from tests.hub import NATIONAL, Hub, Row, extract
from tests.small_england import small_england

SCILLY = "E06000053"
FAMILY, GIVEN, LOOKER, CHILD_ID = "Quillcanary", "Zoëcanary", "Nurse Lookcanary", "KID-CANARY"
CHILDREN = range(1, 30)


def row(child: int, **more: str) -> Row:
    """A row of which every part is an identifier."""
    facts = {"number": nhs(child), "id": f"{CHILD_ID}-{child}", "family": f"{FAMILY}{child}", "given": GIVEN, "born": born(child)}
    facts |= {"type": "CPP", "start": "2026-02-11", "end": "", "delete": ""} | more
    return tuple(facts.values())


def born(child: int) -> str:
    return f"20{11 + child % 9}-0{1 + child % 7}-{11 + child % 17}"


def canaries() -> dict[str, str]:
    """Every form in which an identifier might be written, with its kind."""
    found = {
        FAMILY: "family name",
        GIVEN: "given name",
        "canary": "a piece of a name",
        LOOKER: "who looked",
        CHILD_ID: "child id",
    }
    for child in CHILDREN:
        number, (year, month, day) = nhs(child), born(child).split("-")
        for form in (number, f"{number[:3]} {number[3:6]} {number[6:]}", f"{number[:3]}-{number[3:6]}-{number[6:]}"):
            found[form] = "NHS number"
        for form in (born(child), f"{day}/{month}/{year}", f"{day}.{month}.{year}", f"{month}/{day}/{year}"):
            found[form] = "date of birth"
    return found


CANARIES = {form.encode(code): kind for form, kind in canaries().items() for code in ("utf-8", "utf-16-le", "utf-16-be")}
_ANY = re.compile(b"|".join(re.escape(form) for form in sorted(CANARIES, key=len, reverse=True)), re.IGNORECASE)


def sighted(data: bytes) -> set[str]:
    """The kinds of identifier that stand in some bytes."""
    return {CANARIES.get(found, "a piece of a name") for found in _ANY.findall(data)}


@dataclass
class Watched:
    """A hub, and everything that its commands said."""

    hub: Hub
    folder: Path
    temporary: Path  # with a short path, since sockets are made in it
    said: dict[str, bytes] = field(default_factory=dict)

    def command(self, *arguments: str, given: bytes = b"", keep: bool = True) -> int:
        """A command as an operator gives it; all that it and its children are started with is written down by strace."""
        strace = shutil.which("strace")
        assert strace, "install strace: sudo apt-get install strace"
        clock, started = self.hub.now.isoformat(), self.folder.parent / "started.log"
        environment = os.environ | {"CPIS_HOME": str(self.hub.home), "CPIS_NOW": clock, "TMPDIR": str(self.temporary)}
        words = [strace, "-f", "-qq", "-v", "-s", "65536", "-e", "trace=execve", "-e", "signal=none", "-o", str(started)]
        program = str(Path(sys.executable).with_name("cpis-batch"))
        done = subprocess.run(
            [*words, program, *arguments], input=given, capture_output=True, env=environment, check=False, timeout=120
        )
        label = f"{len(self.said)} {' '.join(arguments[:3])}"
        self.said[f"{label}: processes"] = started.read_bytes()
        if keep:
            self.said[f"{label}: output"] = done.stdout + done.stderr
        return done.returncode

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Everything to search: what was said, and every name and byte under the hub's folder and in the temporary one."""
        yield from self.said.items()
        for path in (*self.folder.rglob("*"), *self.temporary.rglob("*")):
            name = str(path.relative_to(self.folder if path.is_relative_to(self.folder) else self.temporary.parent))
            yield f"the name {name.encode('ascii', 'replace').decode()}", os.fsencode(name)
            if path.is_file():
                yield f"the file {name}", path.read_bytes()

    def sightings(self) -> dict[str, set[str]]:
        return {place: kinds for place, data in self.places() if (kinds := sighted(data))}


@pytest.fixture
def watched(tmp_path) -> Iterator[Watched]:
    """Three authorities, one of which leads to no CHIS unit here."""
    hub = small_england(tmp_path / "hub", las=(HACKNEY, KENT, SCILLY))
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace("[operations]\n", '[operations]\nmetrics = "operations/metrics.prom"\n'))
    with tempfile.TemporaryDirectory(prefix="cpis-test-") as temporary:
        yield Watched(hub, tmp_path / "hub", Path(temporary))


def put(hub: Hub, la: str, sequence: int, rows: list[Row], *, by: str | None = None, kind: str = "FULL") -> None:
    at = (hub.now - timedelta(hours=3)).isoformat(timespec="seconds")
    data = extract(la, rows, sequence=sequence, kind=kind, extracted_at=at)
    hub.put(la, hub.name(la, sequence, kind), hub.sealed(data, by or la))


def looks(hub: Hub, sequence: int, *children: int, setting: str = "EMERGENCY-DEPARTMENT") -> None:
    at = (hub.now - timedelta(days=1)).isoformat(timespec="seconds")
    lines = [f"D,e-{sequence}-{child},{at},{nhs(child)},PERSON,{LOOKER},R0050,,RX101,Seaside,{setting},Y" for child in children]
    lines.append(f"D,e-{sequence}-x,{born(1)},{nhs(1)[:-1]}0,PERSON,{LOOKER},{FAMILY},,{GIVEN},{FAMILY},{setting},Q")
    header = f"H,CPIS-ACCESS-EVENTS,1.0,TEST,{sequence},{(hub.now - timedelta(hours=2)).isoformat(timespec='seconds')}"
    data = "\n".join([header, *lines, f"T,{len(lines)}", ""]).encode()
    hub.put(NATIONAL, f"CPIS_EVENTS_{sequence:08d}_{hub.now:%Y%m%dT%H%M%SZ}.csv.pgp", hub.sealed(data, NATIONAL))


GOOD = [row(child) for child in range(1, 15)]
BROKEN = [
    row(15, number=nhs(15)[:-1] + "x"),
    row(16, number=f"{float(nhs(16)):.2E}"),
    row(17, number=" ".join((nhs(17)[:3], nhs(17)[3:6], nhs(17)[6:]))),
    row(18, born=f"{born(18)[8:]}/{born(18)[5:7]}/{born(18)[:4]}"),
    row(19, born=nhs(19)),
    row(20, family="", given="=cmd|'canary'!A1"),
    row(21, type=f"{FAMILY}21"),
    row(22, start=born(22), end="2010-01-01"),
    row(23, id=f"{CHILD_ID}\x1b[31m"),
    row(24),
    row(24),
    row(25, delete=f"{GIVEN}"),
]


def first_nights(watched: Watched) -> None:
    """A good night; and one with everything that partners get wrong."""
    hub = watched.hub
    for la in (HACKNEY, KENT, SCILLY):
        put(hub, la, 1, GOOD)
    looks(hub, 1, 1, 2)
    assert watched.command("run", "nightly", "--json") == 3, "one authority's children lead to no unit, one event is wrong"
    hub.next_night()
    put(hub, HACKNEY, 2, [*GOOD, *BROKEN])
    put(hub, KENT, 2, GOOD[:2])  # held
    put(hub, SCILLY, 2, GOOD, by=KENT)  # another's signature
    whole = hub.sealed(extract(SCILLY, GOOD, sequence=3), SCILLY)
    hub.put(SCILLY, hub.name(SCILLY, 3), whole[:-100])  # cut short
    for number, text in enumerate(wrecks(), 4):
        hub.put(SCILLY, hub.name(SCILLY, number), hub.sealed(text, SCILLY))
    looks(hub, 2, 3, 4, setting="POP-UP-CLINIC")
    assert watched.command("run", "nightly") == 3


def wrecks() -> list[bytes]:
    """Files that a spreadsheet or a text editor has spoilt."""
    text = extract(SCILLY, GOOD, sequence=9).decode()
    return [
        text.encode("cp1252", "replace"),
        text.encode("utf-16"),
        text.replace(",", ";").encode(),
        text.replace(FAMILY, f'"{FAMILY}').encode(),
        text.replace("\r\nT,", "\r\nX,").encode(),
        text.replace(f",{GIVEN}", f",{GIVEN},{GIVEN}").encode(),
        text.encode().replace(FAMILY.encode(), FAMILY.encode() + b"\0", 1),
    ]


def look_round(watched: Watched) -> None:
    """What an operator looks at afterwards."""
    for words in ("status --json", "files", "holds show 1", "deliveries", "register show", "register log", "register verify"):
        watched.command(*words.split())


def test_f68_the_search_finds_what_it_looks_for_and_the_canaries_were_there(watched):
    first_nights(watched)
    hub = watched.hub
    (path,) = hub.outbound("CHIS02", "CPIS_CHIS_CHIS02_2026F23_0001.csv")
    assert sighted(hub.opened(path, "CHIS")) == {"NHS number", "date of birth"}
    answers = [hub.plain(path, HACKNEY) for path in hub.outbound(HACKNEY, "CPIS_ACK")]
    assert set().union(*map(sighted, answers)) == {"child id"}, (
        "an answer names rows by line and by the sender's own id, in every form"
    )
    told = (hub.home / "operations" / "index.html").read_text() + (hub.home / "operations" / "metrics.prom").read_text()
    assert HACKNEY in told, "page and metrics are among what is searched"
    (watched.temporary / "planted").write_bytes(b"\0 before" + GIVEN.encode("utf-16-le") + b"after")
    assert list(watched.sightings()) == [f"the file {watched.temporary.name}/planted"]
    assert all(sighted(b"\0 before" + form + b"after") for form in CANARIES)
    assert not sighted(b"9990000000 2026-11-20 nothing")


def test_f68_nights_good_and_bad_leave_no_identifier_anywhere(watched):
    first_nights(watched)
    hub = watched.hub
    watched.command("holds", "release", "1", "--by", "J. Okafor", "--reason", "asked the authority")
    hub.next_night()
    put(hub, HACKNEY, 3, [row(1, end="2026-11-15"), row(2, delete="2026-11-15"), *GOOD[2:]])
    watched.command("run", "nightly")
    look_round(watched)
    watched.command("register", "asof", given=f"{nhs(1)}\n".encode(), keep=False)  # it is asked about a person, and answers
    assert watched.sightings() == {}


def test_f68_runs_that_break_off_leave_no_identifier_anywhere(watched):
    first_nights(watched)
    hub = watched.hub
    hub.next_night()
    put(hub, HACKNEY, 3, GOOD)
    looks(hub, 3, 5)
    for number, what in enumerate(("fsync:signal=KILL:when=4", "fdatasync:signal=KILL:when=3", "write:error=ENOSPC:when=12")):
        done = injected(hub, what)
        watched.said[f"broken off {number}"] = (done.stdout + done.stderr).encode()
        assert done.returncode in (-9, 74), done.stderr
        assert watched.sightings() == {}, what

    key = hub.home / "keys" / "master.key"
    right = key.read_bytes()
    key.write_bytes(right[::-1].strip() + b"\n")
    assert watched.command("run", "nightly") != 0
    key.write_bytes(right)

    with hub.catalogue() as catalogue:
        part = hub.home / "register" / f"{catalogue.las()[0].plans_part}.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    assert watched.command("run", "nightly") == 74
    part.write_bytes(whole)

    (hub.home / "reference" / "la_chis.csv").write_text(f"la_gss_code,chis_code\n{HACKNEY},\n")
    assert watched.command("run", "nightly") == 78
    look_round(watched)
    assert watched.sightings() == {}


@pytest.mark.parametrize("column", ["start_date", "date_of_birth"])
def test_f68_an_exception_of_a_library_that_quotes_a_record_is_told_without_its_words(watched, column):
    """Rows of the last release with text where dates belong: Arrow quotes the value that it cannot convert."""
    hub = watched.hub
    put(hub, HACKNEY, 1, GOOD)
    assert watched.command("run", "nightly") == 3, "two authorities have never sent a file"
    store = PartStore(hub.home / "register", load_master_key(hub.home, config.load(hub.home)))
    with hub.catalogue() as catalogue:
        rows = store.read(catalogue.releases()[-1].rows_part)
        spoilt = pa.array([f"{FAMILY} {nhs(1)} {born(1)}"] * rows.num_rows)
        part = store.write(rows.set_column(rows.schema.get_field_index(column), column, spoilt))
        catalogue.table("UPDATE releases SET rows_part = ? RETURNING 1", (part.digest,))
    hub.next_night(14)
    put(hub, HACKNEY, 2, GOOD[1:])
    assert watched.command("run", "nightly") == 70
    assert watched.command("run", "nightly", "--json") == 70
    assert watched.sightings() == {}
    log = (hub.home / "logs" / f"{hub.now.date()}.jsonl").read_text()
    assert "ArrowInvalid" in log, "of what kind it was is told, so that the fault can be found"


def test_f69_what_a_partner_writes_where_only_names_are_looked_at_reaches_no_log_and_no_terminal(watched):
    hub = watched.hub
    inbound = hub.root / HACKNEY / "inbound"
    hostile = [f"CPIS_{nhs(1)}.csv.pgp", "CPIS_\x1b[31m\nroot: all is well\u202e.csv.pgp", f"{FAMILY}.xlsx", "a" * 250]
    for name in hostile:
        (inbound / name).write_bytes(b"x")
    put(hub, HACKNEY, 1, GOOD)
    watched.command("run", "nightly")
    watched.command("run", "nightly", "--json")
    look_round(watched)
    for name in hostile:
        assert (inbound / name).exists(), "it is not ours to take"
        (inbound / name).unlink()
    assert watched.sightings() == {}
    outputs = b"".join(said for what, said in watched.said.items() if what.endswith("output"))
    assert b"\x1b" not in outputs
    assert b"all is well" not in outputs
    for path in (hub.home / "logs").iterdir():
        for line in path.read_bytes().splitlines():
            assert b"\x1b" not in line
            assert isinstance(json.loads(line), dict)
