"""The forms of an answer (specs/acknowledgement/1.0): CSV and JSON for programs, a page and a workbook for people, in one zip.

Pure: an Answer in, bytes out. All four say the same; CSV and JSON say it of every row, page and workbook tell those that somebody
has to look at.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch import csv_text, engine
from cpis_batch.audit.witness import WITNESS
from cpis_batch.business_time import text_of
from cpis_batch.intake import answer_page, answer_workbook
from cpis_batch.intake.acknowledge import FORMAT, VERSION, Answer, Match, bundle, counts, match_sentence, sentence, told
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Change, MessageType

_ROWS_AT_ONCE = 10_000  # of the lists in JSON


def _to_json(answer: Answer, tally: Mapping[str, int], changes: pa.Table) -> bytes:
    """The answer as one JSON document (specs/acknowledgement/1.0/acknowledgement.schema.json)."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "message_type": MessageType.ACKNOWLEDGEMENT,
        "reference": answer.reference,
        "la": {"code": answer.la_code, "name": answer.la_name},
        "answered_at": text_of(answer.answered_at),
        "file": {
            "name": answer.file_name,
            "digest": answer.file_digest,
            "received_at": text_of(answer.received_at),
            "sequence": answer.sequence,
            "kind": answer.kind,
            "extracted_at": text_of(answer.extracted_at) if answer.extracted_at else None,
            "state": answer.state,
            "outcome": answer.outcome,
            "code": answer.code,
        },
        "sentence": sentence(answer, tally),
        "counts": tally,
        "notices": answer.notices,
        "held_because": answer.holds,
        "faults": [],
        "records": [],
        "changes": [],
        "missing": [],
        "match": answer.match,
        "to_check": [],
        "audit": answer.audit,
    }
    lists = {
        "faults": answer.faults,
        "records": answer.outcomes,
        "changes": changes,
        "missing": answer.missing,
        "to_check": answer.to_check,
    }
    written = io.BytesIO()
    written.writelines(_filled(msgspec.json.format(msgspec.json.encode(document), indent=1), lists))
    return written.getvalue()


def _filled(document: bytes, lists: Mapping[str, pa.Table]) -> Iterator[bytes]:
    """A formatted document in whose place of each empty list the rows of a table stand, some of them at a time.

    As Python's values 450,000 rows take a gigabyte. No text in the document can look like an empty list of it: in JSON's texts a
    line does not break.
    """
    for name, rows in lists.items():
        before, empty, document = document.partition(b'\n "%s": []' % name.encode())
        yield before
        yield empty[:-1]
        for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
            some = msgspec.json.encode([told(rows.slice(start, _ROWS_AT_ONCE))])
            within = msgspec.json.format(some, indent=1).removeprefix(b"[\n [").removesuffix(b"\n ]\n]")
            yield b"," + within if start else within
        yield b"\n ]" if rows.num_rows else b"]"
    yield document


def listed_changes(answer: Answer) -> pa.Table:
    """What an answer lists of the changes: all but what stayed the same, and what is missing."""
    told = pc.invert(pc.is_in(answer.changes["change"], pa.array([Change.CONFIRMED, Change.MISSING])))
    order = ("change", "child_id", "plan_type", "start_date")
    return answer.changes.select([*order, "line"]).filter(told).sort_by([(name, "ascending") for name in order])


def _to_csv(answer: Answer, tally: Mapping[str, int], changes: pa.Table) -> bytes:
    """The answer as one CSV: a row a statement, told apart by `kind` (specs/acknowledgement/1.0/acknowledgement.schema.json)."""
    missing = answer.missing
    since = pc.binary_join_element_wise("not in your full extracts since", missing["missing_since"].cast(pa.string()), " ")
    head: list[dict[str, object]] = [
        {"kind": "FILE", "code": answer.code or answer.state, "outcome": answer.outcome, "text": sentence(answer, tally)},
        *({"kind": "COUNT", "code": name, "count": number} for name, number in tally.items()),
        *(dict[str, object](kind="NOTICE", code=one.code, text=one.text, cure=one.cure) for one in answer.notices),
        *(dict[str, object](kind="HOLD", text=reason) for reason in answer.holds),
        *_match_statements(answer.match),
        {"kind": "AUDIT", "code": str(answer.audit), "text": WITNESS},
    ]
    return csv_text.to_csv(
        pa.concat_tables(
            [
                _statements(pa.table({name: [row.get(name) for row in head] for name in _columns()})),
                _statements(answer.faults.rename_columns({"cause": "text"}), "FAULT"),
                _statements(answer.outcomes, "RECORD"),
                _statements(changes.rename_columns({"change": "code"}), "CHANGE"),
                _statements(missing.append_column("text", since), "MISSING"),
                _statements(answer.to_check.rename_columns({"check": "code", "what_to_check": "text"}), "TO_CHECK"),
            ]
        )
    )


def _match_statements(match: Match | None) -> list[dict[str, object]]:
    """The match rate as counts, of which those that nobody can tell yet are left out."""
    if match is None:
        return []
    counted = ("people", "answered", "matched", "rate", "change")
    found: list[dict[str, object]] = [
        {"kind": "MATCH", "code": name, "count": number} for name in counted if (number := getattr(match, name)) is not None
    ]
    return [{"kind": "MATCH", "code": "counted_on", "text": f"{match.counted_on}: {match_sentence(match)}"}, *found]


def _columns() -> tuple[str, ...]:
    return table_schema("acknowledgement", VERSION, "acknowledgement").names


def _statements(table: pa.Table, kind: str | None = None) -> pa.Table:
    """The columns of the CSV as text; those that `table` has not are empty. Column by column: an answer has a row a record."""
    absent = pa.nulls(table.num_rows, pa.string())
    given = {name: table[name].cast(pa.string()) for name in table.column_names} | (
        {"kind": pa.repeat(kind, table.num_rows)} if kind else {}
    )
    return pa.table({name: given.get(name, absent) for name in _columns()})


def grouped(faults: pa.Table) -> list[dict[str, Any]]:
    """Faults that are one mistake, with how many rows have it (`times`) and its first `LINES_SHOWN` places; errors first."""
    if not faults.num_rows:
        return []  # most files: to plan the query would take 4 ms
    found: list[dict[str, Any]] = engine.query(
        "SELECT code, severity, field, cause, cure, count(*) AS times,"
        " list({'line': line, 'child_id': child_id} ORDER BY line)[:$shown] AS places"
        " FROM faults GROUP BY ALL ORDER BY severity, times DESC, code, field",
        {"faults": faults},
        {"shown": answer_page.LINES_SHOWN},
    ).to_pylist()
    return found


def forms(answer: Answer) -> dict[str, bytes]:
    """The four forms by their names. What they have in common is made once."""
    tally, changes = counts(answer), listed_changes(answer)
    groups = grouped(answer.faults)
    return {
        "acknowledgement.csv": _to_csv(answer, tally, changes),
        "acknowledgement.json": _to_json(answer, tally, changes),
        "acknowledgement.html": answer_page.to_page(answer, tally, changes, groups),
        "acknowledgement.xlsx": answer_workbook.to_workbook(answer, tally, changes, groups),
    }


def render(answer: Answer) -> bytes:
    """The four forms in one zip."""
    return bundle(forms(answer))
