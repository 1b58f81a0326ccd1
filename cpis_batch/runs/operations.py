"""A run told to those who watch: the page, the metrics, the dead-man's switch. Whatever fails here changes nothing of the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from cpis_batch import catalogue, config, files, partners, status
from cpis_batch.business_time import business_date
from cpis_batch.catalogue import Catalogue
from cpis_batch.config import Operations, Settings
from cpis_batch.envelope.inventory import inventory
from cpis_batch.errors import ConfigFault, CpisError, Exit, Locked, UsageFault, exit_code_of, place_of
from cpis_batch.operations import ping
from cpis_batch.operations.overview import Overview, Trouble, gather
from cpis_batch.operations.page import of_overview, of_trouble
from cpis_batch.partners import Partner
from cpis_batch.runs import lock, log
from cpis_batch.runs.hub import Hub

_WELL = (Exit.DONE, Exit.PERSON_NEEDED)


def begun(hub: Hub, kind: str) -> list[str]:
    """Call the switch as a run begins; what could not be told."""
    return _told("start of the run", lambda: _call(hub.home, hub.settings, kind, "start", b""))


def ended(hub: Hub, kind: str, code: Exit, standing: Mapping[str, Any] | None = None) -> list[str]:
    """Write page and metrics, and call the switch, as a run ends; what could not be told. `standing`: the status, if known."""
    which, body = "done" if code in _WELL else "failed", str(int(code)).encode()
    warnings = publish(hub, standing)
    return warnings + _told("end of the run", lambda: _call(hub.home, hub.settings, kind, which, body))


def publish(hub: Hub, standing: Mapping[str, Any] | None = None) -> list[str]:
    """Write page and metrics anew, for whoever holds the home's lock; what could not be written."""
    at = hub.now + timedelta(seconds=hub.stages.elapsed)
    return _write(
        hub.home, hub.settings.operations, lambda: look(hub.home, hub.settings, hub.partners, hub.catalogue, at, standing)
    )


def not_begun(home: Path, kind: str, on: date, now: datetime, fault: Exception) -> None:
    """Tell of a run that could not open its home, where the settings at least can be read.

    Not of one that found the lock taken, since the run that holds it tells of itself; nor of one that was asked for wrongly.
    """
    if isinstance(fault, Locked | UsageFault):
        return
    code = exit_code_of(fault)
    why, advice = (fault.message, fault.advice) if isinstance(fault, CpisError) else (place_of(fault), "")
    trouble = Trouble(kind, int(code), f"{why} {advice}".rstrip())
    with suppress(Exception):
        log.start(home, on)
        log.event("run not begun", logging.ERROR, kind=kind, business_date=on, fault=why, exit_code=int(code))
    with suppress(Exception):
        settings = config.load(home)

        def found() -> Overview:
            with Catalogue(home / catalogue.FILE_NAME) as opened:
                return look(home, settings, partners.load(home), opened, now, trouble=trouble)

        with suppress(CpisError), lock.exclusive(home, "the operations page"):
            _write(home, settings.operations, found, lambda: of_trouble(trouble, settings.service.name, now))
        _told("end of the run", lambda: _call(home, settings, kind, "failed", str(int(code)).encode()))
    with suppress(Exception):
        log.stop()


def look(
    home: Path,
    settings: Settings,
    known: Mapping[str, Partner],
    opened: Catalogue,
    made_at: datetime,
    standing: Mapping[str, Any] | None = None,
    trouble: Trouble | None = None,
) -> Overview:
    """What stands, from the catalogue and the keys."""
    return gather(
        opened,
        standing or status.status(opened, settings, dict(known), made_at),
        known,
        inventory(home, settings, business_date(made_at), known),
        name=settings.service.name,
        made_at=made_at,
        trouble=trouble,
    )


def write(overview: Overview, wanted: Operations, *, page: Path | None, metrics: Path | None) -> None:
    """Write the page, the metrics or both. DiskFault where the disk refuses."""
    if page:
        files.write(page, of_overview(overview), mode=wanted.page_mode, umask=False)
    if metrics:
        from cpis_batch.operations import metrics as made  # half of what the program takes to start, where nobody collects them

        files.write(metrics, made.metrics(overview), mode=wanted.metrics_mode, umask=False)


def _write(
    home: Path, wanted: Operations, found: Callable[[], Overview], otherwise: Callable[[], bytes] | None = None
) -> list[str]:
    """Write what the settings ask for; what could not be. `otherwise` makes the page where nothing can be found out."""
    page = home / wanted.page if wanted.page else None
    metrics = home / wanted.metrics if wanted.metrics else None
    if page is None and metrics is None:
        return []
    looked: list[Overview] = []
    warnings = _told("operations page and metrics", lambda: looked.append(found()))
    if looked:
        (overview,) = looked
        if page:
            warnings += _told("operations page", lambda: write(overview, wanted, page=page, metrics=None))
        if metrics:
            warnings += _told("metrics", lambda: write(overview, wanted, page=None, metrics=metrics))
    elif page and otherwise:
        warnings += _told("operations page", lambda: files.write(page, otherwise(), mode=wanted.page_mode, umask=False))
    return warnings


def _call(home: Path, settings: Settings, kind: str, which: str, body: bytes) -> None:
    """Call one address of the switch, if runs of this kind do; ConfigFault, KeyFault where that cannot be done or fails."""
    wanted = settings.operations.ping
    reference = getattr(wanted, which)
    if reference is None or kind not in wanted.runs:
        return
    address = config.secret(home, reference).decode("utf-8", "replace")
    if why := ping.call(address, body, wanted.seconds):
        raise ConfigFault(f"[operations.ping] {which}: {why}.")


def _told(what: str, step: Callable[[], None]) -> list[str]:
    """Do it; if it fails, why, in words that are in the log too, where that can be written."""
    try:
        step()
    except Exception as fault:  # noqa: BLE001 - whatever it is: the run has done what it has done
        why = fault.message if isinstance(fault, CpisError) else _words(fault)
        with suppress(Exception):
            log.event("not told", logging.WARNING, channel=what, fault=why)
        return [f"Not told to those who watch, {what}: {why}"]
    return []


def _words(fault: Exception) -> str:
    """Of what the system refuses, what and where; of anything else its type and place, since it may quote what it was given."""
    if isinstance(fault, OSError) and fault.strerror:
        return f"{fault.strerror}: {fault.filename}" if fault.filename else fault.strerror
    return place_of(fault)
