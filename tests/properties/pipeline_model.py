"""What becomes of the files that one authority puts down, in plain Python: their places, the holds, the brake.

What a file that is merged does to the plans is told by `plans_model`. Like it, this knows nothing of the program.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from tests.properties.plans_model import Plans, adult_on, is_active

MINIMUM, SHARE, FEW = 2, 0.25, 0.5  # the brake of the home under test, small enough for a handful of children
BRAKED = ("ENDED", "DELETED", "NEW", "REDATED")
ADDED = {"REOPENED": "NEW", "RESUMED": "NEW"}
HOLDS = ("GAP", "RESET", "BRAKE", "PARTNER_HELD")
TWO_HOURS = timedelta(hours=2)


def day_of(instant: datetime) -> date:
    return instant.astimezone(ZoneInfo("Europe/London")).date()


@dataclass(eq=False)
class File:
    """What was put down under `name`; equal `data` stand for equal bytes. Where it is `broken` it is no message, or not yet."""

    name: str
    data: int
    kind: str
    sequence: int
    extracted_at: datetime
    rows: list
    put_at: datetime
    broken: bool = False
    sound: bool = True  # in its signature and its form
    opens: tuple[date, date] = (date.min, date.max)  # the days on which the hub has its key and the sender may sign with his
    waived: set = field(default_factory=set)  # what a person has released it from

    def loads(self, row, today: date) -> bool:
        """Whether a row may be used, as far as these files have it: dates in their order, a child's plan in its childhood."""
        start, born = row["start_date"], row["date_of_birth"]
        in_order = start <= (row["end_date"] or start) and start <= (row["delete_date"] or start) <= max(today, start)
        return in_order and (row["plan_type"] == "UCPP" or born <= start < adult_on(row))


@dataclass
class Authority:
    """One authority: its plans, what was merged, and the state of every file seen."""

    plans: Plans = field(default_factory=Plans)
    last: File | None = None
    used: dict = field(default_factory=dict)  # sequence -> data, of the files merged since its count began
    merged: list = field(default_factory=list)
    usual: int = 0
    held: list = field(default_factory=list)  # (file, reason), the oldest hold first
    conflicts: set = field(default_factory=set)  # names of files that contradict one merged, until somebody has decided
    states: dict = field(default_factory=dict)  # name -> state, or the reason of its hold
    changes: Counter = field(default_factory=Counter)

    def evening(self, put, now: datetime, decided: str = "", *, release: bool = True):
        """Settle what was put down, or the decision on one file; what is still waited for. Then the birthdays."""
        today, turn = day_of(now), []
        here = {file.data for file in [*self.merged, *(file for file, _ in self.held)]}
        waiting = [file for file in put if file.broken and file.data not in here and now - file.put_at < TWO_HOURS]
        self.conflicts.discard(decided)
        for file, reason in self.held if put or decided else ():
            file.waived |= {reason} if file.name == decided else set()
            turn += self.opened(file, today, refused=file.name == decided and not release)
        for file in put:
            if file.data in here:
                self.states[file.name] = "DUPLICATE"
            elif file not in waiting:
                turn += self.opened(file, today)
        turn.sort(key=lambda one: (one.sequence, one.extracted_at))
        for file in turn:
            self.states[file.name] = self.settled(file, today)
        for file in turn:
            if self.states[file.name] in HOLDS and self.place(file) == "STALE":  # a file of this evening has overtaken it
                self.states[file.name] = "STALE"
        if put or decided:
            stay = [one for one in self.held if self.states[one[0].name] == one[1]]
            known = [file for file, _ in stay]
            held = [file for file in turn if self.states[file.name] in HOLDS and file not in known]
            self.held = stay + [(file, self.states[file.name]) for file in held]
        self.changes.update(self.plans.night([], [], "DELTA", today).values())
        return waiting

    def opened(self, file, today, *, refused=False):
        """The file, where it is still to be settled."""
        if refused or file.broken or not file.sound or not file.opens[0] <= today <= file.opens[1]:
            self.states[file.name] = "REFUSED"
            return []
        return [file]

    def place(self, file):
        if self.last is None:
            return "MERGED"
        newer = file.extracted_at > self.last.extracted_at
        if file.sequence in self.used:
            anew = newer and file.sequence == 1 < self.last.sequence
            return "DUPLICATE" if self.used[file.sequence] == file.data else "RESET" if anew else "REFUSED"
        if file.sequence < self.last.sequence:
            return "RESET" if newer else "STALE"
        return "GAP" if file.kind == "DELTA" and file.sequence > self.last.sequence + 1 else "MERGED"

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
        good = [row for row in file.rows if file.loads(row, today)]
        bad = [row for row in file.rows if not file.loads(row, today)]
        done = after.night(good, bad, file.kind, today, day_of(file.extracted_at))
        if self.last and "BRAKE" not in file.waived and self.too_much(file, after.plans, done, today):
            return "BRAKE"
        self.plans, self.last = after, file
        self.changes.update(done.values())
        self.used = {**({} if place == "RESET" else self.used), file.sequence: file.data}
        self.merged.append(file)
        self.usual = len(file.rows) if file.kind == "FULL" else self.usual
        return "MERGED"

    def too_much(self, file, after, done, today):
        """The brake: more than the larger of MINIMUM and SHARE of the active plans of a type, or far fewer rows than usual."""
        before = self.plans.plans
        standing = Counter(key[1] for key, one in before.items() if is_active(one, today))
        if file.kind == "FULL" and (len(file.rows) < ceil(FEW * self.usual) or (not file.rows and standing)):
            return True
        counts = Counter((ADDED.get(change, change), key[1]) for key, change in done.items())
        for key in (key for key, change in done.items() if change == "AMENDED"):
            dates = [(one[key]["end_date"], one[key]["date_of_birth"]) if key in one else None for one in (before, after)]
            counts["REDATED", key[1]] += dates[0] != dates[1]
        newly = {key[1] for key, change in done.items() if change == "MISSING" and not before[key]["missing_since"]}
        over = {(change, kind) for (change, kind), n in counts.items() if n > max(MINIMUM, int(SHARE * standing[kind]))}
        return any(change in BRAKED or (change == "MISSING" and kind in newly) for change, kind in over)
