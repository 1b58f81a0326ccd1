"""The catalogue of faults that an authority's evening can have, each with what the hub must make of it.

A fault is a story of one or more evenings in a row. Each evening is a function of the authority's `Case` that says what
is put down and what must become of it (`Act`); each entry of `CATALOGUE` names the fault of FAULTS.md that it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from cpis_batch.sandbox.cases import Act, Case, Evening, Fate, as_usual, nothing
from cpis_batch.sandbox.drops import Sealing
from cpis_batch.vocabulary import Environment, ExtractKind, FileOutcome

# Helpers on rows. The first rows of an authority are its looked-after children, with names and dates of every kind.


def _spoilt(told: pa.Table, column: str, change: Callable[[str], str], rows: int) -> pa.Table:
    """`told` with the text of a column changed in the first `rows` rows."""
    place = told.column_names.index(column)
    text = told[column].cast(pa.string()).to_pylist()
    return told.set_column(place, column, pa.array([change(value) if row < rows else value for row, value in enumerate(text)]))


def _lines(text: bytes, change: Callable[[bytes], bytes], rows: int | None = None) -> bytes:
    """`text` with the first `rows` (or all) of its D records changed."""
    header, *records, trailer, end = text.split(b"\r\n")
    changed = [change(record) if rows is None or row < rows else record for row, record in enumerate(records)]
    return b"\r\n".join([header, *changed, trailer, end])


def _refused(make: Callable[[Case], bytes], outcome: FileOutcome) -> Evening:
    return lambda case: [case.act(make(case), Fate.REFUSED, outcome)]


def _partly(make: Callable[[Case], bytes], rejected: int) -> Evening:
    return lambda case: [case.act(make(case), Fate.MERGED, FileOutcome.PARTIAL, rejected=rejected)]


# Sender and envelope


def _sealed_wrongly(sealing: Sealing, outcome: FileOutcome) -> Evening:
    return lambda case: [case.act(case.text(), Fate.REFUSED, outcome, sealing=sealing, put_at=_hours_ago(case))]


def _hours_ago(case: Case) -> datetime:
    """Long enough before the run that the file cannot still be growing."""
    return case.runs_at - timedelta(hours=4)


def _cut_short(case: Case) -> list[Act]:
    return [case.act(case.text(), Fate.REFUSED, FileOutcome.UNREADABLE, keep=0.7, put_at=_hours_ago(case))]


def _empty_file(case: Case) -> list[Act]:
    return [case.act(b"", Fate.REFUSED, FileOutcome.UNREADABLE, sealing=Sealing.NONE, put_at=_hours_ago(case))]


def _half_uploaded(case: Case) -> list[Act]:
    return [case.act(case.text(), Fate.WAITING, keep=0.6, put_at=case.runs_at - timedelta(minutes=10))]


def _upload_goes_on(case: Case) -> list[Act]:
    before = case.earlier[-1]
    whole = before.act(before.text(), Fate.MERGED, FileOutcome.ALL_LOADED, put_at=before.runs_at + timedelta(minutes=10))
    return [whole, *as_usual(case)]


# Order


def _doubled(case: Case) -> list[Act]:
    stamp = case.header.extracted_at + timedelta(seconds=1)
    again = replace(case.header, extracted_at=stamp).file_name
    return [*as_usual(case), case.act(b"", Fate.DUPLICATE, FileOutcome.ALL_LOADED, name=again, same_as=case.name)]


def _replayed(case: Case) -> list[Act]:
    before = case.earlier[-1].name
    return [case.act(b"", Fate.DUPLICATE, FileOutcome.ALL_LOADED, name=before, same_as=before), *as_usual(case)]


def _late(case: Case) -> list[Act]:
    missed = case.earlier[-2]
    return [missed.act(missed.text(), Fate.STALE, FileOutcome.NONE_LOADED, put_at=case.put_at), *as_usual(case)]


def _after_a_gap(case: Case) -> list[Act]:
    return [case.act(case.text(), Fate.HELD)]


def _gap_closed(case: Case) -> list[Act]:
    held, missed = case.earlier[-1], case.earlier[-2]
    return [
        missed.act(missed.text(), Fate.MERGED, FileOutcome.ALL_LOADED, put_at=case.put_at),
        Act(case.expect(Fate.MERGED, FileOutcome.ALL_LOADED, name=held.name)),
        *as_usual(case),
    ]


def _other_bytes(case: Case) -> list[Act]:
    before = case.earlier[-1].header.sequence
    text = case.text(sequence=before)
    return [case.act(text, Fate.REFUSED, FileOutcome.NONE_LOADED, name=replace(case.header, sequence=before).file_name)]


def _starts_again(case: Case) -> list[Act]:
    return [case.act(case.text(sequence=1), Fate.HELD, name=replace(case.header, sequence=1).file_name)]


# Rows


def _truncated(case: Case) -> list[Act]:
    return [case.act(case.text(case.told.slice(0, case.told.num_rows * 6 // 10)), Fate.HELD)]


def _mass_addition(case: Case) -> list[Act]:
    strangers = case.strangers.filter(pc.invert(pc.is_in(case.strangers["nhs_number"], case.told["nhs_number"])))
    return [case.act(case.text(pa.concat_tables([case.told, strangers.slice(0, case.told.num_rows * 3 // 10)])), Fate.HELD)]


def _left_out(case: Case) -> list[Act]:
    return [case.act(case.text(case.told.slice(2)), Fate.MERGED, FileOutcome.ALL_LOADED)]


def _in_scientific_notation(case: Case) -> bytes:
    return case.text(_spoilt(case.told, "nhs_number", lambda number: f"{float(number):.2E}", 3))


_BAD_NUMBERS: tuple[Callable[[str], str], ...] = (
    lambda number: number[:9] + str((int(number[9]) + 1) % 10),  # check digit
    lambda number: number[1:],  # a lost digit
    lambda _: "9999999999",
    lambda number: number + ".0",
)


def _bad_numbers(case: Case) -> bytes:
    kinds = iter(_BAD_NUMBERS)

    def spoil(number: str) -> str:
        return next(kinds)(number)

    return case.text(_spoilt(case.told, "nhs_number", spoil, len(_BAD_NUMBERS)))


def _british_date(iso: str) -> str:
    year, month, day = iso.split("-")
    return f"{day}/{month}/{year}"


def _british_dates(case: Case) -> bytes:
    return case.text(_spoilt(case.told, "start_date", _british_date, 5))


def _twice(case: Case) -> bytes:
    return case.text(pa.concat_tables([case.told, case.told.slice(0, 1)]))


def _with_mark(case: Case) -> list[Act]:
    return [case.act(b"\xef\xbb\xbf" + case.text(), Fate.MERGED, FileOutcome.ALL_LOADED)]


def _with_categories(case: Case) -> bytes:
    return _lines(case.text(), lambda record: record + b",NEGLECT")


def _unclosed(case: Case) -> bytes:
    """The quote stands before the family name of the first plan."""
    return _lines(
        case.text(), lambda record: b',"'.join([b",".join(record.split(b",")[:3]), b",".join(record.split(b",")[3:])]), 1
    )


def _miscounted(case: Case) -> bytes:
    return case.text().rpartition(b"T,")[0] + b"T,%d,0\r\n" % (case.told.num_rows + 3)


def _in_utf_16(case: Case) -> bytes:
    return case.text().decode().encode("utf-16")


def _saved_as_ansi(case: Case) -> bytes:
    told = _spoilt(case.told, "given_name", lambda _: "Zoë", 1)
    return case.text(told).decode().encode("cp1252", errors="replace")


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the catalogue. `shows` is its number in FAULTS.md; `kind` is what its authority sends.

    `follows` says that an ordinary night must have gone before. A fault that `lasts` leaves the authority's later files
    waiting for a person's decision, so it belongs to the last night.
    """

    name: str
    shows: str
    story: str
    evenings: tuple[Evening, ...]
    kind: ExtractKind = ExtractKind.FULL
    follows: bool = False
    lasts: bool = False


_UNREADABLE, _NONE = FileOutcome.UNREADABLE, FileOutcome.NONE_LOADED


def _fault(name: str, shows: str, story: str, *evenings: Evening, follows: bool = False, lasts: bool = False) -> Fault:
    return Fault(name, shows, story, evenings, follows=follows, lasts=lasts)


CATALOGUE = (
    _fault("wrong-authority", "F09", "The header names another authority than folder and signature do.",
           _refused(lambda case: case.text(la_code=case.neighbour), _NONE)),
    _fault("live-in-test", "F26", "A file of the live service is dropped on the test hub.",
           _refused(lambda case: case.text(environment=Environment.LIVE), _NONE)),
    _fault("version-9.9", "F40", "A version of the format that does not exist.",
           _refused(lambda case: case.text(version="9.9"), FileOutcome.VERSION_NOT_SUPPORTED)),
    _fault("unsigned", "F23", "Sealed, but nobody signed it.", _sealed_wrongly(Sealing.UNSIGNED, _NONE)),
    _fault("wrongly-signed", "F23", "Signed with another authority's key.", _sealed_wrongly(Sealing.STRANGER, _NONE)),
    _fault("cut-short", "F01", "The upload broke off hours ago.", _cut_short),
    _fault("empty-file", "F01", "No byte in it.", _empty_file),
    _fault("half-uploaded", "F01", "Still being uploaded while the hub runs; whole the next evening.",
           _half_uploaded, _upload_goes_on),
    _fault("bomb", "F28", "100 MB of zeros, compressed to 100 kB.", _sealed_wrongly(Sealing.BOMB, _UNREADABLE)),
    _fault("hostile-name", "F10", "A name that climbs out of the folder.",
           lambda case: [case.act(case.text(), Fate.PASSED_OVER, name=f"..\\..\\{case.name}")]),
    _fault("no-file", "F08", "Nothing was sent.", nothing),
    _fault("doubled", "F03", "The same file twice in one evening, under two names.", _doubled),
    _fault("replayed", "F03", "Yesterday's file again, beside today's.", _replayed, follows=True),
    _fault("late", "F05", "A full extract comes the day after the one that should have followed it.", nothing, as_usual, _late),
    Fault("gap", "F04", "A file of changes is missing; the next waits for it.", (nothing, _after_a_gap, _gap_closed),
          ExtractKind.DELTA, follows=True),
    _fault("other-bytes", "F03", "Yesterday's sequence number on another file.", _other_bytes, follows=True, lasts=True),
    _fault("starts-again", "F06", "A new case system counts from 1 again.", _starts_again, follows=True, lasts=True),
    _fault("truncated", "F41", "A full extract without four rows in ten, and a trailer that agrees.", _truncated, follows=True),
    _fault("mass-addition", "F42", "Another authority's rows have got in.", _mass_addition, follows=True),
    _fault("left-out", "F41", "Two children are left out: they stay, and are listed.", _left_out, follows=True),
    _fault("byte-order-mark", "F29", "Saved by Excel as CSV UTF-8.", _with_mark),
    _fault("utf-16", "F29", "Saved as Unicode text.", _refused(_in_utf_16, _UNREADABLE)),
    _fault("cp1252", "F29", "Saved by Excel as plain CSV.", _refused(_saved_as_ansi, _UNREADABLE)),
    _fault("semicolons", "F30", "Saved with a continental list separator.",
           _refused(lambda case: case.text().replace(b",", b";"), _UNREADABLE)),
    _fault("extra-column", "F31", "A column that nobody may send.", _refused(_with_categories, _UNREADABLE)),
    _fault("unclosed-quote", "F32", "A quotation mark that is never closed.", _partly(_unclosed, 1)),
    _fault("no-trailer", "F33", "The last line is gone.", _refused(lambda case: case.text().rpartition(b"T,")[0], _UNREADABLE)),
    _fault("wrong-trailer", "F33", "The trailer counts three rows more than there are.", _refused(_miscounted, _UNREADABLE)),
    _fault("scientific", "F34", "Excel has made 9.43E+09 of three NHS numbers.", _partly(_in_scientific_notation, 3)),
    _fault("bad-numbers", "F34", "Four NHS numbers, each wrong in another way.", _partly(_bad_numbers, len(_BAD_NUMBERS))),
    _fault("british-dates", "F36", "01/02/2024 in five rows.", _partly(_british_dates, 5)),
    _fault("twice", "F31", "One row stands twice.", _partly(_twice, 1)),
)  # fmt: skip
