"""What extracts and retention do to one authority's plans, in plain Python: a dict of plans and the rules of DESIGN, row by row.

It knows no table, no SQL and no module of ours. A row is a dict with the columns of an extract (dates as dates), a plan one
with `end_basis`, `last_confirmed_on` and `missing_since` besides; both go by their key. `Plans` are a value: a night
makes new ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

FACTS = ("child_id", "family_name", "given_name", "date_of_birth", "end_date", "end_basis")
DATES = {"start_date", "end_date", "date_of_birth"}


@dataclass(frozen=True)
class Plans:
    """One authority's plans by (number, type, start), kept for some `days` after their end; and what is known of others."""

    days: int = 365
    plans: dict = field(default_factory=dict)
    gone: dict = field(default_factory=dict)  # key -> each (day, change) by which it was deleted, or given another start
    done: dict = field(default_factory=dict)  # key -> what the last night did to it; REDATED is AMENDED in its dates
    changes: Counter = field(default_factory=Counter)  # how often each was done, ever

    def night(self, rows, rejected_rows, kind, on, today):
        """The plans after one extract with the data of the day `on`."""
        plans, gone = {key: aged(plan, today) for key, plan in self.plans.items()}, dict(self.gone)
        done = {key: "AGED_OUT" for key, plan in plans.items() if plan != self.plans[key]}
        sent, in_vain = {key_of(row): aged(row, today) for row in rows}, {key_of(row)[:2] for row in rejected_rows}
        for key, new in sent.items():
            is_open = not (new["end_date"] or new["delete_date"])
            others = [one for one in plans.keys() - sent.keys() if one[:2] == key[:2] and not plans[one]["end_date"]]
            old = max(others) if others and is_open and key not in plans else key  # else it amends the start of the open plan
            held = self.plans.get(old)
            if not held and (new["delete_date"] or last_day(new) < today - timedelta(self.days)):
                continue  # there is nothing to delete, or what ended so long ago is not taken in again
            done[key] = verdict(held, new, self.gone.get(key, ()))
            if new["delete_date"] or old != key:
                del plans[old]
                gone[old] = [*gone.get(old, ()), (today, done[key])]
            if not new["delete_date"]:
                confirmed = max(on, held["last_confirmed_on"]) if held else on
                plans[key] = new | {"last_confirmed_on": confirmed, "missing_since": None}
        for key in plans.keys() - sent.keys():
            plan = plans[key]
            if key in done or key[:2] in in_vain:
                plan["missing_since"] = None
            elif kind == "FULL" and plan["end_basis"] != "AGE" and last_day(plan) >= today:
                plan["missing_since"], done[key] = plan["missing_since"] or on, "MISSING"
        return Plans(self.days, plans, gone, done, self.changes + Counter(done.values()))

    def due(self, today, shown):
        """The keys of which nothing is kept any more, but for those of whom a unit was shown (`shown`) what is then not there."""
        long_ago = today - timedelta(self.days)
        kept = {key for key, plan in self.plans.items() if last_day(plan) >= long_ago}
        of_kept, waiting = ({key[:2] for key in some} for some in (kept, shown - kept))
        old = {key: gone[-1][1] for key, gone in self.gone.items() if gone[-1][0] < long_ago}
        past = {key for key, change in old.items() if change == "DELETED" or key[:2] not in of_kept}
        return {key for key in (self.plans.keys() | past) - kept if key[:2] not in waiting}

    def without(self, keys):
        """What is left when they have been erased."""
        plans, gone = ({key: one for key, one in some.items() if key not in keys} for some in (self.plans, self.gone))
        return replace(self, plans=plans, gone=gone, changes=self.changes + Counter(ERASED=len(self.plans) - len(plans)))


def key_of(one):
    """By what an authority's rows and plans are known."""
    return one["nhs_number"], one["plan_type"], one["start_date"]


def last_day(one):
    """The end date; an open plan has none that comes."""
    return one["end_date"] or date.max


def adult_on(one):
    """The 18th birthday, on which a child's plan ends; for 29 February it is 1 March. A mother's does not end by itself."""
    born = one["date_of_birth"]
    return date.max if one["plan_type"] == "UCPP" else date(born.year + 18, born.month, 1) + timedelta(born.day - 1)


def aged(one, today):
    """As the calendar has it."""
    if adult_on(one) <= today and adult_on(one) < last_day(one):
        return one | {"end_date": adult_on(one), "end_basis": "AGE"}
    return one | {"end_basis": one.get("end_basis") or ("LA" if one["end_date"] else None)}


def verdict(held, new, gone):
    """What a row does to the plan that is held, or else to one that may have been deleted."""
    if not held:
        return "REOPENED" if any(change == "DELETED" for _, change in gone) else "NEW"
    differ = {name for name in (*DATES, *FACTS) if held[name] != new[name]}
    verdicts = {
        "DELETED": new["delete_date"],
        "AGED_OUT": new["end_basis"] == "AGE" and last_day(new) < last_day(held),
        "ENDED": new["end_date"] and not held["end_date"],
        "RESUMED": held["end_date"] and not new["end_date"],
        "REDATED": differ & DATES,
        "AMENDED": differ,
        "CONFIRMED": True,
    }
    return next(what for what, true in verdicts.items() if true)


def is_active(one, on):
    """Whether a plan is shown on that day."""
    return one["start_date"] <= on <= min(last_day(one), adult_on(one))
