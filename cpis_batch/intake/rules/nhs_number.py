"""CPB-3nn: the NHS number. Rejected, never repaired; the cause is given by name (F34, F26)."""

from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.vocabulary import Severity

_AS_TEXT = "Make the column text before numbers go in. Or export without opening the file in Excel."
_LOOK_UP = "Look the number up again in the child's record or the Spine, and correct it in your case system."

OLD_STYLE = "CPB-306"  # its rows have the outcome CPR04
_OLD_STYLE = "[A-Za-z]{2,5}[ /-]?[0-9][0-9 /-]*[A-Za-z0-9]{0,2}"
_SCIENTIFIC = "[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+"

# Read from the top: the first that fits names the cause. Code, predicate, cause, cure.
_CLASSES = (
    ("CPB-302", f"regexp_full_match(nhs_number_text, '{_SCIENTIFIC}')",
     "The NHS number is in scientific notation. Excel has rounded it, and its last digits are lost.", _AS_TEXT),
    ("CPB-303", "regexp_matches(nhs_number_text, '^[=''\"]')",
     "The NHS number is wrapped as a spreadsheet formula or begins with an apostrophe or quote.",
     "Write the ten digits and nothing else."),
    ("CPB-304", "regexp_full_match(nhs_number_text, '[0-9]+[.,][0-9]+')",
     "The NHS number has a decimal part, as in '.0': it was exported as a number.", "Export it as text."),
    ("CPB-305", r"regexp_matches(regexp_replace(nhs_number_text, '[0-9]', '', 'g'), '\p{Nd}')",
     "The NHS number holds digits of another script or full-width digits.", "Type it in plain digits, 0 to 9."),
    (OLD_STYLE, f"regexp_full_match(nhs_number_text, '{_OLD_STYLE}')",
     "This looks like an old-style NHS number, of letters and digits, which has not been in use since 1996.", _LOOK_UP),
    ("CPB-307", "regexp_matches(nhs_number_text, '[A-Za-z]')",
     "The NHS number holds letters; O for zero and I for one are common.", _LOOK_UP),
    ("CPB-308", "regexp_full_match(nhs_digits, '[0-9]{9}')",
     "The NHS number has nine digits: a zero may have been lost, or a digit left out.", f"{_LOOK_UP} {_AS_TEXT}"),
    ("CPB-309", "regexp_full_match(nhs_digits, '[0-9]+') AND length(nhs_digits) <> 10",
     "The NHS number does not have ten digits.", _LOOK_UP),
    ("CPB-310", "nhs_value % 1111111111 = 0",
     "The NHS number is one digit ten times, a number that is never issued.", f"Leave no filler in the NHS number. {_LOOK_UP}"),
    ("CPB-311", "nhs_value IS NOT NULL",
     "The check digit of the NHS number is wrong: a digit was mistyped, or two changed places.", _LOOK_UP),
    ("CPB-312", "true", "The NHS number holds something else than digits, spaces and hyphens.",
     "Write the ten digits and nothing else."),
)  # fmt: skip


def _rule(code: str, when: str, cause: str, cure: str, given: str = "") -> Rule:
    return Rule(code, Scope.ROW, Severity.ERROR, ("nhs_number",), when, cause, cure, given)


def _class(place: int) -> Rule:
    code, when, cause, cure = _CLASSES[place]
    earlier = "".join(f" AND NOT coalesce({other}, false)" for _, other, _, _ in _CLASSES[:place])
    return _rule(code, f"nhs_number_text <> ''{earlier} AND ({when})", cause, cure, "odd_nhs_number")


RULES = (
    _rule("CPB-301", "nhs_number_text = ''", "There is no NHS number.",
          "Trace the child's NHS number; a newborn has one within hours. Send the row when you have it.", "odd_nhs_number"),
    *(_class(place) for place in range(len(_CLASSES))),
    _rule("CPB-321", "$environment = 'LIVE' AND starts_with(nhs_number, '999')",
          "This is a test number (999...), which no person has.", "Send the person's real NHS number."),
    _rule("CPB-322", "$environment = 'TEST' AND NOT starts_with(nhs_number, '999')",
          "This is not a test number. Real people's data must not be sent to the test service.",
          "In test files use numbers of the 999 range only."),
)  # fmt: skip
