"""CPB-8nn: rows of one file against each other.

Only rows that would load by themselves are compared, so that a faulty row never keeps a good one out. Of rows that say
the same the first loads; of rows that contradict each other none does, and what the register holds still stands.
"""

from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.vocabulary import Severity

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
