"""CPB-15n: the trailer record, by which rows lost in a spreadsheet or on the way are noticed (F33)."""

from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.vocabulary import Severity

_LOST = "Export again and send the file as it was made. A spreadsheet cuts off at a row limit and leaves out what a filter hides."


def _trailer(code: str, field: str, when: str, cause: str, cure: str, line: str = "trailer_line", detail: str = "NULL") -> Rule:
    return Rule(code, Scope.FILE, Severity.ERROR, (field,) if field else (), when, cause, cure, line=line, detail=detail)


RULES = (
    _trailer("CPB-151", "", "first_line IS NOT NULL AND trailer_line IS NULL",
             "There is no trailer (T), so the end of the file may be missing.",
             "Look whether the export ran to its end and the file was copied whole; then send it again.", line="NULL"),
    _trailer("CPB-152", "", "trailer_line < last_line", "There are records after the trailer (T).",
             "Write the T record last. If the export sorts its rows, sort by a number that puts H first and T last."),
    _trailer("CPB-153", "", "second_trailer_line IS NOT NULL", "There is a second trailer, so two extracts were joined.",
             "Send each extract as a file of its own.", line="second_trailer_line"),
    _trailer("CPB-154", "", "trailer_damage IS NOT NULL",
             "The trailer has too few or too many fields, or a double quote is astray.",
             "Write its three fields: T, the record count, the hash total."),
    _trailer("CPB-155", "record_count", "NOT regexp_full_match(record_count, '[0-9]{1,9}')",
             "The record count is not a whole number.", "Write the number of D records in digits."),
    _trailer("CPB-156", "hash_total", "NOT regexp_full_match(hash_total, '[0-9]{1,10}')",
             "The hash total is not a whole number of at most ten digits.",
             "Write the sum of the NHS numbers modulo 10000000000, in digits; a spreadsheet must not round it."),
    # A line of unknown type may be a D record that the sender counted, or the second half of one.
    _trailer("CPB-157", "record_count", "declared_count NOT BETWEEN detail_lines AND detail_lines + other_lines",
             "The file holds another number of D records than its trailer says. Rows were lost or added.", _LOST,
             detail="'declared ' || declared_count || ', counted ' || detail_lines"),
    _trailer("CPB-158", "hash_total", "declared_hash <> counted_hash",
             "The NHS numbers do not add up to the trailer's hash total. Rows or numbers were changed after the export.", _LOST),
)  # fmt: skip
