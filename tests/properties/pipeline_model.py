"""What becomes of the files that one authority puts down, in plain Python: their places, the holds, the brake, retention.

What a file that is merged does to the plans is told by `plans_model`. Like it, this knows nothing of the program.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil

from tests.properties.plans_model import Plans, is_active

DAYS = 20  # for which the home under test keeps a plan after its end
MINIMUM, SHARE, FEW = 2, 0.25, 0.5  # its brake, small enough for a handful of children
BRAKED = ("ENDED", "DELETED", "NEW", "REDATED")
ADDED = {"REOPENED": "NEW", "RESUMED": "NEW"}
HOLDS = ("GAP", "RESET", "BRAKE", "PARTNER_HELD")
TWO_HOURS = timedelta(hours=2)


@dataclass
class Authority:
    """One authority: its plans, the files that were merged and are held, and the state of every file seen."""

    plans: Plans = field(default_factory=lambda: Plans(DAYS))
    merged: list = field(default_factory=list)
    used: dict = field(default_factory=dict)  # sequence -> data, of the files merged since its count began
    held: dict = field(default_factory=dict)  # file -> why, the oldest hold first
    conflicts: set = field(default_factory=set)  # names of files that contradict one merged, until somebody has decided
    states: dict = field(default_factory=dict)  # name -> state, or the reason of its hold
    changes: Counter = field(default_factory=Counter)

    def evening(self, put, now, today, decided="", *, release=True):
        """Settle what was put down, or the decision on one file; what is still waited for. Then the birthdays."""
        here = {file.data for file in [*self.merged, *self.held]}
        waiting = [file for file in put if file.broken and file.data not in here and now - file.put_at < TWO_HOURS]
        self.conflicts.discard(decided)
        turn = [*(self.held if put or decided else ()), *(file for file in put if file not in waiting)]
        turn.sort(key=lambda one: (one.sequence, one.extracted_at))
        for file in turn:
            if file.name == decided:
                file.waived.add(self.held[file])
            if file in put and file.data in here:
                self.states[file.name] = "DUPLICATE"
            elif not file.readable(today) or (file.name == decided and not release):
                self.states[file.name] = "REFUSED"
            else:
                self.states[file.name] = self.settled(file, today)
        for file in turn:
            if self.states[file.name] in HOLDS and self.place(file) == "STALE":  # a file of this evening has overtaken it
                self.states[file.name] = "STALE"
        stay = {file: why for file, why in self.held.items() if self.states[file.name] == why}
        self.held = stay | {file: self.states[file.name] for file in turn if self.states[file.name] in HOLDS}
        self.changes.update(self.plans.night([], [], "DELTA", today).values())
        return waiting

    def place(self, file):
        """Where its sequence puts it."""
        if not self.merged:
            return "MERGED"
        last = self.merged[-1]
        newer = file.extracted_at > last.extracted_at
        if file.sequence in self.used:
            anew = newer and file.sequence == 1 < last.sequence
            return "DUPLICATE" if self.used[file.sequence] == file.data else "RESET" if anew else "REFUSED"
        if file.sequence < last.sequence:
            return "RESET" if newer else "STALE"
        return "GAP" if file.kind == "DELTA" and file.sequence > last.sequence + 1 else "MERGED"

    def settled(self, file, today):
        """The state of one file, or why it is held."""
        place = self.place(file)
        if place in ("DUPLICATE", "STALE", "REFUSED"):
            self.conflicts |= {file.name} if place == "REFUSED" else set()
            return place
        if self.conflicts:
            return "PARTNER_HELD"
        if place != "MERGED" and place not in file.waived:
            return place
        after = deepcopy(self.plans)
        good, bad = ([row for row in file.rows if file.loads(row, today) == loads] for loads in (True, False))
        done = after.night(good, bad, file.kind, today, file.extracted_on)
        if self.merged and "BRAKE" not in file.waived and self.too_much(file, after.plans, done, today):
            return "BRAKE"
        self.plans = after
        self.changes.update(done.values())
        self.used = {**({} if place == "RESET" else self.used), file.sequence: file.data}
        self.merged.append(file)
        return "MERGED"

    def too_much(self, file, after, done, today):
        """The brake: more than the larger of MINIMUM and SHARE of the active plans of a type, or far fewer rows than usual."""
        before = self.plans.plans
        standing = Counter(key[1] for key, one in before.items() if is_active(one, today))
        usual = next((len(one.rows) for one in reversed(self.merged) if one.kind == "FULL"), 0)
        if file.kind == "FULL" and (len(file.rows) < ceil(FEW * usual) or (not file.rows and standing)):
            return True
        counts = Counter((ADDED.get(change, change), key[1]) for key, change in done.items())
        for key in (key for key, change in done.items() if change == "AMENDED"):
            dates = [(one[key]["end_date"], one[key]["date_of_birth"]) if key in one else None for one in (before, after)]
            counts["REDATED", key[1]] += dates[0] != dates[1]
        newly = {key[1] for key, change in done.items() if change == "MISSING" and not before[key]["missing_since"]}
        over = exceeding(counts, standing)
        return any(change in BRAKED or (change == "MISSING" and kind in newly) for change, kind in over)

    def retention(self, today, shown, *, undelivered, beyond):
        """Erase what is past its time, `shown` being what the last release showed: the keys, and why nothing of them went."""
        due = self.plans.due(today, shown)
        going = Counter(("ERASED", key[1]) for key in due & self.plans.plans.keys())
        brake = exceeding(going, Counter(key[1] for key in self.plans.plans)) and not beyond
        why = "HOLD" if self.held or self.conflicts else "UNDELIVERED" if undelivered else "BRAKE" if brake else None
        if not why:
            self.changes.update(change for change, _ in going.elements())
            self.plans.erase(due)
        return due, why


def exceeding(counts, of):
    """What is more than the brake allows, of counts by (what, type)."""
    return [(what, kind) for (what, kind), n in counts.items() if n > max(MINIMUM, int(SHARE * of[kind]))]
