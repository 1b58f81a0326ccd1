"""A run told to those who watch: the page, the metrics, the dead-man's switch. Whatever fails here changes nothing of the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cpis_batch import catalogue, config, files, partners, status
from cpis_batch.business_time import business_date
from cpis_batch.catalogue import Catalogue
from cpis_batch.config import Settings
from cpis_batch.envelope.inventory import inventory
from cpis_batch.errors import ConfigFault, CpisError, Exit, Locked, exit_code_of, place_of
from cpis_batch.operations import page, ping
from cpis_batch.operations.overview import Overview, Trouble, gather
from cpis_batch.partners import Partner
from cpis_batch.runs import lock, log
from cpis_batch.runs.hub import Hub

_WELL = (Exit.DONE, Exit.PERSON_NEEDED)


def begun(hub: Hub, kind: str) -> list[str]:
    """Call the switch as a run begins; what could not be told."""
    return _told({"start of the run": lambda: _call(hub.home, hub.settings, kind, "start", b"")})


def ended(hub: Hub, kind: str, code: Exit, standing: Mapping[str, Any] | None = None) -> list[str]:
    """Write page and metrics, and call the switch, as a run ends; what could not be told. `standing`: the status, if known."""
    outcome = "done" if code in _WELL else "failed"
    return publish(hub, standing) + _told(
        {"end of the run": lambda: _call(hub.home, hub.settings, kind, outcome, str(int(code)).encode())}
    )


def publish(hub: Hub, standing: Mapping[str, Any] | None = None) -> list[str]:
    """Write page and metrics anew, for whoever holds the home's lock; what could not be written."""
    made_at = hub.now + timedelta(seconds=hub.stages.elapsed)
    return _write(hub.home, hub.settings, lambda: look(hub.home, hub.settings, hub.partners, hub.catalogue, made_at, standing))


def not_begun(home: Path, kind: str, now: datetime, fault: Exception) -> None:
    """Tell of a run that could not open its home, where the settings at least can be read. One that found the lock taken is none:
    the run that holds it tells of itself.
    """
    if isinstance(fault, Locked):
        return
    with suppress(Exception):
        settings = config.load(home)
        code = exit_code_of(fault)
        trouble = Trouble(kind, int(code), f"{fault.message} {fault.advice}" if isinstance(fault, CpisError) else place_of(fault))

        def found() -> Overview:
            with Catalogue(home / catalogue.FILE_NAME) as opened:
                return look(home, settings, partners.load(home), opened, now, trouble=trouble)

        with suppress(CpisError), lock.exclusive(home, "the operations page"):
            _write(home, settings, found, lambda: page.of_trouble(trouble, settings.service.name, now))
        _call(home, settings, kind, "failed", str(int(code)).encode())


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
        inventory(home, settings, business_date(made_at)),
        name=settings.service.name,
        made_at=made_at,
        trouble=trouble,
    )


def _write(
    home: Path, settings: Settings, found: Callable[[], Overview], otherwise: Callable[[], bytes] | None = None
) -> list[str]:
    """Write what the settings ask for. `otherwise` makes the page where nothing can be found out."""
    wanted = settings.operations
    if not wanted.page and not wanted.metrics:
        return []
    overview: list[Overview] = []
    warnings = _told({"operations page": lambda: overview.append(found())})
    to_do: dict[str, Callable[[], None]] = {}
    if wanted.page and (overview or otherwise):
        to_do["operations page"] = lambda: files.write(
            home / wanted.page,
            page.of_overview(overview[0]) if overview else otherwise() if otherwise else b"",
            mode=wanted.page_mode,
            umask=False,
        )
    if wanted.metrics and overview:
        to_do["metrics"] = lambda: files.write(
            home / wanted.metrics, _metrics(overview[0]), mode=wanted.metrics_mode, umask=False
        )
    return warnings + _told(to_do)


def _metrics(overview: Overview) -> bytes:
    from cpis_batch.operations.metrics import metrics  # half of what the program takes to start, where nobody collects them

    return metrics(overview)


def _call(home: Path, settings: Settings, kind: str, which: str, body: bytes) -> None:
    """Call one address of the switch, if runs of this kind do; ConfigFault, KeyFault where that cannot be done or fails."""
    wanted = settings.operations.ping
    reference = getattr(wanted, which)
    if reference is None or kind not in wanted.runs:
        return
    address = config.secret(home, reference).decode("utf-8", "replace")
    if why := ping.call(address, body, wanted.seconds):
        raise ConfigFault(f"[operations.ping] {which}: {why}.")


def _told(to_do: Mapping[str, Callable[[], None]]) -> list[str]:
    """Do each; what failed of it in words, which are in the log too, where it can be written."""
    warnings = []
    for what, step in to_do.items():
        try:
            step()
        except Exception as fault:  # noqa: BLE001 - whatever it is: the run has done what it has done
            why = fault.message if isinstance(fault, CpisError) else _words(fault)
            warnings.append(f"Not told to those who watch, {what}: {why}")
            with suppress(Exception):
                log.event("not told", logging.WARNING, channel=what, fault=why)
    return warnings


def _words(fault: Exception) -> str:
    """Of what the system refuses, what and where; of anything else its type and place, since it may quote what it was given."""
    if isinstance(fault, OSError) and fault.strerror:
        return f"{fault.strerror}: {fault.filename}" if fault.filename else fault.strerror
    return place_of(fault)
