"""CPB-13n: whether the content says the same sender and environment as the folder and the signature did."""

from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.vocabulary import FileOutcome, Severity

RULES = (
    Rule(
        "CPB-131",
        Scope.FILE,
        Severity.ERROR,
        ("la_code",),
        "regexp_full_match(la_code, '[A-Z][0-9]{8}') AND la_code <> folder_la_code",
        "The authority in the header is not the one of the folder and the key.",
        "Put each authority's file into its own folder, signed with its own key.",
        outcome=FileOutcome.NONE_LOADED,
        line="header_line",
    ),
    Rule(
        "CPB-132",
        Scope.FILE,
        Severity.ERROR,
        ("environment",),
        "environment IN ('TEST', 'LIVE') AND environment <> $environment",
        "The header names another environment than the one that this file was sent to.",
        "Send test files to the test service and real ones to the live service.",
        outcome=FileOutcome.NONE_LOADED,
        line="header_line",
    ),
)
