"""CPB-5nn: dates. CPB-51n is the date of birth, 52n the start, 53n the end, 54n the delete date; the last digit tells what.

Only ISO 8601 is taken. How a date was meant is never guessed: 01/02/2024 is two dates (F36).
"""

from cpis_batch.intake.rules.columns import DATES
from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.vocabulary import Severity

KEPT_DAYS = 365  # after its end a plan leaves the register (DESIGN, section 3)
FAR_AHEAD_DAYS = 365

_WORDS = {"date_of_birth": "date of birth", "start_date": "start date", "end_date": "end date", "delete_date": "delete date"}
_ISO = "Write dates as 2024-02-01: year, month, day."

# Shapes that exclude each other: digit, the shape, cause, cure. What fits none is digit 9.
_SHAPES = (
    (1, r"[0-9]{1,2}[/.-](0?[0-9]|1[0-2])[/.-][0-9]{4}( .*)?",
     "is written with the day first, or with day and month in an unknown order", _ISO),
    (2, r"[0-9]{1,2}[/.-](1[3-9]|[2-9][0-9])[/.-][0-9]{4}( .*)?", "is written with the month first", _ISO),
    (3, r"[0-9]{1,2}[/. -]([0-9]{1,2}|[A-Za-z]{3,9})[/. -][0-9]{2}( .*)?", "has a year of two digits", _ISO),
    (4, r"[0-9]{5}([.][0-9]+)?", "is a number of days, as Excel stores a date",
     "Format the column as YYYY-MM-DD before saving, or export without Excel."),
    (5, r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "is a day that the calendar does not have",
     "Look it up: 29 February exists only in leap years."),
    (6, r"[0-9]{4}-([0-9]-[0-9]{1,2}|[0-9]{2}-[0-9])|[0-9]{4}[/.][0-9]{1,2}[/.][0-9]{1,2}|[0-9]{8}",
     "lacks a leading zero or its hyphens", _ISO),
    (7, r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].*", "has a time with it", "Export the date alone: in SQL, cast it to a date."),
)  # fmt: skip


def _shapes(family: int, field: str) -> tuple[Rule, ...]:
    unread = f"{field}_text <> ''"
    none_of_them = " AND ".join(f"NOT regexp_full_match({field}_text, '{shape}')" for _, shape, _, _ in _SHAPES)
    return (
        *(
            _error(f"CPB-5{family}{digit}", (field,), f"{unread} AND regexp_full_match({field}_text, '{shape}')",
                   f"The {_WORDS[field]} {cause}.", cure, f"odd_{field}")
            for digit, shape, cause, cure in _SHAPES
        ),
        _error(f"CPB-5{family}9", (field,), f"{unread} AND {none_of_them}",
               f"The {_WORDS[field]} is not a date.", _ISO, f"odd_{field}"),
    )  # fmt: skip


def _error(code: str, fields: tuple[str, ...], when: str, cause: str, cure: str, given: str = "") -> Rule:
    return Rule(code, Scope.ROW, Severity.ERROR, fields, when, cause, cure, given)


def _warning(code: str, fields: tuple[str, ...], when: str, cause: str, cure: str) -> Rule:
    return Rule(code, Scope.ROW, Severity.WARNING, fields, when, cause, cure)


RULES = (
    _error("CPB-510", ("date_of_birth",), "date_of_birth_text = ''", "There is no date of birth.",
           "Give it, estimated if need be, as in the child's NHS record.", "odd_date_of_birth"),
    _error("CPB-520", ("start_date",), "start_date_text = ''", "There is no start date.",
           "Give the first day of the plan.", "odd_start_date"),
    *(rule for place, field in enumerate(DATES, start=1) for rule in _shapes(place, field)),
    _error("CPB-551", ("date_of_birth",), "date_of_birth > $business_date", "The date of birth lies in the future.",
           "Look whether the expected date of delivery was put in; an unborn child is a UCPP, with the mother's date of birth."),
    _error("CPB-552", ("date_of_birth",), "date_of_birth < DATE '1900-01-01'", "The date of birth lies before 1900.",
           "Look whether a filler or a wrong century was put in."),
    _warning("CPB-561", ("start_date",), f"start_date > $business_date AND start_date <= $business_date + {FAR_AHEAD_DAYS}",
             "The start date lies in the future. The plan is shown from that day on.",
             "Nothing needs doing if the date is right."),
    _error("CPB-562", ("start_date",), f"start_date > $business_date + {FAR_AHEAD_DAYS}",
           "The start date lies more than a year in the future.", "Correct it in your case system."),
    _error("CPB-571", ("end_date", "start_date"), "end_date < start_date", "The plan ends before it starts.",
           "Correct one of the two dates. If the plan was entered in error, give a delete date."),
    _warning("CPB-572", ("end_date",), "end_date > $business_date",
             "The end date lies in the future. The plan is shown until then.", "Nothing needs doing if the date is right."),
    _warning("CPB-573", ("end_date",), f"end_date < $business_date - {KEPT_DAYS}",
             f"The plan ended more than {KEPT_DAYS} days ago and is not kept any more.", "Leave such plans out of the extract."),
    _error("CPB-581", ("delete_date", "start_date"), "delete_date < start_date",
           "The delete date lies before the start of the plan.", "Correct one of the two dates."),
    _error("CPB-582", ("delete_date",), "delete_date > $business_date", "The delete date lies in the future.",
           "Give the day on which the error was found. To end a plan at a later day, give an end date."),
)  # fmt: skip
