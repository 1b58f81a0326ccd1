"""A plugin of pytest, `-p tests.pages.recorder`: keeps what tests hold to the rules, for the desk page to be held to as well.

The tests run as ever; each file that they check is written, with whose it is to be and the day, into $CPIS_RECORD.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from datetime import date
from hashlib import sha256
from pathlib import Path

from cpis_batch.intake import check, read
from tests.builders import TODAY

BIGGEST = 1_000_000  # bytes: a file of two million lines goes into a browser by another test

_read, _check = read.read_extract, check.check
_bytes: dict[int, bytes] = {}


def _reading(data: bytes, **limits: int) -> read.Reading:
    reading = _read(data, **limits)
    _bytes[id(reading)] = data
    _keep(data, "", TODAY)
    return reading


def _checking(reading: read.Reading, context: check.CheckContext) -> check.Verdict:
    _keep(_bytes[id(reading)], context.la_code, context.business_date)
    return _check(reading, context)


def _keep(data: bytes, la_code: str, today: date) -> None:
    if len(data) > BIGGEST:
        return
    text = json.dumps({"data": b64encode(data).decode(), "la_code": la_code, "today": today.isoformat()})
    Path(os.environ["CPIS_RECORD"], sha256(text.encode()).hexdigest()).write_text(text, "utf-8")


# Before any test is imported, so that all of them get these.
read.read_extract, check.check = _reading, _checking
