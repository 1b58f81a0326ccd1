"""What somebody could work out who knows all that is published, the rules of disclosure control, and how to do sums.

For each count that is not shown, the least and the most that it could be, with every other count anything that its own
publication allows and all sums right: two linear programs, solved by HiGHS. Counts are whole numbers, which the programs do not
ask for; a true attacker who does is not known to gain by it here, and the tests hold the two against each other.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import highspy
import numpy as np

from cpis_batch.errors import Bug
from cpis_batch.statistics.cells import NATIONAL, Cell, Counts, Relation
from cpis_batch.statistics.profiles import Profile

_ROOM = 1e6  # more than any count
_EPSILON = 1e-6


class _Silent(highspy.Highs):
    """HiGHS without its banner: to switch its callbacks on writes one to standard output, where our JSON goes."""

    def enableCallbacks(self) -> None:  # noqa: N802 - the library's own name
        """None is used."""
        self.setOptionValue("output_flag", False)


class Attacker:
    """Knows the shown counts (None: not shown) of a table with these relations."""

    def __init__(self, shown: Mapping[Cell, int | None], counts: Counts, profile: Profile) -> None:
        self.cells = [cell for cell in shown if cell not in counts.harmless]
        self.place = {cell: number for number, cell in enumerate(self.cells)}
        relations = [one for one in counts.relations if one.whole in self.place]
        bounds = [_bounds(cell, shown[cell], profile) for cell in self.cells] + [(0, _ROOM)] * len(relations)
        self.solver = _Silent()
        self.solver.addVars(
            len(bounds), np.array([low for low, _ in bounds], dtype=float), np.array([high for _, high in bounds], dtype=float)
        )
        for number, relation in enumerate(relations):
            self._add(relation, len(self.cells) + number)

    def _add(self, relation: Relation, surplus: int) -> None:
        """whole = the parts together, less what counts in several of them."""
        places = [self.place[relation.whole], *(self.place[part] for part in relation.parts)]
        factors = [1.0] + [-1.0] * len(relation.parts)
        if relation.overlapping:
            places.append(surplus)
            factors.append(1.0)
        self.solver.addRow(0.0, 0.0, len(places), np.array(places, dtype=np.int32), np.array(factors))

    def range_of(self, cell: Cell) -> tuple[int, int]:
        """The least and the most that a count could be."""
        return math.ceil(self._best(cell, highspy.ObjSense.kMinimize) - _EPSILON), math.floor(
            self._best(cell, highspy.ObjSense.kMaximize) + _EPSILON
        )

    def choices(self, cells: Collection[Cell], profile: Profile) -> dict[Cell, int]:
        """How many of the values that are hidden by size remain possible, of each cell."""
        found = {}
        for cell in cells:
            low, high = self.range_of(cell)
            found[cell] = max(0, min(high, profile.most_hidden) - max(low, 1) + 1)
        return found

    def _best(self, cell: Cell, sense: highspy.ObjSense) -> float:
        place = self.place[cell]
        self.solver.changeColCost(place, 1.0)
        self.solver.changeObjectiveSense(sense)
        self.solver.run()
        if self.solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise Bug(
                "What would be published contradicts itself.", "Nothing was written. Report it with the month and the profile."
            )
        best = float(self.solver.getInfo().objective_function_value)
        self.solver.changeColCost(place, 0.0)
        return best


def _bounds(cell: Cell, shown: int | None, profile: Profile) -> tuple[float, float]:
    if shown is None:
        return 1, _ROOM  # it may be hidden for another's sake, and be of any size
    if cell.geography == NATIONAL:
        return shown, shown
    return profile.could_be(shown)
