"""Counts made safe to publish: small ones hidden, others rounded, and as many more hidden as it takes (FAULTS F55).

Totals give small counts away, rounded ones too: a region's rounded total and the rounded counts of its other authorities can
leave a hidden one with a single value. So what is to be published is attacked (`attack`), and while a hidden count has fewer
values left than the profile asks for, the smallest count shown beside it is hidden as well; where none is left, the total.
"""

from __future__ import annotations

from cpis_batch.errors import Bug
from cpis_batch.statistics.attack import Attacker
from cpis_batch.statistics.cells import NATIONAL, Cell, Counts, Relation, Shown
from cpis_batch.statistics.profiles import Profile


def protect(counts: Counts, profile: Profile) -> Shown:
    """What may be shown of each count: rounded, or None. Bug where nothing is left to hide and a count is still given away."""
    shown = {cell: _first(cell, value, counts, profile) for cell, value in counts.values.items()}
    if not profile.most_hidden:
        return shown
    small = [cell for cell, value in counts.values.items() if shown[cell] is None and value <= profile.most_hidden]
    while given_away := exposed(shown, small, counts, profile):
        hidden = [beside for cell in given_away if (beside := _hide_beside(cell, shown, counts))]
        if not hidden:
            raise Bug("A small count is given away, and there is nothing left to hide.", "Publish fewer tables; report it.")
    return shown


def exposed(shown: Shown, small: list[Cell], counts: Counts, profile: Profile) -> list[Cell]:
    """The small counts of which too few values remain possible.

    A total of so many parts that are not nothing is as many at least, whatever else is published: that is not held against it.
    """
    left = Attacker(shown, counts, profile).choices(small, profile)
    wholes: dict[Cell, list[tuple[Cell, ...]]] = {}
    for relation in counts.relations:
        if not relation.overlapping:
            wholes.setdefault(relation.whole, []).append(relation.parts)

    def least(cell: Cell) -> int:
        value = shown[cell]
        own = 1 if value is None else profile.could_be(value)[0]
        return max([own, *(sum(map(least, parts)) for parts in wholes.get(cell, ()))])

    return [cell for cell in small if left[cell] < min(profile.least_choices, profile.most_hidden - least(cell) + 1)]


def _first(cell: Cell, value: int, counts: Counts, profile: Profile) -> int | None:
    """By its size alone."""
    if cell in counts.harmless:
        return value
    if 0 < value <= profile.most_hidden:
        return None
    return value if cell.geography == NATIONAL else profile.rounded(value)


def _hide_beside(cell: Cell, shown: Shown, counts: Counts) -> Cell | None:
    """Hide one more count for this one's sake; which, or None where none is left."""
    beside = _beside(cell, shown, counts)
    if beside is not None:
        shown[beside] = None
    return beside


def _beside(cell: Cell, shown: Shown, counts: Counts) -> Cell | None:
    """The count whose hiding protects this one and costs least: the smallest that is shown in a sum with it, parts before totals.

    Where all of these are hidden, of those in a sum with one of them, and so on; one of England's only where no other is left.
    """
    of: dict[Cell, list[Relation]] = {}
    for relation in counts.relations:
        for one in (relation.whole, *relation.parts):
            of.setdefault(one, []).append(relation)
    last_resort: list[Cell] = []
    seen, layer = {cell}, [cell]
    while layer:
        around = [relation for one in layer for relation in of.get(one, ())]
        parts = {part for relation in around for part in relation.parts}
        wholes = {relation.whole for relation in around}
        for found in (parts, wholes):
            there = [one for one in found if shown[one]]
            last_resort += [one for one in there if one.geography == NATIONAL]
            if local := [one for one in there if one.geography != NATIONAL]:
                return min(local, key=lambda one: (counts.values[one], one))
        layer = [one for one in sorted(parts | wholes) if shown[one] is None and one not in seen]
        seen.update(layer)
    return min(last_resort, key=lambda one: (counts.values[one], one), default=None)
