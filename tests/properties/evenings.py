"""What a partner may do of an evening: an authority puts down what it should, or anything else that has been seen or feared."""

from __future__ import annotations

from collections.abc import Callable

from tests.hub import NATIONAL
from tests.properties.exchange_stage import LAS, Stage
from tests.properties.offices import MOTHERS, WORK, move
from tests.small_england import UNITS

Doing = Callable[[Stage, str, int], None]


def _new(kind: str) -> Doing:
    def send(stage: Stage, la: str, pick: int) -> None:
        written = stage.write(la, kind)
        stage.drawer[la].append(written)
        stage.put(written)

    return send


def _whole(**how: object) -> Doing:
    """A full extract of everything, with something the matter with it."""

    def send(stage: Stage, la: str, pick: int) -> None:
        stage.put(stage.write(la, "FULL", stage.all_rows(la), **how))

    return send


def _odd(kind: str, how: str) -> Doing:
    """A sequence that is not the next: a gap; one that was used, on other bytes; a count begun anew."""

    def send(stage: Stage, la: str, pick: int) -> None:
        last = max(stage.offices[la].sequence, 1)
        sequence = {"gap": last + 2, "used": last, "anew": 1}[how]
        stage.put(stage.write(la, kind, stage.all_rows(la), sequence=sequence))

    return send


def truncated(stage: Stage, la: str, pick: int) -> None:
    """The report broke off, and its trailer fits what is left."""
    rows = stage.all_rows(la)
    stage.put(stage.write(la, "FULL", rows[: len(rows) * pick // 10]))


def one_left_out(stage: Stage, la: str, pick: int) -> None:
    rows = stage.all_rows(la)
    stage.put(stage.write(la, "FULL", [row for place, row in enumerate(rows) if place != pick]))


def mass_change(stage: Stage, la: str, pick: int) -> None:
    for person in range(pick, pick + 5):
        stage.offices[la].work(WORK[pick % len(WORK)], person, stage.today)
    _new("FULL")(stage, la, pick)


def kept_back(stage: Stage, la: str, pick: int) -> None:
    """Written and not sent: it may come late, or never."""
    stage.drawer[la].append(stage.write(la, "FULL" if pick % 2 else "DELTA"))


def from_the_drawer(stage: Stage, la: str, pick: int) -> None:
    """Something written before is put down: late, out of order, or for the second time."""
    if stage.drawer[la]:
        stage.put(stage.drawer[la][-1 - pick % len(stage.drawer[la])])


def twice(stage: Stage, la: str, pick: int) -> None:
    _new("FULL")(stage, la, pick)
    stage.put(stage.drawer[la][-1])


def cut_off(stage: Stage, la: str, pick: int) -> None:
    written = stage.write(la, "FULL", stage.all_rows(la))
    stage.put(written, written.sealed[: len(written.sealed) * (pick + 1) // 11])


def half_an_upload(stage: Stage, la: str, pick: int) -> None:
    """Under its final name; the night comes before it is whole."""
    written = stage.write(la, "FULL")
    stage.uploads.append((stage.put(written, written.sealed[:-40], minutes_ago=5), written))


def the_rest_of_an_upload(stage: Stage, la: str, pick: int) -> None:
    if stage.uploads:
        stage.complete(*stage.uploads.pop())


def a_child_moves(stage: Stage, la: str, pick: int) -> None:
    """Its plan begins in another authority, and ends here or not yet; both send what is new."""
    other = LAS[(LAS.index(la) + 1 + pick % 2) % len(LAS)]
    move(stage.offices[la], stage.offices[other], pick, stage.today)
    for one in (la, other):
        stage.put(stage.write(one, "DELTA"))


def somebody_looks(stage: Stage, la: str, pick: int) -> None:
    """At two of those known to the authorities, and at a mother."""
    stage.look([pick, pick + 1, MOTHERS])


def a_unit_collects(stage: Stage, la: str, pick: int) -> None:
    for path in stage.hub.outbound(UNITS[pick % len(UNITS)]):
        path.unlink()


DOINGS: dict[str, Doing] = {
    "full": _new("FULL"),
    "delta": _new("DELTA"),
    "truncated": truncated,
    "one left out": one_left_out,
    "mass change": mass_change,
    "kept back": kept_back,
    "from the drawer": from_the_drawer,
    "twice": twice,
    "gap before a full": _odd("FULL", "gap"),
    "gap before a delta": _odd("DELTA", "gap"),
    "used sequence": _odd("FULL", "used"),
    "count begun anew": _odd("FULL", "anew"),
    "another's signature": _whole(signer=NATIONAL),
    "wrong trailer": _whole(trailer=False),
    "other environment": _whole(environment="LIVE"),
    "unknown version": _whole(version="9.9"),
    "old keys": _whole(hub_key=0, own_key=0),
    "new keys": _whole(hub_key=1, own_key=1),
    "cut off": cut_off,
    "half an upload": half_an_upload,
    "the rest of an upload": the_rest_of_an_upload,
    "a child moves": a_child_moves,
    "somebody looks": somebody_looks,
    "a unit collects": a_unit_collects,
}
