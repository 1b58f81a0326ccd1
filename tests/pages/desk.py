# ruff: noqa: E501, RUF001 - it is tables of what is odd, and looks like what it is not
"""What the desk page is held to: files of every sort, and what the program itself says of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from cpis_batch.intake import file_facts
from cpis_batch.intake.check import CheckContext, Verdict, check_all
from cpis_batch.intake.read import form, read_extract
from cpis_batch.spec import folder
from cpis_batch.vocabulary import Environment
from tests.builders import HACKNEY, TODAY, nhs
from tests.extracts import d, extract, h
from tests.fuzz.mutate import NASTY, mutant

ROOT = Path(__file__).parents[2]
SAMPLES = folder().parent / "sample_data" / "la-extract"
RULE_TESTS = ("tests/unit/rules", "tests/unit/test_read.py", "tests/unit/test_read_samples.py")


@dataclass(frozen=True, slots=True)
class File:
    """A file, the day and the authority ("": whomever its header names) to check it as."""

    data: bytes
    today: date = TODAY
    la_code: str = ""


def of_program(files: list[File]) -> list[dict[str, Any]]:
    """The verdicts of `cpis-la check`, in the form that the page gives them."""
    readings = [read_extract(file.data) for file in files]
    together: dict[tuple[date, str], list[tuple[int, str]]] = {}
    for place, (file, reading) in enumerate(zip(files, readings, strict=True)):
        known = file_facts.facts(reading)
        environment = "LIVE" if known["environment"] == "LIVE" else "TEST"
        together.setdefault((file.today, environment), []).append((place, file.la_code or known["la_code"] or ""))
    found: dict[int, dict[str, Any]] = {}
    for (today, environment), some in together.items():
        contexts = [CheckContext(la_code, Environment(environment), today) for _, la_code in some]
        verdicts = check_all([readings[place] for place, _ in some], contexts)
        found |= {place: _told(verdict) for (place, _), verdict in zip(some, verdicts, strict=True)}
    return [found[place] for place in range(len(files))]


def _told(verdict: Verdict) -> dict[str, Any]:
    header = verdict.header
    return {
        "outcome": str(verdict.file_outcome),
        "rows": verdict.outcomes.num_rows,
        "loads": verdict.accepted.num_rows,
        "faults": [{"childId": fault.pop("child_id")} | fault for fault in verdict.faults.to_pylist()],
        "outcomes": verdict.outcomes.select(["line", "outcome"]).to_pylist(),
        "header": header
        and {
            "laCode": header.la_code,
            "kind": str(header.kind),
            "sequence": header.sequence,
            "environment": str(header.environment),
        },
    }


def samples() -> list[File]:
    """The worked examples."""
    return [File(path.read_bytes()) for path in sorted(SAMPLES.glob("*.csv")) if ".expected." not in path.name]


def of_rule_tests(record: Path) -> list[File]:
    """Every file that the tests of the rules and of the reader check; they are run for that."""
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.pages.recorder", "-p", "no:cacheprovider", "-p", "no:randomly", *RULE_TESTS],
        cwd=ROOT, env=os.environ | {"CPIS_RECORD": str(record)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout
    kept = [json.loads(path.read_text("utf-8")) for path in sorted(record.iterdir())]
    return [File(b64decode(one["data"]), date.fromisoformat(one["today"]), one["la_code"]) for one in kept]


def harmed() -> list[File]:
    """One good file, harmed as a whole in every way that has a name, and its header in every field."""
    rows = [d(child) for child in range(1, 4)]
    good = extract(*rows)
    text = good.decode()
    whole = [
        b"", b" \r\n\t\x0b", b"\xef\xbb\xbf", b"\xef\xbb\xbf" + good, b"\xef\xbb\xbf" * 2 + good, b",,\n" + good, b"\n\n" + good + b"\n\n",
        text.encode("utf-16"), text.encode("utf-16-le"), text.encode("utf-16-be"), text.encode("utf-32"), text.encode("utf-32-le"),
        text.encode("cp1252"), good + "D,Zo\u00eb".encode("cp1252"), b"\xef\xbb\xbf" + text.encode("cp1252"), good[:-9] + b"\xe2\x82",
        good.replace(b"\xc3\xab", b"\xed\xa0\x80"), good.replace(b"\xc3\xab", b"\xc0\xaf"), good.replace(b"\xc3\xab", b"\xf5\x80\x80\x80"),
        good.replace(b"Zo", b"Z\0o", 1), good.replace(b"\r\n", b"\r"), good.replace(b"\r\n", b"\n"), good.replace(b"\r\n", b"\r\r\n"),
        good.replace(b"\r\n", b"\r", 1), good.replace(b"\r\n", b"\r", 2), b"sep=,\r\n" + good, b'"SEP=;"\r\n' + good,
        good.replace(b",", b";"), good.replace(b",", b"\t"), good.replace(b",", b"|"), good[:60], good[:-30], good + good, good + good[200:],
        ",".join(form().detail.names).encode() + b"\r\n" + good, b'"RECORD_TYPE", "nhs_number"\r\n' + good, b"record_type,x,,\n" + good,
        ",".join(form().header.names).upper().encode() + b",,\r\n" + good, good.replace(b",,\r\n", b",,x,y\r\n"), b"x" * 4097 + good,
        b"x" * 4096 + b"\n" + good, good.replace(b"T,3", b"T,4"), good.replace(b"T,3", b"T ,03,,"), good.replace(b"T,3", b'"T",3'),
        good.replace(b"T,3", b"T,3,9,"), good.replace(b"T,3", b't,3'), good.replace(b"T,3", b"D,3"), good.replace(b"H,", b'"H,'), b"H\n", b"D\nT",
        b'H,"CPIS-LA-EXTRACT"\r\nT,0,0', b"T,0,0\n" + good, b"record_type\n", b"record_type,\n", extract(), extract(trailer="T,0,00000000000"), extract(trailer="T,x,0"),
    ]  # fmt: skip
    fields = {name: _HEADERS.get(name, ()) for name in form().header.names[1:]}
    headers = [h(**{name: value}) for name, values in fields.items() for value in (*values, *_ANYWHERE)]
    return [File(data) for data in (*whole, *(extract(*rows, header=one) for one in headers))]


def mutants(dice: Random, count: int) -> list[File]:
    """Examples with bytes, fields and lines changed: most are refused as a whole."""
    whole = [file.data for file in samples()]
    return [File(mutant(whole, dice), _day(dice)) for _ in range(count)]


def odd_rows(dice: Random, count: int, rows: int = 60) -> list[File]:
    """Files in which all is odd but header and trailer, so that every row is looked at."""
    return [File(_trailed([h(), *(_odd_row(dice) for _ in range(rows))], dice), _day(dice), HACKNEY) for _ in range(count)]


def _day(dice: Random) -> date:
    return dice.choice((TODAY, TODAY, date(2026, 2, 28), date(2024, 2, 29), date(2035, 1, 1)))


def _trailed(lines: list[str], dice: Random) -> bytes:
    """The lines with the trailer that fits them, as the program counts; the line ends are any that it takes."""
    end = dice.choice(("\n", "\r\n"))
    text = "".join(line + end for line in lines)
    facts = file_facts.facts(read_extract(f"{text}T,0,0{end}".encode()))
    return f"{text}T,{facts['detail_lines']},{facts['counted_hash'] or 0}{end}".encode()


def _odd_row(dice: Random) -> str:
    child = dice.randrange(1, 40)
    fields = {name: _odd(name, dice) for name in _FIELDS if dice.random() < 0.3}
    if dice.random() < 0.4:  # nothing odd in it, so that it meets other rows of its child
        fields = {"start_date": dice.choice(_STARTS), "end_date": dice.choice(("", "", "2026-03-01", "2026-08-31"))}
    line = d(child, **({"plan_type": dice.choice(("CPP", "LAC", "UCPP"))} | fields))
    match dice.randrange(12):
        case 0:
            at = dice.randint(0, len(line))
            return line[:at] + dice.choice(('"', '""', ",", ",,", " ", "\t", "D", "H", "T")) + line[at:]
        case 1:
            at = dice.randint(1, len(line))
            return line[:at] + line[at + dice.randint(1, 9) :]
        case 2:
            return line + dice.choice((",", ",,,", ', ,""', " ", ",x"))
        case 3:
            return dice.choice((line.replace("D,", dice.choice(('"D",', "D ,", "D\t,", "d,", "DD,")), 1), line))
        case _:
            return line


_ANYWHERE = ("", " ", "x", '"', "\u0661", "a, b", "NULL", "\u00a01")
_HEADERS = {
    "format": ("cpis-la-extract", " CPIS-LA-EXTRACT "),
    "version": ("1", "1.1", "2.0", " 1.0"),
    "environment": ("LIVE", "test", " TEST"),
    "la_code": ("E0900001", "e09000012", "204", "E09000033", "E09000012\u00a0"),
    "kind": ("full", "DELTA", "FULL "),
    "sequence": ("0", "00", "1", "0000000001", "99999999", "100000000", "-1", "1.0", "1e3"),
    "extracted_at": (
        "2026-11-19", "2026-11-19T23:40:00", "2026-11-19T23:40:00Z", "2026-11-19 23:40:00Z", "2026-11-19T24:00:00Z", "2026-11-19T23:60:00Z",
        "2026-11-19T23:59:60Z", "2026-11-19T23:40:00.123456+01:00", "2026-11-19T23:40:00.1234567Z", "2026-11-19T23:40:00+01:75",
        "2026-11-19T23:40:00+24:00", "2026-11-19T23:40:00-23:59", "2026-11-19T23:40:00+23:99", "2026-02-29T00:00:00Z", "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-00:01",
        "2026-11-21T23:59:59.999999Z", "2026-11-22T00:00:00Z", "2026-11-22T01:00:00+01:00", "2026-10-20T00:00:00Z", "2026-10-19T23:59:59Z",
    ),
    "office_phone": ("020", "+44 (0)20 7946-0100", "020 7946 0100 ext 3"),
    "emergency_phone": ("0" * 32, "0" * 31, "o20 7946 0100"),
}  # fmt: skip

_FIELDS = (
    "nhs_number", "child_id", "family_name", "given_name", "date_of_birth", "plan_type", "start_date", "end_date", "delete_date",
)  # fmt: skip
_DATES = (
    "2026-02-11", "2019-04-30", "2024-02-29", "2023-02-29", "2026-11-25", "2027-06-01", "2030-01-01", "1899-12-31", "1900-01-01",
    "2008-11-19", "2008-11-20", "2008-11-21", "2001-02-28", "2025-11-19", "9999-12-31", "0001-01-01", "0000-01-01", "2026-2-1",
    "01/02/2024", "13/02/2024", "02/13/2024", "1.2.24", "1 Feb 24", "45337", "45337.5", "20240201", "2024/2/1",
    "2024-02-01 00:00:00", "2024-02-01T00:00", "2024-13-01", " 2026-02-11 ", "infinity", "epoch", "today", "2024-02-01 BC", "-2024-2-1",
)  # fmt: skip
_NUMBERS = (
    "999 000 0018", "999-000-0018", "9.99E+09", "9,99E9", "=\"9990000018\"", "'9990000018", "9990000018.0", "９９９００００018",
    "\u0669\u0669\u0669", "ABC 123456", "ABCDE/1-2 X", "99900OOO18", "999000001", "99900000181", "9999999999", "0000000000", "9990000019",
    "4857773456", " ", "--", "\u00a09990000018", "999\u20130000018",
)  # fmt: skip
_STARTS = ("2026-02-11", "2026-02-12", "2026-03-01", "2026-09-01")
_TYPES = ("CPP", "LAC", "UCPP", "cpp", "CIN", " CPP ", "2024-02-01", "C\u0420P")
_NAMES = (
    "\ufeff", "\ufeffAnn", "Null", "NA", "None", "Fernando", "unknown", " Not Known ", "n/k", "TBC", "Baby Girl of", "twin 2", "xxx", "X", "Test", "O'Brien",
    "Zoë", "Zoe\u0308", "ZoÃ«", "\ufffd", "=cmd", "+1", "-a", "@x", "＝x", "\u200bAnn", "An\tn", "\u202eAnn", "123", "١٢", "Ωμέγα",
    "李", "\u0130", "ſ", "K\u212a", "ΐ", "\u1e9b\u0323", "\U0001d15e", "한", "\u1112\u1161\u11ab", "\uff21\uff22", "A\u0301\u0323",
    "Smith, Jones", 'The "Duke"', "\u2028", "\x7f", "\x85", "\u00ad", "a\u0000b".replace("\u0000", "\x01"), "🧒", "\U000e0001",
)  # fmt: skip


def _odd(field: str, dice: Random) -> str:
    if dice.random() < 0.15:
        return "".join(chr(point) for point in _points(dice))
    if dice.random() < 0.15:
        return dice.choice(_NASTY)
    if "date" in field:
        return dice.choice(("", *_DATES))
    pools = {"nhs_number": (*_NUMBERS, nhs(dice.randrange(1, 40))), "plan_type": _TYPES}
    return dice.choice(("", *pools.get(field, _NAMES)))


def _points(dice: Random) -> Iterator[int]:
    """Any characters but those that end a line, of which the reader has tests of its own."""
    for _ in range(dice.randint(1, 6)):
        point = dice.choice((dice.randrange(1, 0x250), dice.randrange(1, 0x3000), dice.randrange(1, 0x110000)))
        yield 0x41 if point in (10, 13) or 0xD800 <= point < 0xE000 else point


_NASTY = tuple(
    text for text in (one.decode("utf-8", "ignore") for one in NASTY if len(one) < 100) if not set(text) & set("\0\r\n")
)
