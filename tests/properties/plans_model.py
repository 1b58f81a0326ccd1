"""What extracts and retention do to one authority's plans, in plain Python: a dict of plans and the rules of DESIGN, row by row.

It knows no table, no SQL and no module of ours. A row is a dict with the columns of an extract (dates as dates), a plan one
with `end_basis`, `last_confirmed_on` and `missing_since` besides; both go by their key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

FACTS = ("child_id", "family_name", "given_name", "date_of_birth", "end_date", "end_basis")


@dataclass
class Plans:
    """One authority's plans by (number, type, start), kept for some `days` after their end; and what is known of others."""

    days: int = 365
    plans: dict = field(default_factory=dict)
    gone: dict = field(default_factory=dict)  # keys that were deleted or amended: the day and the change
    deleted: set = field(default_factory=set)  # keys that were so at some time

    def night(self, rows, rejected_rows, kind, today, on=None):
        """Take in one extract, of which the data are those of the day `on`; what it did to each plan, by key."""
        on, done, before = on or today, {}, self.plans
        standing = {key: aged(held, today) for key, held in before.items()}
        self.plans = dict(standing)
        sent = {key_of(one): aged(one, today) for one in rows}
        for key, new in sent.items():
            becomes = self.becomes(key, new, sent, standing)
            held = before.get(becomes or key)
            new |= {"last_confirmed_on": max(on, held["last_confirmed_on"]) if held else on, "missing_since": None}
            if new["delete_date"] or becomes:
                if self.plans.pop(becomes or key, None):
                    done[key] = "AMENDED" if becomes else "DELETED"
                    self.gone[becomes or key] = today, done[key]
                    self.deleted |= set() if becomes else {key}
                if becomes:
                    self.plans[key] = new
            elif key in standing or not self.spent(new, today):
                self.plans[key] = new
                done[key] = verdict(held, new) if held else "REOPENED" if key in self.deleted else "NEW"
        in_vain = {key_of(one)[:2] for one in rejected_rows}
        for key, held in self.plans.items():
            if key in sent:
                continue
            if held != before[key]:
                held["missing_since"], done[key] = None, "AGED_OUT"
            elif key[:2] in in_vain:
                held["missing_since"] = None
            elif kind == "FULL" and held["end_basis"] != "AGE" and (held["end_date"] or today) >= today:
                held["missing_since"], done[key] = held["missing_since"] or on, "MISSING"
        return done

    @staticmethod
    def becomes(key, new, sent, standing):
        """The key of the open plan whose start date this row amends, if it does."""
        if key in standing or new["delete_date"] or new["end_date"]:
            return None
        others = [k for k, one in standing.items() if k[:2] == key[:2] and one["end_date"] is None and k not in sent]
        return max(others, default=None)

    def spent(self, one, today):
        """Whether a plan ended longer ago than plans are kept."""
        return one["end_date"] is not None and one["end_date"] + timedelta(self.days) < today

    def due(self, today, shown):
        """The keys of which nothing is kept any more, but for those of whom a unit was shown (`shown`) what is then not there."""
        kept = {key for key, one in self.plans.items() if not self.spent(one, today)}
        of_kept, waiting = {key[:2] for key in kept}, {key[:2] for key in shown - kept}
        past = {key for key, (day, _) in self.gone.items() if day + timedelta(self.days) < today}
        past = {key for key in past - self.plans.keys() if self.gone[key][1] == "DELETED" or key[:2] not in of_kept}
        return {key for key in (self.plans.keys() - kept) | past if key[:2] not in waiting}

    def erase(self, keys):
        """Forget them."""
        self.plans, self.gone = ({key: one for key, one in some.items() if key not in keys} for some in (self.plans, self.gone))
        self.deleted -= keys


def key_of(one):
    return one["nhs_number"], one["plan_type"], one["start_date"]


def adult_on(one):
    """The 18th birthday; for 29 February it is 1 March."""
    born = one["date_of_birth"]
    return date(born.year + 18, 3, 1) if (born.month, born.day) == (2, 29) else born.replace(year=born.year + 18)


def aged(one, today):
    """As the calendar has it: a child's plan has ended on the 18th birthday."""
    adult = adult_on(one)
    if one["plan_type"] != "UCPP" and adult <= today and (one["end_date"] is None or one["end_date"] > adult):
        return one | {"end_date": adult, "end_basis": "AGE"}
    return one | {"end_basis": one.get("end_basis") or ("LA" if one["end_date"] else None)}


def verdict(held, new):
    if new["end_basis"] == "AGE" and (held["end_date"] is None or held["end_date"] > new["end_date"]):
        return "AGED_OUT"
    if bool(held["end_date"]) != bool(new["end_date"]):
        return "ENDED" if new["end_date"] else "RESUMED"
    return "CONFIRMED" if all(held[name] == new[name] for name in FACTS) else "AMENDED"


def is_active(one, on):
    """Whether a plan is shown on that day."""
    lasts = one["end_date"] is None or one["end_date"] >= on
    return one["start_date"] <= on and lasts and (one["plan_type"] == "UCPP" or adult_on(one) >= on)
