"""An England of any size, written as files: the same bytes whoever writes them, people of nobody, memory of one authority."""

from __future__ import annotations

import json
import math
import tracemalloc
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cpis_batch.access import reference
from cpis_batch.access.events import read_events
from cpis_batch.access.schema import EVENTS
from cpis_batch.errors import UsageFault
from cpis_batch.intake.check import CheckContext, check
from cpis_batch.intake.read import read_extract
from cpis_batch.nhs_number import is_valid
from cpis_batch.sandbox import scaled, scaled_events
from cpis_batch.sandbox.england import numbering, people_of, plans_of
from cpis_batch.sandbox.events import organisation_areas
from cpis_batch.sandbox.numbers import LARGE, TESTS
from cpis_batch.sandbox.scaled import EventsForm, Wanted
from cpis_batch.sandbox.volumes import KENT, choose, volumes
from cpis_batch.vocabulary import Environment, FileOutcome

MONDAY, TUESDAY = date(2026, 10, 5), date(2026, 10, 6)
LAS = choose(4)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_makes_the_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    wanted = Wanted(seed=7, scale=4, on=MONDAY, las=LAS, events=3_000)
    for name, workers in (("alone", 1), ("two", 2), ("three", 3)):
        scaled.write(tmp_path / name, wanted, workers=workers)
    alone = content(tmp_path / "alone")
    assert len(alone) > len(LAS)
    assert content(tmp_path / "two") == content(tmp_path / "three") == alone
    scaled.write(tmp_path / "other", Wanted(seed=8, scale=4, on=MONDAY, las=LAS, events=3_000), workers=1)
    assert content(tmp_path / "other") != alone


@pytest.mark.parametrize(("scale", "environment"), [(0.5, Environment.TEST), (4, Environment.LIVE)])
def test_every_extract_is_one_that_the_hub_loads_whole(tmp_path: Path, scale: float, environment: Environment) -> None:
    made = scaled.write(tmp_path / "england", Wanted(seed=7, scale=scale, on=MONDAY, las=LAS), workers=1)
    for one in made:
        data = (tmp_path / "england" / one.extract.name).read_bytes()
        verdict = check(read_extract(data), CheckContext(one.la_code, environment, MONDAY))
        assert verdict.file_outcome is (FileOutcome.ALL_LOADED)
        assert verdict.accepted.num_rows == one.extract.rows
    told = json.loads((tmp_path / "england" / scaled.MANIFEST).read_text())
    assert (told["environment"], told["rows"]) == (environment, sum(one.extract.rows for one in made))


def test_a_larger_england_has_the_proportions_of_the_real_one() -> None:
    for code in LAS:
        usual, large = (plans_of(code, seed=7, on=MONDAY, scale=scale) for scale in (1, 12))
        if usual.num_rows < 200:
            continue
        assert large.num_rows == pytest.approx(12 * usual.num_rows, rel=0.02)
        for plan_type in ("CPP", "LAC"):
            shares = [pc.mean(pc.equal(plans["plan_type"], plan_type).cast(pa.int8())).as_py() for plans in (usual, large)]
            assert shares[0] == pytest.approx(shares[1], abs=0.02)


def test_numbers_of_a_large_england_are_nobodys_and_no_two_authorities_deal_one() -> None:
    dealt = [numbering(7, 60).first_of(code, people_of(code, 60)) for code in sorted(volumes())]
    numbers = np.concatenate(dealt)
    assert len(numbers) == len(np.unique(numbers)) == sum(volume.scaled(60).rows for volume in volumes().values())
    assert numbers.min() >= 9_000_000_000
    assert numbers.max() < 9_990_000_000
    assert all(is_valid(str(number)) for number in numbers[:: len(numbers) // 2_000].tolist())


def test_every_range_is_permuted_whole() -> None:
    for numbers in (TESTS, LARGE):
        assert math.gcd(numbers.stride, numbers.stems) == math.gcd(271_829, numbers.stems) == 1


def test_in_the_largest_authority_of_a_large_england_one_identifier_is_one_person() -> None:
    plans = plans_of(KENT, seed=7, on=MONDAY, scale=20)
    pairs = plans.group_by(["child_id", "nhs_number"]).aggregate([])
    assert pairs.num_rows == pc.count_distinct(plans["child_id"]).as_py() == pc.count_distinct(plans["nhs_number"]).as_py()


def test_a_day_later_few_rows_have_changed_and_each_day_is_of_the_same_england(tmp_path: Path) -> None:
    first = scaled.write(tmp_path / "first", Wanted(seed=7, scale=4, on=MONDAY, las=LAS), workers=1)
    after = Wanted(seed=7, scale=4, on=TUESDAY, after=MONDAY, las=LAS, sequence=2)
    then = scaled.write(tmp_path / "then", after, workers=1)
    rows, changed = sum(one.extract.rows for one in then), sum(one.changed for one in then)
    assert 0 < changed < 0.02 * rows
    (before,), (now,) = (
        [set((tmp_path / name / one.extract.name).read_bytes().splitlines()) for one in made if one.la_code == KENT]
        for name, made in (("first", first), ("then", then))
    )
    assert len(before & now) > 0.97 * len(before)


def test_events_are_those_that_the_hub_reads_and_there_are_as_many_as_asked_for(tmp_path: Path) -> None:
    made = scaled.write(tmp_path / "england", Wanted(seed=7, scale=4, on=MONDAY, las=LAS, events=5_000), workers=1)
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "organisation_areas.csv").write_bytes(organisation_areas())
    known, ids, loaded = reference.load(tmp_path / "reference"), set(), 0
    for file in (file for one in made for file in one.events):
        data = (tmp_path / "england" / file.name).read_bytes()
        reading = read_events(data, known, environment=Environment.LIVE, line_bytes=4096)
        assert (reading.outcome, reading.rejected, reading.repeated) == (FileOutcome.ALL_LOADED, 0, 0)
        ids |= set(reading.events["event_id"].to_pylist())
        loaded += reading.loaded
    assert len(ids) == loaded == 5_000


def test_events_as_the_hub_keeps_them_are_the_same_events(tmp_path: Path) -> None:
    las = (KENT,)
    (text,) = scaled.write(tmp_path / "text", Wanted(seed=7, scale=1, on=MONDAY, las=las, events=2_000), workers=1)
    wanted = Wanted(seed=7, scale=1, on=MONDAY, las=las, events=2_000, events_form=EventsForm.PARQUET)
    (stored,) = scaled.write(tmp_path / "stored", wanted, workers=1)
    kept = pq.read_table(tmp_path / "stored" / stored.events[0].name)
    assert kept.schema.names == EVENTS.names
    (tmp_path / "reference").mkdir()
    known = reference.load(tmp_path / "reference")
    data = (tmp_path / "text" / text.events[0].name).read_bytes()
    read = read_events(data, known, environment=Environment.TEST, line_bytes=4096).events
    order = [("event_id", "ascending")]
    assert kept.cast(EVENTS).sort_by(order).equals(read.sort_by(order))


def test_any_number_of_events_takes_the_memory_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaled_events, "BATCH", 500)
    wanted = Wanted(seed=7, scale=0.2, on=MONDAY, las=(KENT,))
    plans = scaled.plans_at(KENT, wanted)
    most = []
    for count in (1_000, 20_000):
        tracemalloc.start()
        held = pa.total_allocated_bytes()
        peak = 0
        for batch in scaled_events.drawn(KENT, plans, count, seed=7, now=wanted.made_at):
            assert batch.num_rows <= 500
            peak = max(peak, pa.total_allocated_bytes() - held)
            scaled_events.lines(batch)
        most.append(peak + tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert most[1] < 1.5 * most[0] + 200_000


def test_nothing_is_written_over_what_is_there_nor_into_a_home_of_real_partners(tmp_path: Path) -> None:
    wanted = Wanted(seed=7, scale=0.1, on=MONDAY, las=LAS)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(UsageFault, match="holds something"):
        scaled.write(tmp_path / "full", wanted, workers=1)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text("")
    with pytest.raises(UsageFault, match="no rehearsal"):
        scaled.write(tmp_path / "home" / "england", wanted, workers=1)
    assert not (tmp_path / "home" / "england").exists()
    with pytest.raises(UsageFault, match="holds something"):
        scaled.write(tmp_path / "home", wanted, workers=1)
    (tmp_path / "home" / "sandbox").mkdir()
    assert scaled.write(tmp_path / "home" / "england", wanted, workers=1)
