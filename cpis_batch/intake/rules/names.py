"""CPB-4nn: names and the LA's own id. CPB-41n is the family name, 42n the given name, 43n the id; the last digit tells what.

Only a missing family name keeps a row out: a child is not turned away for the spelling of a name. Names that look like
nothing (Null, NA, None, Fernando) are names.
"""

from cpis_batch.intake.read import NAME, VERSION
from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import Severity

FIELDS = ("family_name", "given_name", "child_id")

FILLER = (
    "(?i:^ *(unknown|not (known|given|recorded)|unnamed|n/k|n/a|nk|tb[ac]|x{1,3}|test|baby( (boy|girl|of))?|unborn|infant|male"
    "|female|twin( [123])?) *$)"
)
_INVISIBLE = r"[\p{Cc}\p{Cf}]"

# First characters that a spreadsheet takes for a formula, full-width forms included (F37).
_FORMULA = "('=', '+', '-', '@', chr(9), chr(13), chr(65309), chr(65291), chr(65293), chr(65312))"

# UTF-8 taken for Windows-1252 and written as UTF-8 again: a capital A with a mark, then a character of the upper half.
_MISREAD = r"[\x{C2}\x{C3}][\x{80}-\x{BF}]|\x{FFFD}"


def odd(field: str) -> str:
    """SQL that is true of a value for which one of the rules below may speak.

    It is planned for every file, so it does without the regular expression for letters of all scripts, which costs 7 ms.
    """
    if field == "child_id":
        return "NOT regexp_full_match(child_id, '[A-Za-z0-9][ -~]*')"
    return (
        f"({field} < 'A' OR {field} >= chr({0xFF00}) OR regexp_matches({field}, '{FILLER}|{_INVISIBLE}|{_MISREAD}')"
        f" OR strlen({field}) > length({field}) AND nfc_normalize({field}) <> {field})"
    )


def _classes(field: str, words: str) -> tuple[tuple[int, str, str, str], ...]:
    """Digit, predicate, cause, cure."""
    return (
        (0, f"trim({field}) = ''", f"There is no {words}.", "Give it if you have it."),
        (1, f"regexp_matches({field}, '{FILLER}')", f"The {words} looks like a filler.",
         "Give the real name as soon as it is known."),
        (2, rf"regexp_full_match({field}, '[^\p{{L}}]+') AND trim({field}) <> ''", f"The {words} holds no letter.",
         "Look whether the columns are in their order."),
        (3, f"left({field}, 1) IN {_FORMULA}", f"The {words} begins with a character that a spreadsheet takes for a formula.",
         "Take that character out unless it is part of it."),
        (4, f"regexp_matches({field}, '{_INVISIBLE}')",
         f"The {words} holds invisible characters, such as a zero-width space or a tab.", "Type it again instead of pasting it."),
        (5, f"strlen({field}) > length({field}) AND nfc_normalize({field}) <> {field}",
         f"The {words} is written with letters and accents apart (not Unicode NFC).",
         "Nothing needs doing: it is compared as if written together. Search in your system may miss it."),
        (6, f"strlen({field}) > length({field}) AND regexp_matches({field}, '{_MISREAD}')",
         f"The {words} holds characters that come of a wrong conversion, as in 'ZoÃ«' for 'Zoë'.",
         "Export in UTF-8 straight from the case system, without a step that takes it for Windows-1252."),
    )  # fmt: skip


def _rules(family: int, field: str, words: str, digits: tuple[int, ...]) -> tuple[Rule, ...]:
    """A missing value is as grave as the specification has it; all else about a name warns."""
    obligation = next(column.obligation for column in table_schema(NAME, VERSION, "detail").fields if column.name == field)
    return tuple(
        Rule(
            f"CPB-4{family}{digit}",
            Scope.ROW,
            Severity.ERROR if digit == 0 and obligation == "Mandatory" else Severity.WARNING,
            (field,),
            when,
            cause,
            cure,
            given=f"odd_{field}",
        )
        for digit, when, cause, cure in _classes(field, words)
        if digit in digits
    )


RULES = (
    *_rules(1, "family_name", "family name", (0, 1, 2, 3, 4, 5, 6)),
    *_rules(2, "given_name", "given name", (0, 1, 2, 3, 4, 5, 6)),
    *_rules(3, "child_id", "id of your own", (0, 3, 4, 5)),
)
