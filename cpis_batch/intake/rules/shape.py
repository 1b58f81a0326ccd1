"""CPB-0nn and CPB-2nn: the file as text, its columns, and the lines that are not records."""

from cpis_batch.intake.lines import LINES_MAX, Unreadable
from cpis_batch.intake.records import Damage
from cpis_batch.intake.rules.rule import Rule, Scope
from cpis_batch.vocabulary import Severity

_CSV_UTF_8 = "In Excel save as 'CSV UTF-8 (Comma delimited)'; in a database tool choose UTF-8. Then send the file again."

# Why the bytes could not be cut into lines: code, reason, cause, cure.
_TEXT = (
    ("CPB-001", Unreadable.EMPTY, "The file is empty.",
     "If you hold no plans, send an H record and a T record with 0. Otherwise look whether the export ran to its end."),
    ("CPB-002", Unreadable.UTF_16, "The file is in UTF-16 or UTF-32, which some tools call 'Unicode text'.", _CSV_UTF_8),
    ("CPB-003", Unreadable.NUL, "The file holds a NUL byte, so it is not plain text or was damaged on its way.",
     "Make the file again as CSV UTF-8; a workbook (.xlsx) renamed to .csv stays a workbook."),
    ("CPB-004", Unreadable.TOO_MANY_LINES, f"The file has more than {LINES_MAX:,} lines.",
     "Look whether the export repeats rows or writes blank lines."),
    ("CPB-005", Unreadable.LINE_TOO_LONG, "A line is much longer than a record can be.",
     "Look at that line: free text or other columns do not belong in this file, and line ends may be lacking."),
    ("CPB-006", Unreadable.CR_LINE_ENDS, "Lines end with a carriage return alone, as on old Macintosh computers.",
     "Save with Windows (CRLF) or Unix (LF) line ends."),
    ("CPB-007", Unreadable.NOT_UTF_8,
     "The file is not in UTF-8: most likely it was saved as plain 'CSV' in the Windows-1252 encoding.", _CSV_UTF_8),
    ("CPB-008", Unreadable.MIXED_ENCODINGS,
     "Some characters of the file are in UTF-8 and some in another encoding, so two sources were joined.",
     "Export all of it in UTF-8, in one go. Do not paste parts together."),
    ("CPB-009", Unreadable.SEP_LINE, "The first line is a 'sep=' line, which only Excel understands.", "Leave that line out."),
    ("CPB-010", Unreadable.SEMICOLONS, "The columns are separated by semicolons.",
     "Separate them by commas. In Excel, set the list separator of your region to a comma."),
    ("CPB-011", Unreadable.TABS, "The columns are separated by tabs.",
     "Separate them by commas: save as CSV UTF-8, not as text."),
    ("CPB-012", Unreadable.OTHER_SEPARATOR, "The columns are not separated by commas.", "Separate them by commas."),
)  # fmt: skip

_COLUMNS = (
    Rule(
        "CPB-021",
        Scope.FILE,
        Severity.ERROR,
        (),
        "NOT heading_fits",
        "The heading names columns that are unknown, repeated, missing or in another order.",
        "Write the columns of the specification, in its order; or leave the heading out. Other columns must never be sent.",
        line="heading_line",
    ),
    Rule(
        "CPB-022",
        Scope.FILE,
        Severity.ERROR,
        (),
        "extra_line IS NOT NULL",
        "The file carries other columns than those of the specification: most D records have more fields.",
        "Leave the other columns out of the export: we must not hold them. If a name holds a comma, put it in double quotes.",
        line="extra_line",
    ),
    Rule(
        "CPB-023",
        Scope.FILE,
        Severity.WARNING,
        (),
        "blank_line IS NOT NULL",
        "There are blank lines between the records. They were passed over.",
        "Nothing needs doing; look whether the export means to write them.",
        line="blank_line",
    ),
)

_DAMAGE = (
    ("CPB-201", Damage.UNCLOSED_QUOTE, "A double quote opens on this line and does not close.",
     "Close it; write a double quote inside a quoted value twice. If the value holds a line break, take that out."),
    ("CPB-202", Damage.STRAY_QUOTE, "A double quote stands inside a value, or something stands after a closing one.",
     "Put the whole value in double quotes and write each double quote inside it twice."),
    ("CPB-203", Damage.LINE_BREAK, "There is a line break inside a value.", "Take it out; no value may hold one."),
    ("CPB-204", Damage.TOO_FEW_FIELDS, "This record has fewer fields than the specification.",
     "Write every column, empty ones too. If the value before holds a line break, take that out."),
    ("CPB-205", Damage.TOO_MANY_FIELDS, "This record has more fields than the specification.",
     "Put values that hold a comma in double quotes, as in \"Smith, Jones\"."),
    ("CPB-206", Damage.UNKNOWN_TYPE, "This line does not begin with H, D or T.",
     "Begin each plan with D. If this is the rest of the line before, a value there holds a line break: take that out."),
)  # fmt: skip

RULES = (
    *(
        Rule(code, Scope.FILE, Severity.ERROR, (), f"unreadable = '{why}'", cause, cure,
             given="unreadable", line="unreadable_line", detail="'byte ' || unreadable_byte")
        for code, why, cause, cure in _TEXT
    ),
    *_COLUMNS,
    *(
        Rule(code, Scope.ROW, Severity.ERROR, (), f"damage = '{damage}'", cause, cure, given="odd_shape")
        for code, damage, cause, cure in _DAMAGE
    ),
    # Where the last columns are empty, a row with one comma too many looks like a padded one; its dates give it away.
    Rule("CPB-207", Scope.ROW, Severity.ERROR, ("date_of_birth",),
         "date_of_birth IS NULL AND regexp_full_match(plan_type_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}')",
         "The values of this record stand one column too far to the right: a value before them holds a comma.",
         "Put values that hold a comma in double quotes, as in \"Smith, Jones\".", "odd_plan_type"),
)  # fmt: skip
