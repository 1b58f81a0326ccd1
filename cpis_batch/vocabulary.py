"""The service's own codes, as the CP-IS message specification has them, and our own few beside them."""

from enum import StrEnum


class PlanType(StrEnum):
    """What a row says of a person. A UCPP stands on the mother's NHS number."""

    CPP = "CPP"
    LAC = "LAC"
    UCPP = "UCPP"


class FileOutcome(StrEnum):
    """CP-ISUploadFileResponse: what became of a file as a whole."""

    UNREADABLE = "CPF01"
    ALL_LOADED = "CPF02"
    PARTIAL = "CPF03"
    NONE_LOADED = "CPF04"
    DEMOGRAPHICS_UNAVAILABLE = "CPF05"
    VERSION_NOT_SUPPORTED = "CPF06"


class RecordOutcome(StrEnum):
    """CP-ISUploadRecordResponse: what became of one row."""

    NO_MATCH = "CPR01"
    SENSITIVE = "CPR02"
    NOT_VERIFIED = "CPR03"
    OLD_STYLE_NUMBER = "CPR04"
    SUPERSEDED = "CPR05"
    LOADED = "CPR06"
    OTHER = "CPR07"


class NhsNumberStatus(StrEnum):
    """NHS NUMBER STATUS INDICATOR CODE (NHS Data Model and Dictionary): how far a person's number has been traced.

    Every row of ours has a number, so 07 does not occur.
    """

    VERIFIED = "01"  # number present and verified
    NOT_TRACED = "02"  # number present but not traced: there is no trace service to ask
    TRACE_REQUIRED = "03"  # not asked yet
    NO_MATCH = "04"  # trace attempted: no match, or several
    TO_BE_RESOLVED = "05"  # number and details conflict, or the number is not the current one
    IN_PROGRESS = "06"  # asked, not answered
    NO_NUMBER = "07"  # number not present and trace not required
    POSTPONED = "08"  # a baby under six weeks old


class TraceCode(StrEnum):
    """What a trace found. The numbers are those that batch traces of PDS answer with; nothing public tells what each means,
    so these meanings are those of our format (specs/trace-response/1.0). They cover what the PDS mini services publish
    (PDSMiniServiceResponseCode: no match, multiple matches, superseding number, invalidated, not verified, not a new-style
    number).
    """

    FOUND = "20"
    SUPERSEDED = "21"  # found; another number is the current one
    INACTIVE = "22"  # invalidated, with none in its place
    NO_MATCH = "30"
    SEVERAL = "31"  # more than one record fits
    OLD_STYLE = "32"  # not a number of today's form
    NOT_TRACED = "33"  # the service could not look; ask again
    NOT_VERIFIED = "40"  # found, but the service holds the details to be another person's


class Inactive(StrEnum):
    """Why a number is no longer a person's current one, as message 06 tells it."""

    SUPERSEDED = "SUPERSEDED"  # another one is, and it is told
    NO_REPLACEMENT = "NO_REPLACEMENT"  # none is told, ever: adoption, change of gender, a number given in error


class FileState(StrEnum):
    """Where an arrival stands. HELD waits for a person or for another file; every other state is final."""

    HELD = "HELD"
    MERGED = "MERGED"
    DUPLICATE = "DUPLICATE"
    STALE = "STALE"
    REFUSED = "REFUSED"


class Severity(StrEnum):
    """ERROR on a row keeps that row out, ERROR on a file keeps the file out; WARNING keeps nothing out."""

    ERROR = "ERROR"
    WARNING = "WARNING"


class ExtractKind(StrEnum):
    """FULL lists every plan the LA holds; DELTA only what changed since the sequence before."""

    FULL = "FULL"
    DELTA = "DELTA"


class Environment(StrEnum):
    """TEST takes only NHS numbers of the 999 range, LIVE only others."""

    TEST = "TEST"
    LIVE = "LIVE"


class Change(StrEnum):
    """What a merge did to one plan. CONFIRMED: sent again, the same; MISSING: left out of a full extract, and kept."""

    NEW = "NEW"
    REOPENED = "REOPENED"
    AMENDED = "AMENDED"
    ENDED = "ENDED"
    RESUMED = "RESUMED"
    DELETED = "DELETED"
    AGED_OUT = "AGED_OUT"
    ERASED = "ERASED"
    CONFIRMED = "CONFIRMED"
    MISSING = "MISSING"


# The changes that replace what PLANS said of a plan: the version before goes to the history.
CLOSES = (Change.AMENDED, Change.ENDED, Change.RESUMED, Change.DELETED, Change.AGED_OUT)


class MessageType(StrEnum):
    """CP-ISMessageType: the messages that an LA is sent."""

    ACKNOWLEDGEMENT = "02"
    ACCESS_TO_SERVICE_NOTIFICATION = "05"
    INACTIVE_NHS_NUMBER_NOTIFICATION = "06"


class RoutingBasis(StrEnum):
    """Why a child belongs to a CHIS unit."""

    PRACTICE = "PRACTICE"
    RESIDENCE = "RESIDENCE"
    SENDING_LA = "SENDING_LA"


class ExtractChange(StrEnum):
    """How a row of a CHIS extract stands against the unit's extract before it. CEASED: take the flag down."""

    NEW = "NEW"
    CHANGED = "CHANGED"
    UNCHANGED = "UNCHANGED"
    CEASED = "CEASED"
