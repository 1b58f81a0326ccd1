"""What becomes of the files that one authority puts down, in plain Python: their states, the holds, the brake, retention.

What a file that is merged does to the plans is told by `plans_model`. Like it, this knows nothing of the program. What a
person has decided on a file, it carries (`sent`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil

from tests.properties.plans_model import Plans, is_active

DAYS = 20  # for which the home under test keeps a plan after its end
MINIMUM, SHARE, FEW = 2, 0.25, 0.5  # its brake, small enough for a handful of children
HOLDS = ("GAP", "RESET", "BRAKE", "PARTNER_HELD")
BRAKED = ({"NEW", "REOPENED", "RESUMED"}, {"ENDED"}, {"DELETED"}, {"REDATED"}, {"MISSING"})  # what is counted together


@dataclass
class Authority:
    """One authority: its plans, the files that were merged and are held, and the state of every file seen."""

    plans: Plans = field(default_factory=lambda: Plans(DAYS))
    merged: list = field(default_factory=list)
    used: dict = field(default_factory=dict)  # sequence -> data, of the files merged since its count began
    held: dict = field(default_factory=dict)  # file -> why, the oldest hold first
    states: dict = field(default_factory=dict)  # name -> state, or why a person is asked

    def evening(self, put, today, *, again):
        """Settle what was put down, and what is held if it is looked at `again`. Then the birthdays."""
        turn = sorted([*(self.held if again else ()), *put], key=lambda file: (file.sequence, file.extracted_at))
        for file in turn:
            self.states[file.name] = self.judged(file, today)
            if self.states[file.name] == "MERGED":
                goes_on = self.merged and file.sequence > self.merged[-1].sequence
                self.used = (self.used if goes_on else {}) | {file.sequence: file.data}
                self.plans = self.after(file, today)
                self.merged.append(file)
        held = [file for file in turn if self.states[file.name] in HOLDS]
        overtaken = [file for file in held if self.judged(file, today) == "STALE"]  # by another of this evening
        self.states |= {file.name: "STALE" for file in overtaken}
        stay = {file: why for file, why in self.held.items() if self.states[file.name] == why}
        self.held = stay | {file: self.states[file.name] for file in held if file not in overtaken}
        self.plans = self.plans.night([], [], "DELTA", today, today)

    def after(self, file, today):
        """The plans as they would be after a file."""
        return self.plans.night(*file.parted(today), file.kind, file.extracted_on, today)

    def judged(self, file, today):
        """What is to become of a file: the first that is true of it and that nobody has released it from."""
        last = self.merged[-1] if self.merged else file
        known, earlier = self.used.get(file.sequence), file.sequence < last.sequence
        anew = earlier and file.extracted_at > last.extracted_at and (file.sequence == 1 or not known)
        here = file not in self.held and file.data in {one.data for one in [*self.merged, *self.held]}
        truths = {
            "REFUSED": not file.readable(today) and not here,
            "DUPLICATE": known == file.data or here,
            "CONFLICT": known and not anew,
            "STALE": earlier and not anew,
            "PARTNER_HELD": "CONFLICT" in self.states.values(),
            "RESET": anew,
            "GAP": file.kind == "DELTA" and file.sequence > last.sequence + 1,
            "BRAKE": self.merged and self.too_much(file, today),
            "MERGED": True,
        }
        return next(what for what, true in truths.items() if true and what not in file.waived)

    def too_much(self, file, today):
        """The brake: far fewer rows than usual, or more done to the plans of a type than its active ones allow."""
        before, done = self.plans.plans, self.after(file, today).done
        active = Counter(key[1] for key, plan in before.items() if is_active(plan, today))
        usual = next((len(one.rows) for one in reversed(self.merged) if one.kind == "FULL"), 0)
        few = file.kind == "FULL" and len(file.rows) < max(bool(active), ceil(FEW * usual))
        newly = {key[1] for key in done if done[key] == "MISSING" and not before[key]["missing_since"]}
        asked = [key for key in done if done[key] != "MISSING" or key[1] in newly]  # for what is missing already nobody is
        return few or any(too_many((key for key in asked if done[key] in alike), active) for alike in BRAKED)

    def retention(self, today, shown, *, undelivered, beyond):
        """Erase what is past its time, `shown` being what the last release showed: the keys, and why nothing of them went."""
        due, plans = self.plans.due(today, shown), self.plans.plans
        brake = too_many(due & plans.keys(), Counter(key[1] for key in plans))
        asked = self.held or "CONFLICT" in self.states.values()
        truths = {"HOLD": asked, "UNDELIVERED": undelivered, "BRAKE": brake and not beyond}
        why = next((what for what, true in truths.items() if true), None)
        self.plans = self.plans if why else self.plans.without(due)
        return due, why


def too_many(keys, standing):
    """Whether they are more than the larger of MINIMUM and SHARE of what stands of a type, counted by type."""
    return any(n > max(MINIMUM, int(SHARE * standing[kind])) for kind, n in Counter(key[1] for key in keys).items())
