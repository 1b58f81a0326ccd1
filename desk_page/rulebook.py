"""The rules as the page carries them: the very SQL, words and columns of the program, as one JSON document."""

from __future__ import annotations

import json
from typing import Any

from cpis_batch import __version__
from cpis_batch.intake import check, faults, file_facts, read, records
from cpis_batch.intake.answering import RULES_VERSION
from cpis_batch.intake.lines import LINES_MAX
from cpis_batch.intake.rules import ACROSS_RULES, ALL, FILE_RULES, ROW_RULES, Rule, across, columns, nhs_number

_INSTANT = "extracted_instant"  # comes in milliseconds: what a browser reckons time in
_TYPES = {"int64": "integer", "string": "text", "bool": "boolean"}

# The rows that would load by themselves, of persons with more than one: across.crowded, without numpy.
_CROWDED = f"""
SELECT {", ".join("0 AS file" if name == "file" else name for name in across.COLUMNS)} FROM rows
WHERE line NOT IN (SELECT line FROM found WHERE severity = 'ERROR') QUALIFY count(*) OVER (PARTITION BY nhs_value) > 1
"""


def document() -> dict[str, Any]:
    """The document; `rulebook.ts` says what is in it."""
    form = read.form()
    return {
        "program": __version__,
        "rules_version": RULES_VERSION,
        "format": read.FORMAT,
        "supported": [read.VERSION],
        "line_bytes": read.LINE_BYTES,
        "lines_max": LINES_MAX,
        "form": {part: list(getattr(form, part).names) for part in records.Form.__slots__},
        "facts": {
            **{field.name: _TYPES[str(field.type)] for field in file_facts.SCHEMA if field.name != _INSTANT},
            "extracted_milliseconds": "integer",
            "folder_la_code": "text",
            "place": "integer",
        },
        "rules": [_rule(rule) for rule in ALL],
        "old_style": nhs_number.OLD_STYLE,
        "gravest": [str(outcome) for outcome in check.GRAVEST],
        "sql": {
            "file": _of_file(),
            "typed": columns.TYPED,
            "alone": _groups(ROW_RULES),
            "crowded": _CROWDED,
            "across": _groups(ACROSS_RULES, across.COMPARED),
        },
    }


def as_json() -> str:
    """The document, safe inside a page's script element: no `<` that could end it."""
    return json.dumps(document(), ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


def _rule(rule: Rule) -> dict[str, str | None]:
    told = {name: str(getattr(rule, name)) for name in ("code", "scope", "severity", "outcome", "cause", "cure")}
    return {**told, "field": rule.fields[0] if rule.fields else None}


def _of_file() -> str:
    seconds = f"make_timestamp(extracted_milliseconds * 1000) AS {_INSTANT}"
    sql = faults.sql_of_files(FILE_RULES)
    inside = "FROM file)"
    assert sql.count(inside) == 1, "the file's facts are read at one place"
    return sql.replace(inside, f"FROM (SELECT *, {seconds} FROM file))")


def _groups(rules: tuple[Rule, ...], source: str = "FROM rows") -> list[dict[str, str]]:
    given = dict.fromkeys(rule.given for rule in rules)
    return [{"given": one, "sql": faults.sql_of_rows([rule for rule in rules if rule.given == one], source)} for one in given]
