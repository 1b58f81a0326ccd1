"""CPB-1nn: the header record."""

from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.vocabulary import FileOutcome, Severity

OLD_AFTER_DAYS = 31

_PHONE = "^[+]?[0-9][0-9 ()-]{6,30}$"


def _header(code: str, field: str, when: str, cause: str, cure: str, severity: Severity = Severity.ERROR) -> Rule:
    return Rule(code, Scope.FILE, severity, (field,) if field else (), when, cause, cure, line="header_line")


def _phone(code: str, odd_code: str, field: str, words: str) -> tuple[Rule, Rule]:
    return (
        _header(code, field, f"{field} = ''", f"The header has no {words} phone number.",
                "Give it: NHS staff who see a child of yours are shown it.", Severity.WARNING),
        _header(odd_code, field, f"{field} <> '' AND NOT regexp_matches({field}, '{_PHONE}')",
                f"The {words} phone number does not look like one.", "Give one number, in digits.", Severity.WARNING),
    )  # fmt: skip


RULES = (
    Rule(
        "CPB-101",
        Scope.FILE,
        Severity.ERROR,
        (),
        "first_line IS NOT NULL AND header_line IS DISTINCT FROM first_line",
        "The first record is not a header (H).",
        "Write the H record first. If the export sorts its rows, sort by a number that puts H first and T last.",
        line="nullif(first_line, 0)",
    ),
    _header("CPB-102", "", "header_damage IS NOT NULL", "The header has too few or too many fields, or a double quote is astray.",
            "Write its ten fields as the specification has them."),
    Rule(
        "CPB-103",
        Scope.FILE,
        Severity.ERROR,
        (),
        "second_header_line IS NOT NULL",
        "There is a second header, so two extracts were joined.",
        "Send each extract as a file of its own.",
        line="second_header_line",
    ),
    _header("CPB-104", "format", "format <> 'CPIS-LA-EXTRACT'", "The header does not name the format CPIS-LA-EXTRACT.",
            "Look whether this is the right file; if so, write the name of the format in the second field of the header."),
    Rule(
        "CPB-105",
        Scope.FILE,
        Severity.ERROR,
        ("version",),
        "format = 'CPIS-LA-EXTRACT' AND NOT list_contains($supported, version)",
        "We do not take this version of the format.",
        "Export in a version that we take; the answer lists them.",
        outcome=FileOutcome.VERSION_NOT_SUPPORTED,
        line="header_line",
        detail="'supported: ' || array_to_string($supported, ', ')",
    ),
    _header("CPB-106", "environment", "environment NOT IN ('TEST', 'LIVE')", "The environment is neither TEST nor LIVE.",
            "Write TEST or LIVE in capitals."),
    _header("CPB-107", "la_code", "NOT regexp_full_match(la_code, '[A-Z][0-9]{8}')",
            "The authority is not given by its nine-character GSS code.",
            "Write the GSS code, as in E09000012. A three-digit code means different authorities in different lists and is never"
            " taken."),
    _header("CPB-108", "kind", "kind NOT IN ('FULL', 'DELTA')", "The kind of extract is neither FULL nor DELTA.",
            "Write FULL if the file lists every plan that you hold, DELTA if it lists changes only."),
    _header("CPB-109", "sequence", "sequence IS NOT NULL AND sequence_number IS NULL",
            "The sequence is not a whole number from 1 to 99999999.", "Number your extracts 1, 2, 3 and so on, in digits."),
    _header("CPB-110", "extracted_at", "extracted_at IS NOT NULL AND extracted_instant IS NULL",
            "The time of extraction is not a date and time with a zone.",
            "Write it as 2026-11-19T23:40:00+00:00, or with Z for UTC."),
    _header("CPB-111", "extracted_at", "extracted_instant >= $business_date + INTERVAL 2 DAY",
            "The time of extraction lies in the future.",
            "Look at the clock and the time zone of the machine that makes the extract."),
    _header("CPB-112", "extracted_at", f"extracted_instant < $business_date - INTERVAL {OLD_AFTER_DAYS} DAY",
            f"The data were extracted more than {OLD_AFTER_DAYS} days ago.",
            "Look whether the export still runs, and send a new one.", Severity.WARNING),
    *_phone("CPB-113", "CPB-114", "office_phone", "office-hours"),
    *_phone("CPB-115", "CPB-116", "emergency_phone", "emergency duty"),
)  # fmt: skip
