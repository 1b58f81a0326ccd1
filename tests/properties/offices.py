"""The case systems of authorities, as far as an extract shows them: what a day's work does to the rows of the next one.

A row is a dict with the columns of an extract. `pick` chooses among what there is, so that a piece of work drawn by chance finds
something to be done to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

from tests.builders import nhs

DAY = timedelta(days=1)
MOTHERS, INFANTS = 40, 60  # children, mothers and infants have numbers of their own


@dataclass
class Office:
    """One authority's rows by key, and those that a DELTA would hold."""

    la: str
    rows: dict = field(default_factory=dict)
    changed: set = field(default_factory=set)
    sequence: int = 0

    def put(self, row, *, instead_of=None):
        """Write a row down."""
        key = row["nhs_number"], row["plan_type"], row["start_date"]
        if instead_of not in (None, key):
            del self.rows[instead_of]
            self.changed.discard(instead_of)
        self.rows[key] = row
        self.changed.add(key)

    def is_open(self, number, plan_type):
        """Whether a plan stands open here that no other may be opened beside."""
        ended = ("end_date", "delete_date")
        return any(key[:2] == (number, plan_type) and not any(row[name] for name in ended) for key, row in self.rows.items())

    def begin(self, person: int, plan_type: str, today: date, *, born: date | None = None, since: int = 9) -> None:
        """A plan for a person, unless one is open."""
        start = today - since * DAY
        key = nhs(person), plan_type, start
        if self.is_open(*key[:2]) or key in self.rows:
            return
        of_it = next((row["date_of_birth"] for row in self.rows.values() if row["nhs_number"] == key[0]), None)
        born = of_it or born or (date(1994, 8, 2) if plan_type == "UCPP" else date(2019, 4, 30))
        names = {"child_id": f"LC-{self.la[-2:]}-{person:04d}", "family_name": f"Family{person}", "given_name": "Zoë"}
        row = dict(zip(("nhs_number", "plan_type", "start_date"), key, strict=True)) | names | {"date_of_birth": born}
        self.put(row | {"end_date": None, "delete_date": None})

    def work(self, what: str, pick: int, today: date) -> None:
        """One piece of work; where there is nothing that it could be done to, none."""
        if what == "begin":
            self.begin(1 + pick, ("CPP", "LAC")[pick % 2], today)
        elif what == "pregnancy":
            self.begin(MOTHERS + pick % 3, "UCPP", today, since=30)
        elif what == "nearly 18":
            birthday = today + 2 * DAY
            self.begin(30 + pick % 5, "LAC", today, born=birthday.replace(year=birthday.year - 18))
        elif self.rows:
            self.change(what, sorted(self.rows)[pick % len(self.rows)], today)

    def change(self, what: str, key: tuple, today: date) -> None:
        """A piece of work on a plan that there is."""
        row, is_open = self.rows[key], self.is_open(*key[:2])
        if what in ("end", "end soon"):
            self.put(row | {"end_date": today + (2 if what == "end soon" else -1) * DAY})
        elif what == "end, told late":
            self.put(row | {"end_date": max(key[2], today - 25 * DAY)})
        elif what == "delete":
            self.put(row | {"delete_date": today})
        elif what == "reopen" and not is_open:
            self.put(row | {"end_date": None, "delete_date": None})
        elif what == "amend start" and (*key[:2], key[2] - DAY) not in self.rows:
            self.put(row | {"start_date": key[2] - DAY}, instead_of=key)
        elif what == "rename":
            self.put(row | {"family_name": row["family_name"] + "x"})
        elif what == "err":
            self.put(row | {"end_date": key[2] - DAY})  # the rules turn it away until it is mended
        elif what == "birth" and key[1] == "UCPP" and is_open:  # the mother's plan ends, the child's begins on its own number
            self.put(row | {"end_date": today - DAY})
            self.begin(INFANTS + sum(key[1] == "UCPP" for key in self.rows), "CPP", today, born=today - 2 * DAY, since=1)


WORK = (
    *("begin", "pregnancy", "nearly 18", "birth"),
    *("end", "end soon", "end, told late", "delete", "reopen", "amend start", "rename", "err"),
)
ENDING = ("end", "end, told late", "delete", "amend start")


def move(from_office: Office, to_office: Office, pick: int, today: date) -> None:
    """A child goes to live elsewhere: its plan begins there, and ends here, or not yet."""
    if from_office.rows:
        key = sorted(from_office.rows)[pick % len(from_office.rows)]
        row = from_office.rows[key]
        if pick % 2 and row["end_date"] is None:
            from_office.change("end", key, today)
        if not to_office.is_open(*key[:2]) and (*key[:2], today - DAY) not in to_office.rows:
            to_office.put(row | {"start_date": today - DAY, "end_date": None, "delete_date": None,
                                 "child_id": f"LC-{to_office.la[-2:]}-{row['child_id'][-4:]}"})  # fmt: skip
