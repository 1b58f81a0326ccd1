"""The small evening that the sweeps start from: a few authorities, a night's files of every kind, a release due."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cpis_batch import config, partners
from tests.builders import HACKNEY, KENT, nhs
from tests.failure import strace_kit
from tests.hub import NATIONAL, Hub, plan_row
from tests.small_england import small_england

SCILLY = "E06000053"
BORN, FAMILY, GIVEN, LOOKER = "2019-04-30", "Canaryson", "Zoëcanary", "Jo Lookcanary"
_CHILDREN = range(1, 21)
_ONE_PROCESS = "[intake]\nworkers = 1\n"


def before_the_night(folder: Path, *, side_by_side: bool = False) -> Hub:
    """Two authorities with fourteen children each; tonight one file to merge, one that is no message, one for the brake, events.

    Every partner has a server of its own, and one process does all: so one thing happens after another, the same from night to
    night to the last page that SQLite writes. `side_by_side` there is a third authority, and one server, to which everything is
    delivered at once; `with_workers` then lets processes share the work.
    """
    las = (HACKNEY, KENT, SCILLY) if side_by_side else (HACKNEY, KENT)
    hub = small_england(folder, las=las)
    _settle_in(hub, one_server=side_by_side)
    children = [_row(child) for child in range(1, 15)]
    for la in las:
        hub.drop(la, children)
    hub.run()
    hub.next_night()
    hub.drop(HACKNEY, [_row(1, end="2026-11-15"), *children[1:], _row(20)])
    hub.put(HACKNEY, hub.name(HACKNEY, 3), b"no message at all")
    hub.drop(KENT, children[:3])  # the brake holds it
    if side_by_side:
        hub.drop(SCILLY, children)
    at = (hub.now - timedelta(days=1)).isoformat()
    looks = [f"D,e-{child},{at},{nhs(child)},PERSON,{LOOKER},R0050,,RX101,Seaside,EMERGENCY-DEPARTMENT,Y" for child in (1, 2, 3)]
    text = "\n".join([f"H,CPIS-ACCESS-EVENTS,1.0,TEST,1,{(hub.now - timedelta(hours=2)).isoformat()}", *looks, "T,3", ""])
    hub.put(NATIONAL, f"CPIS_EVENTS_00000001_{hub.now:%Y%m%dT%H%M%SZ}.csv.pgp", hub.sealed(text.encode(), NATIONAL))
    return hub


def _row(child: int, end: str = "") -> tuple[str, ...]:
    return tuple(plan_row(child, end=end, born=BORN, family=FAMILY, given=GIVEN))


def with_workers(hub: Hub, count: int) -> None:
    """Let the hub's runs use as many worker processes. Their server must not run yet in a process that is forked."""
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace(_ONE_PROCESS, f"[intake]\nworkers = {count}\n"))


def _settle_in(hub: Hub, *, one_server: bool) -> None:
    path = hub.home / config.FILE_NAME
    text = path.read_text().replace("[intake]\n", _ONE_PROCESS)
    if not one_server:
        for partner in (hub.home / "partners").iterdir():
            text += f'\n[mailboxes.{partner.name.lower()}]\nkind = "folder"\npath = "{hub.root}"\n'
            own = partner / partners.FILE_NAME
            own.write_text(own.read_text().replace('mailbox = "central"', f'mailbox = "{partner.name.lower()}"'))
    path.write_text(text)


def identifiers() -> list[bytes]:
    """What must stand nowhere in plain: the parts of the evening's rows."""
    numbers = [nhs(child) for child in _CHILDREN]
    return [word.encode() for word in (*numbers, *(f"LC-{child:06d}" for child in _CHILDREN), BORN, FAMILY, GIVEN, LOOKER)]


def copy_of(hub: Hub, folder: Path) -> Hub:
    """The same hub at another place, with an empty temporary folder beside it."""
    copied = strace_kit.copy_of(hub, folder)
    (folder / "tmp").mkdir()
    return copied
