"""England's trace: who is asked, what the answers settle, who stands how, where everybody is routed to then; the national view.

In one process and one thread, over all authorities at once, on the first night, when everybody is new: the most there is to do.
Seconds are of processor time: one thread that waits for nothing takes as long by the clock on a machine with nothing else to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from time import process_time
from typing import TypeVar

import pyarrow as pa

from benchmarks.page import Section, Table
from cpis_batch import organisations
from cpis_batch.demographics import notices, places, rate, request, response, settle, standing
from cpis_batch.demographics.request import Patience
from cpis_batch.demographics.schema import PERSONS, REQUESTS
from cpis_batch.engine import query
from cpis_batch.extracts import routing
from cpis_batch.national import lists
from cpis_batch.national.conflicts import conflicts
from cpis_batch.national.gaps import gaps
from cpis_batch.national.known import known
from cpis_batch.national.returns import returns
from cpis_batch.national.schema import ENTRIES
from cpis_batch.national.unborn import unborn
from cpis_batch.register.schema import PLANS
from cpis_batch.sandbox.england import make_england
from cpis_batch.sandbox.tracing import make_service
from cpis_batch.vocabulary import Environment

ON, NOW = date(2026, 10, 5), datetime(2026, 10, 5, 22, 30, tzinfo=UTC)
SETTLE_SECONDS, ROUTE_SECONDS = 2.0, 3.0  # issue 4: routing and conflicts of England
_T = TypeVar("_T")


@dataclass(slots=True)
class Course:
    """Seconds by step, in order, how many people there were, and how many rows the rules of the national view found."""

    people: int = 0
    found: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def step(self, name: str, work: Callable[[], _T]) -> _T:
        """Do `work` and note how long it took."""
        began = process_time()
        done = work()
        self.seconds[name] = process_time() - began
        return done


def measure(las: Sequence[str], scale: float) -> Course:
    """One evening's trace of the synthetic England of these authorities."""
    england = make_england(seed=1, on=ON, scale=scale, las=las)
    plans = query(
        """SELECT la_code, nhs_number, plan_type, start_date, end_date, NULL AS end_basis, child_id, family_name, given_name,
            date_of_birth, $on AS last_confirmed_on, NULL AS missing_since, now() AS known_from, '' AS source_file,
            1 AS source_line
        FROM plans""",
        {"plans": england.plans},
        {"on": ON},
    ).cast(PLANS)
    nobody, nothing, patience, course = PERSONS.empty_table(), REQUESTS.empty_table(), Patience(), Course()
    people = course.step("who is asked about", lambda: request.wanted(plans, nobody, nothing, on=ON, patience=patience))
    course.people = people.num_rows
    asked = course.step(
        "the request file",
        lambda: request.make(people, sequence=1, environment=Environment.TEST, on=ON, now=NOW),
    )
    answered = make_service(england).answer(asked.content, sequence=2, now=NOW).content
    reading = course.step(
        "the response, read and held to its rules",
        lambda: response.read_response(answered, environment=Environment.TEST, line_bytes=4096),
    )
    found = course.step("settled", lambda: settle.settle(reading.answers, asked.questions, nobody, plans))
    stands = course.step("how everybody stands", lambda: standing.standing(plans, found.persons, found.open, service=True))
    course.step(
        "rates, lists and notifications",
        lambda: (
            rate.rates(stands, rate.RATES.empty_table(), on=ON),
            rate.to_check(stands),
            notices.notices(stands, notices.TOLD.empty_table(), on=ON),
        ),
    )
    reference = organisations.load()
    course.step(
        "places and routing",
        lambda: routing.route(plans, places.places(found.persons, plans), reference.routing_reference(), on=ON),
    )
    # Everybody with an ended plan is looked up today, as hardly anybody is: the most that the gaps can have to do.
    accesses = query(
        "SELECT nhs_number, $now AS accessed_at FROM plans WHERE end_date < $on", {"plans": plans}, {"now": NOW, "on": ON}
    )
    everybody = course.step("all plans side by side, by person", lambda: known(plans, found.persons))
    seen = [
        course.step("conflicts", lambda: conflicts(everybody, on=ON)),
        course.step("gaps", lambda: gaps(everybody, accesses, found.persons, reference.working_days, on=ON)),
        course.step("unborn", lambda: unborn(everybody, reference.working_days, on=ON)),
        course.step("returns", lambda: returns(everybody, on=ON)),
    ]
    course.step(
        "what of it is news, to everybody for the first time",
        lambda: lists.news(pa.concat_tables(seen), ENTRIES.empty_table(), everybody),
    )
    course.found = {name: table.num_rows for name, table in zip(("conflicts", "gaps", "unborn", "returns"), seen, strict=True)}
    return course


def section(course: Course) -> Section:
    """What was measured, for the page."""
    rows = tuple((name, f"{seconds:.2f}") for name, seconds in course.seconds.items())
    settled = course.seconds["settled"]
    routed = sum(course.seconds[step] for step in ("places and routing", "all plans side by side, by person", "conflicts"))
    words = (
        f"{course.people:,} people, all of them new to the trace: one process, one thread, all authorities at once."
        " Seconds are of processor time."
        f" Settling is to take under {SETTLE_SECONDS:.0f} s and took {settled:.2f}; routing and conflicts are to take under"
        f" {ROUTE_SECONDS:.0f} s and took {routed:.2f}. The national view found"
        f" {', '.join(f'{count:,} {name}' for name, count in course.found.items())}."
    )
    return Section(
        "The trace against PDS, and the national view",
        (words,),
        (Table(("step", "seconds"), (*rows, ("all of it", f"{sum(course.seconds.values()):.2f}"))),),
    )
