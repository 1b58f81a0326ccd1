"""CPB-8nn: rows of one file against each other.

Only rows that would load by themselves are compared, so that a faulty row never keeps a good one out. Of rows that say
the same the first loads; of rows that contradict each other none does, and what the register holds still stands.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.vocabulary import PlanType, Severity

# Of a row that would load by itself: what it is compared by.
COLUMNS = ("file", "line", "child_id", "nhs_number", "plan_type", "start_date", "end_date", "delete_date", "date_of_birth")

# From `rows`, those of persons with more than one in a file, to what the rules below speak of.
COMPARED = """
WITH persons AS (
    SELECT file, nhs_number, min(date_of_birth) <> max(date_of_birth) AS births_differ FROM rows GROUP BY ALL
), keys AS (
    SELECT file, nhs_number, plan_type, start_date, min(line) AS first_line,
        count(DISTINCT (end_date, delete_date, date_of_birth)) AS stories
    FROM rows GROUP BY ALL
), told AS (
    SELECT c.*, first_line, stories, births_differ, stories = 1 AND line = first_line AND delete_date IS NULL AS counts
    FROM rows c JOIN persons USING (file, nhs_number) JOIN keys USING (file, nhs_number, plan_type, start_date)
)
SELECT line, child_id, start_date, stories, first_line, births_differ, counts AND end_date IS NULL AS is_open,
    min(start_date) FILTER (WHERE counts AND end_date IS NULL) OVER (
        PARTITION BY file, nhs_number, plan_type
    ) AS first_open_start,
    CASE WHEN counts THEN max(coalesce(end_date, DATE '9999-12-31')) FILTER (WHERE counts) OVER (
        PARTITION BY file, nhs_number, plan_type
        ORDER BY start_date RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 DAY PRECEDING
    ) END AS busy_until
FROM told
"""


def of_persons_with_several(
    files: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64], sound: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Of each row, whether it is one of several `sound` ones of its file with its NHS number; `sound` are those that would load.

    Few persons have several rows, and sorting their numbers finds them in a tenth of the time that comparing all would take.
    """
    places = np.flatnonzero(sound)
    persons = files[places] * 10**10 + numbers[places]
    ordered = np.sort(persons)
    several = ordered[1:][ordered[1:] == ordered[:-1]]
    found = np.zeros(len(sound), np.bool_)
    found[places[pc.is_in(pa.array(persons), pa.array(several)).to_numpy(zero_copy_only=False)]] = True
    return found


def crowded(rows: pa.Table, numbers: npt.NDArray[np.int64]) -> pa.Table:
    """Of rows with COLUMNS and their NHS numbers those that the rules below can speak of.

    They are all rows of a person with several plans of one type in a file, and all of one with several dates of birth.
    """
    persons = rows["file"].to_numpy() * 10**10 + numbers
    types = pc.index_in(rows["plan_type"], pa.array(list(PlanType), pa.string())).to_numpy()
    births = rows["date_of_birth"].cast(pa.int32()).to_numpy()
    wanted = _repeated(persons * len(PlanType) + types) | (_least(births, persons) < -_least(-births, persons))
    return rows.select(COLUMNS).filter(pa.array(wanted))


def _repeated(values: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Of each value, whether it stands there again."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: npt.NDArray[np.bool_] = counts[which] > 1
    return found


def _least(values: npt.NDArray[np.int32], persons: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Of each row the least of the values that its person has."""
    _, which = np.unique(persons, return_inverse=True)
    least = np.full(len(values), np.iinfo(np.int32).max, np.int32)
    np.minimum.at(least, which, values)
    return least[which]


def _rule(code: str, severity: Severity, fields: tuple[str, ...], when: str, cause: str, cure: str) -> Rule:
    return Rule(code, Scope.ROW, severity, fields, when, cause, cure)


RULES = (
    _rule("CPB-801", Severity.ERROR, ("end_date", "delete_date", "date_of_birth"), "stories > 1",
          "Another row of this file has the same NHS number, plan type and start date and says something else. Neither was"
          " loaded.",
          "Leave in the row that is right."),
    _rule("CPB-802", Severity.ERROR, ("nhs_number", "plan_type", "start_date"), "stories = 1 AND line > first_line",
          "An earlier row of this file says the same. That one was loaded.",
          "Send each plan once: look for a join that doubles rows."),
    _rule("CPB-803", Severity.ERROR, ("end_date", "start_date"), "is_open AND start_date > first_open_start",
          "An earlier plan of this type is open for this person, in this file. That one was loaded.",
          "Give the earlier plan its end date, or a delete date if it was entered in error."),
    _rule("CPB-804", Severity.WARNING, ("start_date", "end_date"), "start_date < busy_until",
          "This plan starts before an earlier one of the same type and person has ended.", "Look whether the dates are right."),
    _rule("CPB-805", Severity.WARNING, ("date_of_birth", "nhs_number"), "births_differ",
          "Rows of this file give one NHS number different dates of birth, so one of them may stand on a wrong number.",
          "Look whether both rows are the same person: brothers and sisters get mixed up."),
)  # fmt: skip
