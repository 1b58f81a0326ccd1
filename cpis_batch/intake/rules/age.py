"""CPB-7nn: ages. A UCPP stands on the mother's number, so that its date of birth is hers."""

from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.vocabulary import Severity

_CHILD = "plan_type IN ('CPP', 'LAC')"
_BIRTH_AND_START = ("date_of_birth", "start_date")

RULES = (
    Rule(
        "CPB-701",
        Scope.ROW,
        Severity.ERROR,
        _BIRTH_AND_START,
        f"{_CHILD} AND date_of_birth > start_date",
        "The plan starts before the child is born.",
        "Correct one of the two dates. A plan for an unborn child is a UCPP, on the mother's NHS number.",
    ),
    Rule(
        "CPB-702",
        Scope.ROW,
        Severity.ERROR,
        _BIRTH_AND_START,
        f"{_CHILD} AND age_at_start >= 18",
        "The plan starts on or after the 18th birthday.",
        "Correct one of the two dates. If this is a mother, the plan type is UCPP.",
    ),
    Rule(
        "CPB-703",
        Scope.ROW,
        Severity.WARNING,
        ("end_date",),
        f"{_CHILD} AND end_date_text = '' AND delete_date_text = '' AND age_at_start < 18 AND age_now >= 18",
        "The plan is open after the 18th birthday. It is taken as ended on that day.",
        "Give the end date in your case system.",
    ),
    Rule(
        "CPB-704",
        Scope.ROW,
        Severity.ERROR,
        _BIRTH_AND_START,
        "plan_type = 'UCPP' AND age_at_start NOT BETWEEN 10 AND 60",
        "At the start of the plan the mother would be younger than 10 or older than 60.",
        "Give the mother's date of birth, NHS number and name. Once the child is born, a plan on the child is a CPP.",
    ),
)
