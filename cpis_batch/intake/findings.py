"""What can be said of a file as a whole that no rule over its text can see: its envelope, its place in the sequence, a decision.

Codes CPB-9nn, beside the rules' own; `rules list` prints both.
"""

from __future__ import annotations

from dataclasses import dataclass

from cpis_batch.envelope.outcome import Refusal


@dataclass(frozen=True, slots=True)
class Finding:
    """A code with its cause and its cure, in plain words."""

    code: str
    cause: str
    cure: str


UNREADABLE = Finding(
    "CPB-901",
    "We could not open this file.",
    "Make it again: sign with your own key, encrypt to our current key, wait until the upload has ended, and send it again.",
)
UNSIGNED = Finding(
    "CPB-902",
    "This file is encrypted and not signed.",
    "Choose 'sign' as well as 'encrypt' in your tool, with the key whose certificate you gave us, and send it again.",
)
NOT_YOUR_KEY = Finding(
    "CPB-903",
    "This file is signed by a key that is not registered for your authority, or not valid now.",
    "Sign with the key whose certificate you gave us. If you have a new key, send us its certificate first.",
)
BAD_SIGNATURE = Finding(
    "CPB-904",
    "The signature does not fit the data of this file.",
    "The file was changed after it was signed, or signed more than once. Make it again and send it again.",
)
REPEATED_SEQUENCE = Finding(
    "CPB-911",
    "We have already used another file with this sequence number.",
    "Number each extract one higher than the one before. Until we have spoken with you, your next files wait.",
)
STALE = Finding(
    "CPB-912", "This file is older than the last one that we used.", "Nothing needs doing. Send tonight's extract as usual."
)
GAP = Finding(
    "CPB-913",
    "One or more extracts between your last one and this one did not reach us.",
    "Look whether your job failed on those nights. If you send changes only (DELTA), send the ones that are missing.",
)
HEARTBEAT = Finding(
    "CPB-914",
    "The rows of this file are the very rows of your last file.",
    "This is right if nothing has changed. If something has, look whether your export still runs.",
)
RESET = Finding(
    "CPB-915",
    "Your sequence has started again at a lower number.",
    "If you have a new case system, tell us; we then start a new count. Otherwise correct the sequence and send the file again.",
)
DECIDED_AGAINST = Finding(
    "CPB-916", "This file was held, and it was decided not to use it.", "Talk to us about the reason; then send a new extract."
)
KEY_EXPIRES = Finding("CPB-917", "A key expires soon.", "Make a new key and send us its certificate before that day.")
PREVIOUS_HUB_KEY = Finding(
    "CPB-918",
    "This file was encrypted to our previous key.",
    "Encrypt to our current key from now on; the old one will be refused after its last day.",
)
ALREADY_HERE = Finding("CPB-919", "This very file has reached us before.", "Nothing needs doing.")
BRAKE = Finding(
    "CPB-921",
    "This file would change much more than usual.",
    "Tell us whether the change is right; or send a whole extract again.",
)
PARTNER_HELD = Finding("CPB-922", "Your files wait until a question about an earlier one is settled.", "Talk to us.")
DELETE_UNKNOWN = Finding(
    "CPB-923",
    "This row deletes a plan that we do not hold: the NHS number, plan type and start date must be those of the plan to delete.",
    "If the plan is still in our answers, send the row again with its own NHS number, plan type and start date.",
)
PAST_RETENTION = Finding(
    "CPB-924",
    "This plan ended longer ago than plans are kept, so we did not take it in.",
    "Nothing needs doing. Leave such plans out.",
)
DEMOGRAPHICS_UNAVAILABLE = Finding(
    "CPB-925",
    "The service that traces NHS numbers does not answer, and files wait for it.",
    "You need do nothing: your file is kept whole, and is used when the service answers again.",
)
TRACE_SILENT = Finding(
    "CPB-926",
    "The service that traces NHS numbers does not answer at present.",
    "You need do nothing: your rows are loaded and shown. Those not traced yet are provisional until it answers.",
)
STANDING_UNKNOWN = Finding(
    "CPB-927",
    "We could not look up how your rows stand with the trace.",
    "You need do nothing: your rows are judged by their other faults alone, and the trace goes its way.",
)

OF_REFUSAL = {
    Refusal.UNREADABLE: UNREADABLE,
    Refusal.UNSIGNED: UNSIGNED,
    Refusal.NOT_YOUR_KEY: NOT_YOUR_KEY,
    Refusal.BAD_SIGNATURE: BAD_SIGNATURE,
}
ALL = (
    UNREADABLE, UNSIGNED, NOT_YOUR_KEY, BAD_SIGNATURE, REPEATED_SEQUENCE, STALE, GAP, HEARTBEAT, RESET, DECIDED_AGAINST,
    KEY_EXPIRES, PREVIOUS_HUB_KEY, ALREADY_HERE, BRAKE, PARTNER_HELD, DELETE_UNKNOWN, PAST_RETENTION,
    DEMOGRAPHICS_UNAVAILABLE, TRACE_SILENT, STANDING_UNKNOWN,
)  # fmt: skip
