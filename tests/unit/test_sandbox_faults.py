"""What the rehearsal's authorities put down, held to the hub's own reader and rules."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from itertools import islice

import pytest

from cpis_batch.intake import names
from cpis_batch.intake.check import CheckContext, Verdict, check
from cpis_batch.intake.read import read_extract
from cpis_batch.sandbox.cases import Case, Fate, as_usual
from cpis_batch.sandbox.drops import Drop, Sealing
from cpis_batch.sandbox.england import make_england
from cpis_batch.sandbox.evenings import Night, Rehearsal, compare
from cpis_batch.sandbox.extracts import Header
from cpis_batch.sandbox.faults import CATALOGUE, Fault
from cpis_batch.sandbox.volumes import KENT, choose, volumes
from cpis_batch.vocabulary import Environment, ExtractKind, FileOutcome

WEDNESDAY = date(2026, 10, 7)
HACKNEY = "E09000012"
# What the envelope, the name or the place in the sequence decides is not in the text.
NOT_IN_THE_TEXT = {"unsigned", "wrongly-signed", "cut-short", "empty-file", "bomb", "hostile-name"}


@cache
def case(kind: ExtractKind = ExtractKind.FULL) -> Case:
    """The third evening of Hackney, whose first two went by as usual."""
    held = make_england(seed=4, on=WEDNESDAY, las=[HACKNEY, KENT]).by_la()
    cases: list[Case] = []
    for night in range(3):
        header = Header(
            la_code=HACKNEY, kind=kind, sequence=118 + night, extracted_at=datetime(2026, 10, 5 + night, 20, tzinfo=UTC)
        )
        runs_at = datetime(2026, 10, 5 + night, 22, 30, tzinfo=UTC)
        cases.append(
            Case(
                header=header,
                runs_at=runs_at,
                told=held[HACKNEY],
                neighbour=KENT,
                strangers=held[KENT],
                earlier=tuple(cases),
            )
        )
    return cases[-1]


def checked(drop: Drop, on: date = WEDNESDAY) -> Verdict:
    return check(read_extract(drop.content), CheckContext(la_code=drop.sender, environment=Environment.TEST, business_date=on))


def test_an_ordinary_evening_is_one_file_that_the_rules_let_through_whole() -> None:
    (act,) = as_usual(case())
    assert act.drop
    verdict = checked(act.drop)
    assert (verdict.file_outcome, verdict.faults.num_rows) == (FileOutcome.ALL_LOADED, 0)
    assert verdict.accepted.num_rows == case().told.num_rows


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.name)
def test_each_fault_fares_with_the_rules_as_the_catalogue_says(fault: Fault) -> None:
    seen = 0
    for evening in fault.evenings:
        for act in evening(case(fault.kind)):
            expected, drop = act.expected, act.drop
            seen += 1
            if drop is None or drop.same_as or fault.name in NOT_IN_THE_TEXT:
                continue
            verdict = checked(drop)
            if expected.fate in (Fate.MERGED, Fate.REFUSED) and expected.outcome is not FileOutcome.NONE_LOADED:
                assert verdict.file_outcome == expected.outcome
            if expected.fate is Fate.MERGED:
                assert verdict.outcomes.num_rows - verdict.accepted.num_rows == expected.rejected
            if expected.fate in (Fate.HELD, Fate.STALE, Fate.WAITING):
                assert verdict.file_outcome == FileOutcome.ALL_LOADED, "what holds it is not in the file"
    assert seen


def test_a_fault_of_the_envelope_is_one_of_sealing_place_or_name_alone() -> None:
    for fault in CATALOGUE:
        if fault.name in NOT_IN_THE_TEXT:
            (act,) = fault.evenings[0](case())
            assert act.drop
            wrong = (act.drop.sealing is not Sealing.PROPER, act.drop.keep < 1, names.parse(act.drop.name) is None)
            assert sum(wrong) == 1, fault.name


def test_every_file_but_the_hostile_one_has_a_name_of_the_grammar() -> None:
    dropped = [
        (fault, act.drop) for fault in CATALOGUE for evening in fault.evenings for act in evening(case(fault.kind)) if act.drop
    ]
    misnamed = {fault.name for fault, drop in dropped if names.parse(drop.name) is None}
    assert misnamed == {"hostile-name"}


def test_the_catalogue_covers_every_bad_input_that_was_asked_for() -> None:
    shown = {fault.shows for fault in CATALOGUE}
    assert {"F01", "F03", "F04", "F05", "F06", "F08", "F09", "F10", "F23", "F26", "F28", "F29", "F30"} <= shown
    assert {"F31", "F32", "F33", "F34", "F36", "F40", "F41", "F42"} <= shown
    assert len({fault.name for fault in CATALOGUE}) == len(CATALOGUE)


@cache
def nights(seed: int = 1) -> tuple[Night, ...]:
    return tuple(Rehearsal(seed, choose(153), scale=0.3).nights())


def test_over_four_nights_every_fault_happens_to_an_authority_of_its_own() -> None:
    told = [{fault.name: code for code, fault in night.faults.items()} for night in nights()]
    assert {name for faults in told for name in faults} == {fault.name for fault in CATALOGUE}
    owners = {(name, code) for faults in told for name, code in faults.items()}
    assert len(owners) == len({code for _, code in owners}) == len(CATALOGUE)


def test_every_authority_has_an_expectation_every_night_and_what_lasts_comes_last() -> None:
    for night in nights():
        assert {expected.la_code for expected in night.expected} == set(volumes())
        lasting = [fault for fault in night.faults.values() if fault.lasts]
        assert not lasting or night is nights()[-1]


def test_every_ordinary_file_of_the_last_night_passes_the_rules_whole() -> None:
    night = nights()[-1]
    ordinary = [act.drop for act in night.acts if act.drop and act.expected.la_code not in night.faults]
    sample = [*ordinary[::40], *(drop for drop in ordinary if b",DELTA," in drop.content[:80])]
    assert len(sample) > 8
    assert {checked(drop, night.on).file_outcome for drop in sample} == {FileOutcome.ALL_LOADED}
    assert sum(checked(drop, night.on).faults.num_rows for drop in sample) == 0


def test_the_same_seed_puts_down_the_same_files_and_another_seed_others() -> None:
    def told(seed: int) -> list[tuple[str, bytes]]:
        rehearsal = Rehearsal(seed, choose(4), scale=0.2)
        return [(drop.name, drop.content) for night in islice(rehearsal.nights(), 2) for drop in night.drops]

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_everything_of_a_night_was_made_and_put_down_before_the_hub_runs() -> None:
    for night in nights():
        assert all(drop.put_at < night.now for drop in night.drops)
        assert night.now == datetime(night.on.year, night.on.month, night.on.day, 22, 30, tzinfo=UTC)


def test_a_comparison_sees_what_happened_otherwise_than_expected() -> None:
    night = nights()[0]
    expected = next(each for each in night.expected if each.fate is Fate.MERGED and each.outcome is FileOutcome.ALL_LOADED)
    file = {"la": expected.la_code, "name": expected.name, "state": "MERGED", "file_outcome": "CPF02", "records": {"CPR07": 0}}

    def agrees(**happened: object) -> bool:
        document = {"files": [file | happened], "waiting": [], "skipped": {}}
        return next(each for each in compare(night, document) if each.expected is expected).agrees

    assert agrees()
    assert not agrees(state="HELD")
    assert not agrees(file_outcome="CPF03")
    assert not agrees(records={"CPR07": 1})
    assert not agrees(name="CPIS_LA_E09000012_FULL_00000001_20261005T214000Z.csv.pgp"), "said nothing of the file"
