"""A fortnight's release to the CHIS units: each unit its own rows, once, caught up, or nothing at all."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime

import pytest

from cpis_batch.errors import Bug, Exit
from cpis_batch.extracts import chis, routing
from cpis_batch.extracts.recipients import check_recipients, due, read_back
from cpis_batch.extracts.schedule import fortnight_of
from cpis_batch.register import view
from cpis_batch.runs.hub import opened
from tests.builders import HACKNEY, KENT, nhs
from tests.hub import Hub, plan_row
from tests.small_england import (
    KENT_AND_MEDWAY,
    NORTH_CENTRAL_LONDON,
    NORTH_EAST_LONDON,
    UNITS,
    extracts,
    manifests,
    replace_table,
    small_england,
    table_lines,
)


@pytest.fixture
def hub(tmp_path):
    return small_england(tmp_path)


def shown(rows: list[dict[str, str]]) -> dict[str, str]:
    """NHS number -> change, of an extract."""
    return {row["nhs_number"]: row["change"] for row in rows}


def log_of(hub: Hub) -> list[str]:
    return (hub.home / "logs" / f"{hub.now.date()}.jsonl").read_text().splitlines()


def after_the_first_release(hub: Hub) -> Hub:
    hub.drop(HACKNEY, [plan_row(1), plan_row(2)])
    hub.drop(KENT, [plan_row(3)])
    hub.run("nightly")
    return hub


def test_every_unit_finds_an_extract_a_page_and_a_manifest_with_its_own_rows_alone(hub):
    night = after_the_first_release(hub).run("nightly")
    assert night.released is None, "one release a fortnight"
    assert {unit: [shown(rows) for rows in extracts(hub, unit)] for unit in UNITS} == {
        NORTH_CENTRAL_LONDON: [{}],
        NORTH_EAST_LONDON: [{nhs(1): "NEW", nhs(2): "NEW"}],
        KENT_AND_MEDWAY: [{nhs(3): "NEW"}],
    }
    for unit in UNITS:
        extract, manifest, page = hub.outbound(unit)
        (told,) = manifests(hub, unit)
        plaintext = hub.opened(extract, "CHIS")
        assert (told["file"]["name"], told["file"]["sha256"]) == (extract.name, hashlib.sha256(plaintext).hexdigest())
        assert manifest.name == extract.name.replace(".csv.pgp", ".manifest.json.pgp")
        assert page.name == extract.name.replace(".csv.pgp", ".summary.html.pgp")
        text = hub.opened(page, "CHIS").decode()
        assert told["file"]["sha256"] in text
        assert not [child for child in (1, 2, 3) if nhs(child) in text], "counts alone"
        assert (told["unit"], told["sequence"], told["active_rows"]) == (unit, 1, len(extracts(hub, unit)[0]))


def test_an_end_is_told_as_ceased_and_the_sequence_rises(hub):
    after_the_first_release(hub)
    hub.next_night(14)
    hub.drop(HACKNEY, [plan_row(1, end="2026-12-01"), plan_row(2)])
    hub.run("nightly")
    assert shown(extracts(hub, NORTH_EAST_LONDON)[-1]) == {nhs(1): "CEASED", nhs(2): "UNCHANGED"}
    assert [told["sequence"] for told in manifests(hub, NORTH_EAST_LONDON)] == [1, 2]
    assert manifests(hub, NORTH_CENTRAL_LONDON)[-1]["sequence"] == 2

    hub.next_night(14)
    hub.run("nightly")
    assert shown(extracts(hub, NORTH_EAST_LONDON)[-1]) == {nhs(2): "UNCHANGED"}, "told as ceased once"


def test_rule_4_every_active_plan_is_in_an_extract_or_on_the_list_of_the_unroutable(hub):
    replace_table(hub, "la_chis", [line for line in table_lines(hub, "la_chis") if not line.startswith(KENT)])
    after_the_first_release(hub)
    with hub.catalogue() as catalogue:
        (made,) = catalogue.releases()
    assert (made.active, made.sent, made.unroutable) == (3, 2, 1)
    assert hub.run("nightly").exit_code is Exit.PERSON_NEEDED, "until a release sends them"
    assert hub.status()["unroutable"] == 1
    (told,) = (json.loads(line) for line in log_of(hub) if "no CHIS unit" in line)
    assert (told["la"], told["reason"], told["plans"]) == (KENT, "LA_HAS_NO_UNIT", 1)
    assert hub.status()["imbalance"] == 0
    assert all(nhs(3) not in shown(rows) for unit in UNITS for rows in extracts(hub, unit))


def test_f54_what_could_not_be_routed_is_sent_once_the_reference_knows_where(hub):
    whole = table_lines(hub, "la_chis")
    replace_table(hub, "la_chis", [line for line in whole if not line.startswith(KENT)])
    after_the_first_release(hub)
    replace_table(hub, "la_chis", whole)
    hub.next_night(14)
    hub.run("nightly")
    assert shown(extracts(hub, KENT_AND_MEDWAY)[-1]) == {nhs(3): "NEW"}
    assert hub.status()["unroutable"] == 0


def test_f53_a_boundary_that_changes_ceases_the_child_in_one_unit_and_begins_it_in_the_other(hub):
    after_the_first_release(hub)
    moved = [line for line in table_lines(hub, "la_chis") if not line.startswith(HACKNEY)]
    moved += [f"{HACKNEY},{NORTH_EAST_LONDON},2009-01-01,2026-12-03", f"{HACKNEY},{NORTH_CENTRAL_LONDON},2026-12-04,"]
    replace_table(hub, "la_chis", moved)
    hub.next_night(14)
    hub.run("nightly")
    assert shown(extracts(hub, NORTH_EAST_LONDON)[-1]) == {nhs(1): "CEASED", nhs(2): "CEASED"}
    assert shown(extracts(hub, NORTH_CENTRAL_LONDON)[-1]) == {nhs(1): "NEW", nhs(2): "NEW"}


def test_f66_fortnights_without_a_run_are_caught_up_by_one_release_that_names_them(hub):
    after_the_first_release(hub)
    hub.next_night(42)
    hub.drop(HACKNEY, [plan_row(1), plan_row(2, end="2026-12-10")])
    hub.run("nightly")
    with hub.catalogue() as catalogue:
        first, second = catalogue.releases()
    assert first.caught_up == ""
    assert second.caught_up == "2026F24 2026F25"
    assert second.sequence == 2
    told = manifests(hub, NORTH_EAST_LONDON)[-1]
    assert told["fortnight"]["covers_missed"] == ["2026F24", "2026F25"]
    assert shown(extracts(hub, NORTH_EAST_LONDON)[-1]) == {nhs(1): "UNCHANGED", nhs(2): "CEASED"}


@pytest.mark.parametrize(
    ("first", "again", "day"),
    [
        # The clocks go back at 01:00 UTC: half past one in England comes twice.
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC), date(2026, 10, 25)),
        # The clocks go forward at 01:00 UTC: half past one in England never comes.
        (datetime(2027, 3, 28, 0, 30, tzinfo=UTC), datetime(2027, 3, 28, 1, 30, tzinfo=UTC), date(2027, 3, 28)),
    ],
    ids=["autumn", "spring"],
)
def test_f65_on_the_night_the_clocks_change_a_second_start_is_a_no_op(hub, first, again, day):
    hub.now = first
    hub.drop(HACKNEY, [plan_row(1, start="2026-08-01")])
    assert (hub.now.date(), hub.run("nightly", day).released is not None) == (day, True)
    before = hub.status()["commit"], [path.name for unit in UNITS for path in hub.outbound(unit)]
    hub.now = again
    night = hub.run("nightly", day)
    assert (night.released, night.intake.arrivals, night.delivered) == (None, [], 0)
    assert (hub.status()["commit"], [path.name for unit in UNITS for path in hub.outbound(unit)]) == before


def test_f20_the_files_that_were_sent_swapped_would_have_stopped_the_release(hub):
    after_the_first_release(hub)
    files = {unit: hub.opened(hub.outbound(unit)[0], "CHIS") for unit in UNITS}
    with opened(hub.home, what="test", business_date=hub.now.date(), now=hub.now) as opened_hub:
        active = view.active(opened_hub.plans(), hub.now.date())
        reference = opened_hub.organisations.routing_reference()
    belong = due(active, routing.PERSONS.empty_table(), reference, on=hub.now.date())
    check_recipients(read_back(files), belong, None)
    swapped = files | {NORTH_EAST_LONDON: files[KENT_AND_MEDWAY], KENT_AND_MEDWAY: files[NORTH_EAST_LONDON]}
    with pytest.raises(Bug, match="does not route to this unit"):
        check_recipients(read_back(swapped), belong, None)


def test_f20_what_is_sealed_for_a_unit_opens_with_that_unit_s_key_alone(hub):
    hub.add_partner(KENT_AND_MEDWAY, "CHIS", key="KENTCHIS")
    after_the_first_release(hub)
    for mine, other, unit in (("KENTCHIS", "CHIS", KENT_AND_MEDWAY), ("CHIS", "KENTCHIS", NORTH_EAST_LONDON)):
        for path in hub.outbound(unit):
            hub.opened(path, mine)
            with pytest.raises(AssertionError, match="Unopened"):
                hub.opened(path, other)


def test_a_ledger_that_does_not_balance_stops_all_that_would_be_sent(hub):
    hub.drop(HACKNEY, [plan_row(1)])
    hub.run()
    with hub.catalogue() as catalogue:
        catalogue.table("UPDATE balances SET closing = closing + 1 WHERE plan_type = 'CPP' RETURNING 1")
    hub.drop(KENT, [plan_row(3)])
    night = hub.run("nightly")
    assert night.exit_code is Exit.BUG
    assert set(night.stopped) == {"access reports", "monthly access reports", "release", "deliveries"}
    assert "ledger show" in night.stopped["release"].advice
    assert (night.delivered, hub.acknowledgements(KENT)) == (0, [])
    assert not any(hub.outbound(unit) for unit in UNITS)
    with hub.catalogue() as catalogue:
        catalogue.table(
            "UPDATE balances SET closing = closing - 1 WHERE plan_type = 'CPP' AND la_code = ? RETURNING 1", (HACKNEY,)
        )
    assert hub.run("nightly").exit_code is Exit.DONE
    assert hub.acknowledgement(KENT)["file"]["outcome"] == "CPF02", "what was not sent is sent once it balances again"


@pytest.mark.parametrize("lacking", ["agreement", "certificate", "partner"])
def test_a_unit_that_nothing_may_be_sent_to_stops_the_release_and_not_the_night(hub, lacking):
    folder = hub.home / "partners" / KENT_AND_MEDWAY
    if lacking == "agreement":
        hub.add_partner(KENT_AND_MEDWAY, "CHIS", key="CHIS", agreement_ends="2026-11-19")
    elif lacking == "certificate":
        next(folder.glob("*.asc")).unlink()
    else:
        (folder / "partner.toml").unlink()
    hub.drop(HACKNEY, [plan_row(1)])
    night = hub.run("nightly")

    assert night.exit_code is Exit.CONFIGURATION
    assert KENT_AND_MEDWAY in night.stopped["release"].message
    assert night.document["stopped"] == {"release": night.stopped["release"].message}
    assert hub.acknowledgement()["file"]["outcome"] == "CPF02"
    assert not list((hub.root / HACKNEY / "inbound").iterdir())

    hub.add_partner(KENT_AND_MEDWAY, "CHIS", key="CHIS")
    hub.next_night()
    assert hub.run("nightly").released is not None
    assert shown(extracts(hub, NORTH_EAST_LONDON)[-1]) == {nhs(1): "NEW"}


def test_f18_what_a_unit_does_not_take_is_amber_on_day_2_and_red_on_day_5(hub):
    after_the_first_release(hub)
    lights = {}
    for day in (1, 2, 4, 5):
        hub.now = datetime(2026, 11, 20 + day, 2, 0, tzinfo=UTC)
        late = hub.status()["uncollected_late"]
        lights[day] = {one["light"] for one in late if one["partner"] == NORTH_EAST_LONDON}
    assert lights == {1: set(), 2: {"AMBER"}, 4: {"AMBER"}, 5: {"RED"}}


def test_f18_what_a_unit_takes_away_is_noted_by_the_next_run_and_is_not_late(hub):
    after_the_first_release(hub)
    for path in hub.outbound(NORTH_EAST_LONDON):
        path.unlink()
    hub.next_night(5)
    hub.run("nightly")
    late = {one["partner"] for one in hub.status()["uncollected_late"]}
    assert late == {KENT_AND_MEDWAY, NORTH_CENTRAL_LONDON}
    with hub.catalogue() as catalogue:
        (collected,) = {
            one.collected_at for one in catalogue.deliveries("partner = ? AND name LIKE '%_0001.%'", (NORTH_EAST_LONDON,))
        }
    assert collected == hub.now


def test_a_unit_that_finds_a_manifest_finds_the_extract_that_it_speaks_of(hub):
    name = chis.file_name(KENT_AND_MEDWAY, fortnight_of(hub.now.date(), date(2026, 1, 5)), 1)
    in_the_way = hub.root / KENT_AND_MEDWAY / "outbound" / name
    in_the_way.mkdir()
    after_the_first_release(hub)
    assert [path.name for path in hub.outbound(NORTH_EAST_LONDON, "CPIS_CHIS")] != []
    assert hub.outbound(KENT_AND_MEDWAY) == [in_the_way]

    in_the_way.rmdir()
    hub.run("nightly")
    assert len(hub.outbound(KENT_AND_MEDWAY)) == 3
