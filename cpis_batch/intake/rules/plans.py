"""CPB-6nn: the plan type."""

from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.vocabulary import Severity

RULES = (
    Rule(
        "CPB-601",
        Scope.ROW,
        Severity.ERROR,
        ("plan_type",),
        "plan_type_text = ''",
        "There is no plan type.",
        "Write CPP, LAC or UCPP.",
        "odd_plan_type",
    ),
    Rule(
        "CPB-602",
        Scope.ROW,
        Severity.ERROR,
        ("plan_type",),
        "plan_type_text <> ''",
        "The plan type is none of CPP, LAC and UCPP.",
        "Write it in capitals. Other involvement, such as children in need, is not sent.",
        "odd_plan_type",
    ),
)
