"""The run's log: JSON lines under `logs/`, a file a business date. Codes, counts and file digests; never a value of a record."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime
from pathlib import Path

_NAME = "cpis_batch"
_run: int | None = None  # the run whose log this is, in every line of it
_NOWHERE = logging.NullHandler()  # where no run is at work, else the library would print what is logged
logging.getLogger(_NAME).addHandler(_NOWHERE)


class _File(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the signature is logging's
        """Fail the run instead of printing a traceback and going on without a log."""
        raise  # noqa: PLE0704 - called by logging while it handles the exception


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One event: instant, level, run, what, and the fields of `extra={"fields": {...}}`; control characters escaped."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname, "run": _run, "event": record.getMessage()}
        return json.dumps(line | getattr(record, "fields", {}), ensure_ascii=True, default=str)


def start(home: Path, business_date: date) -> None:
    """Send the program's log to the file of the business date."""
    folder = home / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    logger = logging.getLogger(_NAME)
    stop()
    handler = _File(folder / f"{business_date.isoformat()}.jsonl", encoding="ascii")
    handler.setFormatter(_JsonLines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def of_run(number: int) -> None:
    """Whose log it is from now on: the run's number stands in every line until it stops."""
    global _run  # noqa: PLW0603 - as the handlers, it is the process's
    _run = number


def stop() -> None:
    """Close the log."""
    global _run  # noqa: PLW0603
    _run = None
    logger = logging.getLogger(_NAME)
    for handler in list(logger.handlers):
        if handler is not _NOWHERE:
            logger.removeHandler(handler)
            handler.close()


def event(what: str, level: int = logging.INFO, **fields: object) -> None:
    """Write one event with its fields."""
    logging.getLogger(_NAME).log(level, what, extra={"fields": fields})
